"""E-mail that came back, over the route: it changes what it is about, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

import pytest

from engine.content.links import return_path_of
from tests.tracking.letters import (
    answer,
    attached,
    block,
    complaint,
    delivery_report,
    hand_in,
    link_of,
    original,
)

if TYPE_CHECKING:
    import httpx

    from tests.tracking.world import Mailing

ADA = "ada@x.example"


@pytest.fixture
def ada(world: Mailing, campaign_id: UUID) -> UUID:
    return world.sent(campaign_id, ADA, "bo@x.example")[0]


def link(world: Mailing, campaign_id: UUID, entity_id: UUID, address: str = ADA) -> str:
    return link_of(world, campaign_id, entity_id, address)


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
    assert [] == world.suppressed(), "it is about another address than the recipient's"
    assert ("bounced", "permanent") == world.status(campaign_id, ada)


@pytest.mark.parametrize("by", ["link", "message_id"])
def test_of_several_recipients_each_meets_what_is_said_of_it(
    world: Mailing, campaign_id: UUID, ada: UUID, by: str
) -> None:
    blocks = (
        block("bo@x.example", status="5.1.1"),
        "\n" + block(ADA, status="4.2.2", diagnostic="smtp; 452 4.2.2 full"),
        "\n" + block("cy@x.example", status="5.1.1"),
    )
    traces = (
        {"unsubscribe": link(world, campaign_id, ada)}
        if by == "link"
        else {"message_id": world.message_id(campaign_id, ada)}
    )
    found = hand_in(world.client, delivery_report(*blocks, returned=original(**traces)))
    assert ("transient", "4.2.2", None) == (found["bounce_type"], found["status"], found.get("suppressed"))
    assert [] == world.suppressed()


def test_several_reports_in_one_message_meet_each_their_own(world: Mailing, campaign_id: UUID) -> None:
    people = world.sent(campaign_id, ADA, "bo@x.example", "cy@x.example")
    reports = [
        delivery_report(
            block(address, status=status, diagnostic=f"smtp; 550 {status} {words}"),
            returned=original(to=address, message_id=world.message_id(campaign_id, entity_id)),
        ).decode()
        for entity_id, address, status, words in zip(
            people,
            (ADA, "bo@x.example", "cy@x.example"),
            ("5.1.1", "5.7.1", "5.1.1"),
            ("unknown", "spam", "unknown"),
            strict=True,
        )
    ]
    raw = attached(*(one.replace("\r\n", "\n") for one in reports), sender="it@shop.example", subject="Fwd")
    found = hand_in(world.client, raw)
    assert [str(one) for one in people] == [
        found["recipient_id"],
        *(one["recipient_id"] for one in found["further"]),  # type: ignore[attr-defined]
    ]
    assert [(ADA, "hard_bounce"), ("cy@x.example", "hard_bounce")] == world.suppressed()
    assert not hand_in(world.client, raw)["taken"], "the same message again"
    world.check_sums()


def test_a_bounce_in_prose_is_matched_by_the_copy_that_it_holds(
    world: Mailing, campaign_id: UUID, ada: UUID
) -> None:
    raw = (
        "Return-Path: <>\nFrom: MAILER-DAEMON@mx.x.example\nTo: b@bounces.example\nSubject: failure notice\n\n"
        "Hi. This is the qmail-send program at mx.x.example.\n"
        f"I'm afraid I wasn't able to deliver your message.\n\n<{ADA}>:\n"
        "Sorry, no mailbox here by that name. (#5.1.1)\n\n--- Below this line is a copy of the message.\n\n"
        + original(message_id=world.message_id(campaign_id, ada))
    )
    found = hand_in(world.client, raw.replace("\n", "\r\n").encode())
    assert ("bounce", "5.1.1", "hard_bounce") == (found["kind"], found["status"], found["suppressed"])
    assert [(ADA, "hard_bounce")] == world.suppressed()


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


def test_no_bytes_are_a_fault_of_the_server(world: Mailing, campaign_id: UUID, ada: UUID) -> None:
    """NUL, halves of characters and what no charset has, in whatever is kept."""
    message_id = world.message_id(campaign_id, ada)
    nasty = "\x00=?utf-7?b?2D8=?= =?idna?q?=C3?= =?utf-16?b?ANg=?= \udcff".encode("utf-8", "surrogatepass")
    report = delivery_report(
        block(status="5.0.0", diagnostic="smtp; 550 @@"), returned=original(message_id=message_id)
    )
    for raw in (
        answer(message_id, Subject="@@"),
        report,
        answer(message_id, To="(" * 500),
        complaint("@@", returned=original(message_id=message_id)),
        b"X: y\r\n\xff: x\r\n" + report,
    ):
        hand_in(world.client, raw.replace(b"@@", nasty))
    assert [] == world.suppressed()


def test_a_viewer_may_not(world: Mailing) -> None:
    with world.api.client("viewer") as viewer:
        assert 403 == viewer.post("/v1/inbound/email", content=answer("<x@y>")).status_code
        assert 403 == viewer.post("/v1/events", json=[]).status_code
