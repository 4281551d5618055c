"""Enrolled targets (docs/contract/enrolled-targets.md): a recipient that somebody enrolled by name, with a stage and
an analysis.

One row is both: what one dialect changes, the others see. A recipient is a target as soon as it has a `stage`; all that
belongs to targets alone is absent before, and stands in partial indexes, so that the millions that a plan lets in cost
none of it. Counters are absent as well: absent + 1 is absent, so that delivery counts without asking who is a target.

Who writes what:

- `stage`: "new" when enrolled; "contacted" and "unreachable" by delivery's settlements, "engaged" by what the recipient
  did, "goal_met" and "goal_missed" by verify-goal (engine.engagement.stages has the rule); anything by PATCH.
- `whatsapp_sent`, `email_sent`, `last_contacted_at`, `last_email_at`: delivery's settlements.
- `calls_made`, `last_conv_id`: the code that takes in a call attempt (and `last_contacted_at` with it).
- `analysis` and the columns made of it: `engine.enrolled.analysis.analysed`, from one mapping of the contract's fields.
- `deleted_at`, `assigned_agent_id`, `contact_keys`: enrolment.

A target's own id is made of the campaign's and the entity's (engine.enrolled.identity); no column keeps it.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Index, PrimaryKeyConstraint, String
from sqlalchemy.orm import Mapped, mapped_column

from state.tables.base import Base, JsonObject, partial_index

__all__ = ["Enrolled", "TargetKey", "enrolled_indexes"]


class Enrolled:
    """What a recipient has that is an enrolled target."""

    stage: Mapped[str | None] = mapped_column(String(64))
    """Absent: not a target."""
    deleted_at: Mapped[datetime | None]
    """Soft-deleted then: not listed, not delivered to, comes back when restored."""
    assigned_agent_id: Mapped[UUID | None]
    calls_made: Mapped[int | None]
    whatsapp_sent: Mapped[int | None]
    email_sent: Mapped[int | None]
    last_contacted_at: Mapped[datetime | None]
    last_email_at: Mapped[datetime | None]
    last_conv_id: Mapped[str | None] = mapped_column(String(255))
    """The provider's id of the latest conversation."""
    contact_keys: Mapped[list[Any] | None]
    """`[[kind, value], …]`: the keys that it holds in `target_key` while it is live."""
    ai_label: Mapped[str | None] = mapped_column(String(16))
    """positive, negative, neutral or unknown; absent: not analysed. Set with every analysis."""
    ai_score: Mapped[float | None]
    follow_up_required: Mapped[bool | None]
    callback_requested: Mapped[bool | None]
    escalation_required: Mapped[bool | None]
    campaign_goal_result: Mapped[str | None] = mapped_column(String(32))
    """success, failure or unknown."""
    campaign_goal_score: Mapped[float | None]
    campaign_sentiment: Mapped[str | None] = mapped_column(String(32))
    customer_sentiment: Mapped[str | None] = mapped_column(String(32))
    analysis_source: Mapped[str | None] = mapped_column(String(64))
    analysis: Mapped[JsonObject | None]
    """Every analysis field by its name in the contract, those with a column of their own as well."""
    analysis_updated_at: Mapped[datetime | None]
    """When the latest call, or the goal, was analysed."""
    campaign_analysis_updated_at: Mapped[datetime | None]
    """When the goal was verified."""


_LIVE = "stage IS NOT NULL AND deleted_at IS NULL"


def enrolled_indexes() -> tuple[Index, ...]:
    """Indexes on `recipient` that hold targets and nobody else."""
    shapes: dict[str, tuple[str, tuple[str, ...]]] = {
        # Listings in their usual order.
        "ix_recipient_enrolled": (_LIVE, ("created_at", "entity_id")),
        # Those of one stage, and how many each has.
        "ix_recipient_stage": (_LIVE, ("stage", "created_at", "entity_id")),
        # What the quick filters count and find, without the rows.
        "ix_recipient_analysed": (
            "ai_label IS NOT NULL AND deleted_at IS NULL",
            (
                "ai_label",
                "follow_up_required",
                "callback_requested",
                "escalation_required",
                "campaign_goal_result",
                "campaign_sentiment",
                "customer_sentiment",
                "entity_id",
            ),
        ),
        "ix_recipient_deleted": ("deleted_at IS NOT NULL", ("created_at", "entity_id")),
    }
    return tuple(
        partial_index(name, "campaign_id", *columns, where=where) for name, (where, columns) in shapes.items()
    )


class TargetKey(Base):
    """An e-mail address or a phone number that live targets of a campaign have: what makes create-customer safe against
    another one at the same moment.

    No foreign keys, as recipients have none: a bulk enrolment writes a hundred thousand of these.
    """

    __tablename__ = "target_key"
    __table_args__ = (PrimaryKeyConstraint("campaign_id", "kind", "value"),)

    campaign_id: Mapped[UUID]
    kind: Mapped[str] = mapped_column(String(8))
    """email or phone."""
    value: Mapped[str] = mapped_column(String(320))
    """As channels compare it (engine.kernel.addresses): e-mail in lower case, phone in E.164."""
    org_id: Mapped[UUID]
    holders: Mapped[int]
    """How many live targets have it. A bulk enrolment names customers, and two may share an address."""
