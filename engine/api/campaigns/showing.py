"""Campaigns put together for the dialect's answers: rows, counters and audiences, in a few statements a page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import select

from engine.api.campaigns import views
from engine.campaigns import messages
from engine.campaigns.audiences import audience_size, segments_of
from engine.campaigns.experiments import find_experiment
from engine.filters.filters import FilterError
from engine.insight.figures import Figures, figures_of
from engine.insight.progress import campaign_progress
from engine.insight.scheduled_starts import next_due
from state.sets import among
from state.tables import Channel, Flow, Touchpoint

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.orm import Session

    from engine.api.call import Call
    from state.tables import Campaign

__all__ = ["campaign_statistics", "detail", "summaries"]


def summaries(
    session: Session, call: Call, rows: Sequence[Campaign], *, counted: bool = True
) -> list[dict[str, Any]]:
    """Campaigns of a list.

    Args:
        counted: Whether audiences are counted, which tries filters on every entity.
    """
    campaigns = list(rows)
    figures = figures_of(session, call.org_id, [row.id for row in campaigns])
    segments = segments_of(session, campaigns)
    channels = _channels(session, call.org_id, campaigns)
    sizes: dict[tuple[str, ...], int] = {}
    return [
        views.summary(
            row,
            segments=segments[row.id],
            size=_size(session, row, figures[row.id], sizes) if counted else 0,
            figures=figures[row.id],
            channels=channels[row.id],
        )
        for row in campaigns
    ]


def detail(session: Session, call: Call, row: Campaign, *, counted: bool = True) -> dict[str, Any]:
    """One campaign whole; see `summaries`."""
    (shown,) = summaries(session, call, [row], counted=counted)
    flow = session.get(Flow, row.flow_id) if row.flow_id is not None else None
    tested = find_experiment(session, call.org_id, row.id)
    return views.detail(
        shown,
        row,
        tests=[]
        if tested is None
        else [{"id": str(tested.id), "name": tested.name, "status": tested.status}],
        messages=messages.messages_of(session, row),
        flow=flow,
        scheduled=next_due(session, call.org_id, [row.id]).get(row.id),
    )


def campaign_statistics(session: Session, call: Call, row: Campaign) -> dict[str, Any]:
    """The statistics in a campaign's summary."""
    return views.statistics(figures_of(session, call.org_id, [row.id])[row.id], row.carried)


def _size(session: Session, row: Campaign, figures: Figures, sizes: dict[tuple[str, ...], int]) -> int:
    """How many a campaign is for: those it has planned, or who would be in its audience now."""
    if row.reach >= 100 and campaign_progress(session, row.org_id, row.id).planned and figures.total:  # noqa: PLR2004
        return figures.total
    key = tuple(row.target_ids)
    if key not in sizes:
        try:
            sizes[key] = audience_size(session, row)
        except FilterError:  # executing it will say so
            sizes[key] = 0
    return sizes[key]


def _channels(session: Session, org_id: UUID, rows: list[Campaign]) -> dict[UUID, list[str]]:
    """What each campaign says about its channels, else the kinds of those that its flow names."""
    flows = {row.flow_id for row in rows if row.flow_id is not None}
    kinds: dict[UUID, list[str]] = {}
    for flow_id, kind in session.execute(
        select(Touchpoint.flow_id, Channel.kind)
        .join(Channel, Channel.id == Touchpoint.channel_id)
        .where(Touchpoint.org_id == org_id, among(session, Touchpoint.flow_id, flows))
        .order_by(Touchpoint.flow_id, Touchpoint.position)
    ):
        if flow_id is not None and kind not in kinds.setdefault(flow_id, []):
            kinds[flow_id].append(kind)
    return {
        row.id: (row.strategy or {}).get("channels") or (kinds.get(row.flow_id, []) if row.flow_id else [])
        for row in rows
    }
