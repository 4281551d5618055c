"""A person taken out of what is not about them alone: events, kept answers, errors, filters that name them.

An object that names the person by id keeps what says nothing of them (ids, numbers, codes, instants) and loses the
rest; wherever else one of their texts stands, in whatever case, `[erased]` stands instead.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from uuid import UUID

if TYPE_CHECKING:
    from engine.people.person import Person

__all__ = ["Redaction"]

_ERASED = "[erased]"
#: Texts of an object about the person that are words of Muster's own.
_OWN_WORDS = frozenset(
    {
        "at", "automation_status", "bounce_type", "channel", "channel_kind", "code", "email_status", "error_code",
        "kind", "medium", "portal_status", "schema", "scope", "stage", "status",
    }
)  # fmt: skip


class Redaction:
    """Takes one person out of values."""

    def __init__(self, person: Person) -> None:
        self._id = str(person.entity_id)
        longest_first = sorted(person.texts, key=len, reverse=True)
        self._texts = re.compile("|".join(map(re.escape, longest_first)) or r"(?!)", re.IGNORECASE)

    def text(self, text: str) -> str:
        """A text without them."""
        return self._texts.sub(_ERASED, text)

    def value(self, value: Any) -> Any:
        """A JSON value without them."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list):
            return [self.value(item) for item in value]
        if isinstance(value, dict):
            if self._id in [item for item in value.values() if isinstance(item, str)]:
                return {name: item for name, item in value.items() if _says_nothing(name, item)}
            return {self.text(name): self.value(item) for name, item in value.items()}
        return value


def _says_nothing(name: str, value: Any) -> bool:
    if value is None or isinstance(value, bool):
        return True
    if isinstance(value, int | float):
        return abs(value) < 1e6  # noqa: PLR2004 - a larger one may be a phone number
    return isinstance(value, str) and (name in _OWN_WORDS or _is_id(value))


def _is_id(text: str) -> bool:
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False
