"""A campaign of which too much comes back is paused, with everybody else pending; whoever resumes it goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from pydantic import ValidationError

from engine.campaigns import lifecycle
from engine.channels.port import Delivered, Rejected
from engine.delivery.return_breaker import PAUSED_BY, Returns, is_refusal
from engine.engagement.feedback import Feedback, take_feedback
from engine.insight.waiting import situation_of, waiting_of
from engine.limits.config import CampaignLimits, ReturnBreaker, stored
from state.tables import Campaign, Event, Organization
from tests.delivery.kit import Bench

if TYPE_CHECKING:
    from collections.abc import Iterator
    from uuid import UUID

    from engine.channels.port import Outcome
    from engine.content.message import Message
    from state.database import Database


@pytest.fixture
def bench(database: Database, org_id: UUID) -> Iterator[Bench]:
    bench = Bench(database, org_id)
    yield bench
    bench.close()


def refuse_every(number: int) -> Any:
    """An answer for the scripted channel: every so many-th message is refused for good."""
    seen = 0

    def answer(_: Message) -> Outcome:
        nonlocal seen
        seen += 1
        return Rejected("SMTP_550", "5.1.1 no such user") if seen % number == 0 else Delivered()

    return answer


def resume(bench: Bench, campaign: UUID) -> None:
    with bench.runtime.transaction() as session:
        lifecycle.resume(session, bench.org_id, campaign, window=bench.settings.window)
    bench.work()


def test_refusals_pause_a_campaign_and_it_may_be_resumed(bench: Bench) -> None:
    """After a hundred outcomes, not all; the event and every view say why; what was seen does not count again."""
    bench.entities(400)
    bench.channel.answer = refuse_every(10)
    campaign = bench.campaign()
    bench.activate(campaign)
    bench.work()
    assert "paused" == bench.campaign_status(campaign)
    first = bench.statuses()
    assert first["pending"] >= 200
    assert 100 <= first["success"] + first["failed"] <= 200
    with bench.database.read() as session:
        row = session.get_one(Campaign, campaign)
        assert PAUSED_BY == row.paused_by
        (told,) = [one for one in waiting_of(session, situation_of(session, row)) if one.code == "returned"]
        (event,) = session.query(Event).where(Event.name == "campaign.paused")
    assert "the limit is 5 %" in told.reason
    assert told.since is not None
    assert "the limit is 5 %" in event.data["reason"]
    resume(bench, campaign)
    second = bench.statuses()
    assert second["success"] + second["failed"] >= first["success"] + first["failed"] + 100
    bench.channel.answer = refuse_every(10_000)
    if bench.campaign_status(campaign) == "paused":
        resume(bench, campaign)
    bench.run_out(step=1)
    assert 400 == bench.statuses()["success"] + bench.statuses()["failed"]


@pytest.mark.parametrize(
    ("of_campaign", "of_organization", "paused"),
    [
        ({"breaker": None}, None, False),
        (None, {"breaker": None}, False),
        ({"breaker": {"bounces": 20}}, None, False),
        ({"breaker": {"bounces": 5}}, {"breaker": None}, True),
        (None, {"breaker": {"bounces": None}}, False),
        ({"breaker": {"after": 1000}}, None, False),
    ],
)
def test_shares_are_a_campaigns_or_the_organizations(
    bench: Bench, of_campaign: dict[str, Any] | None, of_organization: dict[str, Any] | None, paused: bool
) -> None:
    """And off by choice."""
    bench.entities(150)
    bench.channel.answer = refuse_every(10)
    with bench.database.begin() as session:
        session.get_one(Organization, bench.org_id).limits = of_organization
    campaign = bench.campaign(limits=of_campaign)
    bench.activate(campaign)
    bench.work()
    assert paused == (bench.campaign_status(campaign) == "paused")


@pytest.mark.parametrize(("kind", "count"), [("bounced", 8), ("complained", 3)])
def test_what_is_reported_later_counts_as_well(bench: Bench, kind: Any, count: int) -> None:
    """A bounce or a complaint that comes in while others are still to be sent to."""
    people = bench.entities(150)
    campaign = bench.campaign()
    bench.activate(campaign)
    while bench.statuses()["success"] < 110:
        bench.work(most=1)
    sent = [key for key, row in bench.recipients().items() if row.automation_status == "success"]
    with bench.runtime.transaction() as session:
        reports = [
            Feedback(campaign_id=campaign, entity_id=key, kind=kind, at=bench.database.clock.now())
            for key in sent[:count]
        ]
        assert count == len(take_feedback(session, bench.org_id, reports))
    bench.sweep_and_work()
    assert "paused" == bench.campaign_status(campaign)
    assert len(people) == sum(bench.statuses().values())
    assert bench.statuses()["pending"] > 0


def test_a_rate_is_one_of_many() -> None:
    """Neither ten messages nor one complaint make one."""
    breaker = ReturnBreaker()
    assert Returns(99, 99, 99).excess(breaker) is None
    assert Returns(100, 4, 2).excess(breaker) is None
    assert "bounced" in (Returns(100, 5, 0).excess(breaker) or "")
    assert "complaint" in (Returns(1000, 0, 3).excess(breaker) or "")
    assert Returns(1001, 0, 3).excess(breaker) is None
    assert (
        Returns(300, 14, 0).since({"outcomes": 200, "bounced": 10, "complained": 0}).excess(breaker) is None
    )


@pytest.mark.parametrize(
    ("code", "refusal"),
    [
        ("SMTP_550", True),
        ("SMTP_450", False),
        ("HTTP_422", True),
        ("HTTP_429", False),
        ("HTTP_500", False),
        ("TWILIO_21211", True),
        ("TWILIO_HTTP_400", True),
        ("TELEGRAM_BLOCKED", True),
        ("TELEGRAM_429", False),
        ("OUTCOME_UNKNOWN", False),
        ("TEMPLATE_ERROR", False),
        ("CONTENT_INVALID", False),
    ],
)
def test_faults_of_our_own_are_no_refusals(code: str, refusal: bool) -> None:
    """Nor are time-outs, and what was tried too often."""
    assert refusal == is_refusal(code)


def test_the_shares_are_checked_and_kept() -> None:
    """In the form of limits."""
    for wrong in ({"bounces": 0}, {"complaints": 101}, {"after": 0}, {"bounce": 5}):
        with pytest.raises(ValidationError):
            CampaignLimits.model_validate({"breaker": wrong})
    assert {"breaker": None} == stored(CampaignLimits.model_validate({"breaker": False}))
    assert stored(CampaignLimits.model_validate({"breaker": {}})) is None
