"""`/api/v1/campaigns/{id}/statistics` (docs/contract/campaigns-api.md): what came of a campaign within a period."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.responses import Response

from engine.api.answers import json_answer
from engine.api.call import Caller
from engine.api.campaigns import views
from engine.api.campaigns.errors import CampaignsRoute
from engine.api.campaigns.parameters import campaign_id_of
from engine.campaigns.campaigns import get_campaign
from engine.insight.statistics import METRICS, Counts, Part, Statistics, Variant, amount, statistics
from engine.kernel.inputs import Invalid
from engine.kernel.suggestions import did_you_mean

__all__ = ["router"]

router = APIRouter(prefix="/api/v1", route_class=CampaignsRoute, tags=["Campaigns"])

#: ISO 4217's own code where no currency is meant: conversions that were reported without one.
_NO_CURRENCY = "XXX"
_SECTIONS = ("overview", "performance", "timeline", "segments", "variants")
#: What each figure is called here → the metric it belongs to.
_FIGURES = {
    "messagesSent": "sent",
    "sent": "sent",
    "failed": "failed",
    "excluded": "excluded",
    "delivered": "delivered",
    "deliveryRate": "delivered",
    "read": "read",
    "readRate": "read",
    "clicked": "clicked",
    "clickRate": "clicked",
    "converted": "converted",
    "conversions": "converted",
    "conversionRate": "converted",
    "revenue": "revenue",
    "revenueByCurrency": "revenue",
    "cost": "cost",
    "botEvents": "bots",
}
#: What pieces are known by, whatever is asked for.
_KEYS = {"date", "segmentId", "name", "variant", "performance", "intervals", "significance"}
_RATES = {
    "deliveryRate": "delivered",
    "readRate": "read",
    "clickRate": "clicked",
    "conversionRate": "converted",
}


@router.get("/campaigns/{campaign_id}/statistics", operation_id="campaignsStatistics")
def get(
    campaign_id: str,
    call: Caller,
    period: Annotated[str, Query(description="1h, 24h, 7d, 30d or all.")] = "all",
    metrics: Annotated[str, Query(description="Sections and figures by comma, or `all`.")] = "all",
) -> Response:
    """What came of a campaign: sums, rates per hundred messages sent, a timeline, segments, variants."""
    sections, wanted = _asked(metrics)
    with call.read() as session:
        row = get_campaign(session, call.org_id, campaign_id_of(campaign_id))
        found = statistics(session, call.org_id, row.id, period)
    shown = _shown(found, by_hour=period in ("1h", "24h"))
    return json_answer(views.ok({name: _only(shown[name], wanted) for name in sections}))


def _asked(metrics: str) -> tuple[list[str], set[str] | None]:
    """The sections, and the metrics in them (None: all), that a list names.

    Raises:
        Invalid: it names something else.
    """
    names = [name.strip() for name in metrics.split(",") if name.strip()]
    known = ("all", *_SECTIONS, *_FIGURES)
    for name in names:
        if name not in known:
            raise Invalid("metrics", f"{name!r} is no section or figure{did_you_mean(name, known)}")
    sections = [name for name in _SECTIONS if name in names]
    wanted = {_FIGURES[name] for name in names if name in _FIGURES}
    if "all" in names or not names:
        return list(_SECTIONS), None
    return sections or list(_SECTIONS), wanted or None


def _only(value: Any, wanted: set[str] | None) -> Any:
    """Without the figures that were not asked for."""
    if wanted is None:
        return value
    if isinstance(value, list):
        return [_only(item, wanted) for item in value]
    return {
        name: _only(inner, wanted) if isinstance(inner, dict) and name in _KEYS else inner
        for name, inner in value.items()
        if name in _KEYS or _FIGURES.get(name) in wanted
    }


def _shown(found: Statistics, *, by_hour: bool) -> dict[str, Any]:
    return {
        "overview": _sums(found.overview),
        "performance": _rates(found.overview),
        "timeline": [_piece(part, by_hour=by_hour) for part in found.timeline],
        "segments": [_segment(part) for part in found.segments],
        "variants": [_variant(one) for one in found.variants],
    }


def _sums(counts: Counts) -> dict[str, Any]:
    """The overview. Amounts of different currencies are never added: where there are several, `revenue` is absent."""
    by_currency = {
        name or _NO_CURRENCY: amount(name, smallest) for name, smallest in sorted(counts.revenue.items())
    }
    return views.present(
        {
            "messagesSent": counts.sent,
            "delivered": counts.delivered,
            "read": counts.read,
            "clicked": counts.clicked,
            "converted": counts.converted,
            "revenue": views.number(sum(by_currency.values())) if len(by_currency) <= 1 else None,
            "revenueByCurrency": {name: views.number(value) for name, value in by_currency.items()},
            "cost": views.number(round(counts.cost, 6)),
            # Below 0 while a lease that counts those who started over since is not folded.
            "failed": max(0, counts.failed),
            "excluded": max(0, counts.excluded),
            "botEvents": counts.bots,
        }
    )


def _rates(counts: Counts) -> dict[str, Any]:
    """Absent where nothing was sent: there is nothing that they could be a part of."""
    return views.present({name: counts.rate(metric) for name, metric in _RATES.items()})


def _piece(part: Part, *, by_hour: bool) -> dict[str, Any]:
    counts = part.counts
    return {
        "date": views.instant(part.key) if by_hour else part.key.date().isoformat(),
        "sent": counts.sent,
        "delivered": counts.delivered,
        "read": counts.read,
        "clicked": counts.clicked,
        "conversions": counts.converted,
    }


def _segment(part: Part) -> dict[str, Any]:
    key = {} if part.key is None else {"segmentId": str(part.key)}
    return {**key, "name": part.name, "performance": {"sent": part.counts.sent, **_rates(part.counts)}}


def _variant(one: Variant) -> dict[str, Any]:
    rates = {name: metric for name, metric in _RATES.items() if metric in METRICS}
    return {
        "variant": one.name,
        "performance": {"sent": one.counts.sent, **_rates(one.counts)},
        "intervals": {
            name: {"low": one.intervals[metric][0], "high": one.intervals[metric][1]}
            for name, metric in rates.items()
        },
        "significance": {name: round(one.p_values[metric], 4) for name, metric in rates.items()},
    }
