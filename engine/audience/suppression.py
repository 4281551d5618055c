"""Addresses that must not be used: unsubscribed, bounced, complained, or named by a person."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID, uuid4

from engine.delivery.statements import execute, statements
from engine.events.outbox import record
from engine.insight.email import MAIL_KINDS
from engine.insight.feedback import Feedback, take_feedback
from state.change import clock_of
from state.sets import insert_into
from state.tables import Suppression

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy.orm import Session

    from engine.content.links import Invitation

__all__ = ["suppressed", "unsubscribe"]


def suppressed(session: Session, org_id: UUID, channel_kind: str, addresses: Iterable[str]) -> dict[str, str]:
    """Of `addresses` (normalised by their channel), those that are suppressed → why. One statement."""
    found = execute(
        session, statements(session).suppressed, p_org_id=org_id, p_kind=channel_kind, p_ids=list(addresses)
    )
    return {address: reason for address, reason in found}  # noqa: C416 - rows become pairs


def unsubscribe(session: Session, invitation: Invitation) -> bool:
    """Suppress the address that a signed link was sent to; False when it was already.

    The recipient whose message held the link has it in its story either way, once.
    """
    told = Feedback(
        entity_id=invitation.entity_id,
        kind="unsubscribed",
        at=clock_of(session).now(),
        event_id=f"unsubscribe:{invitation.campaign_id}:{invitation.entity_id}",
    )
    if invitation.channel_kind in MAIL_KINDS:
        take_feedback(session, invitation.org_id, invitation.campaign_id, [told])
    added = session.execute(
        insert_into(session, Suppression)
        .values(
            id=uuid4(),
            org_id=invitation.org_id,
            channel_kind=invitation.channel_kind,
            address=invitation.address,
            reason="unsubscribe",
            created_at=clock_of(session).now(),
        )
        .on_conflict_do_nothing()
        .returning(Suppression.id)
    ).first()
    if added is None:
        return False
    record(
        session,
        invitation.org_id,
        "recipient.unsubscribed",
        campaign_id=invitation.campaign_id,
        entity_id=str(invitation.entity_id),
        channel_kind=invitation.channel_kind,
    )
    return True
