"""The channel of touchpoints that name none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from state.tables import Channel

if TYPE_CHECKING:
    from uuid import UUID

    from sqlalchemy.orm import Session

__all__ = ["default_channel"]


def default_channel(session: Session, org_id: UUID) -> Channel | None:
    """The organization's default channel, else its oldest; None: it has none."""
    return session.execute(
        select(Channel)
        .where(Channel.org_id == org_id)
        .order_by(Channel.is_default.desc(), Channel.created_at, Channel.id)
        .limit(1)
    ).scalar_one_or_none()
