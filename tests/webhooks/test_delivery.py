"""What a webhook is told: everything it asked for, at least once, in order, whatever its receiver does."""

from __future__ import annotations

import hashlib
import hmac
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from threading import Event as Flag
from threading import Thread
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from standardwebhooks import Webhook as Verifier

from engine.events import webhook_queues, webhooks
from engine.events.webhook_queues import Answer, WebhookQueueLost
from engine.kernel.commands import Notify
from engine.kernel.inputs import read
from engine.organizations import create_organization
from state.tables import WebhookLane
from tests.harness.waiting import wait_until
from tests.webhooks.desk import SECRET, Desk
from tests.webhooks.receiver import Receiver

if TYPE_CHECKING:
    from tests.conftest import ManualClock

SIX = ["created", "started", "paused", "resumed", "failed", "completed"]


def told(receiver: Receiver, path: str | None = None) -> dict[str | None, list[str]]:
    """Campaign → the events that were taken, repeats left out."""
    seen: dict[str | None, dict[str, str]] = defaultdict(dict)
    for call in receiver.taken(path):
        seen[call.campaign_id].setdefault(call.event_id, call.event)
    return {campaign: list(events.values()) for campaign, events in seen.items()}


def test_fails_stalls_redirects_inwards_and_comes_back(
    desk: Desk, receiver: Receiver, clock: ManualClock
) -> None:
    """Every event arrives at least once, in order per campaign, verifiable; the inward redirect never connects."""
    clock.instant = datetime.now(UTC)  # the library compares timestamps with this machine's clock
    desk.new_dispatcher(webhook_timeout=timedelta(seconds=1))
    campaigns = desk.campaigns(3)
    stalled = Flag()
    with Receiver() as inner:
        moods: list[Any] = [500, stalled, inner.url("/metadata"), 204]
        mood = moods[0]
        receiver.answer = lambda _path, payload: (
            204 if payload["data"]["campaignId"] == str(campaigns[2]) else mood
        )
        desk.webhook(receiver.url(), "campaign.*")
        for name in SIX:
            for campaign in campaigns:
                desk.happen(f"campaign.{name}", campaign, title="Spring")
        desk.work()
        for delay, mood in zip((1.2, 6, 28), moods[1:], strict=True):  # noqa: B007 - the receiver reads it
            assert 0 == len(told(receiver).get(str(campaigns[0]), []))
            desk.forward(seconds=delay)
        assert 0 == inner.connections
    stalled.set()
    names = [f"campaign.{name}" for name in SIX]
    assert {str(campaign): names for campaign in campaigns} == told(receiver)
    statuses = {call.status for call in receiver.calls}
    assert {500, 0, 307, 204} <= statuses
    verifier = Verifier(SECRET)
    for call in receiver.calls:
        payload = verifier.verify(call.body, call.headers)
        assert set(payload) == {"id", "type", "event", "timestamp", "data"}
        assert payload["type"] == payload["event"]
        assert call.headers["X-Webhook-Event"] == payload["event"]
        assert call.headers["webhook-id"] == payload["id"]
        signed = call.headers["X-Webhook-Timestamp"].encode() + b"." + call.body
        ours = hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest()
        assert f"sha256={ours}" == call.headers["X-Webhook-Signature"]


def test_a_failing_campaign_holds_up_itself_alone(desk: Desk, receiver: Receiver) -> None:
    bad, good = desk.campaigns(2)
    broken = True
    receiver.answer = lambda _path, payload: (
        500 if broken and payload["data"]["campaignId"] == str(bad) else 200
    )
    webhook = desk.webhook(receiver.url())
    for name in ("started", "paused", "completed"):
        desk.happen(f"campaign.{name}", bad)
        desk.happen(f"campaign.{name}", good)
    desk.work()
    assert {str(good): ["campaign.started", "campaign.paused", "campaign.completed"]} == told(receiver)
    assert [1, 0, 0] == [row.attempts for row in desk.deliveries(webhook) if row.campaign_id == bad]
    broken = False
    desk.sweep()
    assert str(bad) not in told(receiver), "it waits for its back-off"
    desk.forward(seconds=1.2)
    assert ["campaign.started", "campaign.paused", "campaign.completed"] == told(receiver)[str(bad)]


def test_each_webhook_is_told_what_it_asked_for_and_no_other_organization_is(
    desk: Desk, receiver: Receiver
) -> None:
    [campaign] = desk.campaigns(1)
    desk.webhook(receiver.url("/one"), "campaign.started", "job.finished")
    desk.webhook(receiver.url("/all"), "*")
    desk.webhook(receiver.url("/off"), "*", active=False)
    stranger = Desk(desk.database, _other(desk), desk.settings.data_dir)
    stranger.webhook(receiver.url("/stranger"), "*")
    for name in ("campaign.created", "campaign.started", "job.finished"):
        desk.happen(name, campaign)
    desk.happen("recipient.unsubscribed")
    desk.work()
    assert ["campaign.started", "job.finished"] == [call.event for call in receiver.taken("/one")]
    assert 4 == len(receiver.taken("/all"))
    assert 0 == len(receiver.taken("/off") + receiver.taken("/stranger"))
    stranger.close()


def _other(desk: Desk) -> Any:
    with desk.changing() as session:
        return create_organization(session, f"other-{uuid4().hex[:6]}").id


def test_back_off_until_two_days_then_dead_and_the_next_goes_on(desk: Desk, receiver: Receiver) -> None:
    [campaign] = desk.campaigns(1)
    receiver.answer = lambda _path, payload: 500 if payload["event"] == "campaign.started" else 200
    webhook = desk.webhook(receiver.url())
    desk.happen("campaign.started", campaign)
    desk.happen("campaign.paused", campaign)
    desk.work()
    waits = []
    for _ in range(60):
        first = desk.deliveries(webhook)[0]
        if first.state == "dead":
            break
        assert first.due_at is not None
        assert first.attempted_at is not None
        waits.append((first.due_at - first.attempted_at).total_seconds())
        assert [] == receiver.taken(), "what comes behind it waits"
        desk.forward(seconds=waits[-1])
    for wait, wanted in zip(waits, (1, 5, 25, 125, 625, 3125, 10800), strict=False):
        assert wanted <= wait <= wanted * 1.1
    first, second = desk.deliveries(webhook)
    assert "dead" == first.state
    assert "HTTP 500: as it was told" == first.error
    assert first.attempted_at == first.created_at + timedelta(days=2)
    assert "delivered" == second.state
    assert ["campaign.paused"] == told(receiver)[str(campaign)]


def test_retry_after_is_honoured_within_bounds() -> None:
    assert 90 == webhook_queues.retry_delay(1, jitter=0, retry_after=90).total_seconds()
    assert webhook_queues.LONGEST == webhook_queues.retry_delay(1, jitter=0, retry_after=10**9)
    assert webhook_queues.LONGEST == webhook_queues.retry_delay(500, jitter=0)


def test_failing_for_days_switches_it_off_with_an_event_and_on_again_sends_what_waits(
    desk: Desk, receiver: Receiver
) -> None:
    campaign, other = desk.campaigns(2)
    receiver.answer = lambda path, _: 200 if path == "/watch" or well else 503
    well = False
    webhook = desk.webhook(receiver.url())
    desk.webhook(receiver.url("/watch"), "webhook.disabled")
    for _ in range(4):
        desk.happen("campaign.started", campaign)
        desk.work()
        desk.forward(days=1)
    row = desk.row(webhook)
    assert not row.active
    assert "every attempt failed for 3 days" == row.disabled_reason
    [disabled] = receiver.taken("/watch")
    assert {"webhookId": str(webhook), "reason": row.disabled_reason}.items() <= disabled.payload[
        "data"
    ].items()
    before = len(receiver.calls)
    desk.happen("campaign.completed", other)
    desk.forward(hours=1)
    assert before == len(receiver.calls), "it is told nothing while it is off"
    well = True
    with desk.changing() as session:
        change = read(webhooks.WebhookChange, {"active": True})
        webhooks.update_webhook(session, desk.org_id, webhook, change, desk.secrets, desk.guard)
    desk.forward(hours=3)
    assert "pending" not in {delivery.state for delivery in desk.deliveries(webhook)}
    assert "delivered" == desk.deliveries(webhook)[-1].state
    assert desk.row(webhook).failing_since is None


def test_gone_switches_it_off_at_once(desk: Desk, receiver: Receiver) -> None:
    receiver.answer = lambda _path, _payload: 410
    webhook = desk.webhook(receiver.url())
    desk.happen("campaign.started", uuid4())
    desk.work()
    assert "the receiver answered 410 Gone" == desk.row(webhook).disabled_reason
    assert "pending" == desk.deliveries(webhook)[0].state


def test_redelivery_says_the_same_under_the_same_id(desk: Desk, receiver: Receiver) -> None:
    [campaign] = desk.campaigns(1)
    webhook = desk.webhook(receiver.url())
    desk.happen("campaign.started", campaign, count=3)
    desk.work()
    [delivery] = desk.deliveries(webhook)
    with desk.changing() as session:
        again = webhooks.redeliver(session, desk.org_id, webhook, delivery.id)
        assert delivery.id == again.redelivery_of
    desk.work()
    one, two = receiver.taken()
    assert one.body == two.body
    assert one.headers["webhook-id"] == two.headers["webhook-id"]
    assert one.headers["X-Webhook-Delivery"] != two.headers["X-Webhook-Delivery"]


def test_what_was_given_up_is_repeated_once(desk: Desk, receiver: Receiver) -> None:
    [campaign] = desk.campaigns(1)
    receiver.answer = lambda _path, _payload: 500
    webhook = desk.webhook(receiver.url())
    for name in ("started", "paused"):
        desk.happen(f"campaign.{name}", campaign)
    desk.work()
    for _ in range(40):
        desk.forward(hours=3)
    assert ["dead", "dead"] == [row.state for row in desk.deliveries(webhook)]
    receiver.answer = lambda _path, _payload: 200
    with desk.changing() as session:
        change = read(webhooks.WebhookChange, {"active": True})
        webhooks.update_webhook(session, desk.org_id, webhook, change, desk.secrets, desk.guard)
        assert 2 == webhooks.redeliver_dead(session, desk.org_id, webhook)
    with desk.changing() as session:
        assert 0 == webhooks.redeliver_dead(session, desk.org_id, webhook)
    desk.work()
    assert ["campaign.started", "campaign.paused"] == told(receiver)[str(campaign)]


def test_a_worker_that_dies_after_sending_sends_again_and_the_late_one_writes_nothing(
    desk: Desk, receiver: Receiver
) -> None:
    [campaign] = desk.campaigns(1)
    webhook = desk.webhook(receiver.url())
    desk.happen("campaign.started", campaign)
    desk.work(most=1)  # distributed, not sent
    with desk.changing() as session:
        lane = webhook_queues.lease(session, desk.org_id, webhook, campaign, lasts=timedelta(seconds=60))
        assert lane is not None
        [delivery] = webhook_queues.load(session, lane)
    desk.work()
    assert [] == receiver.calls, "somebody has the lane"
    desk.forward(seconds=61)
    assert 1 == len(receiver.taken())
    failed = Answer(delivery, ok=False, milliseconds=1, status=500, error="late")
    with pytest.raises(WebhookQueueLost), desk.changing() as session:
        webhook_queues.settle(session, lane, [failed], lasts=timedelta(seconds=60), jitter=0)
    assert "delivered" == desk.deliveries(webhook)[0].state


def test_what_arrives_while_a_lane_is_closed_is_not_forgotten(desk: Desk, receiver: Receiver) -> None:
    """New events are added from threads while the dispatcher empties the lane: none is left lying."""
    [campaign] = desk.campaigns(1)
    webhook = desk.webhook(receiver.url())

    def add() -> None:
        for number in range(40):
            desk.happen("campaign.started", campaign, number=number)

    writers = [Thread(target=add) for _ in range(3)]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers) or desk.wakeups.sent:
        desk.work()
    for writer in writers:
        writer.join()
    desk.work()
    rows = desk.deliveries(webhook)
    assert 120 == len(rows)
    assert {"delivered"} == {row.state for row in rows}
    assert [row.event_id for row in rows] == [int(call.event_id[4:]) for call in receiver.taken()]
    with desk.database.read() as session:
        assert session.get_one(WebhookLane, (webhook, campaign)).due_at is None


def test_a_wakeup_that_is_repeated_or_lost_changes_nothing_but_time(desk: Desk, receiver: Receiver) -> None:
    [campaign] = desk.campaigns(1)
    webhook = desk.webhook(receiver.url())
    desk.happen("campaign.started", campaign)
    desk.wakeups.take()
    desk.sweep()
    command = Notify(org_id=desk.org_id, webhook_id=webhook, campaign_id=campaign)
    desk.wakeups.send([command, command])
    desk.work()
    assert 1 == len(receiver.calls)


def test_a_secret_that_is_replaced_signs_for_a_day_more(
    desk: Desk, receiver: Receiver, clock: ManualClock
) -> None:
    clock.instant = datetime.now(UTC)
    webhook = desk.webhook(receiver.url())
    with desk.changing() as session:
        _, fresh = webhooks.rotate_secret(session, desk.org_id, webhook, webhooks.Rotation(), desk.secrets)
    assert fresh is not None
    desk.happen("campaign.started", uuid4())
    desk.work()
    [call] = receiver.taken()
    for secret in (SECRET, fresh):
        Verifier(secret).verify(call.body, call.headers)
    clock.instant += timedelta(days=1, seconds=1)
    desk.happen("campaign.paused", uuid4())
    desk.work()
    assert 1 == len(receiver.taken()[-1].headers["webhook-signature"].split())


def test_stopping_lets_what_is_on_the_wire_be_answered(desk: Desk, receiver: Receiver) -> None:
    [campaign] = desk.campaigns(1)
    arrived, go_on = Flag(), Flag()

    def answer(_path: str, _payload: dict[str, Any]) -> int:
        arrived.set()
        assert go_on.wait(10)
        return 200

    receiver.answer = answer
    webhook = desk.webhook(receiver.url())
    desk.happen("campaign.started", campaign)
    desk.happen("campaign.paused", campaign)
    desk.work(most=1)
    command = next(one for one in desk.wakeups.take() if isinstance(one, Notify))
    desk.dispatcher.take(command)
    assert arrived.wait(10)
    stopping = Thread(target=desk.dispatcher.stop)
    stopping.start()
    wait_until(lambda: desk.dispatcher._stopping, "the dispatcher is told to stop")
    go_on.set()
    stopping.join(10)
    assert not stopping.is_alive()
    assert ["delivered", "pending"] == [row.state for row in desk.deliveries(webhook)]
    with desk.database.read() as session:
        assert session.get_one(WebhookLane, (webhook, campaign)).lease_expires_at is None
    desk.new_dispatcher()
    desk.sweep()
    assert ["delivered", "delivered"] == [row.state for row in desk.deliveries(webhook)]
