"""Where a recipient is, as far as writing goes: which language's dates and numbers, which time zone.

A template in German writes dates in German to everybody; of which country's German they are, the recipient's own
tag says (`de-AT`). Where a template's language is not known, the recipient's is the best guess, at last English. The
time zone is the recipient's (`engine.limits.zones`), else the template's, else the organization's, else UTC.
"""

from __future__ import annotations

from datetime import UTC, tzinfo
from typing import TYPE_CHECKING, Any

from engine.content.locales import (
    DEFAULT_LANGUAGE,
    Finder,
    Place,
    locale_of,
    read_language,
    read_zone,
)
from engine.limits.zones import zone_of

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Places"]

_KEPT = 4096


class Places:
    """The places of one template's recipients.

    Args:
        language: The template's; absent: not known.
        language_attribute: Where entities keep theirs; absent: under a usual name.
        zone: For recipients whose own is not known.
    """

    def __init__(
        self, language: str | None = None, language_attribute: str | None = None, zone: tzinfo = UTC
    ) -> None:
        self._language = language
        self._zone = zone
        self._language_of = Finder(language_attribute)
        self._places: dict[tuple[str | None, str | None], Place] = {}

    def of(self, attributes: Mapping[str, Any]) -> Place:
        """A recipient's."""
        language = self._language_of(attributes)
        key = (language if isinstance(language, str) else None, zone_of(attributes))
        return self._places.get(key) or self._make(key)

    def _make(self, key: tuple[str | None, str | None]) -> Place:
        tag = read_language(key[0])
        language = self._language
        if tag is not None and (language is None or _base(tag) == _base(language)):
            language = tag
        place = Place(locale_of(language or DEFAULT_LANGUAGE), read_zone(key[1]) or self._zone)
        if len(self._places) >= _KEPT:
            self._places = {}
        self._places[key] = place
        return place


def _base(tag: str) -> str:
    return tag.partition("-")[0]
