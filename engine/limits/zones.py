"""The time zone of a recipient: what it says itself, else that of its country.

A country with several zones stands for the one in which most of its people live: for an hour's precision there a
recipient needs a `timezone` of its own.
"""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from babel import Locale

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["is_zone", "zone_of"]

_NAMES = ("timezone", "time_zone")
_COUNTRY = ("country", "country_code")
#: Where tz's list of zones by country does not begin with the zone of most people.
_MOST_PEOPLE = {
    "AU": "Australia/Sydney",
    "BR": "America/Sao_Paulo",
    "CA": "America/Toronto",
    "CD": "Africa/Kinshasa",
    "ID": "Asia/Jakarta",
    "KZ": "Asia/Almaty",
    "MN": "Asia/Ulaanbaatar",
    "MX": "America/Mexico_City",
    "RU": "Europe/Moscow",
}
_CODE = 2


def zone_of(attributes: Mapping[str, Any]) -> str | None:
    """The recipient's zone (IANA), or None when nothing tells."""
    for name in _NAMES:
        value = attributes.get(name)
        if isinstance(value, str) and is_zone(value):
            return value
    for name in _COUNTRY:
        value = attributes.get(name)
        if isinstance(value, str) and (zone := _of_country(value.strip().casefold())) is not None:
            return zone
    return None


@lru_cache(maxsize=2048)
def is_zone(name: str) -> bool:
    """Whether it is a time zone of the IANA database."""
    try:
        ZoneInfo(name)
    except (KeyError, OSError, ValueError):  # unknown, a directory of zones, no name at all
        return False
    return True


@lru_cache(maxsize=2048)
def _of_country(text: str) -> str | None:
    """Of a code (`de`) or an English or German name (`germany`), in lower case."""
    code = text.upper() if len(text) == _CODE else _codes().get(text)
    return None if code is None else _MOST_PEOPLE.get(code) or _first_zones().get(code)


@lru_cache(maxsize=1)
def _first_zones() -> dict[str, str]:
    """The first zone of each country in tz's own list."""
    zones: dict[str, str] = {}
    table = files("tzdata").joinpath("zoneinfo", "zone.tab").read_text(encoding="utf-8")
    for line in table.splitlines():
        if line and not line.startswith("#"):
            code, _, zone = line.split("\t")[:3]
            zones.setdefault(code, zone)
    return zones


@lru_cache(maxsize=1)
def _codes() -> dict[str, str]:
    """Country codes by English and German name, in lower case."""
    return {
        name.casefold(): code
        for language in ("en", "de")
        for code, name in Locale(language).territories.items()
        if len(code) == _CODE
    }
