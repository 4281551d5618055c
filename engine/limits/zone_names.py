"""Time zones as programs and people write them, read as zones of the IANA database.

| written | is |
|---|---|
| `America/New_York`, `america/new york`, ` Europe / Berlin `, `EUROPE-BERLIN` | that zone |
| `New York`, `Berlin` | the zone of that city, if only one is called so |
| `W. Europe Standard Time`, `Eastern Daylight Time` | Windows' name, by CLDR's table |
| `UTC-5`, `GMT+02:00`, `-05:00`, `+0530` | the zone with that offset all the year |
| `(UTC-05:00) Eastern Time (US & Canada)`, `GMT+1 Berlin` | the zone of what it says beside, else of the offset |
| `EST`, `PST`, `CEST`, `Pacific Time (US & Canada)` | the place that nearly everybody means by it, in summer too |

`CST`, `IST` and the like, which mean several, and bare numbers are not read.
"""

from __future__ import annotations

import re
from functools import lru_cache
from importlib.resources import files
from unicodedata import combining, normalize
from zoneinfo import ZoneInfo

from babel.core import get_global

from engine.kernel.blanks import BLANKS

__all__ = ["is_zone", "read_zone"]

_LONGEST = 100
#: What stands between the words of a name, however it is written.
_BETWEEN = re.compile(r"[\s_./\\]+|(?<=[a-z])-(?=[a-z])")
_OF_AMERICA = re.compile(r"\s*\((?:us|usa|us (?:&|and) canada|usa (?:&|and) canada)\)$")
_BEHIND = re.compile(r"\s*\([^()]*\)$")
_NO_OFFSET = re.compile(r"^\(\s*(?:utc|gmt)\s*\)")
_OFFSET = re.compile(
    r"\(?\s*(?P<prefix>utc\s*/\s*gmt|gmt\s*/\s*utc|utc|gmt)?\s*(?P<sign>[+\-\u2212\u2013\u00b1])\s*"
    r"(?P<hours>\d{1,2})(?:(?P<colon>[:.]?)(?P<minutes>\d{2}))?\s*(?:h|hours?)?(?:[\s)]\s*(?P<label>[^\d\s].*))?\)?",
    re.IGNORECASE,
)
#: East of Greenwich; the furthest there are.
_EARLIEST, _LATEST = -12 * 60, 14 * 60
#: Zones whose clocks never change, for offsets that are no whole hours (minutes east of Greenwich).
_ODD_OFFSETS = {
    -570: "Pacific/Marquesas",
    210: "Asia/Tehran",
    270: "Asia/Kabul",
    330: "Asia/Kolkata",
    345: "Asia/Kathmandu",
    390: "Asia/Yangon",
    525: "Australia/Eucla",
    570: "Australia/Darwin",
}
#: What offsets of places with summer time are, which have no zone that keeps them all the year.
_CHANGING_OFFSETS = {
    -210: "America/St_Johns",
    -150: "America/St_Johns",
    630: "Australia/Lord_Howe",
    765: "Pacific/Chatham",
    825: "Pacific/Chatham",
}
_USUAL = {
    "z": "UTC", "zulu": "UTC", "utc": "UTC", "gmt": "Etc/GMT", "coordinated universal time": "UTC",
    "et": "America/New_York", "est": "America/New_York", "edt": "America/New_York", "eastern time": "America/New_York",
    "us eastern": "America/New_York", "ct": "America/Chicago", "cdt": "America/Chicago",
    "central time": "America/Chicago", "mt": "America/Denver", "mst": "America/Denver", "mdt": "America/Denver",
    "mountain time": "America/Denver", "pt": "America/Los_Angeles", "pst": "America/Los_Angeles",
    "pdt": "America/Los_Angeles", "pacific time": "America/Los_Angeles", "akst": "America/Anchorage",
    "akdt": "America/Anchorage", "alaska time": "America/Anchorage", "hawaii time": "Pacific/Honolulu",
    "cest": "Europe/Berlin", "mez": "Europe/Berlin", "mesz": "Europe/Berlin",
    "central european time": "Europe/Berlin", "eest": "Europe/Athens", "eastern european time": "Europe/Athens",
    "west": "Europe/Lisbon", "bst": "Europe/London", "jst": "Asia/Tokyo", "kst": "Asia/Seoul",
    "hkt": "Asia/Hong_Kong", "sgt": "Asia/Singapore", "aest": "Australia/Sydney", "aedt": "Australia/Sydney",
    "nzst": "Pacific/Auckland", "nzdt": "Pacific/Auckland",
}  # fmt: skip


@lru_cache(maxsize=2048)
def is_zone(name: str) -> bool:
    """Whether it is a time zone of the IANA database, exactly as it is called there."""
    try:
        ZoneInfo(name)
    except (KeyError, OSError, ValueError):  # unknown, a directory of zones, no name at all
        return False
    return True


@lru_cache(maxsize=8192)
def read_zone(text: str) -> str | None:
    """The zone (IANA) that a text means; None when nobody can say."""
    if len(text) > _LONGEST:
        return None
    said = _NO_OFFSET.sub("(utc+0)", text.strip(BLANKS).lower())
    match = _OFFSET.fullmatch(said)
    if match is not None:
        label = re.split(r"[,(:]", match["label"] or "", maxsplit=1)[0]
        plain = _plain(label)
        return _known().get(plain) or _by_windows(plain) or _by_offset(match)
    for name in (_OF_AMERICA.sub("", said), _BEHIND.sub("", said)):  # `Europe/Berlin (CET)`
        plain = _plain(name)
        if (zone := _known().get(plain) or _by_windows(plain)) is not None:
            return zone
    return None


def _by_offset(match: re.Match[str]) -> str | None:
    if match["minutes"] and not (match["colon"] or match["prefix"] or len(match["hours"]) > 1):
        return None  # `-300` may be minutes
    minutes = int(match["hours"]) * 60 + int(match["minutes"] or 0)
    if match["sign"] == "\u00b1":
        return None if minutes else "UTC"
    east = minutes if match["sign"] == "+" else -minutes
    if int(match["minutes"] or 0) > 59 or not _EARLIEST <= east <= _LATEST:  # noqa: PLR2004 - minutes of an hour
        return None
    if east % 60 == 0:
        return f"Etc/GMT{-east // 60:+d}" if east else "UTC"
    return _ODD_OFFSETS.get(east) or _CHANGING_OFFSETS.get(east)


def _by_windows(plain: str) -> str | None:
    return _windows().get(
        plain.replace("daylight time", "standard time").replace("summer time", "standard time")
    )


@lru_cache(maxsize=1)
def _known() -> dict[str, str]:
    """Zones by their names, and by their cities where only one is called so, in lower case with blanks."""
    names = files("tzdata").joinpath("zones").read_text(encoding="utf-8").split()
    cities: dict[str, set[str]] = {}
    for zone in _current():
        cities.setdefault(_plain(zone.rpartition("/")[2]), set()).add(zone)
    known = {city: next(iter(zones)) for city, zones in cities.items() if len(zones) == 1}
    return {**known, **{_plain(name): name for name in names}, **_USUAL}


@lru_cache(maxsize=1)
def _current() -> list[str]:
    """Zones of tz's list by country: each city once."""
    table = files("tzdata").joinpath("zoneinfo", "zone.tab").read_text(encoding="utf-8")
    return [line.split("\t")[2] for line in table.splitlines() if line and not line.startswith("#")]


@lru_cache(maxsize=1)
def _windows() -> dict[str, str]:
    return {_plain(name): zone for name, zone in get_global("windows_zone_mapping").items()}


def _plain(name: str) -> str:
    """In lower case and without accents, with single blanks between its words."""
    letters = "".join(one for one in normalize("NFKD", name.lower()) if not combining(one))
    return _BETWEEN.sub(" ", letters).strip()
