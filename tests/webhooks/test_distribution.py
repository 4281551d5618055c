"""The outbox: everything that was committed is placed once, in an order that nobody can miss a part of."""

from __future__ import annotations

import functools
import operator
from datetime import timedelta
from threading import Event as Flag
from threading import Thread
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from sqlalchemy import event as hooks

from engine.engagement.engagement import Kind
from engine.events import distribute, retention
from engine.events.names import EVENTS, check_patterns
from engine.events.outbox import BATCH, emits_recipient_events, record, record_recipients
from engine.kernel.commands import Distribute
from engine.kernel.inputs import Invalid
from state.tables import Event, WebhookDelivery
from tests.harness.child import ROOT

if TYPE_CHECKING:
    from tests.webhooks.desk import Desk
    from tests.webhooks.receiver import Receiver


def test_what_commits_late_is_placed_late_and_missed_by_nobody(desk: Desk) -> None:
    """Its id is lower; a reader that went by ids would never see it."""
    if not desk.database.dialect.has_many_writers:
        pytest.skip("SQLite has one writer at a time")
    open_, go_on = Flag(), Flag()

    def slow() -> None:
        with desk.changing() as session:
            record(session, desk.org_id, "campaign.started")
            session.flush()
            open_.set()
            assert go_on.wait(10)

    writer = Thread(target=slow)
    writer.start()
    assert open_.wait(10)
    desk.happen("campaign.paused")
    assert 1 == distribute.distribute(desk.runtime)
    go_on.set()
    writer.join()
    assert 1 == distribute.distribute(desk.runtime)
    placed = desk.events()
    assert ["campaign.paused", "campaign.started"] == [one.name for one in placed]
    assert placed[0].id > placed[1].id


def test_many_distributors_place_everything_once(desk: Desk) -> None:
    for number in range(50):
        desk.happen("campaign.started", number=number)
    threads = [Thread(target=distribute.distribute, args=(desk.runtime,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(range(1, 51)) == [one.position for one in desk.events()]


def test_what_is_rolled_back_never_happened(desk: Desk, receiver: Receiver) -> None:
    webhook = desk.webhook(receiver.url())

    def fail() -> None:
        with desk.changing() as session:
            record(session, desk.org_id, "campaign.started")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert [] == desk.wakeups.sent
    desk.sweep()
    assert [] == desk.deliveries(webhook)


def test_the_distributor_is_woken_only_where_somebody_subscribes(desk: Desk, receiver: Receiver) -> None:
    desk.happen("campaign.started")
    assert [] == desk.wakeups.take()
    desk.webhook(receiver.url())
    with desk.changing() as session:
        record(session, desk.org_id, "campaign.started")
        record(session, desk.org_id, "campaign.paused")
    assert [Distribute()] == desk.wakeups.take()


def test_distributing_takes_as_many_statements_for_a_thousand_as_for_ten(
    desk: Desk, receiver: Receiver
) -> None:
    for path in ("/a", "/b", "/c"):
        desk.webhook(receiver.url(path))

    def statements(count: int) -> int:
        with desk.changing() as session:
            for _ in range(count):
                record(session, desk.org_id, "campaign.started", campaign_id=uuid4())
        seen = []
        listen = lambda *given: seen.append(given[2])  # noqa: E731
        hooks.listen(desk.database.engine, "before_cursor_execute", listen)
        assert count == distribute.distribute(desk.runtime)
        hooks.remove(desk.database.engine, "before_cursor_execute", listen)
        desk.wakeups.take()
        return len(seen)

    assert statements(10) == statements(999)


def test_recipients_travel_in_batches_and_only_when_asked_for(desk: Desk, receiver: Receiver) -> None:
    with desk.changing() as session:
        assert not emits_recipient_events(session, desk.org_id)
    desk.webhook(receiver.url(), "campaign.*")
    with desk.changing() as session:
        assert not emits_recipient_events(session, desk.org_id)
    desk.webhook(receiver.url(), "recipient.sent")
    [campaign] = desk.campaigns(1)
    people = [{"recipient_id": str(uuid4())} for _ in range(2 * BATCH + 1)]
    with desk.changing() as session:
        assert emits_recipient_events(session, desk.org_id)
        record_recipients(session, desk.org_id, "recipient.sent", people, campaign_id=campaign)
    desk.work()
    batches = [call.payload["data"]["recipients"] for call in receiver.taken()]
    assert [BATCH, BATCH, 1] == [len(batch) for batch in batches]
    assert [{"recipientId": one["recipient_id"]} for one in people] == functools.reduce(
        operator.iadd, batches, []
    )


def test_old_events_and_deliveries_are_forgotten_and_places_go_on(desk: Desk, receiver: Receiver) -> None:
    desk.webhook(receiver.url())
    for _ in range(5):
        desk.happen("campaign.started")
    desk.work()
    desk.forward(days=31)
    assert 0 == desk.count(WebhookDelivery)
    assert [5] == [one.position for one in desk.events()], "the last one stays, so that places only grow"
    desk.happen("campaign.paused")
    desk.work()
    desk.sweep()
    assert [6] == [one.position for one in desk.events()]
    with desk.changing() as session:
        assert 0 == retention.forget(session, keep=timedelta(days=30))
    assert 1 == desk.count(Event)


def test_every_event_that_is_written_can_be_subscribed_to() -> None:
    written = set()
    for file in (ROOT / "engine").rglob("*.py"):
        for part in file.read_text().split("record(")[1:]:
            words = [word for word in part[:200].split('"')[1:2] if "." in word and " " not in word]
            written.update(words)
    assert len(written) >= 10
    assert written <= set(EVENTS)


def test_every_kind_of_engagement_has_its_event() -> None:
    assert {f"recipient.{kind.value}" for kind in Kind} <= set(EVENTS)


def test_a_subscription_names_events_that_exist() -> None:
    assert ["campaign.*", "job.finished"] == check_patterns(["campaign.*", "job.finished", "campaign.*"])
    with pytest.raises(Invalid, match=r"events\[1\]: 'campaign.startd' is no event.*campaign.started"):
        check_patterns(["*", "campaign.startd"])
    with pytest.raises(Invalid, match="events: names no event"):
        check_patterns([])
