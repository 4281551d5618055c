"""Countries as address books write them, and their zones: two or three letters, or a name in a usual language."""

from __future__ import annotations

import re
from functools import lru_cache
from importlib.resources import files
from unicodedata import combining, normalize

from babel import Locale
from babel.core import get_global

__all__ = ["country_of", "zone_of_country"]

_LONGEST = 100
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
    "UA": "Europe/Kyiv",
}
#: Whose names of countries are read; where two mean different ones by a name, the earlier counts.
_LANGUAGES = ("en", "de", "fr", "es", "it", "pt", "nl", "pl", "sv", "da", "nb", "fi", "cs", "tr")
_CODE = 2
#: Usual names and codes that CLDR has not, or writes otherwise.
_USUAL = {
    "america": "US", "united states of america": "US", "etats unis d amerique": "US",
    "estados unidos de america": "US", "vereinigte staaten von amerika": "US", "us of a": "US", "u s": "US",
    "u s a": "US", "eeuu": "US", "ee uu": "US", "great britain": "GB", "britain": "GB", "england": "GB",
    "scotland": "GB", "wales": "GB", "northern ireland": "GB", "u k": "GB",
    "united kingdom of great britain and northern ireland": "GB", "grossbritannien": "GB", "schottland": "GB",
    "republic of ireland": "IE", "eire": "IE", "holland": "NL", "the netherlands": "NL", "czech republic": "CZ",
    "tschechische republik": "CZ", "slovak republic": "SK", "slowakische republik": "SK", "turkey": "TR",
    "russian federation": "RU", "russische foderation": "RU", "korea": "KR", "republic of korea": "KR",
    "korea republic of": "KR", "south korea": "KR", "north korea": "KP", "viet nam": "VN", "uae": "AE",
    "u a e": "AE", "ksa": "SA", "prc": "CN", "mainland china": "CN", "peoples republic of china": "CN",
    "people s republic of china": "CN", "hong kong": "HK", "macau": "MO", "macao": "MO", "taiwan roc": "TW",
    "burma": "MM", "ivory coast": "CI", "cape verde": "CV", "macedonia": "MK", "swaziland": "SZ",
    "syrian arab republic": "SY", "lao pdr": "LA", "lao people s democratic republic": "LA",
    "brunei darussalam": "BN", "east timor": "TL", "vatican": "VA", "holy see": "VA", "palestine": "PS",
    "democratic republic of the congo": "CD", "dr congo": "CD", "drc": "CD", "republic of the congo": "CG",
    "congo": "CG", "federal republic of germany": "DE", "bundesrepublik deutschland": "DE", "brd": "DE",
    "el": "GR", "ger": "DE", "sui": "CH", "ned": "NL", "den": "DK", "por": "PT", "gre": "GR", "cro": "HR",
    "rsa": "ZA", "p r china": "CN", "czech rep": "CZ", "slovak rep": "SK", "dominican rep": "DO", "russian fed": "RU",
    "s korea": "KR", "n korea": "KP", "rok": "KR", "dprk": "KP", "democratic people s republic of korea": "KP",
    "democratic peoples republic of korea": "KP", "hong kong sar": "HK", "macao sar": "MO", "macau sar": "MO",
    "hong kong china": "HK", "bosnia": "BA", "trinidad": "TT", "west germany": "DE", "virgin islands us": "VI",
    "us virgin islands": "VI", "u s virgin islands": "VI", "british virgin islands": "VG", "congo brazzaville": "CG",
    "congo kinshasa": "CD", "republic of china": "TW",
}  # fmt: skip


#: A whole text that is a flag.
_FLAG = re.compile("^\\s*[\U0001f1e6-\U0001f1ff]{2}\\s*$")
_QUALIFIED = re.compile(r"([^,(]+?)\s*[,(]\s*([^()]+?)\s*\)?")
#: What stands between two names of one country: `DE - Germany`, `Belgique/België`.
_BESIDE = re.compile(r"[/|:\u2013\u2014-]")
#: Names that are part of several countries', and words that do not tell these apart.
_SEVERAL = frozenset(
    ("korea", "congo", "sudan", "guinea", "samoa", "china", "virgin islands", "saint martin", "ireland")
)
_OF_STATES = frozenset(("republic", "of", "the", "state", "people", "peoples", "s", "independent", "pr"))
_GERMAN = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue"})


def zone_of_country(text: str) -> str | None:
    """The zone (IANA) in which most people of a country live; None when nobody can say which country it is."""
    code = country_of(text)
    return None if code is None else _MOST_PEOPLE.get(code) or _first_zones().get(code)


@lru_cache(maxsize=4096)
def country_of(text: str) -> str | None:
    """The country's code of two letters (ISO 3166-1); None when nobody can say which it is."""
    if len(text) > _LONGEST:
        return None
    text = _FLAG.sub(_letters, text)
    whole = _code(_plain(text))
    if whole is not None:
        return whole
    if (qualified := _QUALIFIED.fullmatch(text.strip())) is not None:
        return _qualified(_plain(qualified[1]), _plain(qualified[2]))
    parts = [_code(_plain(part)) for part in _BESIDE.split(text) if part.strip()]
    return parts[0] if len(parts) > 1 and len(set(parts)) == 1 else None


def _qualified(name: str, more: str) -> str | None:
    """The country of `Sudan, South`, `Bolivia, Plurinational State of`, `Germany (DE)`."""
    if (code := _code(f"{more} {name}".removesuffix(" the"))) is not None:
        return code
    code, other = _code(name), _code(more)
    if other not in (None, code):
        return None  # `Georgia (US)`
    is_clear = name not in _SEVERAL or other == code or not set(more.split()) - _OF_STATES
    return code if is_clear else None


def _letters(flag: re.Match[str]) -> str:
    return "".join(chr(ord(one) - ord("\U0001f1e6") + ord("A")) for one in flag[0])


def _code(plain: str) -> str | None:
    if (code := _USUAL.get(plain)) is not None:
        return code
    upper = plain.upper()
    if len(plain) == _CODE and upper in _first_zones():
        return upper
    aliases = get_global("territory_aliases").get(upper, ())
    if len(aliases) == 1 and aliases[0] in _first_zones():
        return str(aliases[0])
    return _names().get(plain)


def _plain(text: str) -> str:
    """Without case, accents and signs; single blanks between words; without an article."""
    letters = normalize("NFKD", text.casefold().replace("&", " and "))
    letters = "".join(letter for letter in letters if not combining(letter))
    words = re.sub(r"[\W_]+", " ", letters).split()
    if words and words[0] == "the":
        words = words[1:]
    return " ".join("saint" if word == "st" else word for word in words)


@lru_cache(maxsize=1)
def _first_zones() -> dict[str, str]:
    """The first zone of each country in tz's own list."""
    zones: dict[str, str] = {}
    table = files("tzdata").joinpath("zoneinfo", "zone.tab").read_text(encoding="utf-8")
    for line in table.splitlines():
        if line and not line.startswith("#"):
            code, _, zone = line.split("\t")[:3]
            zones.setdefault(code, zone)
    return {**zones, "XK": "Europe/Belgrade"}


@lru_cache(maxsize=1)
def _names() -> dict[str, str]:
    """Codes by name."""
    found: dict[str, str] = {}
    for language in _LANGUAGES:
        for code, name in Locale(language).territories.items():
            if len(code) == _CODE and code in _first_zones():
                found.setdefault(_plain(name), code)
    # German without its letters: `Oesterreich`.
    for code, name in Locale("de").territories.items():
        if len(code) == _CODE and code in _first_zones():
            found.setdefault(_plain(name.casefold().translate(_GERMAN)), code)
    return found
