"""Who waits for a limit goes on as soon as it is removed or widened, and waits for another that still holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from engine.campaigns import lifecycle
from engine.channels.port import Deferred
from state.tables import Channel

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import ManualClock
    from tests.limits.conftest import LimitedBench

#: By the clock of the tests it is Monday, in the morning.
QUIET: dict[str, Any] = {"quiet_hours": [{"from": "00:00", "to": "23:00"}]}
EVENING: dict[str, Any] = {"quiet_hours": [{"from": "18:00", "to": "06:00"}]}
CAP = {"frequency_cap": {"messages": 1, "hours": 48, "over": "delay"}}
WARM_UP = {"warm_up": {"start": "2026-03-02", "messages": 4}}


def by_organization(bench: LimitedBench, **limits: Any) -> None:
    bench.limit_organization(**limits)


def by_channel(bench: LimitedBench, **limits: Any) -> None:
    bench.limit_channel(**limits)


@pytest.mark.parametrize(
    ("limit", "before", "after", "sent"),
    [
        (by_organization, QUIET, {}, 0),
        (by_organization, QUIET, EVENING, 0),
        (by_organization, CAP, {}, 12),
        (by_organization, CAP, {"frequency_cap": {"messages": 2, "hours": 48}}, 12),
        (by_channel, WARM_UP, {}, 4),
        (by_channel, WARM_UP, {"warm_up": {"start": "2026-03-02", "messages": 40}}, 4),
    ],
)
def test_who_was_put_back_goes_on_when_the_limit_does_not_hold_any_more(
    bench: LimitedBench,
    clock: ManualClock,
    limit: Callable[..., None],
    before: dict[str, object],
    after: dict[str, object],
    sent: int,
) -> None:
    bench.entities(12)
    campaigns = [bench.campaign()] if limit is by_channel else [bench.campaign(), bench.campaign()]
    limit(bench, **before)
    for campaign in campaigns:
        bench.activate(campaign)
        bench.work()
    assert sent == len(bench.channel.journal)
    clock.forward(seconds=90)
    bench.sweep_and_work()
    assert sent == len(bench.channel.journal), "they wait"
    limit(bench, **after)
    bench.work()
    assert 12 * len(campaigns) == len(bench.channel.journal)
    assert all(row.attempt == 1 for row in bench.recipients().values())


def test_who_is_put_back_by_the_other_limit_waits_for_that_one(
    bench: LimitedBench, clock: ManualClock
) -> None:
    bench.entities(12)
    campaign = bench.campaign()
    bench.limit_organization(**QUIET)
    bench.activate(campaign)
    bench.work()
    clock.forward(seconds=1)
    bench.limit_organization(quiet_hours=[{"from": "00:00", "to": "20:00"}])
    bench.work()
    assert not bench.channel.journal
    due = {row.due_at.hour for row in bench.recipients().values() if row.due_at is not None}
    assert {20} == due
    clock.forward(hours=12)
    bench.sweep_and_work()
    assert 12 == len(bench.channel.journal)


def test_a_campaign_that_is_paused_meanwhile_goes_on_when_it_is_resumed(
    bench: LimitedBench, clock: ManualClock
) -> None:
    bench.entities(12)
    campaign = bench.campaign()
    bench.limit_organization(**QUIET)
    bench.activate(campaign)
    bench.work()
    with bench.runtime.transaction() as session:
        lifecycle.pause(session, bench.org_id, campaign)
    clock.forward(seconds=1)
    bench.limit_organization()
    bench.work()
    assert not bench.channel.journal
    with bench.runtime.transaction() as session:
        lifecycle.resume(session, bench.org_id, campaign, window=4)
    bench.work()
    assert 12 == len(bench.channel.journal)


def test_a_retry_keeps_its_time(bench: LimitedBench, clock: ManualClock) -> None:
    """A change of limits is no reason to ask a mailbox again that said: later."""
    bench.entities(3)
    campaign = bench.campaign(max_attempts=3)
    bench.channel.answer = lambda _: Deferred("SMTP_451", "later")
    bench.activate(campaign)
    bench.work()
    due = {row.due_at for row in bench.recipients().values()}
    clock.forward(seconds=1)
    bench.limit_organization(**EVENING)
    bench.limit_organization()
    bench.work()
    assert due == {row.due_at for row in bench.recipients().values()}
    assert 3 == len(bench.channel.journal)


def test_a_channel_whose_provider_asked_for_a_pause_keeps_it(bench: LimitedBench, clock: ManualClock) -> None:
    until = clock.now().replace(year=2027)
    bench.campaign()
    own = bench.channel_id()
    with bench.database.begin() as session:
        channel = session.get_one(Channel, own)
        channel.blocked_until, channel.blocked_for = until, "quota"
    bench.limit_channel(rate={"messages": 5})
    with bench.database.read() as session:
        assert until == session.get_one(Channel, own).blocked_until
