"""Addresses that must not be used: unsubscribed, bounced, complained, or named by a person."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from state.sets import among
from state.tables import Suppression

if TYPE_CHECKING:
    from collections.abc import Iterable
    from uuid import UUID

    from sqlalchemy.orm import Session

__all__ = ["suppressed"]


def suppressed(session: Session, org_id: UUID, channel_kind: str, addresses: Iterable[str]) -> dict[str, str]:
    """Of `addresses` (normalised by their channel), those that are suppressed → why. One statement."""
    return dict(
        session.execute(
            select(Suppression.address, Suppression.reason).where(
                Suppression.org_id == org_id,
                Suppression.channel_kind == channel_kind,
                among(session, Suppression.address, addresses),
            )
        ).all()
    )
