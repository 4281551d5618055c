"""What a delivery run is made of: a job, its slices, and one durable row per recipient.

Counters: a recipient is counted by exactly one job, the one in its `job_id`, and by one slice of it, the one in its
`slice_number`. A slice's `success`, `failed`, `cancelled` and `in_progress` say how many of its recipients are so: they
change in the transaction that moves the recipients, so that a list by status reads slices that hold some, and no
others (engine.delivery.by_status). What the job's counters know of a slice stands beside them (`…_folded`): the rest is
folded into the job when the lease ends, so that workers of one job never queue for the job's row. Other code that moves
a recipient without a lease changes all three (engine.delivery.counters). Sums are always true; a part alone may be
negative for as long as a lease (a failure that was counted by its slice and retriggered away from its job). Pending is
what is left of `size`, or of the job's `total`.

Whom a lease has on the wire is said by its slice alone, in `claimed`, which is committed before a message leaves: a
recipient's own row is written once, with its outcome. In flight is who is claimed and has none (`Recipient.in_flight`),
and answers call that in_progress (`Recipient.status`). Stored is in_progress only of recipients between two
touchpoints. So a lease that died leaves in doubt exactly those of its slice's `claimed` that have no outcome.

No index of `recipient` holds `automation_status`, or anything else that a usual delivery changes: on PostgreSQL
an outcome writes a row on its own page and no index (heap-only tuples), for which a part of each page is left free.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Index, String, Text, and_, case, exists, select, text
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.orm import Mapped, column_property, mapped_column

from state.execution_ids import execution_id_of
from state.tables.base import Base, Identified, JsonObject, Owned, Timestamped, partial_index
from state.tables.enrolment import Enrolled, enrolled_indexes
from state.transitions import AutomationStatus
from state.types import Derived, Keys, is_among

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement

__all__ = ["HOLDS", "Attempt", "DeliveryHour", "Execution", "Job", "JobPace", "Recipient", "Slice"]

#: Percent of a page of `recipient` that is written at first; the rest is for the versions that delivery makes of a row.
FILL_FACTOR = 50
#: Automation status → the condition on a slice that some of its recipients have it, to the letter of the index.
HOLDS = {
    "pending": "size > success + failed + cancelled + in_progress",
    "in_progress": "in_progress > 0",
    "success": "success > 0",
    "failed": "failed > 0",
    "cancelled": "cancelled > 0",
}


class Job(Identified, Owned, Timestamped, Base):
    """One delivery run of a campaign."""

    __tablename__ = "job"
    __table_args__ = (
        Index(None, "org_id", "campaign_id", "created_at"),
        # The sweeper looks at what is not over, and nothing else.
        partial_index("ix_job_open", "status", where="status IN ('queued', 'processing', 'send_report')"),
        # Nor at what was stopped and wound up.
        partial_index("ix_job_stopped", "touched_at", where="status IN ('cancelled', 'failed')"),
    )

    campaign_id: Mapped[UUID] = mapped_column(ForeignKey("campaign.id", ondelete="CASCADE"))
    kind: Mapped[str] = mapped_column(String(16))
    """activation or retrigger."""
    status: Mapped[str] = mapped_column(String(16), default="queued")
    held: Mapped[bool] = mapped_column(default=False)
    """Paused: nothing is claimed, nothing is lost."""
    waits_until: Mapped[datetime | None]
    """Its channel is throttled or down: no claims before then."""
    waits_reason: Mapped[str | None] = mapped_column(Text)
    waits_for: Mapped[str | None] = mapped_column(String(16))
    """limit, throttled, breaker or unavailable."""
    token: Mapped[str | None] = mapped_column(String(64))
    """The task token; a job without one can be neither approved nor cancelled (JOB_TOKEN_MISSING)."""
    window: Mapped[int]
    """Slices in flight at once at most."""
    pace: Mapped[int | None]
    """A smaller window, as many slices as its limits keep busy; absent: it has none."""
    priority: Mapped[str] = mapped_column(String(8), default="normal", server_default="normal")
    """low, normal or high: its share of the workers, which is what `window` was made of."""
    reach: Mapped[float] = mapped_column(default=100.0, server_default="100")
    """Percent of the audience that is planned: those whose place in it lies below (state.sampling)."""
    flow_id: Mapped[UUID | None]
    target_ids: Mapped[list[Any]] = mapped_column(default=list)
    """The audience as it was named when the job was made."""
    planned: Mapped[bool] = mapped_column(default=False)
    checkpoint: Mapped[JsonObject | None]
    """Where the plan stands: `{"target": index, "after": entity id}`; `known`: some of the audience were recipients."""
    total: Mapped[int] = mapped_column(default=0)
    success: Mapped[int] = mapped_column(default=0)
    failed: Mapped[int] = mapped_column(default=0)
    cancelled: Mapped[int] = mapped_column(default=0)
    unreached: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    """Of the cancelled, those whom stopping the job left (JOB_CANCELLED); the others were excluded."""
    in_progress: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    """Recipients in progress as of the last fold of each slice: those between two touchpoints."""
    slices_total: Mapped[int] = mapped_column(default=0)
    slices_done: Mapped[int] = mapped_column(default=0)
    touched_at: Mapped[datetime | None]
    """When an actor last worked on the job's plan, report or cancellation; the sweeper wakes what went silent. Absent:
    it was stopped, and nothing of it is left."""
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    report: Mapped[JsonObject | None]
    error: Mapped[str | None] = mapped_column(Text)


class JobPace(Base):
    """How many recipients of a running job had an outcome at an instant; the sweeper notes it (engine.insight.pace)."""

    __tablename__ = "job_pace"

    job_id: Mapped[UUID] = mapped_column(ForeignKey("job.id", ondelete="CASCADE"), primary_key=True)
    at: Mapped[datetime] = mapped_column(primary_key=True)
    processed: Mapped[int]


class Slice(Owned, Base):
    """1..500 recipients of one job: the unit of claiming, and of waiting."""

    __tablename__ = "slice"
    __table_args__ = (
        # What may be woken next, in order: never walks past slices that are done.
        partial_index("ix_slice_ready", "job_id", "due_at", "number", where="state = 'ready'"),
        # What is in flight (woken or leased): as many rows as the windows of the running jobs hold.
        partial_index(
            "ix_slice_in_flight", "job_id", "woken_at", where="state <> 'done' AND woken_at IS NOT NULL"
        ),
        partial_index("ix_slice_lease", "lease_expires_at", where="state = 'leased'"),
        # Where a campaign's recipients of a status are.
        *(
            partial_index(f"ix_slice_{status}", "campaign_id", "job_id", "number", where=holds)
            for status, holds in HOLDS.items()
        ),
    )

    job_id: Mapped[UUID] = mapped_column(ForeignKey("job.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    campaign_id: Mapped[UUID]
    """Its job's."""
    state: Mapped[str] = mapped_column(String(8), default="ready")
    size: Mapped[int]
    """Its recipients; one that was planned into it and has left it since is none."""
    due_at: Mapped[datetime]
    """Not before then."""
    waits_for: Mapped[str | None] = mapped_column(String(16))
    """What keeps it until `due_at`: limit, throttled or quiet_hours; absent: back-off, or nothing."""
    woken_at: Mapped[datetime | None]
    """When a wake-up for it was last put on its way, kept while it is leased; absent: outside the window."""
    lease_epoch: Mapped[int] = mapped_column(default=0)
    lease_expires_at: Mapped[datetime | None]
    lease_owner: Mapped[str | None] = mapped_column(String(128))
    claimed: Mapped[list[UUID] | None] = mapped_column(Keys)
    """Entities of the recipients that the lease has on the wire, as of its latest transaction. Those that have an
    outcome by somebody else meanwhile, or are no recipients any more, are in it and not in flight."""
    claimed_step: Mapped[int | None]
    """How many touchpoints of the flow lie before the one that they are claimed for (`touchpoint_id`, `variant`);
    absent: it is the only one of its flow."""
    in_progress: Mapped[int] = mapped_column(default=0)
    """Its recipients that are in progress: on the wire, or between two touchpoints."""
    in_progress_folded: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    """How many of them `job.in_progress` counts."""
    success: Mapped[int] = mapped_column(default=0)
    success_folded: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    """How many of them `job.success` counts; so the next two."""
    failed: Mapped[int] = mapped_column(default=0)
    failed_folded: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    cancelled: Mapped[int] = mapped_column(default=0)
    cancelled_folded: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    sent: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    """Messages that the provider took since the last fold."""
    target_id: Mapped[UUID | None]
    """The target that let all its recipients in."""
    touchpoint_id: Mapped[UUID | None]
    """What `sent`, and what is not folded of `failed` and `cancelled`, was counted at: this touchpoint, `variant`,
    within `hour`. A lease folds before it goes on to another."""
    variant: Mapped[str | None] = mapped_column(String(64))
    hour: Mapped[datetime | None]


class Recipient(Timestamped, Enrolled, Base):
    """One entity in one campaign, and what happened to it there; an enrolled target too, where it has a stage.

    No foreign keys: the planner writes these rows from a campaign it holds, a million at a time, and a check a row
    would cost as much as the row. Deleting a campaign deletes them by name.
    """

    __tablename__ = "recipient"
    __table_args__ = (
        Index(None, "job_id", "slice_number", "entity_id"),
        # Listings by what few recipients have; recipients with none of it cost these nothing.
        partial_index(
            "ix_recipient_portal_status",
            "campaign_id",
            "portal_status",
            "entity_id",
            where="portal_status IS NOT NULL",
        ),
        # The same for e-mail.
        partial_index(
            "ix_recipient_email_status",
            "campaign_id",
            "email_status",
            "entity_id",
            "email_bounce_type",
            where="email_status IS NOT NULL",
        ),
        # What went wrong, by code: recipients without an error cost this nothing.
        partial_index("ix_recipient_failed", "campaign_id", "error_code", where="error_code IS NOT NULL"),
        # Those that no job counts: they are counted here.
        partial_index("ix_recipient_unplanned", "campaign_id", "unsliced_status", where="job_id IS NULL"),
        # Those that no slice counts, by status.
        partial_index(
            "ix_recipient_unsliced",
            "campaign_id",
            "unsliced_status",
            "entity_id",
            where="unsliced_status IS NOT NULL",
        ),
        *enrolled_indexes(),
        {"postgresql_with": {"fillfactor": FILL_FACTOR}},
    )

    campaign_id: Mapped[UUID] = mapped_column(primary_key=True)
    entity_id: Mapped[UUID] = mapped_column(primary_key=True)
    org_id: Mapped[UUID]
    entity_schema: Mapped[str] = mapped_column(String(64))
    title: Mapped[str] = mapped_column(Text, default="")
    job_id: Mapped[UUID | None]
    slice_number: Mapped[int | None]
    automation_status: Mapped[str | None] = mapped_column(String(12))
    unsliced_status: Mapped[str | None] = mapped_column(
        String(12), Derived("CASE WHEN slice_number IS NULL THEN automation_status END")
    )
    """The same of recipients in no slice: reported by others, or held out."""
    execution_id: Mapped[UUID | None]
    """Of the current execution: what it is at its first claim (state.execution_ids), written with the first outcome and
    kept over its attempts, so that a provider or a mailbox can recognise a repeat."""
    attempt: Mapped[int] = mapped_column(default=0)
    """Those that ended: with an outcome, or with their worker, so that a recipient that kills its worker ends failed,
    not in a loop."""
    due_at: Mapped[datetime | None]
    error_code: Mapped[str | None] = mapped_column(String(64))
    error_text: Mapped[str | None] = mapped_column(Text)
    step: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    """How many touchpoints of the flow lay before the one it is at; where it goes on if that one is removed. Between
    two of them it is in_progress, and due at `due_at`."""
    touchpoint_id: Mapped[UUID | None]
    """Of a flow of several: the touchpoint it is at, or waits for. Absent: it has not begun."""
    sent_at: Mapped[datetime | None]
    """When the provider took the latest message."""
    variant: Mapped[str | None] = mapped_column(String(64))
    """Which variant it was given at its first message that has any; absent: none yet."""
    target_id: Mapped[UUID | None]
    """The target that let it in, which is the segment that statistics count it under."""
    portal_status: Mapped[str | None] = mapped_column(String(12))
    portal_status_updated_at: Mapped[datetime | None]
    portal_state: Mapped[JsonObject | None]
    execution_alias: Mapped[str | None] = mapped_column(Text)
    """What the reporter of an execution calls it (`automation_execution_id` of the Targeting API is any text)."""
    execution_alias_of: Mapped[UUID | None]
    """The `execution_id` that the alias is for: a later execution has none, without anybody taking it away."""
    entity_ui_status: Mapped[str | None] = mapped_column(String(12))
    entity_ui_status_updated_at: Mapped[datetime | None]
    entity_ui_status_before_dismiss: Mapped[str | None] = mapped_column(String(12))
    """Where a restored dismissal goes back to; means nothing while the status is another."""
    email_status: Mapped[str | None] = mapped_column(String(12))
    """What came back about the e-mail: delivered, bounced or complained. Absent: nothing yet, and
    `automation_status` says whether it was sent (engine.insight.email)."""
    email_status_updated_at: Mapped[datetime | None]
    email_bounce_type: Mapped[str | None] = mapped_column(String(12))
    email_feedback: Mapped[JsonObject | None]
    """The details of it, opens and clicks among them (engine.engagement.feedback)."""

    if TYPE_CHECKING:
        in_flight: Mapped[bool]
        current_execution_id: Mapped[UUID | None]

    @hybrid_property
    def status(self) -> str | None:
        """What answers say: the automation status, or in_progress of recipients in flight."""
        return AutomationStatus.IN_PROGRESS if self.in_flight else self.automation_status

    @status.inplace.expression
    @classmethod
    def _status(cls) -> ColumnElement[str | None]:
        return case((cls.in_flight, AutomationStatus.IN_PROGRESS.value), else_=cls.automation_status)


_open = Recipient.automation_status.in_((AutomationStatus.PENDING, AutomationStatus.IN_PROGRESS))
_claimed_by = (
    Slice.job_id == Recipient.job_id,
    Slice.number == Recipient.slice_number,
    is_among(Recipient.entity_id, Slice.claimed),
)
_claimed_at = case((Slice.claimed_step.is_not(None), Slice.touchpoint_id))
_begun_execution_id = (
    select(execution_id_of(Slice.job_id, Slice.number, Recipient.entity_id, _claimed_at))
    .where(*_claimed_by)
    .correlate_except(Slice)
    .scalar_subquery()
)
#: Claimed by the lease of its slice, and without an outcome. Under a lease that died this is doubt. Primary key.
Recipient.in_flight = column_property(
    and_(_open, exists().where(*_claimed_by).correlate_except(Slice)).label("in_flight")
)
#: The id of its execution, also of the first while that is in flight and stands in no row. Primary key.
Recipient.current_execution_id = column_property(
    case(
        (Recipient.execution_id.is_(None) & _open, _begun_execution_id),
        else_=Recipient.execution_id,
    ).label("current_execution_id")
)


class RecipientAddress(Base):
    """Whose an address is among the recipients of a campaign that writes to each address once. No foreign keys, as
    recipients: deleting a campaign deletes them by name.
    """

    __tablename__ = "recipient_address"

    campaign_id: Mapped[UUID] = mapped_column(primary_key=True)
    """Or a dry run, while it runs."""
    digest: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    """Of medium and address (engine.delivery.address_claims)."""
    entity_id: Mapped[UUID]


class Execution(Base):
    """An earlier execution of a recipient: kept when it was retriggered or re-activated, and for each touchpoint of a
    flow of several that it has been through.
    """

    __tablename__ = "execution"
    __table_args__ = (Index(None, "campaign_id", "entity_id", "ended_at"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    org_id: Mapped[UUID]
    campaign_id: Mapped[UUID]
    entity_id: Mapped[UUID]
    job_id: Mapped[UUID | None]
    status: Mapped[str] = mapped_column(String(12))
    """success, failed, cancelled; or skipped: the touchpoint's condition did not let it through."""
    attempt: Mapped[int]
    error_code: Mapped[str | None] = mapped_column(String(64))
    error_text: Mapped[str | None] = mapped_column(Text)
    ended_at: Mapped[datetime]
    touchpoint_id: Mapped[UUID | None]
    """Absent: the only one of its flow."""
    step: Mapped[int | None]
    """How many touchpoints lay before it then."""
    variant: Mapped[str | None] = mapped_column(String(64))
    """Of that touchpoint; absent: it has none."""


class Attempt(Base):
    """An attempt of a recipient's execution that did not succeed and was made again; the last one stands on the
    recipient, or in `Execution`. No foreign keys, as recipients: deleting a campaign deletes them by name.
    """

    __tablename__ = "attempt"

    campaign_id: Mapped[UUID] = mapped_column(primary_key=True)
    entity_id: Mapped[UUID] = mapped_column(primary_key=True)
    execution_id: Mapped[UUID] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    """1, 2, … within the execution."""
    org_id: Mapped[UUID]
    touchpoint_id: Mapped[UUID | None]
    """Absent: the only one of its flow."""
    answered_at: Mapped[datetime]
    error_code: Mapped[str | None] = mapped_column(String(64))
    error_text: Mapped[str | None] = mapped_column(Text)
    """What was answered; of several under this number, last."""
    times: Mapped[int] = mapped_column(default=1)
    """How often it was made: what costs no attempt (throttled, the provider down) is made again under its number."""


class DeliveryHour(Owned, Base):
    """What deliveries came to within one hour: written in the transaction that folds a lease into its job."""

    __tablename__ = "delivery_hour"

    campaign_id: Mapped[UUID] = mapped_column(ForeignKey("campaign.id", ondelete="CASCADE"), primary_key=True)
    hour: Mapped[datetime] = mapped_column(primary_key=True)
    """Its beginning."""
    touchpoint_id: Mapped[UUID] = mapped_column(primary_key=True)
    variant: Mapped[str] = mapped_column(String(64), primary_key=True, default="")
    """Empty: the touchpoint has none."""
    target_id: Mapped[UUID] = mapped_column(primary_key=True)
    """The segment; all zeros: enrolled by no target."""
    sent: Mapped[int] = mapped_column(default=0)
    """Messages that the provider took."""
    failed: Mapped[int] = mapped_column(default=0)
    cancelled: Mapped[int] = mapped_column(default=0)
    """Excluded or cancelled recipients."""
    cost: Mapped[float] = mapped_column(default=0.0, server_default=text("0"))
    """Of what was sent, at the channel's price by then."""
