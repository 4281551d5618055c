"""One row, two dialects: what is changed through one is seen through the other, and a timeline tells all of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from engine.channels.port import Delivered, Outcome, Rejected
from engine.enrolled.first_contact import FirstContact, touchpoints
from engine.enrolled.identity import entity_of
from engine.goals.calls import Attempt, take_attempt

if TYPE_CHECKING:
    from engine.content.message import Message
    from tests.umanize.desk import TargetDesk


def story(desk: TargetDesk, campaign: str, entity: UUID) -> list[str]:
    path = f"/v1/campaign/{campaign}/recipients/{entity}/timeline"
    return [one["what"] for one in desk.told("GET", path)["results"]]


def test_one_story_over_two_dialects(desk: TargetDesk) -> None:
    """Enrolled here, contacted, paused, failed and retriggered through the Targeting API, and contacted again."""
    campaign = desk.campaign("file", "file")
    desk.create_one(campaign, customer_id="crm-1", name="Ada", email="ada@example.com")
    (target,) = desk.ids(campaign)
    entity = entity_of(UUID(campaign), UUID(target))
    desk.set_status(campaign, "active")
    desk.work()
    first = desk.target(campaign, target)
    assert (first["stage"], first["email_sent"]) == ("contacted", 1)
    assert first["last_email_at"] == first["last_contacted_at"]
    # Paused and resumed between the two messages.
    desk.told("POST", f"/api/v1/campaigns/{campaign}/pause")
    desk.clock.forward(seconds=25 * 3600)
    desk.work()
    assert len(desk.channel.journal) == 1
    desk.told("POST", f"/api/v1/campaigns/{campaign}/resume")
    refuse = [True]

    def answer(message: Message) -> Outcome:
        return Rejected("550", "no such mailbox") if refuse else Delivered()

    desk.channel.answer = answer
    desk.run_out()
    recipients = f"/v1/campaign/{campaign}/recipients"
    (shown,) = desk.told("GET", recipients, params={"automation_status": "failed"})["results"]
    assert shown["entity_id"] == str(entity)
    assert desk.target(campaign, target)["stage"] == "contacted"  # somebody was reached before
    refuse.clear()
    desk.clock.forward(seconds=60)
    told = desk.told(
        "POST", f"/v1/campaign/{campaign}/automations:retrigger", json={"recipient_ids": [str(entity)]}
    )
    assert told["results"][0]["result"] == "success"
    desk.run_out()
    (shown,) = desk.told("GET", recipients)["results"]
    assert shown["automation_status"] == "success"
    last = desk.target(campaign, target)
    assert (last["email_sent"], last["whatsapp_sent"], last["calls_made"]) == (2, 0, 0)
    assert last["last_email_at"] > first["last_email_at"]
    # A stage of the user's own is left alone by delivery, and seen at once.
    desk.on(campaign, target, "PATCH", "/stage", json={"stage": "customer"})
    assert desk.target(campaign, target)["stage"] == "customer"
    whats = story(desk, campaign, entity)
    assert whats[0] == "recipient.enrolled"
    assert [one for one in whats if one.startswith("message.")] == [
        "message.sent", "message.failed", "message.sent",
    ]  # fmt: skip
    assert whats.index("message.failed") < whats.index("recipient.retriggered")


@pytest.mark.parametrize(
    ("kind", "counted"),
    [("file", "email_sent"), ("whatsapp", "whatsapp_sent"), ("sms", None), ("voice", None)],
)
def test_messages_are_counted_by_what_they_are(desk: TargetDesk, kind: str, counted: str | None) -> None:
    """Calls are counted by what the provider says became of them (engine.goals.calls)."""
    campaign = desk.campaign(kind)
    desk.bulk(campaign, desk.people(2))
    desk.set_status(campaign, "active")
    desk.run_out()
    for one in desk.listing(campaign)["data"]:
        counts = {name: one[name] for name in ("email_sent", "whatsapp_sent", "calls_made")}
        assert counts == {**dict.fromkeys(counts, 0), **({} if counted is None else {counted: 1})}
        assert one["stage"] == "contacted"
        assert ("last_email_at" in one) == (counted == "email_sent")
        assert "last_contacted_at" in one


def test_who_cannot_be_reached_is_unreachable_until_they_are(desk: TargetDesk) -> None:
    campaign = desk.campaign()
    (person,) = desk.people(1)
    desk.bulk(campaign, [person])
    desk.channel.answer = lambda _: Rejected("550", "no such mailbox")
    desk.set_status(campaign, "active")
    desk.run_out()
    assert desk.listing(campaign)["data"][0]["stage"] == "unreachable"
    desk.channel.answer = lambda _: Delivered()
    desk.told("POST", f"/v1/campaign/{campaign}/automations:retrigger", json={"recipient_ids": [str(person)]})
    desk.run_out()
    assert desk.listing(campaign)["data"][0]["stage"] == "contacted"


def test_whoever_is_no_target_stays_none(desk: TargetDesk) -> None:
    people = desk.people(2)
    campaign = desk.campaign(target_ids=[str(desk.segment("all"))])
    desk.set_status(campaign, "active")
    desk.run_out()
    assert desk.sent() == set(people)
    assert desk.listing(campaign, include_deleted=True)["data"] == []
    for row in desk.recipients(campaign):
        assert (row.stage, row.email_sent, row.last_contacted_at, row.last_email_at) == (None,) * 4


def test_first_contact_waits_until_the_campaign_runs(desk: TargetDesk) -> None:
    campaign = desk.campaign()
    desk.create_one(campaign, email="draft@example.com")
    desk.work()
    assert desk.channel.journal == []
    desk.set_status(campaign, "active")
    desk.create_one(campaign, email="running@example.com")
    desk.run_out()
    assert len(desk.channel.journal) == 2
    assert {one["stage"] for one in desk.listing(campaign)["data"]} == {"contacted"}


def test_a_campaign_of_enrolled_targets_alone_can_be_activated(desk: TargetDesk) -> None:
    campaign = desk.campaign()
    answer = desk.client.post(f"/v1/campaign/{campaign}/status", json={"status": "active"})
    assert (answer.status_code, answer.json()) == (400, {"code": "CAMPAIGN_HAS_NO_TARGET"})
    desk.bulk(campaign, desk.people(1))
    desk.set_status(campaign, "active")


def test_reactivating_contacts_whom_the_first_run_left(desk: TargetDesk) -> None:
    campaign = desk.campaign("file", "file", ends="when_told")
    people = desk.people(3)
    desk.bulk(campaign, people)
    desk.set_status(campaign, "active")
    desk.work()
    desk.set_status(campaign, "inactive")
    desk.work()
    assert {row.automation_status for row in desk.recipients(campaign)} == {"cancelled"}
    desk.set_status(campaign, "active")
    desk.run_out_of_waits()
    assert {2} == set(desk.channel.sent().values())


def test_first_contact_is_a_sequence(desk: TargetDesk) -> None:
    """Calls with waits between them, then WhatsApp for those who did not answer, within working hours."""
    campaign = str(desk.told("POST", "/v1/campaign", 201, json={"name": "Calls"})["_id"])
    path = f"/v1/campaign/{campaign}/first-contact"
    desk.told("GET", path, 404)
    given: dict[str, Any] = {
        "call_opening_message": "Hello {{ name }}", "whatsapp_first_message": "We called you",
        "whatsapp_after_attempts": 2, "call_attempt_delays": [60, 120],
        "call_working_hours": [{"days": ["mon", "tue"], "from": "08:00", "to": "18:00"}],
    }  # fmt: skip
    assert "call_channel_id" in desk.told("PUT", path, 400, json=given)["message"]
    desk.sender("voice")
    desk.sender("whatsapp")
    desk.told("PUT", path, json=given)
    assert desk.told("GET", path)["whatsapp_after_attempts"] == 2
    desk.told("PUT", path, json=given)  # again: the same flow, rewritten
    desk.create_one(campaign, customer_id="silent", name="Silent", email="s@example.com")
    desk.set_status(campaign, "active")
    desk.create_one(campaign, customer_id="talks", name="Talks", email="t@example.com")
    desk.work()
    assert len(desk.channel.journal) == 2
    talks = next(one for one in desk.listing(campaign)["data"] if one["customer"]["name"] == "Talks")
    desk.set_row(campaign, talks["id"], stage="engaged")  # as a completed call does
    desk.run_out_of_waits()
    times = desk.channel.sent()
    silent = next(one for one in desk.listing(campaign)["data"] if one["customer"]["name"] == "Silent")
    assert times[UUID(talks["customer_id"])] == 1
    assert times[UUID(silent["customer_id"])] == 4  # three calls and a message
    assert silent["whatsapp_sent"] == 1
    flow = desk.told("GET", f"/v1/campaign/{campaign}")["flow_id"]
    steps = desk.told("GET", f"/v1/flow/{flow}")["touchpoints"]
    assert [step["type"] for step in steps] == [
        "message", "wait", "message", "wait", "message", "wait", "message",
    ]  # fmt: skip


def test_first_contact_does_not_take_a_flows_place(desk: TargetDesk) -> None:
    campaign = desk.campaign()
    desk.sender("voice")
    path = f"/v1/campaign/{campaign}/first-contact"
    assert desk.client.put(path, json={"call_opening_message": "Hello"}).status_code == 409


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ({"first_contact_channel": "whatsapp", "whatsapp_first_message": "Hi"}, ["WhatsApp"]),
        ({"call_opening_message": "Hi", "call_attempt_delays": []}, ["Call 1"]),
        (
            {
                "call_opening_message": "Hi", "call_attempt_delays": [5], "whatsapp_first_message": "Hi",
                "whatsapp_after_attempts": 1,
            },
            ["Call 1", "", "WhatsApp", "", "Call 2"],
        ),
        (
            {"call_opening_message": "Hi", "call_attempt_delays": [5], "whatsapp_first_message": "Hi"},
            ["Call 1", "", "Call 2"],
        ),
    ],
)  # fmt: skip
def test_what_settings_mean(given: dict[str, Any], names: list[str]) -> None:
    assert names == [step.name for step in touchpoints(FirstContact(**given), call=None, whatsapp=None)]


def test_a_goal_is_verified_by_what_was_said(desk: TargetDesk) -> None:
    campaign = desk.campaign(goal="Book a test drive appointment")
    desk.bulk(campaign, desk.people(1))
    (target,) = desk.ids(campaign)
    nothing = desk.on(campaign, target, "POST", "/verify-goal", 400)
    assert isinstance(nothing["detail"], str)
    said = "Agent: Would you like to book a test drive?\nCustomer: Yes please, that would be great!"
    pair = (UUID(campaign), entity_of(UUID(campaign), UUID(target)))
    now = desk.database.clock.now()
    with desk.database.begin() as session:
        call = Attempt(conversation_id="c1", status="completed", at=now, conversation=said)
        assert take_attempt(session, desk.org_id, pair, call) == "taken"
    wrong = desk.on(campaign, target, "POST", "/verify-goal", 422, params={"agent_id": "x"})
    assert wrong["detail"][0]["loc"] == ["query", "agent_id"]
    found = desk.on(campaign, target, "POST", "/verify-goal")
    assert (found["stage"], found["campaign_goal_result"], found["calls_made"]) == ("goal_met", "success", 1)
    assert found == desk.target(campaign, target)
    assert found["last_conv_id"] == "c1"
    assert desk.names(campaign, stage="goal_met", ai_label=found["ai_label"])
    desk.on(campaign, target, "DELETE", status=204)
    desk.on(campaign, target, "POST", "/verify-goal", 404)
