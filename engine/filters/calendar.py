"""Whose days a filter's days are: the organization's, in its time zone (UTC while it has none)."""

from __future__ import annotations

from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from sqlalchemy import select

from engine.filters.comparisons import asks_for_days
from state.tables import Organization

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy.orm import Session

    from engine.filters.filters import Condition

__all__ = ["organization_time"]


def organization_time(
    session: Session, org_id: UUID, now: datetime, conditions: Iterable[Condition]
) -> datetime:
    """`now` in the organization's time zone, where one of the conditions asks for days; else `now` as it is.

    One statement in a transaction, and none where nobody asks.
    """
    if not any(asks_for_days(condition) for condition in conditions):
        return now
    key = ("time_zone", org_id)
    if key not in session.info:
        session.info[key] = session.scalar(select(Organization.time_zone).where(Organization.id == org_id))
    zone = session.info[key]
    return now if zone is None else now.astimezone(ZoneInfo(zone))
