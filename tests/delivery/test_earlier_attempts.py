"""Every attempt is in the recipient's timeline with what was answered, though the next one overwrites its row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import func, select

from engine.campaigns.campaigns import delete_campaign
from engine.channels.port import Deferred, Delivered, Down, Outcome, Rejected, Throttled
from engine.delivery.outcomes import OUTCOME_UNKNOWN
from engine.delivery.retrigger import retrigger_failed
from engine.insight.recipient_report import recipient_report
from engine.insight.timeline import Entry, timeline
from state.tables import Attempt, Campaign, Entity
from tests.delivery.test_recovery import crash_leaving_a_wave_in_flight

if TYPE_CHECKING:
    from uuid import UUID

    from tests.delivery.kit import Bench


def told(bench: Bench, campaign_id: UUID, entity_id: UUID, what: str = "message.") -> list[Entry]:
    with bench.database.read() as session:
        entries = timeline(session, bench.org_id, campaign_id, entity_id, limit=1000).results
    return [entry for entry in entries if entry.what.startswith(what)]


def rows(bench: Bench) -> int:
    with bench.database.read() as session:
        return session.scalar(select(func.count()).select_from(Attempt)) or 0


def in_turn(bench: Bench, *answers: Outcome) -> None:
    left = list(answers)
    bench.channel.answer = lambda _: left.pop(0) if left else Delivered()


def data(entry: Entry, *names: str) -> tuple[Any, ...]:
    return (entry.what, *(entry.data.get(name) for name in names))


def test_each_refusal_is_told_and_then_the_success(bench: Bench) -> None:
    (ada,) = bench.entities(1)
    campaign_id = bench.campaign(max_attempts=5)
    in_turn(bench, Deferred("SMTP_451", "greylisted"), Deferred("SMTP_452", "mailbox full"))
    bench.activate(campaign_id)
    bench.run_out(step=60)
    first, second, sent = told(bench, campaign_id, ada)
    names = ("attempt", "error_code", "error_text")
    assert ("message.deferred", 1, "SMTP_451", "greylisted") == data(first, *names)
    assert ("message.deferred", 2, "SMTP_452", "mailbox full") == data(second, *names)
    assert ("message.sent", 3, None, None) == data(sent, *names)
    assert first.at < second.at < sent.at
    assert first.data["execution_id"] == sent.data["execution_id"]
    with bench.database.read() as session:
        report = recipient_report(
            session, session.get_one(Campaign, campaign_id), session.get_one(Entity, ada)
        )
    assert [first, second, sent] == [entry for entry in report.timeline if entry.what.startswith("message.")]


def test_a_failure_has_its_earlier_attempts_and_so_has_the_retrigger(bench: Bench) -> None:
    (ada,) = bench.entities(1)
    campaign_id = bench.campaign(max_attempts=2)
    in_turn(bench, Deferred("A", "a"), Deferred("B", "b"), Deferred("C", "c"), Rejected("D", "d"))
    bench.activate(campaign_id)
    bench.run_out(step=60)
    with bench.runtime.transaction() as session:
        retrigger_failed(session, bench.org_id, campaign_id, window=3, slice_size=10)
    bench.run_out(step=60)
    assert [
        ("message.deferred", 1, "A"),
        ("message.failed", 2, "B"),
        ("message.deferred", 1, "C"),
        ("message.failed", 2, "D"),
    ] == [data(entry, "attempt", "error_code") for entry in told(bench, campaign_id, ada)]


@pytest.mark.parametrize("refusal", [Throttled("SLOW", "later"), Down("GONE", "nobody answers")])
def test_what_costs_no_attempt_is_one_entry_however_often(bench: Bench, refusal: Outcome) -> None:
    (ada,) = bench.entities(1)
    campaign_id = bench.campaign()
    in_turn(bench, refusal, refusal, refusal)
    bench.activate(campaign_id)
    bench.run_out(step=600)
    deferred, sent = told(bench, campaign_id, ada)
    assert ("message.deferred", 1, 3) == data(deferred, "attempt", "times")
    assert ("message.sent", 1, None) == data(sent, "attempt", "times")
    assert 1 == rows(bench)


def test_what_a_lost_worker_left_in_doubt_is_told(bench: Bench) -> None:
    people = bench.entities(20)
    campaign_id = bench.campaign()
    bench.activate(campaign_id)
    bench.work(most=2)
    crash_leaving_a_wave_in_flight(bench)
    bench.clock.forward(seconds=31)
    bench.executor = bench.new_executor()
    bench.run_out()
    doubted = [one for key in people for one in told(bench, campaign_id, key, "message.deferred")]
    assert doubted
    assert {("message.deferred", 1, OUTCOME_UNKNOWN)} == {
        data(entry, "attempt", "error_code") for entry in doubted
    }
    assert len(doubted) == rows(bench)


def test_of_a_sequence_each_touchpoint_has_its_own(bench: Bench) -> None:
    (ada,) = bench.entities(1)
    campaign_id = bench.campaign()
    one, two = bench.sequence(campaign_id, {}, {})
    in_turn(bench, Deferred("A", "a"), Delivered(), Deferred("B", "b"))
    bench.activate(campaign_id)
    bench.run_out(step=60)
    assert [("A", str(one)), ("B", str(two))] == [
        (entry.data["error_code"], entry.data["touchpoint_id"])
        for entry in told(bench, campaign_id, ada, "message.deferred")
    ]


def test_messages_that_are_taken_at_once_leave_no_row_and_a_deleted_campaign_neither(bench: Bench) -> None:
    bench.entities(20)
    campaign_id = bench.campaign()
    bench.activate(campaign_id)
    bench.run_out()
    assert 0 == rows(bench)
    other = bench.campaign(max_attempts=2)
    bench.channel.answer = lambda _: Deferred("A", "a")
    bench.activate(other)
    bench.run_out(step=60)
    assert 20 == rows(bench)
    with bench.runtime.transaction() as session:
        delete_campaign(session, bench.org_id, other)
    assert 0 == rows(bench)
