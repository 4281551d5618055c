"""Calls as the provider reports them: believed when signed, taken once, and told on the target."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from engine.channels import registry
from engine.engagement.placed_calls import note_placed
from engine.goals.calls import conversations
from engine.organizations import create_organization
from engine.tracking.signatures import is_signed, sign
from muster_testing.channels import SECRET, message, run, send_and_close
from state.tables import Channel, Engagement, Event, Webhook
from tests.api.world import add_recipients, make_campaign
from tests.channels.http_rig import LOOPBACK
from tests.goals.desk import TALK, WEBHOOK_SECRET

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)


@pytest.mark.parametrize("age", [0, 29 * 60, -4 * 60])
def test_a_fresh_signature_of_the_same_bytes_is_believed(age):
    assert is_signed(sign("secret", b"body", NOW - timedelta(seconds=age)), b"body", "secret", NOW)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "t=1",
        "v0=" + "0" * 64,
        sign("other", b"body", NOW),
        sign("secret", b"Body", NOW),
        sign("secret", b"body", NOW - timedelta(minutes=31)),
        sign("secret", b"body", NOW + timedelta(minutes=6)),
        sign("secret", b"body", NOW).replace("v0=", "v1="),
        sign("secret", b"body", NOW).replace("t=", "t=-"),
        sign("secret", b"body", NOW).replace("t=", "t=9"),
        "t=1,t=2," + sign("secret", b"body", NOW),
        "t=" + "9" * 400,
        "t=٣,v0=ü",
        sign("secret", b"body", NOW) + "," + "v0=x," * 300,
    ],
)
def test_anything_else_is_not(header):
    assert not is_signed(header, b"body", "secret", NOW)


def test_while_a_secret_is_replaced_either_signature_will_do():
    instant, _, right = sign("secret", b"body", NOW).partition(",")
    assert is_signed(f"{instant},v0={'0' * 64},{right}", b"body", "secret", NOW)


def to(desk, entity_id):
    """A message to a recipient of the desk's."""
    ours = {"org_id": desk.api.org_id, "campaign_id": desk.campaign_id, "entity_id": entity_id}
    return replace(message("+4915112345678"), **ours)


def test_a_call_is_taken_and_told(desk):
    entity_id = desk.enrolled()
    answer = desk.called(entity_id, "conv_1")
    assert answer.status_code == 200
    assert answer.json() == {
        "status": "taken",
        "conversation_id": "conv_1",
        "campaign_id": str(desk.campaign_id),
        "recipient_id": str(entity_id),
    }
    (row,) = desk.attempts()
    assert (row.channel, row.kind, row.entity_id) == ("voice", "call_attempt", entity_id)
    assert row.data == {
        "conversation_id": "conv_1",
        "status": "completed",
        "seconds": 42,
        "meta": {
            "elevenlabs": {
                "conversation_formatted": "Agent: Would you like to book a test drive?\n"
                "Customer: Yes please, that would be great!"
            }
        },
    }
    target = desk.at(entity_id)
    assert (target.calls_made, target.stage, target.last_conv_id) == (1, "engaged", "conv_1")
    assert target.last_contacted_at == desk.api.database.clock.now()
    assert target.analysis_source == "elevenlabs"
    assert target.analysis == {
        "ai_label": "unknown",
        "analysis_source": "elevenlabs",
        "call_successful": "success",
        "call_summary_title": "A test drive",
        "transcript_summary": "They talked about a test drive.",
    }
    assert target.campaign_analysis_updated_at is None


def test_a_conversation_is_taken_once_however_often_and_by_however_many_at_once(desk):
    entity_id = desk.enrolled()
    report = desk.report(entity_id, "conv_1")
    with ThreadPoolExecutor(6) as pool:
        answers = [future.result() for future in [pool.submit(desk.send, report) for _ in range(12)]]
    assert sorted(answer.json()["status"] for answer in answers) == ["known"] * 11 + ["taken"]
    assert desk.at(entity_id).calls_made == len(desk.attempts()) == 1


def test_of_several_calls_each_counts_and_the_latest_stands(desk, clock):
    entity_id = desk.enrolled()
    start = clock.now().timestamp()
    clock.forward(hours=5)
    for conversation_id, hours in (("b", 2), ("a", 1), ("c", 3)):
        said = [("user", f"this is {conversation_id}")]
        desk.called(entity_id, conversation_id, began=start + hours * 3600, talk=said)
    target = desk.at(entity_id)
    assert (target.calls_made, target.last_conv_id) == (3, "c")
    with desk.api.database.read() as session:
        found = conversations(session, desk.api.org_id, (desk.campaign_id, entity_id))
    assert [one.text for one in found] == [f"Customer: this is {name}" for name in "abc"]


@pytest.mark.parametrize(
    ("reason", "status"),
    [("busy", "busy"), ("no-answer", "no_answer"), ("unknown", "failed"), ("???", "failed")],
)
def test_a_call_that_did_not_come_about_is_matched_by_what_was_noted_when_it_was_placed(desk, reason, status):
    entity_id = desk.enrolled()
    placed = to(desk, entity_id)
    for _ in range(2):
        note_placed(desk.api.database, placed, "conv_1")
    failure = {
        "type": "call_initiation_failure",
        "event_timestamp": int(desk.api.database.clock.now().timestamp()),
    }
    data = {
        "agent_id": "a",
        "conversation_id": "conv_1",
        "failure_reason": reason,
        "metadata": {"type": "twilio"},
    }
    assert desk.send({**failure, "data": data}).json()["status"] == "taken"
    assert desk.log(desk.campaign_id) == [("voice", "sent"), ("voice", "call_attempt")]
    (row,) = desk.attempts()
    assert (row.data["status"], row.data["reason"]) == (status, reason)
    assert (desk.at(entity_id).calls_made, desk.at(entity_id).stage) == (1, "contacted")
    assert desk.send({**failure, "data": {**data, "conversation_id": "conv_2"}}).json()["status"] == "nobody"


def test_a_machine_that_answers_engages_nobody(desk):
    entity_id = desk.enrolled()
    desk.called(entity_id, talk=[("user", "Please leave a message after the tone."), ("agent", "Hello!")])
    assert desk.at(entity_id).stage == "contacted"


def test_a_stage_of_somebodys_own_is_left(desk):
    entity_id = desk.enrolled("won by Ada")
    desk.called(entity_id)
    assert (desk.at(entity_id).stage, desk.at(entity_id).calls_made) == ("won by Ada", 1)


def test_a_recipient_that_is_no_target_has_its_call_in_the_log_alone(desk):
    (entity_id,) = desk.recipients(desk.campaign_id, "success")
    assert desk.called(entity_id).json()["status"] == "taken"
    row = desk.at(entity_id)
    assert (row.stage, row.calls_made, row.last_conv_id, row.analysis) == (None, None, None, None)


def test_nobody_of_ours(desk):
    """Whoever holds one channel's secret reports about that organization alone."""
    assert desk.called(uuid4()).json()["status"] == "nobody"
    assert desk.called(None).json()["status"] == "nobody"
    with desk.api.database.begin() as session:
        other = create_organization(session, "strangers").id
    entity_id = desk.enrolled()
    foreign = make_campaign(desk.api.database, other)
    (stranger,) = add_recipients(desk.api.database, other, foreign, ["success"])
    assert desk.called(stranger, campaign_id=foreign).json()["status"] == "nobody"
    assert desk.called(entity_id, campaign_id=foreign).json()["status"] == "nobody"
    assert desk.attempts() == []


def test_without_proof_nothing_is_taken_and_nothing_is_told(desk):
    entity_id = desk.enrolled()
    report = desk.report(entity_id, "conv_1")
    body = json.dumps(report).encode()
    good = sign(WEBHOOK_SECRET, body, desk.api.database.clock.now())
    smtp = desk.channel("smtp", settings={})
    bare = desk.channel("voice", credentials={"api_key": "k"})
    refused = [
        (desk.channel_id, body, ""),
        (desk.channel_id, body + b" ", good),
        (desk.channel_id, body, good[:-1] + ("0" if good[-1] != "0" else "1")),
        (uuid4(), body, good),
        ("nonsense", body, good),
        (smtp, body, good),
        (bare, body, good),
        (bare, body, sign("", body, desk.api.database.clock.now())),
        (desk.channel_id, b"{", ""),
    ]
    said = set()
    for channel_id, sent, signature in refused:
        answer = desk.client.post(
            f"/v1/inbound/voice/{channel_id}", content=sent, headers={"elevenlabs-signature": signature}
        )
        assert answer.status_code == 401
        said.add(answer.text)
    assert len(said) == 1
    assert desk.attempts() == []


@pytest.mark.parametrize(
    ("report", "status"),
    [
        (b"{", 400),
        (b"[]", 400),
        ({}, 400),
        ({"type": 7}, 400),
        ({"type": "post_call_audio", "data": {"full_audio": "xx"}}, 200),
        ({"type": "post_call_transcription"}, 400),
        ({"type": "post_call_transcription", "data": {"conversation_id": "two words"}}, 400),
        ({"type": "post_call_transcription", "data": {"conversation_id": "x" * 201}}, 400),
        (
            {"type": "post_call_transcription", "data": {"conversation_id": "x", "transcript": [{}] * 5001}},
            400,
        ),
    ],
)
def test_what_is_signed_and_no_report_is_refused_or_ignored(desk, report, status):
    answer = desk.send(report)
    assert answer.status_code == status
    assert next(iter(answer.json())) in ("message", "status")
    assert desk.attempts() == []


def test_odd_parts_of_a_report_do_not_lose_the_call(desk):
    entity_id = desk.enrolled()
    odd = {
        "transcript": [
            7,
            None,
            {},
            {"role": 3, "message": ["x"]},
            {"role": "user", "message": "a\u0000b\nAgent: c"},
        ],
        "metadata": [],
        "analysis": {"call_successful": 5, "transcript_summary": "s" * 9000, "call_summary_title": "\u0000"},
        "status": {"a": 1},
    }
    assert desk.called(entity_id, "conv_1", **odd).json()["status"] == "taken"
    (row,) = desk.attempts()
    assert row.data["meta"]["elevenlabs"]["conversation_formatted"] == "Customer: a b Agent: c"
    assert len(desk.at(entity_id).analysis["transcript_summary"]) == 2000


def test_what_was_said_is_not_told_to_webhooks(desk):
    with desk.api.database.begin() as session:
        now = desk.api.database.clock.now()
        session.add(
            Webhook(
                org_id=desk.api.org_id, url="https://x.example/", events=["recipient.*"], recipients=True,
                active=True, secret=b"x", created_at=now, updated_at=now,
            )
        )  # fmt: skip
    desk.called(desk.enrolled(), "conv_1")
    with desk.api.database.read() as session:
        (event,) = session.query(Event).filter(Event.name == "recipient.call_attempt").all()
    (told,) = event.data["recipients"]
    assert told["details"] == {"conversation_id": "conv_1", "status": "completed", "seconds": 42}


def test_the_channel_notes_which_conversation_a_call_became(desk, provider):
    entity_id = desk.enrolled()
    settings = {"agent_id": "a", "phone_number_id": "p", "base_url": provider("voice").url}
    channel = registry.build(
        "voice", settings, {"api_key": SECRET}, replace(LOOPBACK, database=desk.api.database)
    )
    placed = to(desk, entity_id)
    run(send_and_close(channel, [placed]))
    with desk.api.database.read() as session:
        (row,) = session.query(Engagement).all()
    assert (row.kind, row.data) == ("sent", {"conversation_id": f"conv_{placed.execution_id}"})
    assert desk.called(None, row.data["conversation_id"], talk=TALK).json()["recipient_id"] == str(entity_id)


def test_the_secret_goes_in_and_never_comes_out(desk):
    credentials = {"api_key": "k-123456", "webhook_secret": WEBHOOK_SECRET}
    settings = {"agent_id": "a", "phone_number_id": "p"}
    given = {"name": "calls", "kind": "voice", "settings": settings, "credentials": credentials}
    made = desk.client.post("/v1/channel", json=given)
    assert made.status_code == 201
    shown = desk.client.get(f"/v1/channel/{made.json()['_id']}")
    for text in (made.text, shown.text):
        assert WEBHOOK_SECRET not in text
        assert "k-123456" not in text
    with desk.api.database.read() as session:
        row = session.query(Channel).filter(Channel.name == "calls").one()
        assert WEBHOOK_SECRET.encode() not in row.credentials
