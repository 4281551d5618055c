"""Numbers, instants, spans and money as the reader's language writes them, in the reader's time zone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from babel.dates import format_date, format_datetime, format_time, get_timezone_location
from babel.numbers import format_compact_decimal, format_currency, format_decimal, format_percent
from markupsafe import Markup, escape

from engine.limits.zone_names import is_zone

if TYPE_CHECKING:
    from engine.api.console.translations import Texts

__all__ = ["Formats"]

_MINUTE, _HOUR, _DAY = 60, 3600, 86400


@dataclass(frozen=True, slots=True)
class Formats:
    """What templates write values with."""

    texts: Texts
    zone: str
    """The reader's."""
    home_zone: str
    """The organization's, which campaigns keep to."""
    now: datetime | None = None
    """Years are left out of what lies in this one."""

    def filters(self) -> dict[str, object]:
        """Name in a template → function."""
        return {
            "n": self.number,
            "compact": self.compact,
            "percent": self.percent,
            "when": self.when,
            "clock": self.clock,
            "day": self.day,
            "month": self.month,
            "weekday": self.weekday,
            "span": self.span,
            "money": self.money,
            "rate": self.rate,
        }

    def number(self, value: float | None) -> str:
        """`1,234,567`; a dash for nothing."""
        return "–" if value is None else format_decimal(value, locale=self.texts.language)

    def compact(self, value: float | None) -> str:
        """`1.2M`, where there is no room for more."""
        if value is None:
            return "–"
        digits = 0 if abs(value) < 1000 else 1  # noqa: PLR2004 - below it nothing is shortened
        return format_compact_decimal(value, fraction_digits=digits, locale=self.texts.language)

    def percent(self, value: float | None, digits: int = 1) -> str:
        """`12.3%` of a share between 0 and 1; a dash for nothing."""
        if value is None:
            return "–"
        return format_percent(value, "0." + "#" * digits + "%", locale=self.texts.language)

    def money(self, value: float | None, currency: str = "") -> str:
        """An amount; without a currency's name it is the organization's own."""
        if value is None:
            return "–"
        if currency:
            return format_currency(value, currency, locale=self.texts.language)
        return format_decimal(value, "#,##0.00", locale=self.texts.language)

    def rate(self, per_second: float | None) -> str:
        """Messages a second, a minute below one."""
        if per_second is None:
            return "–"
        if 0 < per_second < 1:
            return self.texts.gettext("%s/min") % format_decimal(
                round(per_second * 60, 1), locale=self.texts.language
            )
        digits = 0 if per_second >= 100 else 1  # noqa: PLR2004 - a decimal matters below a hundred
        return self.texts.gettext("%s/s") % format_decimal(
            round(per_second, digits) if digits else round(per_second), locale=self.texts.language
        )

    def span(self, seconds: float | None) -> str:
        """`3 min 20 s`, two units at most."""
        if seconds is None:
            return "–"
        whole = max(0, round(seconds))
        parts = []
        for size, unit in (
            (_DAY, self.texts.gettext("%d d")),
            (_HOUR, self.texts.gettext("%d h")),
            (_MINUTE, self.texts.gettext("%d min")),
            (1, self.texts.gettext("%d s")),
        ):
            count, whole = divmod(whole, size)
            if count:
                parts.append(unit % count)
        return " ".join(parts[:2]) or self.texts.gettext("%d s") % 0

    def when(self, at: datetime | None, style: str = "short") -> str | Markup:
        """An instant as `<time>`: in the reader's zone, and in the organization's where clocks show another time."""
        if at is None:
            return "–"
        at = at.astimezone(UTC)
        here, home = at.astimezone(_zone(self.zone)), at.astimezone(_zone(self.home_zone))
        shown = self._instant(here, style)
        title = f"{format_datetime(here, 'full', locale=self.texts.language)} · {at.isoformat()}"
        beside: str | Markup = ""
        if home.utcoffset() != here.utcoffset():
            name = _place(self.home_zone, self.texts.language)
            other = format_time(home, "short", locale=self.texts.language)
            beside = Markup(' <span class="zone">({} {})</span>').format(other, name)
        return Markup('<time datetime="{}" title="{}">{}{}</time>').format(
            at.isoformat(), title, shown, beside
        )

    def _instant(self, here: datetime, style: str) -> str:
        language = self.texts.language
        if style == "long":
            return format_datetime(here, "medium", locale=language)
        day = format_date(here, "medium", locale=language)
        if self.now is not None and self.now.astimezone(here.tzinfo).year == here.year:
            day = format_date(here, "MMM d" if language == "en" else "d. MMM", locale=language)
        return f"{day}, {format_time(here, 'short', locale=language)}"

    def clock(self, at: datetime | None) -> str | Markup:
        """The time of day alone."""
        if at is None:
            return "–"
        here = at.astimezone(_zone(self.zone))
        return Markup('<time datetime="{}">{}</time>').format(
            at.astimezone(UTC).isoformat(), format_time(here, "short", locale=self.texts.language)
        )

    def month(self, on: date) -> str:
        """`March 2026`."""
        return format_date(on, "LLLL yyyy", locale=self.texts.language)

    def weekday(self, on: date) -> str:
        """`Mon`."""
        return format_date(on, "ccc", locale=self.texts.language)

    def day(self, on: date | None) -> str | Markup:
        """A date."""
        if on is None:
            return "–"
        return escape(format_date(on, "medium", locale=self.texts.language))


def _place(zone: str, language: str) -> str:
    """What people call a zone: its city."""
    return get_timezone_location(zone, locale=language, return_city=True) if "/" in zone else zone


def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name if is_zone(name) else "UTC")
