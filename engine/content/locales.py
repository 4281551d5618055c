"""Which language a recipient reads, and how it writes dates and numbers.

A language is a tag (BCP 47: `de`, `de-AT`, `zh-Hant-TW`); `de_AT` and `DE-at` are read as well, and so are the names of
the larger languages (`German`, `Deutsch`), which is what many exports hold. What is none is as if it were absent: a
wrong word in one entity costs it its language, never its message.

Where an entity keeps it, when nobody says: an attribute called `language`, `lang`, `locale`, `preferred language` or
`language code`, in any spelling of case, spaces, `-` and `_`.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple
from zoneinfo import ZoneInfo

from babel import Locale, UnknownLocaleError

from engine.limits.zones import is_zone

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import tzinfo

__all__ = [
    "DEFAULT_LANGUAGE",
    "Finder",
    "Place",
    "fallbacks",
    "locale_of",
    "read_language",
    "read_zone",
]

#: Of a template that does not say.
DEFAULT_LANGUAGE = "en"

_LANGUAGE_NAMES = ("language", "lang", "locale", "preferredlanguage", "languagecode")
_IGNORED = re.compile(r"[\s_-]+")
_TAG = re.compile(r"[A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{2,8}){0,3}")
_LONGEST = 35
_SCRIPT, _REGION = 4, 2
_LAYOUTS_KEPT = 1024


class Place(NamedTuple):
    """What filters need to know of a recipient."""

    locale: Locale
    zone: tzinfo


def read_language(value: Any) -> str | None:
    """The tag in its usual case (`de-AT`), or None when the value is no language."""
    return _read_language(value.strip()) if isinstance(value, str) and len(value) <= _LONGEST else None


@lru_cache(maxsize=4096)
def _read_language(text: str) -> str | None:
    if not _TAG.fullmatch(text):
        return _by_name().get(text.lower())
    first, *rest = re.split("[-_]", text)
    parts = [first.lower()]
    for part in rest:
        if len(part) == _SCRIPT and part.isalpha():
            parts.append(part.title())
        else:
            parts.append(part.upper() if len(part) <= _REGION + 1 else part.lower())
    return "-".join(parts)


@lru_cache(maxsize=1)
def _by_name() -> dict[str, str]:
    """English and own names of languages → their codes."""
    names: dict[str, str] = {}
    english = Locale("en")
    for code in (
        "de",
        "en",
        "fr",
        "es",
        "it",
        "pt",
        "nl",
        "pl",
        "sv",
        "da",
        "nb",
        "fi",
        "cs",
        "tr",
        "el",
        "hu",
    ):
        for name in (english.languages[code], Locale(code).languages[code]):
            names.setdefault(name.lower(), code)
    return names


def fallbacks(language: str) -> Iterator[str]:
    """The language, then what it is a kind of: `de-AT`, `de`."""
    while language:
        yield language
        language = language.rpartition("-")[0]


@lru_cache(maxsize=1024)
def locale_of(language: str) -> Locale:
    """How that language writes; the nearest that is known, at last English."""
    for tag in fallbacks(language):
        try:
            return Locale.parse(tag, sep="-")
        except (ValueError, UnknownLocaleError):
            continue
    return Locale(DEFAULT_LANGUAGE)


def read_zone(name: str | None) -> tzinfo | None:
    """The time zone of an IANA name, or None when it is none."""
    return ZoneInfo(name) if name is not None and is_zone(name) else None


class Finder:
    """Finds the language in an entity's attributes.

    Args:
        path: The attribute's name; absent: any usual one.
    """

    def __init__(self, path: str | None) -> None:
        self._path = path
        self._candidates: dict[tuple[str, ...], tuple[str, ...]] = {}

    def __call__(self, attributes: Mapping[str, Any]) -> Any:
        """Whatever stands there; None when there is none."""
        if self._path is not None:
            return attributes.get(self._path)
        key = tuple(attributes)
        candidates = self._candidates.get(key)
        if candidates is None:
            candidates = self._find(key)
        for name in candidates:
            if value := attributes[name]:
                return value
        return None

    def _find(self, key: tuple[str, ...]) -> tuple[str, ...]:
        plain = {name: _IGNORED.sub("", name).lower() for name in key}
        found = [name for name in key if plain[name] in _LANGUAGE_NAMES]
        candidates = tuple(sorted(found, key=lambda name: _LANGUAGE_NAMES.index(plain[name])))
        if len(self._candidates) >= _LAYOUTS_KEPT:  # entities that share no names
            self._candidates = {}
        self._candidates[key] = candidates
        return candidates
