"""E-mail that came back, over the route: it changes what it is about, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

import pytest

from engine.channels.secrets import Secrets
from engine.content.links import Invitation, Links, return_path_of
from tests.tracking.letters import answer, block, complaint, delivery_report, original

if TYPE_CHECKING:
    import httpx

    from tests.tracking.world import Mailing

ADA = "ada@x.example"


@pytest.fixture
def ada(world: Mailing, campaign_id: UUID) -> UUID:
    return world.sent(campaign_id, ADA, "bo@x.example")[0]


def hand_in(client: httpx.Client, raw: bytes, **query: str) -> dict[str, object]:
    answered = client.post(
        "/v1/inbound/email", content=raw, params=query, headers={"content-type": "message/rfc822"}
    )
    assert answered.status_code == 200, answered.text
    found: dict[str, object] = answered.json()
    return found


def link(world: Mailing, campaign_id: UUID, entity_id: UUID, address: str = ADA) -> str:
    keys = Secrets.of(world.api.runtime.settings).signing_keys
    return Links(world.api.url, keys).unsubscribe(
        Invitation(world.api.org_id, campaign_id, entity_id, "smtp", address)
    )


def test_a_hard_bounce_suppresses_for_the_whole_organization(
    world: Mailing, campaign_id: UUID, ada: UUID
) -> None:
    raw = delivery_report(block(), returned=original(unsubscribe=link(world, campaign_id, ada)))
    expected = {
        "kind": "bounce", "matched": True, "taken": True, "campaign_id": str(campaign_id),
        "recipient_id": str(ada), "address": ADA, "status": "5.1.1", "bounce_type": "permanent",
        "suppressed": "hard_bounce",
    }  # fmt: skip
    assert expected == hand_in(world.client, raw)
    assert expected | {"taken": False} == hand_in(world.client, raw), "the same message again"
    assert [(ADA, "hard_bounce")] == world.suppressed()
    assert ("bounced", "permanent") == world.status(campaign_id, ada)
    assert [("email", "bounced")] == world.log(campaign_id)
    assert 1 == world.client.get(f"/v1/campaign/{campaign_id}/email-stats").json()["bounced_hard"]
    world.check_sums()


@pytest.mark.parametrize("how", ["message_id", "return_path", "envelope"])
def test_it_is_matched_by_what_comes_back_with_it(
    world: Mailing, campaign_id: UUID, ada: UUID, how: str
) -> None:
    path = return_path_of("b@bounces.example", campaign_id, ada)
    if how == "message_id":
        raw = delivery_report(block(), returned=original(message_id=world.message_id(campaign_id, ada)))
        found = hand_in(world.client, raw)
    elif how == "return_path":
        found = hand_in(world.client, delivery_report(block(), to=path))
    else:
        found = hand_in(world.client, delivery_report(block()), recipient=path)
    assert (True, "hard_bounce", str(ada)) == (found["matched"], found["suppressed"], found["recipient_id"])
    assert [(ADA, "hard_bounce")] == world.suppressed()


def test_a_soft_bounce_is_recorded_only(world: Mailing, campaign_id: UUID, ada: UUID) -> None:
    returned = original(message_id=world.message_id(campaign_id, ada))
    soft = block(status="4.2.2", diagnostic="smtp; 452 4.2.2 mailbox full")
    found = hand_in(world.client, delivery_report(soft, returned=returned))
    assert ("transient", None) == (found["bounce_type"], found.get("suppressed"))
    policy = block(status="5.7.1", diagnostic="smtp; 554 5.7.1 blocked by policy")
    found = hand_in(world.client, delivery_report(policy, returned=returned))
    assert ("permanent", None) == (found["bounce_type"], found.get("suppressed"))
    delayed = block(action="delayed", status="4.4.7", diagnostic="smtp; 451 later")
    assert hand_in(world.client, delivery_report(delayed, returned=returned))["taken"]
    assert [] == world.suppressed()
    assert [("email", "bounced"), ("email", "bounced"), ("email", "delayed")] == world.log(campaign_id)
    assert ("bounced", "permanent") == world.status(campaign_id, ada)


def test_a_complaint_suppresses(world: Mailing, campaign_id: UUID, ada: UUID) -> None:
    raw = complaint(returned=original(message_id=world.message_id(campaign_id, ada)))
    assert "complaint" == hand_in(world.client, raw)["suppressed"]
    assert [(ADA, "complaint")] == world.suppressed()
    assert ("complained", None) == world.status(campaign_id, ada)


def test_a_reply_is_noted_and_a_machines_is_not(world: Mailing, campaign_id: UUID, ada: UUID) -> None:
    message_id = world.message_id(campaign_id, ada)
    assert hand_in(world.client, answer(message_id))["taken"]
    assert not hand_in(world.client, answer(message_id, Auto_Submitted="auto-replied"))["taken"]
    assert [("email", "replied")] == world.log(campaign_id)


def test_whoever_writes_to_the_bounce_address_suppresses_nobody(
    world: Mailing, campaign_id: UUID, ada: UUID
) -> None:
    """A report that matches nothing of ours, and one that matches and names somebody else's address."""
    assert not hand_in(world.client, delivery_report(block("victim@x.example")))["matched"]
    stranger = original(message_id=world.message_id(campaign_id, UUID(int=5)))
    assert not hand_in(world.client, delivery_report(block(), returned=stranger))["matched"]
    assert [] == world.suppressed()
    named = block("bo@x.example")
    returned = original(message_id=world.message_id(campaign_id, ada))
    assert ADA == hand_in(world.client, delivery_report(named, returned=returned))["address"]
    assert [(ADA, "hard_bounce")] == world.suppressed(), (
        "the recipient's own address, whatever the report names"
    )


def test_another_organizations_mail_is_nobodys(
    world: Mailing, campaign_id: UUID, ada: UUID, stranger: httpx.Client
) -> None:
    for returned in (
        original(unsubscribe=link(world, campaign_id, ada)),
        original(message_id=world.message_id(campaign_id, ada)),
    ):
        assert not hand_in(stranger, delivery_report(block(), returned=returned))["matched"]
    assert [] == world.suppressed()


def test_an_address_is_given_up_though_the_campaign_is_gone(
    world: Mailing, campaign_id: UUID, ada: UUID
) -> None:
    raw = delivery_report(block(), returned=original(unsubscribe=link(world, campaign_id, ada)))
    assert 204 == world.client.delete(f"/v1/campaign/{campaign_id}").status_code
    found = hand_in(world.client, raw)
    assert (False, "hard_bounce") == (found["matched"], found["suppressed"])
    assert [(ADA, "hard_bounce")] == world.suppressed()


def test_what_is_no_message_is_refused_by_name(world: Mailing) -> None:
    for raw in (b"", b"hello", b"{}"):
        answered = world.client.post("/v1/inbound/email", content=raw)
        assert 400 == answered.status_code
        assert "body" in answered.json()["message"]
    assert 413 == world.client.post("/v1/inbound/email", content=b"A: b\r\n" * 1_500_000).status_code


def test_a_viewer_may_not(world: Mailing) -> None:
    with world.api.client("viewer") as viewer:
        assert 403 == viewer.post("/v1/inbound/email", content=answer("<x@y>")).status_code
        assert 403 == viewer.post("/v1/events", json=[]).status_code
