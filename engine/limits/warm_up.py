"""Warm-up: what a channel may send today, counted at claim for all workers.

What is beyond it waits for tomorrow, or goes over the channel's fallback.
"""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import delete, select, update

from state.change import clock_of
from state.sets import insert_into
from state.tables import Channel, ChannelDay

if TYPE_CHECKING:
    from uuid import UUID

    from sqlalchemy.orm import Session

    from engine.limits.config import WarmUp

__all__ = ["BLOCKED_FOR", "forget", "is_warm_up", "reserve", "tomorrow"]

#: What `blocked_for` of a channel says, and its reason begins with, that has sent what it may today.
BLOCKED_FOR = "warm_up"
_BEGINS = "warm-up:"
#: How long what a channel sent on a day is kept: nothing asks for it once the day is over, wherever it is.
_KEPT = timedelta(days=7)


def is_warm_up(blocked_reason: str | None) -> bool:
    """Whether a channel waits for tomorrow's ceiling."""
    return (blocked_reason or "").startswith(_BEGINS)


def tomorrow(now: datetime) -> datetime:
    """When the next day (of UTC) begins."""
    return datetime.combine(now.astimezone(UTC).date() + timedelta(days=1), time(), UTC)


def reserve(
    session: Session, org_id: UUID, channel_id: UUID, warm_up: WarmUp, wanted: int, now: datetime
) -> int:
    """Take a part of today's messages; returns how many there are of those wanted. A channel that has none left is
    blocked until tomorrow. Locks the day's row, then perhaps the channel's.
    """
    day = now.astimezone(UTC).date()
    ceiling = warm_up.ceiling(day)
    session.execute(
        insert_into(session, ChannelDay)
        .values(channel_id=channel_id, day=day, messages=0)
        .on_conflict_do_nothing()
    )
    mine = (ChannelDay.channel_id == channel_id, ChannelDay.day == day)
    known = session.execute(select(ChannelDay.messages).where(*mine).with_for_update()).scalar_one()
    given: int = min(wanted, max(ceiling - known, 0))
    if given:
        session.execute(
            update(ChannelDay)
            .where(*mine)
            .values(messages=known + given)
            .execution_options(synchronize_session=False)
        )
    if given < wanted:
        session.execute(
            update(Channel)
            .where(Channel.id == channel_id, Channel.org_id == org_id)
            .values(
                blocked_until=tomorrow(now),
                blocked_for=BLOCKED_FOR,
                blocked_reason=f"{_BEGINS} {ceiling:,} messages today, more tomorrow",
            )
            .execution_options(synchronize_session=False)
        )
    return given


def forget(session: Session) -> None:
    """Remove what channels sent on days that are over. As many rows as channels are warmed up, for a week."""
    before = clock_of(session).now().astimezone(UTC).date() - _KEPT
    session.execute(
        delete(ChannelDay).where(ChannelDay.day < before).execution_options(synchronize_session=False)
    )
