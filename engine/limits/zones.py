"""The time zone of a recipient: what it says itself, else that of its country, as address books have both.

An attribute tells a zone, or a country, by its name in any case and spelling (`Time Zone`, `tz`, `Country/Region`); its
value is read by `engine.limits.zone_names` and `engine.limits.countries`. What cannot be read counts as not said.

A country with several zones stands for the one in which most of its people live: for an hour's precision there a
recipient needs a zone of its own.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from engine.limits.countries import zone_of_country
from engine.limits.zone_names import is_zone, read_zone

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["is_zone", "place_is_unreadable", "zone_of"]

#: Names without case and what is no letter, likeliest first.
_ZONE = re.compile(
    r"(.* )?(time ?zone|zeitzone)( ?(id|name|iana|code|offset|utc|gmt|sid key))?|(.* )?tz( ?(id|name|database name))?"
    r"|(iana|olson)( ?zone)?|zone ?info|(utc|gmt) ?offset"
    r"|fuseau horaire|zona horaria|huso horario|fuso (horário|horario|orario)"
    r"|tijdzone|tidszone?|tidssone|strefa czasowa|časové pásmo|aikavyöhyke|saat dilimi"
)
_COUNTRY = re.compile(
    r"((home|business|work|company|mailing|postal|bill|billing|ship|shipping|primary|permanent|residential|address|contact|customer|user"
    r"|default|other|person|account|location|residence|ship to|bill to|sold to|iso|geo|ip|mp|hs|lead|recipient|member"
    r"|subscriber|current|last) ?(address ?)?)?country"
    r" ?(code|name|region|or region|region name|iso|iso ?[23]|iso ?code|iso ?alpha ?[23]|code ?iso|code ?[23]"
    r"|code ?alpha ?[23]|of residence)?"
    r"|iso ?(alpha ?)?[23]|land( ?(region|iso|iso ?code|iso ?[23]|code|name))?|staat|länder ?code|laender ?code"
    r"|länderkürzel|herkunftsland|wohnsitzland|pays|país|pais|paese|kraj|nation"
)
_BETWEEN = re.compile(r"[\W_]+")
_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])")


class _Names(NamedTuple):
    zones: tuple[str, ...]
    countries: tuple[str, ...]


def zone_of(attributes: Mapping[str, Any]) -> str | None:
    """The recipient's zone (IANA), or None when nothing tells."""
    names = _names(tuple(attributes))
    for name in names.zones:
        value = attributes[name]
        if isinstance(value, str) and (zone := read_zone(value)) is not None:
            return zone
    for name in names.countries:
        value = attributes[name]
        if isinstance(value, str) and (zone := zone_of_country(value)) is not None:
            return zone
    return None


def place_is_unreadable(attributes: Mapping[str, Any]) -> bool:
    """Whether it says a zone or a country, and nobody can say which."""
    names = _names(tuple(attributes))
    said = [attributes[name] for name in (*names.zones, *names.countries)]
    return any(value is not None and str(value).strip() for value in said) and zone_of(attributes) is None


@lru_cache(maxsize=1024)
def _names(attributes: tuple[str, ...]) -> _Names:
    """Which attributes tell a zone, and which a country; shorter names first."""
    ordered = sorted(attributes, key=len)
    return _Names(
        tuple(name for name in ordered if _ZONE.fullmatch(_plain(name))),
        tuple(name for name in ordered if _COUNTRY.fullmatch(_plain(name))),
    )


def _plain(name: str) -> str:
    """In lower case, with single blanks between its words."""
    return _BETWEEN.sub(" ", _HUMP.sub(" ", name)).strip().lower()
