"""One campaign: how far it is and why it waits, what went wrong, what came of it, its steps, variants and runs."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

from fastapi import APIRouter
from starlette.responses import Response

from engine.api.console.live import LiveViews
from engine.api.console.paths import ROOT
from engine.api.console.view import ConsoleRoute, View, Viewing
from engine.campaigns.campaigns import get_campaign
from engine.campaigns.experiments import find_experiment
from engine.campaigns.flows import touchpoints_of
from engine.campaigns.moves import possible_moves
from engine.insight.campaign_summary import campaign_names
from engine.insight.executions import list_executions
from engine.insight.pace import recent_pace
from engine.insight.running import Running, running
from engine.insight.statistics import Counts, Statistics, amount, statistics, touchpoint_counts

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping
    from datetime import datetime

    from sqlalchemy.orm import Session

    from state.tables import Campaign

__all__ = ["router"]

router = APIRouter(route_class=ConsoleRoute, include_in_schema=False)

#: Seconds between two looks, while it runs and while it does not.
_OFTEN, _SELDOM = 0.7, 4.0
#: Seconds that figures about what came back may be old.
_FIGURES_LAST = 4.0
_PARTS = ("status", "progress", "waiting", "errors", "results", "pace", "actions")
_RUNS = 20


@dataclass(frozen=True, slots=True)
class Seen:
    """A campaign at one moment."""

    campaign: Campaign
    running: Running
    statistics: Statistics
    steps: Mapping[UUID, Counts]
    """Touchpoint → what came of it."""
    pace: list[tuple[datetime, float]]
    figures_at: float
    """When `statistics` and `steps` were read, by the monotonic clock."""

    @property
    def revenue(self) -> list[tuple[str, float]]:
        """Currency (empty: not named) and amount."""
        found = self.statistics.overview.revenue
        return [(currency, amount(currency, smallest)) for currency, smallest in sorted(found.items())]

    @property
    def pace_points(self) -> list[list[float]]:
        """The pace as a chart takes it: seconds since 1970, outcomes a second."""
        return [[at.timestamp() for at, _ in self.pace], [round(rate, 1) for _, rate in self.pace]]

    @property
    def day_points(self) -> list[list[float]]:
        """Sent and failed by day, as a chart takes them."""
        parts = self.statistics.timeline
        return [
            [part.key.timestamp() for part in parts],
            [part.counts.sent for part in parts],
            [max(0, part.counts.failed) for part in parts],
        ]


@router.get(f"{ROOT}/campaigns/{{campaign_id}}")
def show(view: Viewing, campaign_id: UUID) -> Response:
    """The page."""
    org_id = view.call.org_id
    with view.call.read() as session:
        seen = _look(session, org_id, campaign_id, None)
        flow_id = seen.campaign.flow_id
        return view.page(
            "campaign.html",
            names=campaign_names(session, seen.campaign),
            touchpoints=[] if flow_id is None else touchpoints_of(session, org_id, [flow_id])[flow_id],
            experiment=find_experiment(session, org_id, campaign_id),
            runs=list_executions(session, org_id, campaign_id)[:_RUNS],
            **_values(seen),
        )


@router.get(f"{ROOT}/campaigns/{{campaign_id}}/live")
async def live(view: Viewing, campaign_id: UUID) -> Response:
    """What changes on it."""
    views: LiveViews = view.request.app.state.live
    return views.response(view, _CampaignPage(view.call.org_id, campaign_id))


def _look(session: Session, org_id: UUID, campaign_id: UUID, before: Seen | None) -> Seen:
    campaign = get_campaign(session, org_id, campaign_id)
    now = running(session, org_id, campaign_id)
    recent = recent_pace(session, org_id, campaign_id)
    at = time.monotonic()
    if before is not None and at - before.figures_at < _FIGURES_LAST and not now.progress.over:
        return Seen(campaign, now, before.statistics, before.steps, recent, before.figures_at)
    found = statistics(session, org_id, campaign_id)
    steps = touchpoint_counts(session, org_id, campaign_id)
    return Seen(campaign, now, found, steps, recent, at)


def _values(seen: Seen) -> dict[str, Any]:
    """What the page's parts show."""
    return {
        "seen": seen,
        "campaign": seen.campaign,
        "run": seen.running,
        "progress": seen.running.progress,
        "moves": {move.value for move in possible_moves(seen.campaign, seen.running.progress)},
    }


@dataclass(frozen=True, slots=True)
class _CampaignPage:
    """A campaign's page, as a subject of streams."""

    org_id: UUID
    campaign_id: UUID

    @property
    def key(self) -> Hashable:
        return ("campaign", self.org_id, self.campaign_id)

    def look(self, session: Session, before: Seen | None) -> Seen:
        return _look(session, self.org_id, self.campaign_id, before)

    def pause(self, seen: Seen) -> float:
        return _SELDOM if seen.running.progress.over else _OFTEN

    def parts(self, view: View, seen: Seen) -> Mapping[str, str]:
        values = _values(seen)
        return {name: view.part(f"_campaign_{name}.html", **values) for name in _PARTS}
