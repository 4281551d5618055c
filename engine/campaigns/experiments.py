"""A/B tests: variants on a sample, a winner by a metric, the rest of the audience gets the winner.

A campaign has one at most, made while it is a draft. Starting it executes the campaign for `sample` percent of its
audience (state.sampling); the touchpoint gives its variants by weight. While it runs the sweeper looks `LOOKS` times,
the last time after `decide_after`; a winner is declared at the first look that shows one (engine.insight.significance:
the error rate holds over all looks). Then, or at the end without one, the campaign is executed for everybody: with the
winner alone where there is one. A campaign that is paused by then is waited for.

A person in the last `holdout` percent of the audience is never sent to, and is a recipient that was cancelled with
HOLDOUT, so that what the campaign changed can be measured against them.

Each decision is one transaction with the run that follows it: killed anywhere, the next sweep decides.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Literal
from uuid import UUID, uuid4

import structlog
from pydantic import Field, model_validator
from sqlalchemy import select

from engine.campaigns import lifecycle
from engine.campaigns.copying import copy_flow
from engine.events.outbox import record
from engine.insight.significance import Arm, look
from engine.insight.statistics import variant_counts
from engine.kernel import listing
from engine.kernel.for_each import for_each
from engine.kernel.inputs import Input, Invalid, Name
from engine.kernel.rule_violations import RuleViolation
from state.change import clock_of
from state.errors import NotFound
from state.tables import Campaign, Experiment, Flow, Job, Touchpoint
from state.transitions import CampaignStatus

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy import Select
    from sqlalchemy.orm import Session

    from engine.kernel.runtime import Runtime

__all__ = [
    "LOOKS",
    "ExperimentInput",
    "create_experiment",
    "decide",
    "find_experiment",
    "look_at_due",
    "start_experiment",
]

log = structlog.get_logger(__name__)

#: How often a running experiment is looked at, the last time at its end.
LOOKS = 5
#: Variants that differ for certain.
_LEAST = 2
#: When the job of a sample, or anything else, is in the way: how long until the next try.
_AGAIN = timedelta(seconds=30)


class ExperimentInput(Input):
    """A new A/B test."""

    name: Name
    touchpoint_id: UUID | None = None
    """Absent: the first of the campaign's flow that has variants."""
    metric: Literal["delivered", "read", "clicked", "converted"] = "clicked"
    sample: Annotated[float, Field(ge=1, le=100)] = 20.0
    holdout: Annotated[float, Field(ge=0, le=50)] = 0.0
    decide_after_hours: Annotated[float, Field(gt=0, le=24 * 90)] = 24.0
    confidence: Annotated[float, Field(ge=80, le=99.9)] = 95.0
    when_inconclusive: Literal["split", "leader"] = "split"

    @model_validator(mode="after")
    def _leaves_room(self) -> ExperimentInput:
        if self.sample + self.holdout > lifecycle.EVERYBODY:
            raise ValueError("sample and holdout together are more than the audience")
        return self


def create_experiment(
    session: Session, org_id: UUID, campaign_id: UUID, given: ExperimentInput
) -> Experiment:
    """Keep the A/B test of a draft campaign. What it decides is the campaign's alone: a flow that others use as well is
    copied for it.

    Raises:
        NotFound: there is no such campaign.
        Invalid: the campaign is no draft, has one already, or has no touchpoint with two variants.
    """
    campaign = listing.find(session, Campaign, org_id, campaign_id, lock=True)
    if campaign.status != CampaignStatus.DRAFT:
        raise Invalid("campaign", f"is {campaign.status}; an A/B test is made while it is a draft")
    if find_experiment(session, org_id, campaign_id) is not None:
        raise Invalid("campaign", "has an A/B test already")
    touchpoint = _own(session, campaign, _touchpoint(session, campaign, given.touchpoint_id))
    now = clock_of(session).now()
    row = Experiment(
        id=uuid4(),
        org_id=org_id,
        campaign_id=campaign_id,
        touchpoint_id=touchpoint.id,
        name=given.name,
        metric=given.metric,
        sample=given.sample,
        holdout=given.holdout,
        decide_after_seconds=round(given.decide_after_hours * 3600),
        alpha=round(1 - given.confidence / 100, 6),
        when_inconclusive=given.when_inconclusive,
        created_at=now,
        updated_at=now,
    )
    session.add(row)
    session.flush()
    return row


def find_experiment(session: Session, org_id: UUID, campaign_id: UUID) -> Experiment | None:
    """The A/B test of a campaign. Unique key (campaign_id)."""
    return session.execute(
        select(Experiment).where(Experiment.campaign_id == campaign_id, Experiment.org_id == org_id)
    ).scalar_one_or_none()


def start_experiment(session: Session, org_id: UUID, campaign_id: UUID, *, window: int) -> Job:
    """Execute the campaign for the sample, and begin to look.

    Raises:
        NotFound: the campaign has no A/B test.
        Invalid: it was started before.
        RuleViolation: as `lifecycle.run`.
    """
    row = find_experiment(session, org_id, campaign_id)
    if row is None:
        raise NotFound("experiment", campaign_id)
    if row.status != "draft":
        raise Invalid("campaign", f"its A/B test is {row.status}")
    job = lifecycle.run(session, org_id, campaign_id, window=window, priority="normal", reach=row.sample)
    now = clock_of(session).now()
    row.status, row.started_at, row.updated_at = "running", now, now
    row.next_look_at = _next_look(row, now)
    record(session, org_id, "experiment.started", campaign_id=campaign_id, experiment_id=str(row.id))
    session.flush()
    return job


def look_at_due(runtime: Runtime) -> int:
    """Look at running experiments whose time has come, of all organizations, each in a transaction of its own; returns
    how many. The sweeper's. Index ix_experiment_running.
    """

    def due(session: Session) -> Select[Experiment]:
        now = clock_of(session).now()
        return select(Experiment).where(Experiment.status == "running", Experiment.next_look_at <= now)

    with runtime.database.read() as session:
        ids = due(session).with_only_columns(Experiment.id).order_by(Experiment.next_look_at)
        found = list(session.scalars(ids))

    def look_at(experiment_id: UUID) -> int:
        with runtime.transaction() as session:
            held = due(session).where(Experiment.id == experiment_id).with_for_update(skip_locked=True)
            row = session.execute(held).scalar_one_or_none()
            if row is None:  # another sweeper is at it
                return 0
            decide(session, row, window=runtime.settings.window)
            return 1

    return for_each(found, look_at)


def decide(session: Session, row: Experiment, *, window: int) -> None:
    """Look once; declare a winner, end without one, or come back later. The caller holds the row."""
    if row.decided_at is None:
        _look(session, row)
    if row.decided_at is not None and not _roll_out(session, row, window=window):
        row.next_look_at = clock_of(session).now() + _AGAIN
    session.flush()


def _look(session: Session, row: Experiment) -> None:
    now = clock_of(session).now()
    assert row.started_at is not None  # noqa: S101 - it runs
    ends = row.started_at + timedelta(seconds=row.decide_after_seconds)
    elapsed = (now - row.started_at).total_seconds() / row.decide_after_seconds
    arms = _arms(session, row)
    seen = look(arms, information=min(elapsed, 1.0), alpha=row.alpha, spent=row.spent)
    row.looks += 1
    row.spent = seen.spent
    row.updated_at = now
    row.result = {
        "shown": seen.winner is not None,
        "leader": seen.leader,
        "p": round(seen.p, 6),
        "threshold": round(seen.threshold, 6),
        "arms": [{"variant": arm.variant, "sent": arm.trials, "count": arm.successes} for arm in arms],
    }
    if seen.winner is not None or now >= ends:
        row.decided_at = now
        row.winner = seen.winner or (seen.leader if row.when_inconclusive == "leader" else None)
    else:
        row.next_look_at = _next_look(row, now)


def _roll_out(session: Session, row: Experiment, *, window: int) -> bool:
    """Give the rest of the audience what was found; False when the campaign cannot run now (it is paused, say)."""
    if _has_rest(session, row):
        with session.begin_nested():
            try:
                lifecycle.run(
                    session,
                    row.org_id,
                    row.campaign_id,
                    window=window,
                    priority="normal",
                    reach=lifecycle.EVERYBODY,
                )
            except (RuleViolation, Invalid) as refused:
                log.info("experiment.waits", campaign_id=str(row.campaign_id), reason=str(refused))
                return False
    if row.winner is not None:
        _keep_only(session, row, row.winner)
    found = row.result or {}
    row.status = "decided" if found.get("shown") else "inconclusive"
    row.next_look_at = None
    record(
        session,
        row.org_id,
        "experiment.decided",
        campaign_id=row.campaign_id,
        experiment_id=str(row.id),
        status=row.status,
        winner=row.winner,
        **{name: found.get(name) for name in ("leader", "p", "threshold")},
    )
    return True


def _has_rest(session: Session, row: Experiment) -> bool:
    """Whether anybody is left to send to: the sample was not everybody, and nobody ended the campaign meanwhile."""
    status = session.execute(
        select(Campaign.status).where(Campaign.id == row.campaign_id, Campaign.org_id == row.org_id)
    ).scalar_one()
    return row.sample < lifecycle.EVERYBODY and status not in (
        CampaignStatus.COMPLETED,
        CampaignStatus.CANCELLED,
    )


def _keep_only(session: Session, row: Experiment, winner: str) -> None:
    """The touchpoint gives nothing but the winner from now on; the others stay readable, with no weight."""
    touchpoint = session.get(Touchpoint, row.touchpoint_id)
    if touchpoint is None or touchpoint.org_id != row.org_id:
        return
    touchpoint.variants = [
        {**variant, "weight": 1 if str(variant["id"]) == winner else 0}
        for variant in touchpoint.variants or ()
    ]
    listing.stamp(session, touchpoint)


def _own(session: Session, campaign: Campaign, touchpoint: Touchpoint) -> Touchpoint:
    """The touchpoint in a flow that only this campaign uses."""
    assert campaign.flow_id is not None  # noqa: S101 - the touchpoint is in it
    flow = listing.find(session, Flow, campaign.org_id, campaign.flow_id, lock=True)
    users = select(Campaign.id).where(
        Campaign.org_id == campaign.org_id, Campaign.flow_id == flow.id, Campaign.id != campaign.id
    )
    if session.execute(users.limit(1)).first() is None:
        return touchpoint
    own, copies = copy_flow(session, flow, campaign_id=campaign.id)
    campaign.flow_id = own.id
    listing.stamp(session, campaign)
    return copies[touchpoint.id]


def _arms(session: Session, row: Experiment) -> list[Arm]:
    """How each variant of the touchpoint does by now, from roll-ups."""
    touchpoint = session.get(Touchpoint, row.touchpoint_id)
    names = [str(variant["id"]) for variant in (touchpoint.variants if touchpoint else None) or ()]
    counts = variant_counts(session, row.org_id, row.campaign_id, row.touchpoint_id)
    return [
        Arm(name, counts[name].sent, getattr(counts[name], row.metric)) if name in counts else Arm(name, 0, 0)
        for name in names
    ]


def _next_look(row: Experiment, now: datetime) -> datetime:
    """The next of `LOOKS` evenly spread instants."""
    assert row.started_at is not None  # noqa: S101 - it runs
    step = row.decide_after_seconds / LOOKS
    passed = int((now - row.started_at).total_seconds() / step)
    return row.started_at + timedelta(seconds=step * min(passed + 1, LOOKS))


def _touchpoint(session: Session, campaign: Campaign, touchpoint_id: UUID | None) -> Touchpoint:
    steps: Sequence[Touchpoint] = (
        session.execute(
            select(Touchpoint)
            .where(Touchpoint.org_id == campaign.org_id, Touchpoint.flow_id == campaign.flow_id)
            .order_by(Touchpoint.position)
        )
        .scalars()
        .all()
        if campaign.flow_id is not None
        else ()
    )
    with_variants = [step for step in steps if len(step.variants or ()) >= _LEAST]
    if touchpoint_id is not None:
        with_variants = [step for step in with_variants if step.id == touchpoint_id]
    if not with_variants:
        raise Invalid("touchpoint_id", "there is no touchpoint with two variants to compare")
    return with_variants[0]
