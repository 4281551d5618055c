"""The list of campaigns: searched, filtered by status, a page at a time, with their figures."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query
from starlette.responses import Response

from engine.api.console.paths import ROOT
from engine.api.console.view import ConsoleRoute, Viewing
from engine.campaigns.finding import find_campaigns
from engine.insight.figures import figures_of
from engine.insight.scheduled_starts import next_due
from state.transitions import CampaignStatus

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["router"]

router = APIRouter(route_class=ConsoleRoute, include_in_schema=False)

_SIZE = 30
_LONGEST_SEARCH = 200
#: Tab → the states in it; starting and running are one.
_TABS: Mapping[str, Sequence[CampaignStatus]] = {
    "": (),
    "draft": (CampaignStatus.DRAFT,),
    "active": (CampaignStatus.ACTIVATING, CampaignStatus.ACTIVE),
    "paused": (CampaignStatus.PAUSED,),
    "completed": (CampaignStatus.COMPLETED,),
    "cancelled": (CampaignStatus.CANCELLED,),
}


@router.get(f"{ROOT}/campaigns")
def show(
    view: Viewing,
    q: str = "",
    status: str = "",
    sort: str = "-created_at",
    page: Annotated[int, Query(ge=1, le=1_000_000)] = 1,
) -> Response:
    """The page."""
    status = status if status in _TABS else ""
    q = q.strip()[:_LONGEST_SEARCH]
    asked = {"q": q, "status": status, "sort": "" if sort == "-created_at" else sort}

    def address(number: int) -> str:
        return _address(asked, page="" if number == 1 else str(number))

    with view.call.read() as session:
        found = find_campaigns(
            session,
            view.call.org_id,
            page=page,
            limit=_SIZE,
            statuses=_TABS[status],
            search=q or None,
            sort=sort.removeprefix("-"),
            descending=sort.startswith("-"),
        )
        ids = [row.id for row in found.rows]
        return view.page(
            "campaigns.html",
            rows=found.rows,
            total=found.total,
            figures=figures_of(session, view.call.org_id, ids),
            scheduled=next_due(session, view.call.org_id, ids),
            tabs=[(name, _address(asked, status=name)) for name in _TABS],
            asked=asked,
            page=page,
            count=math.ceil(found.total / _SIZE),
            size=_SIZE,
            address=address,
            sort=sort,
            sorted_by=lambda name: _address(asked, sort=f"-{name}" if sort != f"-{name}" else name),
        )


def _address(asked: Mapping[str, str], **changes: str) -> str:
    query = urlencode({name: value for name, value in {**asked, **changes}.items() if value})
    return f"{ROOT}/campaigns" + (f"?{query}" if query else "")
