"""Statistics of a campaign for a period, from roll-ups alone: seven statements whatever its size.

Arithmetic (docs/contract/campaigns-api.md): every rate is ×100 / messages sent, with one decimal. Delivered, read,
clicked and
converted count recipients, each once in the campaign, at the hour of their first time.

A period covers every hour that lies in it, wholly or in part: roll-ups are by the hour, so up to an hour more is in it
than its name says, and nothing of it is missing. What a slice has sent is in the roll-ups when its lease ends.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from babel.numbers import get_currency_precision
from sqlalchemy import func, select

from engine.insight.significance import Arm, interval, p_value
from engine.kernel.inputs import Invalid
from state.change import clock_of
from state.sets import among
from state.tables import DeliveryHour, EngagementHour, Target
from state.types import NIL_UUID

if TYPE_CHECKING:
    from uuid import UUID

    from sqlalchemy import ColumnElement
    from sqlalchemy.orm import InstrumentedAttribute, Session

__all__ = [
    "METRICS",
    "PERIODS",
    "Counts",
    "Part",
    "Statistics",
    "Variant",
    "amount",
    "rate",
    "statistics",
    "touchpoint_counts",
    "variant_counts",
]

#: Period → how far it reaches back; None: to the beginning.
PERIODS: dict[str, timedelta | None] = {
    "1h": timedelta(hours=1),
    "24h": timedelta(hours=24),
    "7d": timedelta(days=7),
    "30d": timedelta(days=30),
    "all": None,
}
#: Metric → the engagement that counts for it.
METRICS = {"delivered": "delivered", "read": "read", "clicked": "clicked", "converted": "converted"}
#: Where no message was sent: what is shown there is counted elsewhere.
_SHOWN = ("portal", "entity_ui")
_PER_CENT = 100


@dataclass(slots=True)
class Counts:
    """Sums of one period, or of a part of it."""

    sent: int = 0
    failed: int = 0
    excluded: int = 0
    delivered: int = 0
    read: int = 0
    clicked: int = 0
    converted: int = 0
    cost: float = 0.0
    bots: int = 0
    """What scanners did; in none of the other counts."""
    revenue: dict[str, int] = field(default_factory=dict)
    """Currency → its smallest units; an empty currency was not named."""

    def rate(self, metric: str) -> float | None:
        """`metric` (a key of METRICS) per hundred messages sent; None when nothing was sent."""
        return rate(getattr(self, metric), self.sent)


class Part(NamedTuple):
    """A piece of the period, or one segment."""

    key: Any
    """The beginning of the piece (a datetime), or the target's id (None: enrolled by no target)."""
    name: str
    counts: Counts


@dataclass(frozen=True, slots=True)
class Variant:
    """One variant, and how sure its rates are."""

    name: str
    counts: Counts
    intervals: dict[str, tuple[float, float]]
    """Metric → Wilson's 95 % interval of its rate, per hundred, one decimal."""
    p_values: dict[str, float]
    """Metric → the two-proportion test against the first variant of the list; 1 for the first itself."""


@dataclass(frozen=True, slots=True)
class Statistics:
    """All of it."""

    since: datetime | None
    overview: Counts
    timeline: list[Part]
    """By hour for 1h and 24h, by day (UTC) for the others; pieces in which something happened."""
    segments: list[Part]
    """By the target that let the recipients in, by name."""
    variants: list[Variant]
    """By name; empty where nothing was sent in variants."""


def rate(count: int, sent: int) -> float | None:
    """`count` per hundred of `sent`, one decimal (docs/contract/campaigns-api.md: 8200/8500 = 96.5); None when
    nothing was sent.
    """
    return round(count * _PER_CENT / sent, 1) if sent else None


def amount(currency: str, smallest: int) -> float:
    """Smallest units as an amount of the currency: 4250 cents are 42.5, and 4250 yen are 4250."""
    places: int = get_currency_precision(currency) if currency else 2
    return smallest / float(10**places)


def statistics(session: Session, org_id: UUID, campaign_id: UUID, period: str = "all") -> Statistics:
    """The statistics of a campaign; of one that does not exist, nothing.

    Raises:
        Invalid: there is no such period.
    """
    if period not in PERIODS:
        raise Invalid("period", f"is none of {', '.join(PERIODS)}")
    back = PERIODS[period]
    since = None if back is None else _hour(clock_of(session).now() - back)
    scope = _Scope(session, org_id, campaign_id, since)
    hours = scope.sums(DeliveryHour.hour, EngagementHour.hour)
    piece = _hour if period in ("1h", "24h") else _day
    pieces: dict[datetime, Counts] = defaultdict(Counts)
    overview = Counts()
    for hour, counts in hours.items():
        _add(pieces[piece(hour)], counts)
        _add(overview, counts)
    timeline = [Part(at, at.isoformat(), counts) for at, counts in sorted(pieces.items())]
    segments = scope.sums(DeliveryHour.target_id, EngagementHour.target_id)
    variants = scope.sums(DeliveryHour.variant, EngagementHour.variant)
    return Statistics(since, overview, timeline, _named(session, org_id, segments), _compared(variants))


def variant_counts(
    session: Session, org_id: UUID, campaign_id: UUID, touchpoint_id: UUID
) -> dict[str, Counts]:
    """Variant → how it did at one touchpoint, each recipient once. Two statements."""
    scope = _Scope(session, org_id, campaign_id, None, touchpoint_id)
    return scope.sums(DeliveryHour.variant, EngagementHour.variant)


def touchpoint_counts(session: Session, org_id: UUID, campaign_id: UUID) -> dict[UUID, Counts]:
    """Touchpoint → what came of it. Two statements."""
    scope = _Scope(session, org_id, campaign_id, None, each_touchpoint=True)
    return scope.sums(DeliveryHour.touchpoint_id, EngagementHour.touchpoint_id)


class _Scope(NamedTuple):
    """Which roll-ups are read. Primary keys of both begin with the campaign."""

    session: Session
    org_id: UUID
    campaign_id: UUID
    since: datetime | None
    touchpoint_id: UUID | None = None
    each_touchpoint: bool = False
    """Whether a recipient counts once at each touchpoint, instead of once in the campaign."""

    def sums(
        self, delivered_by: InstrumentedAttribute[Any], engaged_by: InstrumentedAttribute[Any]
    ) -> dict[Any, Counts]:
        """Sums by one dimension. Two statements."""
        found: dict[Any, Counts] = defaultdict(Counts)
        delivered = (DeliveryHour.sent, DeliveryHour.failed, DeliveryHour.cancelled, DeliveryHour.cost)
        for key, sent, failed, excluded, cost in self.session.execute(
            select(delivered_by, *(func.sum(column) for column in delivered))
            .where(*self._rows(DeliveryHour))
            .group_by(delivered_by)
        ):
            counts = found[key]
            counts.sent, counts.failed, counts.excluded = int(sent), int(failed), int(excluded)
            counts.cost = float(cost)
        at_touchpoints = self.each_touchpoint or self.touchpoint_id is not None
        once = EngagementHour.touchpoint_recipients if at_touchpoints else EngagementHour.recipients
        engaged = (once, EngagementHour.bots, EngagementHour.revenue)
        for key, kind, currency, recipients, bots, revenue in self.session.execute(
            select(engaged_by, EngagementHour.kind, EngagementHour.currency, *map(func.sum, engaged))
            .where(*self._rows(EngagementHour), EngagementHour.channel.not_in(_SHOWN))
            .group_by(engaged_by, EngagementHour.kind, EngagementHour.currency)
        ):
            counts = found[key]
            if kind in METRICS:
                setattr(counts, kind, getattr(counts, kind) + int(recipients))
            counts.bots += int(bots)
            if revenue:
                counts.revenue[currency] = counts.revenue.get(currency, 0) + int(revenue)
        return found

    def _rows(self, table: type[DeliveryHour | EngagementHour]) -> list[ColumnElement[bool]]:
        where = [table.campaign_id == self.campaign_id, table.org_id == self.org_id]
        if self.touchpoint_id is not None:
            where.append(table.touchpoint_id == self.touchpoint_id)
        return where if self.since is None else [*where, table.hour >= self.since]


def _add(total: Counts, more: Counts) -> None:
    for name in ("sent", "failed", "excluded", "delivered", "read", "clicked", "converted", "bots", "cost"):
        setattr(total, name, getattr(total, name) + getattr(more, name))
    for currency, smallest in more.revenue.items():
        total.revenue[currency] = total.revenue.get(currency, 0) + smallest


def _named(session: Session, org_id: UUID, segments: dict[UUID, Counts]) -> list[Part]:
    """Segments with the names of their targets; one that was deleted has none."""
    wanted = [key for key in segments if key != NIL_UUID]
    found = session.execute(
        select(Target.id, Target.name).where(Target.org_id == org_id, among(session, Target.id, wanted))
    )
    names = {key: name for key, name in found}  # noqa: C416 - rows are no pairs to dict()
    parts = [
        Part(None if key == NIL_UUID else key, names.get(key, ""), counts) for key, counts in segments.items()
    ]
    return sorted(parts, key=lambda part: (part.key is None, part.name, str(part.key)))


def _compared(sums: dict[str, Counts]) -> list[Variant]:
    names = sorted(name for name in sums if name)
    return [
        Variant(
            name,
            sums[name],
            {metric: _interval(sums[name], metric) for metric in METRICS},
            {metric: _p(sums[names[0]], sums[name], metric) for metric in METRICS},
        )
        for name in names
    ]


def _interval(counts: Counts, metric: str) -> tuple[float, float]:
    low, high = interval(getattr(counts, metric), counts.sent)
    return round(low * _PER_CENT, 1), round(high * _PER_CENT, 1)


def _p(first: Counts, other: Counts, metric: str) -> float:
    one, two = (Arm("", counts.sent, getattr(counts, metric)) for counts in (first, other))
    return 1.0 if first is other else p_value(one, two)


def _hour(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def _day(at: datetime) -> datetime:
    return _hour(at).replace(hour=0)
