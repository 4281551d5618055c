"""Which messages a recipient has had: for whatever came back later and does not say which one it is about.

The current one stands on the recipient's row (`sent_at`), earlier ones in its executions. Two statements whatever the
number of recipients, each by key.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from uuid import UUID

from sqlalchemy import Uuid, func, or_, select

from state.sets import rows
from state.tables import Campaign, Execution, Recipient, Touchpoint
from state.transitions import AutomationStatus

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from sqlalchemy.orm import Session
    from sqlalchemy.sql.selectable import Subquery

__all__ = ["Pair", "SentMessage", "Standing", "pairs", "standings"]

#: Campaign id and entity id: a recipient's key.
Pair = tuple[UUID, UUID]


@dataclass(frozen=True, slots=True)
class SentMessage:
    """A message that the provider took."""

    sent_at: datetime
    touchpoint_id: UUID | None
    """Absent: the flow is gone."""
    variant: str | None
    channel_id: UUID | None
    """Of the touchpoint; absent: the organization's default channel."""


@dataclass(slots=True)
class Standing:
    """What is known of a recipient."""

    enrolled_at: datetime
    target_id: UUID | None
    variant: str | None
    messages: list[SentMessage] = field(default_factory=list)
    """Oldest first."""

    def begins(self, touchpoint_id: UUID | None) -> datetime:
        """Since when something may have come of a message: of one touchpoint, if it is named. Before it is known to be
        sent (a report may overtake the settlement of what it reports on), since they were enrolled.
        """
        of = (sent.sent_at for sent in self.messages if touchpoint_id in (None, sent.touchpoint_id))
        return next(of, self.enrolled_at)

    def before(self, at: datetime) -> SentMessage | None:
        """The latest message that had been sent by then."""
        return next((one for one in reversed(self.messages) if one.sent_at <= at), None)


def pairs(session: Session, wanted: Iterable[Pair]) -> Subquery:
    """Recipients' keys as a table of `campaign_id` and `entity_id`, each once, in order."""
    return rows(
        session, {"campaign_id": Uuid, "entity_id": Uuid}, sorted(set(wanted)), name="wanted_recipients"
    )


def standings(session: Session, org_id: UUID, wanted: Iterable[Pair]) -> dict[Pair, Standing]:
    """What is known of these recipients; who is none is absent."""
    keys = sorted(set(wanted))
    if not keys:
        return {}
    given = pairs(session, keys)
    # The message of a flow of one stands nowhere on the recipient.
    only = (
        select(Touchpoint.id)
        .where(Touchpoint.flow_id == Campaign.flow_id, Touchpoint.type == "message")
        .order_by(Touchpoint.position)
        .limit(1)
        .correlate(Campaign)
        .scalar_subquery()
    )
    touchpoint_id = func.coalesce(Recipient.touchpoint_id, only)
    known: dict[Pair, Standing] = {}
    current: dict[Pair, SentMessage] = {}
    for row in session.execute(
        select(
            Recipient.campaign_id,
            Recipient.entity_id,
            Recipient.created_at,
            Recipient.target_id,
            Recipient.variant,
            Recipient.sent_at,
            Touchpoint.id.label("touchpoint_id"),
            Touchpoint.channel_id,
            Touchpoint.variants.is_not(None).label("has_variants"),
        )
        .select_from(given)
        .join(
            Recipient,
            (Recipient.campaign_id == given.c.campaign_id) & (Recipient.entity_id == given.c.entity_id),
        )
        .join(Campaign, Campaign.id == Recipient.campaign_id)
        .outerjoin(Touchpoint, Touchpoint.id == touchpoint_id)
        .where(Recipient.org_id == org_id)
    ):
        pair = (row.campaign_id, row.entity_id)
        known[pair] = Standing(row.created_at, row.target_id, row.variant)
        if row.sent_at is not None:
            current[pair] = SentMessage(
                row.sent_at, row.touchpoint_id, row.variant if row.has_variants else None, row.channel_id
            )
    for past in session.execute(
        select(
            Execution.campaign_id,
            Execution.entity_id,
            Execution.ended_at,
            Execution.touchpoint_id,
            Execution.variant,
            Touchpoint.channel_id,
        )
        .select_from(given)
        .join(
            Execution,
            (Execution.campaign_id == given.c.campaign_id) & (Execution.entity_id == given.c.entity_id),
        )
        .outerjoin(Touchpoint, Touchpoint.id == Execution.touchpoint_id)
        .where(
            Execution.org_id == org_id,
            Execution.status == AutomationStatus.SUCCESS,
            or_(Touchpoint.type.is_(None), Touchpoint.type == "message"),
        )
        .order_by(Execution.ended_at, Execution.id)
    ):
        standing = known.get((past.campaign_id, past.entity_id))
        if standing is not None:
            standing.messages.append(
                SentMessage(past.ended_at, past.touchpoint_id, past.variant, past.channel_id)
            )
    for pair, message in current.items():
        earlier = known[pair].messages
        # Between two touchpoints the latest message is in the history already.
        if not earlier or earlier[-1].sent_at < message.sent_at:
            earlier.append(message)
    return known
