"""A flow as deliveries follow it: its touchpoints in order, and where a recipient goes on. Values in, values out.

A recipient's row says at which touchpoint it is (`touchpoint_id`; absent: it has not begun). At a wait with a due time
it has begun to wait; at anything else it is to be run through it. Rules:

- Only active touchpoints are run; a recipient at one that is not goes on behind it.
- An edit counts from the next wave on, for all recipients that are left: each goes on from the touchpoint they are at,
  in its new place. What was moved ahead of it is not made up for, what lies behind it and was run through already is
  passed over. When that touchpoint was removed, they go on with whatever has taken its place (`step`).
- A wait that has begun ends when it was to end.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from sqlalchemy import Table, Uuid, bindparam, func, select

from engine.delivery.variants import Variants
from engine.kernel.instants import read_instant
from engine.kernel.prepared import execute_named
from state.tables import Campaign, Channel, Job, Template, Touchpoint

if TYPE_CHECKING:
    from uuid import UUID

    from sqlalchemy import Select
    from sqlalchemy.orm import Session

__all__ = ["ACTION", "MESSAGE", "UNITS", "WAIT", "FlowPlan", "NextStep", "Step", "flow_plan_of", "wait_ends"]

MESSAGE = "message"
WAIT = "wait"
ACTION = "action"

#: The units of a wait's length; several add up.
UNITS = ("seconds", "minutes", "hours", "days", "weeks")

#: From this length on waits end at whole minutes, shorter ones at whole seconds, so that the recipients of a slice,
#: who began within seconds of each other, go on together.
_LONG = timedelta(hours=1)


@dataclass(frozen=True)
class Step:
    """One touchpoint at its place in the flow."""

    index: int
    """How many lie before it, active or not."""
    row: Any
    """As `flow_plan_of` reads it: the touchpoint, and the state of its template and its channel."""

    @property
    def touchpoint_id(self) -> UUID:
        """Which it is."""
        found: UUID = self.row.touchpoint_id
        return found

    @property
    def is_action(self) -> bool:
        """Whether it is an HTTP request, which has no channel of the organization's."""
        return bool(self.row.type == ACTION)

    @property
    def is_wait(self) -> bool:
        """Whether nothing is sent here."""
        return bool(self.row.type == WAIT)

    @property
    def is_active(self) -> bool:
        """Whether it is run at all."""
        return bool(self.row.status == "active")

    @cached_property
    def variants(self) -> Variants | None:
        """Its variants; None: all are sent the same."""
        return Variants(self.row.variants) if self.row.variants else None

    @property
    def is_plain(self) -> bool:
        """A message for everybody, the same for all."""
        return bool(
            self.row.type == MESSAGE and self.is_active and not self.row.condition and not self.row.variants
        )


@dataclass(frozen=True, slots=True)
class NextStep:
    """Where recipients go on."""

    step: Step
    due_at: datetime | None
    """Absent: at once."""


@dataclass(frozen=True)
class FlowPlan:
    """A flow's touchpoints in order."""

    steps: tuple[Step, ...]

    @cached_property
    def only(self) -> Step | None:
        """The one message that the whole flow consists of; None when there is more to it."""
        return self.steps[0] if len(self.steps) == 1 and self.steps[0].is_plain else None

    @cached_property
    def channels(self) -> int:
        """Over how many channels it is sent; each action is one."""
        return len(
            {
                step.touchpoint_id if step.is_action else step.row.channel_id
                for step in self.steps
                if step.is_active and not step.is_wait
            }
        )

    @cached_property
    def actions(self) -> frozenset[UUID]:
        """The touchpoints that are HTTP requests."""
        return frozenset(step.touchpoint_id for step in self.steps if step.is_action)

    @cached_property
    def _places(self) -> dict[UUID, int]:
        return {step.touchpoint_id: step.index for step in self.steps}

    def find(self, touchpoint_id: UUID | None) -> Step | None:
        """The touchpoint; None when it is not part of the flow."""
        index = None if touchpoint_id is None else self._places.get(touchpoint_id)
        return None if index is None else self.steps[index]

    def next(self, index: int) -> Step | None:
        """The first active touchpoint from place `index` on."""
        return next((step for step in self.steps[index:] if step.is_active), None)

    def step_ahead(self, touchpoint_id: UUID | None, step: int, *, waited: bool) -> Step | None:
        """What a recipient is to be run through next.

        Args:
            touchpoint_id: Where it is, as its row says, and
            step: its place there by then.
            waited: It has a due time, which is over: if this is a wait, it has been waited for.
        """
        at = self.find(touchpoint_id)
        if at is None:
            return self.next(0 if touchpoint_id is None else step)
        return self.next(at.index + (at.is_wait and waited))

    def counted_at(self, touchpoint_id: UUID | None, variant: str | None) -> tuple[UUID | None, str]:
        """Under which touchpoint and variant a recipient with these in its row is counted."""
        at = self.next(0) if touchpoint_id is None else self.find(touchpoint_id)
        if at is None:
            return touchpoint_id, ""
        return at.touchpoint_id, (variant or "") if at.row.variants else ""

    def next_step(self, index: int, now: datetime) -> NextStep | None:
        """Where recipients go on that were run through everything before place `index`; None: it is over."""
        step = self.next(index)
        if step is None:
            return None
        # Whether a conditional wait is for somebody is found out when they are there.
        due_at = wait_ends(step.row.settings, now) if step.is_wait and not step.row.condition else None
        return NextStep(step, due_at)


def flow_plan_of(session: Session, org_id: UUID, job_id: UUID) -> FlowPlan:
    """A job's flow as it is now. One statement."""
    found = execute_named(session, _FLOW, p_org_id=org_id, p_job_id=job_id)
    return FlowPlan(tuple(Step(index, row) for index, row in enumerate(found)))


def _touchpoints() -> Select[Any]:
    """A job's touchpoints in order, each with its template and its channel (or the organization's default).

    Primary keys, touchpoint (org_id, flow_id, position), channel (org_id, id).
    """
    org_id = bindparam("p_org_id", type_=Uuid())
    job, touchpoint, template, channel = (
        cast("Table", table.__table__) for table in (Job, Touchpoint, Template, Channel)
    )
    default = channel.alias("default_channel")
    usual = (
        select(default.c.id)
        .where(default.c.org_id == org_id)
        .order_by(default.c.is_default.desc(), default.c.created_at, default.c.id)
        .limit(1)
        .scalar_subquery()
    )
    channel_id = func.coalesce(touchpoint.c.channel_id, usual)
    campaign = cast("Table", Campaign.__table__)
    tracking = select(campaign.c.tracking).where(campaign.c.id == job.c.campaign_id)
    names = ("type", "status", "condition", "settings", "content", "variants")
    return (
        select(
            touchpoint.c.id.label("touchpoint_id"),
            touchpoint.c.updated_at.label("touchpoint_updated_at"),
            *(touchpoint.c[name] for name in names),
            template.c.id.label("template_id"),
            template.c.updated_at.label("template_updated_at"),
            channel.c.id.label("channel_id"),
            channel.c.updated_at.label("channel_updated_at"),
            channel.c.kind,
            channel.c.doubt_policy,
            channel.c.max_attempts,
            channel.c.retry_base_seconds,
            channel.c.retry_span_seconds,
            channel.c.blocked_until,
            channel.c.blocked_reason,
            channel.c.consecutive_failures,
            channel.c.tracking.label("channel_tracking"),
            tracking.scalar_subquery().label("campaign_tracking"),
            job.c.campaign_id,
        )
        .select_from(
            job.join(touchpoint, touchpoint.c.flow_id == job.c.flow_id)
            .outerjoin(template, (template.c.id == touchpoint.c.template_id) & (template.c.org_id == org_id))
            .outerjoin(channel, (channel.c.id == channel_id) & (channel.c.org_id == org_id))
        )
        .where(job.c.id == bindparam("p_job_id", type_=Uuid()), touchpoint.c.org_id == org_id)
        .order_by(touchpoint.c.position, touchpoint.c.id)
    )


_FLOW = _touchpoints()


def wait_ends(settings: dict[str, Any], now: datetime) -> datetime:
    """When a wait that begins `now` is over: `{"until": instant}`, or the sum of `{"days": n, "hours": n, …}`."""
    until = settings.get("until")
    if until is not None:
        return read_instant(until)
    length = timedelta(**{unit: settings[unit] for unit in UNITS if unit in settings})
    return _rounded_up(now + length, timedelta(minutes=1) if length >= _LONG else timedelta(seconds=1))


def _rounded_up(instant: datetime, to: timedelta) -> datetime:
    over = (instant - datetime.min.replace(tzinfo=UTC)) % to
    return instant + (to - over) if over else instant
