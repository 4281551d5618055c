"""Slices under limits, on a clock that is moved by hand: rates, mail domains, breakers, caps, quiet hours."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from engine.answers.meanings import Scope
from engine.channels.port import Deferred, Delivered, Down, Rejected, Throttled
from engine.insight.outlook import Outlook, outlook
from engine.insight.waiting import situation_of, waiting_of
from engine.limits.buckets import BucketsAway
from engine.limits.effective import mark_changed
from state.tables import Campaign, Channel, Contact, DomainThrottle, Job, Recipient, Slice

if TYPE_CHECKING:
    from uuid import UUID

    from engine.channels.port import Outcome
    from engine.content.message import Message
    from tests.conftest import ManualClock
    from tests.limits.conftest import LimitedBench


def reasons(bench: LimitedBench, campaign: UUID) -> dict[str, Any]:
    with bench.database.read() as session:
        found = waiting_of(session, situation_of(session, session.get_one(Campaign, campaign)))
    return {waiting.code: waiting for waiting in reversed(found)}


def look(bench: LimitedBench, campaign: UUID) -> Outlook:
    with bench.database.read() as session:
        return outlook(session, session.get_one(Campaign, campaign))


def at(bench: LimitedBench, domain: str, count: int) -> list[UUID]:
    return [bench.entities(1, email=f"p{i}@{domain}")[0] for i in range(count)]


def rows(bench: LimitedBench, table: Any) -> list[Any]:
    with bench.database.read() as session:
        return list(session.query(table))


@pytest.mark.parametrize("owner", ["channel", "campaign", "organization"])
def test_everybody_once_and_no_faster_than_the_limit(bench: LimitedBench, owner: str) -> None:
    people = bench.entities(75)
    campaign = bench.campaign()
    rate = {"messages": 20}
    if owner == "channel":
        bench.limit_channel(rate=rate)
    elif owner == "campaign":
        bench.limit_campaign(campaign, rate=rate)
    else:
        bench.limit_organization(rate=rate)
    job = bench.activate(campaign)
    bench.run_out(step=2)
    assert bench.channel.sent() == Counter(people)
    assert bench.worst_second() <= 20 + 2
    assert {"success": 75} == bench.statuses()
    assert all(row.attempt == 1 for row in bench.recipients().values())
    assert bench.job(job).pace is not None
    bench.check_counters(campaign)


def test_a_rare_permit_frees_the_thread_and_says_why(bench: LimitedBench, clock: ManualClock) -> None:
    bench.entities(4)
    campaign = bench.campaign()
    bench.limit_channel(rate={"messages": 6, "per": "hour"})
    job = bench.activate(campaign)
    bench.work()
    sent = len(bench.channel.journal)
    assert sent <= 2
    row = bench.job(job)
    assert row.waits_until is not None
    assert (row.waits_for, row.waits_until > clock.now()) == ("limit", True)
    assert reasons(bench, campaign)["limit"].until == row.waits_until
    bench.run_out(step=300)
    assert {"success": 4} == bench.statuses()


def test_one_a_day_with_four_left_ends_in_four_days(bench: LimitedBench, clock: ManualClock) -> None:
    bench.entities(5)
    campaign = bench.campaign()
    bench.limit_channel(rate={"messages": 1, "per": "day"})
    bench.activate(campaign)
    bench.work()
    clock.forward(seconds=2)
    bench.sweep_and_work()
    assert len(bench.channel.journal) == 1
    day = timedelta(days=1)
    seen = look(bench, campaign)
    assert seen.stopped is not None
    assert seen.stopped.scope == "campaign"
    assert seen.stopped.until is not None
    assert abs(seen.stopped.until - clock.now() - day) < timedelta(minutes=5)
    assert seen.completion is not None
    assert abs(seen.completion - clock.now() - 4 * day) < timedelta(minutes=5)
    bench.run_out(step=3600)
    assert {"success": 5} == bench.statuses()
    assert abs(bench.times_sent[-1] - bench.times_sent[0] - 4 * day) < timedelta(hours=2)


def test_what_is_known_is_written_before_a_slice_waits_for_the_next_permit(
    bench: LimitedBench, clock: ManualClock
) -> None:
    """Else a worker that is killed while it waits would leave in doubt what had long been delivered."""
    bench.entities(12)
    campaign = bench.campaign()
    bench.limit_channel(rate={"messages": 2})
    waits: list[tuple[int, int]] = []

    def rest(seconds: float, _: object) -> None:
        if seconds > bench.settings.flush_interval.total_seconds():
            waits.append((len(bench.channel.journal), bench.statuses().get("success", 0)))
        clock.forward(seconds=max(seconds, 0))

    bench.executor.limit_context.rest = rest
    bench.activate(campaign)
    bench.run_out(step=1)
    assert {"success": 12} == bench.statuses()
    assert any(sent for sent, _ in waits)
    assert [sent for sent, _ in waits] == [written for _, written in waits]


def test_another_limit_takes_effect_at_once(bench: LimitedBench, clock: ManualClock) -> None:
    bench.entities(60)
    campaign = bench.campaign()
    bench.limit_channel(rate={"messages": 1, "per": "hour"})
    job = bench.activate(campaign)
    bench.work()
    waits_until = bench.job(job).waits_until
    assert waits_until is not None
    assert waits_until > clock.now() + timedelta(minutes=50)
    raised_at = clock.now()
    bench.limit_channel(rate={"messages": 100})
    assert bench.job(job).waits_until is None
    bench.work()
    within = [when for when in bench.times_sent if raised_at <= when <= raised_at + timedelta(seconds=2)]
    assert len(within) >= 50
    bench.limit_channel()
    bench.run_out(step=1)
    assert {"success": 60} == bench.statuses()
    assert bench.job(job).pace is None or bench.job(job).status == "finished"


def test_a_limit_that_is_set_while_a_slice_runs_holds_from_the_next_wave(bench: LimitedBench) -> None:
    bench.entities(10)
    campaign = bench.campaign()
    bench.activate(campaign)
    bench.work(most=1)

    def deliver(message: Message) -> Outcome:
        if len(bench.channel.journal) == 1:
            bench.limit_channel(rate={"messages": 1, "per": "hour"})
        return bench.deliver(message)

    bench.channel.answer = deliver
    bench.work()
    assert len(bench.channel.journal) <= 2 * bench.settings.wave_size


def test_while_redis_is_away_nobody_is_sent_to_and_nobody_is_lost(
    bench: LimitedBench, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = bench.entities(20)
    campaign = bench.campaign()
    bench.limit_channel(rate={"messages": 100})
    job = bench.activate(campaign)
    buckets = bench.executor.limit_context.buckets

    def away(*_: Any, **__: Any) -> None:
        raise BucketsAway("Redis does not answer: refused")

    with monkeypatch.context() as patched:
        patched.setattr(buckets, "take", away)
        bench.work()
        assert not bench.channel.journal
        assert "Redis does not answer" in (bench.job(job).waits_reason or "")
    clock.forward(seconds=5)
    bench.run_out(step=2)
    assert bench.channel.sent() == Counter(people)


def test_a_domains_limit_does_not_hold_up_the_others(bench: LimitedBench) -> None:
    slow = at(bench, "slow.example", 8)
    fast = at(bench, "fast.example", 22)
    campaign = bench.campaign()
    bench.limit_channel(domains={"slow.example": {"messages": 6, "per": "minute"}})
    bench.activate(campaign)
    bench.work()
    sent = bench.channel.sent()
    assert all(sent[person] == 1 for person in fast)
    assert sum(sent[person] for person in slow) <= 2
    assert "limit" in reasons(bench, campaign)
    bench.run_out(step=15)
    assert bench.channel.sent() == Counter(slow + fast)


def test_each_domain_has_the_default_rate(bench: LimitedBench) -> None:
    people = [person for i in range(5) for person in at(bench, f"d{i}.example", 4)]
    campaign = bench.campaign()
    bench.limit_channel(domain_rate={"messages": 6, "per": "minute"})
    bench.activate(campaign)
    bench.work()
    assert 5 <= len(bench.channel.journal) <= 10
    bench.run_out(step=15)
    assert bench.channel.sent() == Counter(people)


def test_a_throttled_domain_waits_alone_and_recovers(bench: LimitedBench, clock: ManualClock) -> None:
    slow = at(bench, "slow.example", 6)
    fast = at(bench, "fast.example", 20)
    campaign = bench.campaign(max_attempts=1)
    throttled = True

    def answer(message: Message) -> Outcome:
        if throttled and message.address.endswith("@slow.example"):
            return Throttled("SMTP_450", "4.7.1 too fast", scope=Scope.DOMAIN)
        return Delivered()

    bench.channel.answer = answer
    job = bench.activate(campaign)
    bench.work()
    assert {"success": 20, "pending": 6} == bench.statuses()
    assert bench.job(job).waits_until is None, "the channel goes on"
    (throttle,) = rows(bench, DomainThrottle)
    assert (throttle.domain, throttle.throttled_until > clock.now()) == ("slow.example", True)
    assert "slow.example: SMTP_450" in reasons(bench, campaign)["throttled"].reason
    tried = sum(bench.channel.sent()[person] for person in slow)
    bench.sweep_and_work()
    assert tried == sum(bench.channel.sent()[person] for person in slow), "it waits"
    for _ in range(5):
        clock.forward(seconds=130)
        bench.sweep_and_work()
    assert rows(bench, DomainThrottle)[0].failures > 1
    throttled = False
    bench.run_out(step=130)
    assert {"success": 26} == bench.statuses(), "it cost nobody an attempt"
    assert bench.channel.sent().keys() == set(slow + fast)
    clock.forward(hours=25)
    bench.sweep_and_work()
    assert not rows(bench, DomainThrottle)


def test_one_mailbox_that_is_refused_slows_nobody_down_and_ends(bench: LimitedBench) -> None:
    at(bench, "big.example", 4)
    (bad,) = bench.entities(1, email="bad@big.example")
    campaign = bench.campaign(max_attempts=2)

    def answer(message: Message) -> Outcome:
        if message.entity_id == bad:
            return Throttled("SMTP_450", "later", 900, scope=Scope.DOMAIN)
        return Delivered()

    bench.channel.answer = answer
    bench.activate(campaign)
    bench.work()
    assert {"success": 4, "pending": 1} == bench.statuses()
    assert not rows(bench, DomainThrottle)
    for _ in range(300):  # alone, it is its domain; that ends as well
        bench.sweep_and_work()
        if bench.statuses()["failed"]:
            break
        bench.clock.forward(minutes=16)
    assert {"success": 4, "failed": 1} == bench.statuses()


def test_a_throttled_channel_waits_as_long_as_it_is_told_and_goes_on_more_slowly(
    bench: LimitedBench, clock: ManualClock
) -> None:
    bench.entities(40)
    campaign = bench.campaign()
    bench.limit_channel(rate={"messages": 40})
    job = bench.activate(campaign)
    bench.channel.answer = lambda _: Throttled("HTTP_429", "slow down", retry_after=30)
    bench.work()
    assert bench.job(job).waits_for == "throttled"
    assert reasons(bench, campaign)["throttled"].until == bench.job(job).waits_until
    (channel,) = rows(bench, Channel)
    assert (34, 38.8) == pytest.approx((channel.throttled_rate, channel.returns_to_rate))
    bench.channel.answer = bench.deliver
    clock.forward(seconds=31)
    goes_on = reasons(bench, campaign)["limit"]
    assert (channel.throttled_at, "channel", False) == (goes_on.since, goes_on.scope, goes_on.stops)
    assert 34 == pytest.approx(goes_on.rate, rel=0.05)
    assert "HTTP_429" in goes_on.reason
    bench.run_out(step=1)
    assert {"success": 40} == bench.statuses()
    assert bench.worst_second() <= 34 + 4 + 1


def test_a_channel_that_stood_still_goes_on_at_the_rate_that_it_found(
    bench: LimitedBench, clock: ManualClock
) -> None:
    bench.entities(120)
    campaign = bench.campaign()
    bench.limit_channel(rate={"messages": 1000})
    with bench.database.begin() as session:
        channel = session.get_one(Channel, bench.channel_id())
        channel.throttled_at, channel.throttled_rate, channel.returns_to_rate = clock.now(), 17, 19
    clock.forward(minutes=20)
    bench.activate(campaign)
    bench.run_out(step=0.1)
    assert {"success": 120} == bench.statuses()
    assert bench.worst_second() <= 1.1 * 19 + 2


def test_what_was_sent_before_a_rate_was_found_says_nothing_of_it(
    bench: LimitedBench, clock: ManualClock
) -> None:
    bench.entities(40)
    campaign = bench.campaign()
    bench.limit_channel(rate={"messages": 40})

    def refused_late(_: Message) -> Throttled:
        with bench.database.begin() as session:
            channel = session.get_one(Channel, bench.channel_id())
            channel.throttled_at, channel.throttled_rate, channel.returns_to_rate = clock.now(), 17, 19
            mark_changed(session, bench.org_id)
        clock.forward(seconds=5)
        bench.channel.answer = bench.deliver
        return Throttled("SMTP_454", "too fast")

    bench.channel.answer = refused_late
    bench.activate(campaign)
    bench.run_out(step=1)
    assert {"success": 40} == bench.statuses()
    (channel,) = rows(bench, Channel)
    assert (17, 19) == (channel.throttled_rate, channel.returns_to_rate)


def test_a_breaker_is_half_open_for_a_few_messages_and_closes_by_itself(
    bench: LimitedBench, clock: ManualClock
) -> None:
    bench.entities(60)
    campaign = bench.campaign()
    other = bench.activate(campaign)
    bench.channel.answer = lambda _: Down("SMTP_UNREACHABLE", "refused")
    bench.work()
    opened = reasons(bench, campaign)["breaker"]
    assert opened.since is not None
    assert "SMTP_UNREACHABLE" in opened.reason
    for _ in range(3):
        clock.forward(seconds=301)
        before = len(bench.channel.journal)
        bench.sweep_and_work()
        assert 1 <= len(bench.channel.journal) - before <= 5, "one slice tries a few"
    assert reasons(bench, campaign)["breaker"].since == opened.since
    bench.channel.answer = bench.deliver
    clock.forward(seconds=301)
    bench.sweep_and_work()
    assert "breaker" not in reasons(bench, campaign)
    bench.run_out(step=1)
    assert {"success": 60} == bench.statuses()
    assert bench.job(other).waits_until is None
    (channel,) = rows(bench, Channel)
    assert (channel.blocked_until, channel.consecutive_failures, channel.breaker_opened_at) == (None, 0, None)


def test_quiet_hours_put_back_whoever_sleeps_and_cost_nothing(
    bench: LimitedBench, clock: ManualClock
) -> None:
    clock.instant = datetime(2026, 3, 3, 14, 0, tzinfo=UTC)
    awake = bench.entities(6, timezone="Europe/Berlin")
    asleep = bench.entities(7, timezone="Asia/Tokyo")  # 23:00
    campaign = bench.campaign()
    bench.limit_organization(quiet_hours=[{"from": "22:00", "to": "07:00"}])
    bench.activate(campaign)
    bench.work()
    assert bench.channel.sent() == Counter(awake)
    opens_at = datetime(2026, 3, 3, 22, 0, tzinfo=UTC)
    found = bench.recipients()
    assert {(found[p].due_at, found[p].attempt, found[p].error_code) for p in asleep} == {
        (opens_at, 0, "QUIET_HOURS")
    }
    assert reasons(bench, campaign)["quiet_hours"].until == opens_at
    clock.instant = opens_at
    bench.run_out(step=1)
    assert bench.channel.sent() == Counter(awake + asleep)
    assert all(row.error_code is None for row in bench.recipients().values())
    bench.check_counters(campaign)


def test_a_cap_excludes_over_campaigns_and_says_so(bench: LimitedBench, clock: ManualClock) -> None:
    bench.entities(12)
    bench.limit_organization(frequency_cap={"messages": 2, "hours": 24})
    campaigns = [bench.campaign() for _ in range(3)]
    for campaign in campaigns:
        bench.activate(campaign)
        bench.run_out(step=1)
    assert len(bench.channel.journal) == 24
    assert {"cancelled": 12} == bench.statuses_of(campaigns[2])
    with bench.database.read() as session:
        codes = {
            row.error_code for row in session.query(Recipient).filter(Recipient.campaign_id == campaigns[2])
        }
    assert codes == {"FREQUENCY_CAP"}
    clock.forward(hours=25)
    last = bench.campaign()
    bench.activate(last)
    bench.run_out(step=1)
    assert {"success": 12} == bench.statuses_of(last)


def test_a_cap_may_delay_until_there_is_room(bench: LimitedBench, clock: ManualClock) -> None:
    bench.entities(5)
    first = bench.campaign()
    bench.limit_organization(frequency_cap={"messages": 1, "hours": 24, "over": "delay"})
    bench.activate(first)
    bench.work()
    sent_at = clock.now()
    clock.forward(hours=1)
    second = bench.campaign()
    bench.activate(second)
    bench.work()
    assert {"pending": 5} == bench.statuses_of(second)
    assert {row.due_at for row in rows(bench, Slice) if row.state == "ready"} == {
        sent_at + timedelta(hours=24)
    }
    clock.instant = sent_at + timedelta(hours=24)
    bench.run_out(step=1)
    assert {"success": 5} == bench.statuses_of(second)


def test_a_cap_counts_what_was_delivered_alone(bench: LimitedBench) -> None:
    bench.entities(4)
    campaign = bench.campaign(max_attempts=3)
    bench.limit_campaign(campaign, frequency_cap={"messages": 1, "hours": 24})
    answers = [Deferred("HTTP_500", "later")] * 4
    bench.channel.answer = lambda _: answers.pop() if answers else Delivered()
    bench.activate(campaign)
    bench.run_out(step=60)
    assert {"success": 4} == bench.statuses(), "its own failed attempt is not in the way"
    assert len(rows(bench, Contact)) == 4
    refused = bench.campaign()
    bench.limit_campaign(refused, frequency_cap={"messages": 5, "hours": 24})
    bench.channel.answer = lambda _: Rejected("HTTP_400", "no")
    bench.activate(refused)
    bench.run_out(step=60)
    assert len(rows(bench, Contact)) == 4


def test_without_a_cap_no_contact_is_written(bench: LimitedBench) -> None:
    bench.entities(12)
    campaign = bench.campaign()
    bench.limit_channel(rate={"messages": 100})
    bench.activate(campaign)
    bench.run_out(step=1)
    assert not rows(bench, Contact)
    assert {"finished"} == {row.status for row in rows(bench, Job)}
