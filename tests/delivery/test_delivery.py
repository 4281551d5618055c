"""The main path: everybody of an activated campaign gets exactly one recorded outcome."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from sqlalchemy import select, update

from engine.campaigns import lifecycle
from engine.channels.port import Deferred, Delivered, Doubtful, Down, Rejected, Throttled
from engine.content.errors import RenderError
from engine.delivery.retrigger import retrigger, retrigger_failed
from engine.insight.progress import campaign_progress
from engine.kernel.rule_violations import RuleCode, RuleViolation
from state.tables import Campaign, Channel, Event, Execution, Job, Suppression, Target

if TYPE_CHECKING:
    from uuid import UUID

    from tests.delivery.kit import Bench


def test_everybody_once(bench: Bench) -> None:
    """Queued → processing → send_report → finished; the campaign activating → active → completed."""
    people = bench.entities(47)
    campaign = bench.campaign()
    job = bench.activate(campaign)
    assert ("queued", "activating") == (bench.job(job).status, bench.campaign_status(campaign))
    seen: Counter[tuple[str, str]] = Counter()
    while bench.wakeups.sent:
        bench.work(most=1)
        bench.check_counters(campaign)
        seen[(bench.job(job).status, bench.campaign_status(campaign))] += 1
    assert [("processing", "active"), ("send_report", "active"), ("finished", "completed")] == list(seen)
    assert Counter(people) == bench.channel.sent()
    assert {"success": 47} == bench.statuses()
    rows = bench.recipients().values()
    assert 47 == len({row.execution_id for row in rows})
    assert all(row.attempt == 1 and not row.in_flight for row in rows)
    assert {47} == {bench.report(job)["counts"]["success"]}


def test_window_bounds_what_is_in_flight(bench: Bench) -> None:
    """Wake-ups on their way never exceed the window, whatever the audience."""
    bench.entities(200)
    bench.activate(bench.campaign())
    most = 0
    while bench.wakeups.sent:
        bench.work(most=1)
        most = max(most, len(bench.wakeups.sent))
    assert bench.settings.window == most
    assert {"success": 200} == bench.statuses()


def test_campaigns_share_the_workers(bench: Bench) -> None:
    """A small campaign that starts behind a large one does not wait for it."""
    bench.entities(400)
    large = bench.campaign()
    bench.activate(large)
    bench.work(most=5)
    small = bench.campaign()
    with bench.database.begin() as session:  # ten of the four hundred
        few = {"key": "_title", "operator": "IS_ONE_OF", "value": [f"Person {i}" for i in range(10)]}
        target = Target(
            org_id=bench.org_id,
            name="few",
            entity_schema="contact",
            entity_filters={"filter": {"items": [few], "combination": "AND"}},
            **bench.times(),
        )
        session.add(target)
        session.flush()
        session.execute(update(Campaign).where(Campaign.id == small).values(target_ids=[str(target.id)]))
    bench.activate(small)
    while bench.campaign_status(small) != "completed":
        assert bench.work(most=1)
    with bench.database.read() as session:
        sent = campaign_progress(session, bench.org_id, large).processed
    assert sent < 200
    bench.work()
    assert {"success": 410} == bench.statuses_of(large, small)


def test_repeated_and_reordered_wakeups_are_harmless(bench: Bench) -> None:
    people = bench.entities(60)
    bench.activate(bench.campaign())
    for _ in range(2_000):
        if not bench.wakeups.sent:
            break
        bench.wakeups.sent.insert(0, bench.wakeups.sent[-1])
        bench.work(most=2)
    assert Counter(people) == bench.channel.sent()


def test_lost_wakeups_are_sent_again(bench: Bench, clock) -> None:
    """Every message is lost, again and again; only the sweeper drives."""
    people = bench.entities(60)
    campaign = bench.campaign()
    bench.activate(campaign)
    for _ in range(100):
        bench.wakeups.take()
        clock.forward(seconds=31)
        bench.sweep_and_work()
        if bench.campaign_status(campaign) == "completed":
            break
    assert Counter(people) == bench.channel.sent()
    assert "completed" == bench.campaign_status(campaign)


def test_permanent_fails_at_once_transient_waits_and_retries(bench: Bench, clock) -> None:
    people = bench.entities(30)
    refused, deferred, hopeless = people[0], people[1], people[2]
    tries: Counter[UUID] = Counter()

    def answer(message):
        tries[message.entity_id] += 1
        if message.entity_id == refused:
            return Rejected("SMTP_550", "no such user")
        if message.entity_id == deferred and tries[deferred] == 1:
            return Deferred("SMTP_451", "later")
        if message.entity_id == hopeless:
            return Deferred("SMTP_451", "later")
        return Delivered()

    bench.channel.answer = answer
    campaign = bench.campaign(max_attempts=3)
    job = bench.activate(campaign)
    bench.work()
    rows = bench.recipients()
    assert ("failed", "SMTP_550", "no such user") == (
        rows[refused].automation_status,
        rows[refused].error_code,
        rows[refused].error_text,
    )
    assert "pending" == rows[deferred].automation_status
    assert 20 < (rows[deferred].due_at - clock.now()).total_seconds() < 40
    assert "processing" == bench.job(job).status
    clock.forward(seconds=5)
    bench.sweep_and_work()
    assert 1 == tries[deferred]  # not before it is due
    execution = rows[deferred].execution_id
    bench.run_out()
    rows = bench.recipients()
    assert ("success", 2, None) == (
        rows[deferred].automation_status,
        rows[deferred].attempt,
        rows[deferred].error_code,
    )
    assert execution == rows[deferred].execution_id
    assert ("failed", "SMTP_451", 3) == (
        rows[hopeless].automation_status,
        rows[hopeless].error_code,
        rows[hopeless].attempt,
    )
    assert [
        {"code": "SMTP_451", "status": "failed", "count": 1},
        {"code": "SMTP_550", "status": "failed", "count": 1},
    ] == bench.report(job)["errors"]
    bench.check_counters(campaign)


@pytest.mark.parametrize("trouble", [Throttled("HTTP_429", "slow down", 60), Down("REFUSED", "nobody there")])
def test_channel_trouble_makes_the_job_wait_and_costs_nobody(bench: Bench, clock, trouble) -> None:
    people = bench.entities(40)
    healthy = False
    bench.channel.answer = lambda _: Delivered() if healthy else trouble
    campaign = bench.campaign()
    job = bench.activate(campaign)
    bench.work()
    assert bench.job(job).waits_until > clock.now()
    assert trouble.code in (bench.job(job).waits_reason or "")
    asked = len(bench.channel.journal)
    assert asked <= bench.settings.wave_size
    bench.sweep_and_work()
    assert asked == len(bench.channel.journal)  # waits
    healthy = True
    clock.forward(seconds=61)
    bench.run_out(step=31)
    rows = bench.recipients()
    assert {"success": 40} == bench.statuses()
    assert {1} == {rows[key].attempt for key in people}
    assert bench.job(job).waits_until is None
    with bench.database.read() as session:
        assert 0 == session.execute(select(Channel.consecutive_failures)).scalar_one()


def test_breaker_backs_off_while_the_provider_stays_down(bench: Bench, clock) -> None:
    bench.entities(5)
    bench.channel.answer = lambda _: Down("REFUSED", "nobody there")
    job = bench.activate(bench.campaign())
    waits = []
    bench.work()
    for _ in range(6):
        waits.append((bench.job(job).waits_until - clock.now()).total_seconds())
        clock.forward(seconds=waits[-1] + 0.01)
        bench.sweep_and_work()
    assert all(later > earlier for earlier, later in itertools.pairwise(waits))
    assert {"pending": 5} == bench.statuses()


@pytest.mark.parametrize(("doubt", "status"), [("resend", "success"), ("hold", "failed")])
def test_doubt_follows_the_channels_policy(bench: Bench, doubt: str, status: str) -> None:
    people = bench.entities(12)
    first = True

    def answer(message):
        nonlocal first
        if message.entity_id == people[0] and first:
            first = False
            return Doubtful("SMTP_TIMEOUT", "no answer after the last dot")
        return Delivered()

    bench.channel.answer = answer
    bench.activate(bench.campaign(doubt=doubt))
    bench.run_out()
    row = bench.recipients()[people[0]]
    assert status == row.automation_status
    assert (2 if doubt == "resend" else 1) == bench.channel.sent()[people[0]]
    assert 1 == len(
        {message.execution_id for message in bench.channel.journal if message.entity_id == people[0]}
    )
    if doubt == "hold":
        assert "OUTCOME_UNKNOWN" == row.error_code


def test_channel_that_reports_nothing_leaves_doubt_not_loss(bench: Bench) -> None:
    people = bench.entities(12)
    bench.channel.answer = lambda message: None if message.entity_id == people[3] else Delivered()
    bench.activate(bench.campaign(doubt="hold"))
    bench.run_out()
    assert Counter(success=11, failed=1) == bench.statuses()
    assert "OUTCOME_UNKNOWN" == bench.recipients()[people[3]].error_code


def test_excluded_are_recorded_with_their_reason(bench: Bench, clock) -> None:
    people = bench.entities(11)
    with bench.database.begin() as session:
        session.add(
            Suppression(
                org_id=bench.org_id,
                medium="email",
                address="p3@example.com",
                reason="unsubscribe",
                created_at=clock.now(),
            )
        )
    bench.entities(1, email="   ")
    bench.channel.address_of = lambda attributes: attributes["email"].strip() or None  # type: ignore[method-assign]
    campaign = bench.campaign()
    bench.activate(campaign)
    bench.work()
    excluded = {
        row.error_code: row for row in bench.recipients().values() if row.automation_status == "cancelled"
    }
    assert {"SUPPRESSED", "NO_ADDRESS"} == set(excluded)
    assert "unsubscribe" == excluded["SUPPRESSED"].error_text
    assert len(people) - 1 == len(bench.channel.journal)
    bench.check_counters(campaign)


def test_template_that_fails_for_one_fails_that_one(bench: Bench) -> None:
    people = bench.entities(11)
    render = bench.senders.template.render

    class Choosy:
        def render(self, attributes, extras):
            if attributes["_id"] == str(people[0]):
                raise RenderError("subject", 1, "loops too long")
            return render(attributes, extras)

    bench.senders.template = Choosy()
    bench.activate(bench.campaign())
    bench.work()
    row = bench.recipients()[people[0]]
    assert ("failed", "TEMPLATE_ERROR") == (row.automation_status, row.error_code)
    assert Counter(success=10, failed=1) == bench.statuses()


def test_retrigger_answers_for_every_id_and_delivers_only_the_failed(bench: Bench) -> None:
    people = bench.entities(25)
    broken = set(people[:4])
    bench.channel.answer = lambda message: Rejected("X", "no") if message.entity_id in broken else Delivered()
    campaign = bench.campaign()
    job = bench.activate(campaign)
    bench.work()
    report = bench.job(job).report
    before = {key: bench.recipients()[key].execution_id for key in people}
    broken.clear()
    unknown = uuid4()
    asked = [people[0], people[9], unknown, people[1], people[0]]
    bench.channel.journal.clear()
    with bench.runtime.transaction() as session:
        answers = retrigger(session, bench.org_id, campaign, asked, window=3, slice_size=10)
    assert asked == [answer.recipient_id for answer in answers]
    assert ["success", "invalid_status", "not_found", "success", "success"] == [
        answer.result for answer in answers
    ]
    bench.check_counters(campaign)
    rows = bench.recipients()
    assert answers[0].execution_id == rows[people[0]].execution_id != before[people[0]]
    assert "pending" == rows[people[0]].automation_status
    bench.work()
    assert Counter({people[0]: 1, people[1]: 1}) == bench.channel.sent()
    assert answers[0].execution_id == bench.recipients()[people[0]].execution_id
    assert Counter(success=23, failed=2) == bench.statuses()
    assert report == bench.job(job).report  # what was true when it ended
    with bench.database.read() as session:
        kept = session.execute(select(Execution)).scalars().all()
        assert {before[people[0]], before[people[1]]} == {execution.id for execution in kept}
        assert {"X"} == {execution.error_code for execution in kept}
    with bench.runtime.transaction() as session:
        assert 2 == retrigger_failed(session, bench.org_id, campaign, window=3, slice_size=10, error_code="X")
    bench.work()
    assert Counter(success=25) == bench.statuses()
    bench.check_counters(campaign)


def test_pause_holds_and_resume_goes_on(bench: Bench) -> None:
    people = bench.entities(100)
    campaign = bench.campaign()
    job = bench.activate(campaign)
    bench.work(most=3)
    with bench.runtime.transaction() as session:
        lifecycle.pause(session, bench.org_id, campaign)
    sent = len(bench.channel.journal)
    bench.work()
    bench.sweep_and_work()
    assert sent == len(bench.channel.journal) > 0
    assert "paused" == bench.campaign_status(campaign)
    bench.check_counters(campaign)
    with bench.runtime.transaction() as session:
        lifecycle.resume(session, bench.org_id, campaign, window=3)
    bench.work()
    assert Counter(people) == bench.channel.sent()
    assert ("finished", "completed") == (bench.job(job).status, bench.campaign_status(campaign))


def test_pause_bites_inside_a_wave(bench: Bench) -> None:
    """What was not started when the pause is seen is released, and its attempt given back."""
    people = bench.entities(10)
    campaign = bench.campaign()
    job = bench.activate(campaign)

    def answer(message):
        if len(bench.channel.journal) == 2:
            bench.executor.stop()
        return Delivered()

    bench.channel.answer = answer
    # The channel sees `stop` when the executor looks; halting by hand stands for that look.
    original = bench.channel.send

    async def send(messages, report, stop):
        def watched(message, outcome):
            if bench.executor.stopping.is_set():
                stop.set()
            report(message, outcome)

        await original(messages, watched, stop)

    bench.channel.send = send  # type: ignore[method-assign]
    bench.work()
    assert Counter(success=2, pending=8) == bench.statuses()
    assert {0, 1} == {row.attempt for row in bench.recipients().values()}
    bench.check_counters(campaign)
    bench.channel.send = original  # type: ignore[method-assign]
    bench.executor = bench.new_executor()
    bench.run_out(step=31)
    assert Counter(people) == bench.channel.sent()
    assert "finished" == bench.job(job).status


def test_deactivate_cancels_and_activating_again_takes_up_who_is_left(bench: Bench) -> None:
    people = bench.entities(100)
    campaign = bench.campaign()
    first = bench.activate(campaign)
    bench.work(most=4)
    delivered = set(bench.channel.sent())
    with bench.runtime.transaction() as session:
        lifecycle.deactivate(session, bench.org_id, campaign)
    bench.work()
    assert "cancelled" == bench.job(first).status
    assert Counter(success=len(delivered), cancelled=100 - len(delivered)) == bench.statuses()
    bench.check_counters(campaign)
    newcomers = bench.entities(5)
    second = bench.activate(campaign)
    bench.work()
    assert Counter(people + newcomers) == bench.channel.sent()
    assert ("finished", "completed") == (bench.job(second).status, bench.campaign_status(campaign))
    bench.check_counters(campaign)


def test_activating_at_once_after_deactivating_waits_for_the_winding_up(bench: Bench, clock) -> None:
    people = bench.entities(100)
    campaign = bench.campaign()
    bench.activate(campaign)
    bench.work(most=4)
    with bench.runtime.transaction() as session:
        lifecycle.deactivate(session, bench.org_id, campaign)
    bench.activate(campaign)
    bench.wakeups.sent.reverse()  # the new plan is asked for before the old job is wound up
    bench.work()
    clock.forward(seconds=31)
    bench.run_out(step=31)
    assert Counter(people) == bench.channel.sent()
    bench.check_counters(campaign)


def test_nobody_is_lost_between_pages(bench: Bench) -> None:
    """Entities that appear while the audience is planned are in or behind the page, never between two."""
    bench.entities(700)
    campaign = bench.campaign()
    bench.activate(campaign)
    bench.work(most=1)
    assert 700 == len(bench.recipients())
    bench.work()
    assert {"success": 700} == bench.statuses()


def test_campaign_without_anybody_ends(bench: Bench) -> None:
    campaign = bench.campaign()
    job = bench.activate(campaign)
    bench.work()
    assert ("finished", "completed") == (bench.job(job).status, bench.campaign_status(campaign))
    assert 0 == bench.report(job)["total"]


def test_when_told_stays_active_until_its_end_date(bench: Bench, clock) -> None:
    bench.entities(3)
    campaign = bench.campaign(ends="when_told", end_date=clock.now().date())
    bench.activate(campaign)
    bench.work()
    assert "active" == bench.campaign_status(campaign)
    bench.sweep_and_work()
    assert "active" == bench.campaign_status(campaign)
    clock.forward(days=1)
    bench.sweep_and_work()
    assert "completed" == bench.campaign_status(campaign)


def refusal(bench: Bench, campaign, act=lifecycle.activate, **kwargs) -> str:
    with bench.runtime.transaction() as session, pytest.raises(RuleViolation) as refused:
        act(session, bench.org_id, campaign, **kwargs)
    return refused.value.code


def test_refusals_in_the_contracts_order(bench: Bench) -> None:
    """NOT_FOUND → UNEXPECTED_STATUS → NO_TARGET → WITHOUT_FILTERS → NO_DELIVERY_METHOD → IN_PROGRESS → TOKEN."""
    campaign = bench.campaign()
    assert RuleCode.CAMPAIGN_NOT_FOUND == refusal(bench, uuid4(), window=1)

    def change(table, **values):
        with bench.database.begin() as session:
            session.execute(update(table).values(**values))

    with bench.database.read() as session:
        targets = session.execute(select(Campaign.target_ids)).scalar_one()
        flow = session.execute(select(Campaign.flow_id)).scalar_one()
    change(Campaign, status="cancelled", target_ids=[], flow_id=None)
    assert RuleCode.CAMPAIGN_HAS_UNEXPECTED_STATUS == refusal(bench, campaign, window=1)
    change(Campaign, status="draft")
    assert RuleCode.CAMPAIGN_HAS_NO_TARGET == refusal(bench, campaign, window=1)
    change(Campaign, target_ids=targets)
    with bench.database.read() as session:
        filters = session.execute(select(Target.entity_filters)).scalar_one()
    change(Target, entity_filters={"filter": {"items": [], "combination": "AND"}})
    assert RuleCode.TARGET_WITHOUT_FILTERS == refusal(bench, campaign, window=1)
    change(Target, entity_filters=filters)
    assert RuleCode.CAMPAIGN_HAS_NO_DELIVERY_METHOD == refusal(bench, campaign, window=1)
    change(Campaign, flow_id=flow)
    bench.activate(campaign)
    change(Campaign, status="paused")
    assert RuleCode.CAMPAIGN_HAS_JOB_IN_PROGRESS == refusal(bench, campaign, window=1)
    change(Job, held=True, token=None)
    assert RuleCode.JOB_TOKEN_MISSING == refusal(bench, campaign, window=1)
    change(Campaign, status="active")
    assert RuleCode.JOB_TOKEN_MISSING == refusal(bench, campaign, lifecycle.deactivate)
    assert RuleCode.CAMPAIGN_HAS_UNEXPECTED_STATUS == refusal(bench, campaign, window=1)


def test_events_are_written_with_what_they_tell(bench: Bench) -> None:
    bench.entities(3)
    bench.activate(bench.campaign())
    bench.work()
    with bench.database.read() as session:
        names = session.execute(select(Event.name).order_by(Event.id)).scalars().all()
    assert ["campaign.started", "campaign.active", "job.finished", "campaign.completed"] == names
