"""Slices know what they hold at any instant, and lists by status are made of what they know."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa

from engine.campaigns import lifecycle, recipients
from engine.channels.port import Deferred, Delivered, Rejected
from engine.delivery import retrigger
from engine.delivery.counters import recount
from engine.insight.recipients import list_recipients
from engine.kernel.inputs import Invalid
from engine.kernel.triggers import arm
from state.tables import Experiment, Recipient, Slice
from state.transitions import AutomationStatus
from tests.delivery.accounts import TWO_DAYS

if TYPE_CHECKING:
    from tests.delivery.kit import Bench

STATUSES = [status.value for status in AutomationStatus]


def pages(bench: Bench, campaign: UUID, *statuses: str, limit: int = 3, **filters: Any) -> list[Recipient]:
    """Everybody of a list."""
    found: list[Recipient] = []
    cursor = None
    for _ in range(1000):
        with bench.database.read() as session:
            page = list_recipients(
                session,
                bench.org_id,
                campaign,
                limit=limit,
                next=cursor,
                automation_status=statuses,
                **filters,
            )
        found += page.results
        cursor = page.next
        if cursor is None:
            break
        assert len(page.results) == limit
    assert len(found) == page.total == len({row.entity_id for row in found})
    return found


def check_lists(bench: Bench, campaign: UUID) -> None:
    """Every choice of statuses lists exactly those who have them, and every counter is a recount."""
    rows = [row for row in bench.recipients().values() if row.campaign_id == campaign]
    for chosen in itertools.chain.from_iterable(itertools.combinations(STATUSES, n) for n in (1, 2, 5)):
        wanted = {row.entity_id for row in rows if row.status in chosen}
        assert wanted == {row.entity_id for row in pages(bench, campaign, *chosen)}
    bench.check_counters(campaign)


def test_lists_are_the_rows_whatever_becomes_of_recipients(bench: Bench) -> None:
    """Delivered, refused, tried again later, reported on, retriggered, taken away, cancelled, activated again."""
    people = bench.entities(47)
    refused, later = set(people[::5]), set(people[3::10])
    bench.channel.answer = lambda message: (
        Rejected("SMTP_550", "no such user")
        if message.entity_id in refused
        else Deferred("LATER", "not now", 60)
        if message.entity_id in later
        else Delivered()
    )
    campaign = bench.campaign(max_attempts=9)
    bench.activate(campaign)
    check_lists(bench, campaign)
    bench.work(most=3)
    check_lists(bench, campaign)
    bench.work()
    check_lists(bench, campaign)
    with bench.database.begin() as session:
        for key, status in ((people[0], "success"), (people[1], "failed"), (people[3], "pending")):
            change = recipients.RecipientChange(automation_status=AutomationStatus(status))
            recipients.update_recipient(session, bench.org_id, campaign, key, change)
        gone = recipients.one_recipient(session, bench.org_id, campaign, people[5])
        recipients.delete_recipient(session, gone)
    check_lists(bench, campaign)
    with bench.runtime.transaction() as session:
        done = retrigger.retrigger_failed(session, bench.org_id, campaign, window=3, slice_size=10)
    assert done == len(refused) - 2 + 1
    check_lists(bench, campaign)
    with bench.runtime.transaction() as session:
        lifecycle.deactivate(session, bench.org_id, campaign)
    bench.work()
    check_lists(bench, campaign)
    later.clear()
    bench.activate(campaign)
    check_lists(bench, campaign)
    bench.run_out()
    check_lists(bench, campaign)
    assert bench.statuses()["cancelled"] == 0


def test_lists_of_a_sequence_whose_worker_is_lost(bench: Bench, clock) -> None:
    people = bench.entities(23)
    campaign = bench.campaign(doubt="hold")
    bench.sequence(campaign, {}, TWO_DAYS, {})
    bench.channel.answer = lambda message: (
        Rejected("SMTP_550", "no") if message.entity_id in people[::7] else Delivered()
    )
    bench.activate(campaign)
    bench.crash_at("wave.sent")
    check_lists(bench, campaign)
    clock.forward(seconds=120)
    bench.sweep_and_work()
    check_lists(bench, campaign)
    change = recipients.RecipientChange(automation_status=AutomationStatus.SUCCESS)
    waiting = next(key for key, row in bench.recipients().items() if row.automation_status == "in_progress")
    with bench.database.begin() as session:
        recipients.update_recipient(session, bench.org_id, campaign, waiting, change)
    check_lists(bench, campaign)
    clock.forward(days=3)
    bench.run_out()
    check_lists(bench, campaign)


def test_who_is_reported_on_while_in_flight_is_counted_once(bench: Bench) -> None:
    people = bench.entities(12)
    campaign = bench.campaign()
    bench.activate(campaign)
    seen: list[tuple[UUID, str]] = []

    def report() -> None:
        if seen:
            return
        flying = [row.entity_id for row in bench.recipients().values() if row.in_flight]
        seen.extend(zip(flying[:3], ("success", "failed", "pending"), strict=True))
        for key, status in seen:
            with bench.database.begin() as session:
                change = recipients.RecipientChange(automation_status=AutomationStatus(status))
                recipients.update_recipient(session, bench.org_id, campaign, key, change)
        check_lists(bench, campaign)

    with arm("wave.claimed", report):
        bench.work()
    assert len(seen) == 3
    bench.run_out()
    check_lists(bench, campaign)
    assert bench.statuses() == {"success": len(people) - 2, "failed": 1, "pending": 1}


def test_those_in_no_slice_are_listed_behind_the_others(bench: Bench) -> None:
    """Held out, reported by others, and without an automation."""
    bench.entities(40)
    campaign = bench.campaign()
    with bench.database.begin() as session:
        session.add(
            Experiment(
                org_id=bench.org_id,
                campaign_id=campaign,
                touchpoint_id=uuid4(),
                name="half",
                metric="read",
                sample=100.0,
                holdout=50.0,
                decide_after_seconds=3600,
                **bench.times(),
            )
        )
        for status in ("failed", "cancelled", None):
            recipients.add_recipient(
                session, bench.org_id, campaign, (uuid4(), "contact"), {"automation_status": status}
            )
    bench.activate(campaign)
    bench.run_out()
    held = bench.statuses()["cancelled"] - 1
    assert held > 0
    check_lists(bench, campaign)
    order = [row.slice_number is None for row in pages(bench, campaign, *STATUSES)]
    assert order == sorted(order)
    assert order.count(True) == held + 2


def test_a_page_costs_the_same_however_many_slices_there_are(bench: Bench) -> None:
    """One failure in each slice: a page reads as many slices as it lists recipients, and no more."""
    people = bench.entities(60)
    bench.channel.answer = lambda message: (
        Rejected("SMTP_550", "no") if message.entity_id in people[4::10] else Delivered()
    )
    campaign = bench.campaign()
    bench.activate(campaign)
    bench.run_out()
    read: list[str] = []
    sa.event.listen(bench.database.engine, "before_cursor_execute", lambda *given: read.append(given[2]))
    with bench.database.read() as session:
        first = list_recipients(session, bench.org_id, campaign, limit=2, automation_status=["failed"])
    statements = len(read)
    read.clear()
    with bench.database.read() as session:
        second = list_recipients(
            session, bench.org_id, campaign, limit=2, automation_status=["failed"], next=first.next
        )
    assert [row.slice_number for row in (*first.results, *second.results)] == [0, 1, 2, 3]
    assert len(read) <= statements + 1
    assert statements <= 10


@pytest.mark.parametrize("status", ["sent", "failed"])
def test_an_email_status_that_is_an_outcome_is_listed_by_it(bench: Bench, status: str) -> None:
    people = bench.entities(20)
    bench.channel.answer = lambda message: (
        Rejected("SMTP_550", "no") if message.entity_id in people[:3] else Delivered()
    )
    campaign = bench.campaign()
    bench.activate(campaign)
    bench.run_out()
    assert pages(bench, campaign, email_status=status) == []  # the scripted channel is no mail
    assert len(pages(bench, campaign, "failed", q="person 1")) <= 3


def test_a_cursor_of_another_list_is_refused(bench: Bench) -> None:
    bench.entities(8)
    campaign = bench.campaign()
    bench.activate(campaign)
    bench.work(most=1)
    for given, wanted in (((), ("pending",)), (("pending",), ())):
        with bench.database.read() as session:
            page = list_recipients(session, bench.org_id, campaign, limit=2, automation_status=given)
            with pytest.raises(Invalid, match="cursor"):
                list_recipients(session, bench.org_id, campaign, next=page.next, automation_status=wanted)


def test_a_slice_that_counts_wrong_is_recounted(bench: Bench) -> None:
    bench.entities(8)
    campaign = bench.campaign()
    job = bench.activate(campaign)
    bench.work(most=2)
    with bench.database.begin() as session:
        session.execute(sa.update(Slice).values(success=3, failed=2, in_progress=1, size=99))
        assert recount(session, job, 0) == 0
    bench.check_counters(campaign)


def test_no_index_of_recipients_holds_what_a_delivery_changes() -> None:
    """So that claiming and settling write no index: all changed columns but those of the few who fail."""
    changed = {
        "automation_status", "execution_id", "attempt", "due_at", "updated_at", "sent_at", "step",
        "touchpoint_id", "variant",
    }  # fmt: skip
    table: Any = Recipient.__table__
    for index in table.indexes:
        where = str(index.dialect_options["postgresql"]["where"])
        assert not changed & {column.name for column in index.columns}, index.name
        assert not any(name in where.split() for name in changed), index.name
