"""The calendar: what ran and what is scheduled, by day of the organization's time zone, a month at a time."""

from __future__ import annotations

import calendar as months
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from fastapi import APIRouter
from starlette.responses import Response

from engine.api.console.paths import ROOT
from engine.api.console.view import ConsoleRoute, Viewing
from engine.insight.agenda import agenda

if TYPE_CHECKING:
    from engine.insight.agenda import AgendaItem

__all__ = ["router"]

router = APIRouter(route_class=ConsoleRoute, include_in_schema=False)

_DECEMBER = 12


@router.get(f"{ROOT}/calendar")
def show(view: Viewing, month: str = "") -> Response:
    """A month."""
    zone = ZoneInfo(view.signed_in.time_zone or "UTC")
    today = view.now.astimezone(zone).date()
    first = _first_of(month, today)
    weeks = months.Calendar().monthdatescalendar(first.year, first.month)
    since, until = (
        datetime.combine(day, time(), zone).astimezone(UTC)
        for day in (weeks[0][0], weeks[-1][-1] + timedelta(days=1))
    )
    days: dict[date, list[AgendaItem]] = {}
    with view.call.read() as session:
        for item in agenda(session, view.call.org_id, since, until):
            days.setdefault(item.at.astimezone(zone).date(), []).append(item)
    return view.page(
        "calendar.html",
        weeks=weeks,
        days=days,
        first=first,
        today=today,
        zone=zone.key,
        earlier=f"{first - timedelta(days=1):%Y-%m}",
        later=f"{first + timedelta(days=32):%Y-%m}",
    )


def _first_of(month: str, today: date) -> date:
    """The first day of a month like `2026-03`; of this one, where it is none."""
    year, _, number = month.partition("-")
    if year.isdigit() and number.isdigit() and 1970 <= int(year) <= 9998 and 1 <= int(number) <= _DECEMBER:  # noqa: PLR2004 - what dates can be
        return date(int(year), int(number), 1)
    return today.replace(day=1)
