"""Mail that comes back as real servers and people write it, through the API: the inputs beside the repository."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from engine.content.links import return_path_of
from tests.tracking.letters import hand_in, link_of

if TYPE_CHECKING:
    from uuid import UUID

    from tests.tracking.world import Mailing

CASES = (
    Path(os.environ.get("MUSTER_SHARED", Path(__file__).parents[3] / "shared")) / "cases" / "mail" / "inbound"
)
BARRED = ("bounce", "bounced", "hard_bounce")
BOUNCED = ("bounce", "bounced", None)
COMPLAINED = ("complaint", "complained", "complaint")
AUTOMATIC = ("auto_reply", None, None)
#: By what the case stands for: kind, the log's word, why the address is barred.
EXPECTED: dict[str, dict[str, tuple[str, str | None, str | None]]] = {
    "what a report says of the address": {
        "dsn-500-ip-limited": BOUNCED,
        "dsn-500-spam": BOUNCED,
        "dsn-500-exim-retry-timeout": BOUNCED,
        "dsn-500-diagnostic-451": BOUNCED,
        "dsn-diagnostic-without-type": BOUNCED,
        "dsn-ip-read-as-5.1.1": BOUNCED,
        "dsn-5.4.316-expired": BOUNCED,
        "dsn-5.1.90-our-daily-limit": BOUNCED,
        "dsn-5.1.0-sender-rejected": BOUNCED,
        "dsn-5.1.0-around-5.2.2": BOUNCED,
        "dsn-5.1.1-field-5.7.1-diagnostic": BOUNCED,
        "dsn-5.2.1-recipient-rate": BOUNCED,
    },
    "reports however they are written": {
        "dsn-action-expired": BOUNCED,
        "dsn-action-with-comment": BARRED,
        "dsn-without-action": BARRED,
        "dsn-global": BARRED,
        "dsn-base64": BARRED,
        "dsn-unfolded-diagnostic": BARRED,
    },
    "bounces in prose": {"prose-bounce-exim": BARRED, "prose-bounce-in-reply-to": BARRED},
    "complaints": {
        "arf-auth-failure": ("other", None, None),
        "arf-forwarded": COMPLAINED,
        "complaint-jmrp": COMPLAINED,
    },
    "answers of machines": {
        "auto-delivered-to-autoresponder": AUTOMATIC,
        "auto-null-return-path": AUTOMATIC,
        "auto-subject-only": AUTOMATIC,
        "auto-submitted-no-with-comment": ("reply", "replied", None),
        "auto-x-auto-reply-from": AUTOMATIC,
        "auto-x-autoresponse": AUTOMATIC,
        "auto-x-mail-autoreply": AUTOMATIC,
        "mdn-displayed": AUTOMATIC,
    },
}


@pytest.mark.skipif(not CASES.is_dir(), reason="shared/cases/mail is not beside the repository")
def test_every_shared_case_is_of_a_kind() -> None:
    names = sorted(path.stem for path in CASES.glob("*.eml"))
    assert names == sorted(name for kind in EXPECTED.values() for name in kind)


@pytest.mark.skipif(not CASES.is_dir(), reason="shared/cases/mail is not beside the repository")
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        pytest.param(name, expected, id=f"{kind}: {name}")
        for kind, cases in EXPECTED.items()
        for name, expected in cases.items()
    ],
)
def test_a_shared_case_has_its_right_value(
    world: Mailing, campaign_id: UUID, name: str, expected: tuple[str, str | None, str | None]
) -> None:
    """What is answered, what the log says, and whether the address is barred."""
    address = "p29@mail4.example" if name == "dsn-base64" else f"{name}@mail0.example"
    (entity_id,) = world.sent(campaign_id, address)
    text = (CASES / f"{name}.eml").read_text()
    for mark, value in (
        ("@@MESSAGE_ID@@", world.message_id(campaign_id, entity_id)),
        ("<@@UNSUBSCRIBE@@>", f"<{link_of(world, campaign_id, entity_id, address)}>"),
        ("@@RCPT@@", address),
        ("@@RETURN_PATH@@", return_path_of("b@bounces.shop.example", campaign_id, entity_id)),
    ):
        text = text.replace(mark, value)
    answer = hand_in(world.client, text.replace("\n", "\r\n").encode())
    logged = [row.kind for row in world.engagements(campaign_id) if row.entity_id == entity_id]
    assert len(logged) <= 1
    assert expected == (answer["kind"], logged[0] if logged else None, answer.get("suppressed"))
    assert ({address} if expected[2] else set()) == {barred for barred, _ in world.suppressed()}
