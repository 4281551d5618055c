"""Which attributes the entities of a schema have, and which values of them are frequent: what a form offers.

A sample of 1,000 entities is looked at, the first by id; ids are random. What is rarer may be missing.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from state.tables import Entity

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from uuid import UUID

    from sqlalchemy.orm import Session

__all__ = ["AttributeValues", "attribute_values", "count_values"]

_SAMPLE = 1_000
#: Attributes and values of each that are shown.
_ATTRIBUTES, _VALUES = 200, 12
#: Characters of a value that is worth offering.
_LONGEST = 60


@dataclass(frozen=True, slots=True)
class AttributeValues:
    """An attribute."""

    name: str
    filled: int
    """Entities of the sample in which it is not empty."""
    values: tuple[str, ...]
    """Those that several entities have, the most frequent first, as a condition compares with them."""


def attribute_values(session: Session, org_id: UUID, schema: str) -> list[AttributeValues]:
    """The attributes, those first that most entities have. One statement, by the index (org_id, schema, id)."""
    rows = session.scalars(
        select(Entity.attributes)
        .where(Entity.org_id == org_id, Entity.schema == schema)
        .order_by(Entity.id)
        .limit(_SAMPLE)
    )
    return count_values(rows)


def count_values(entities: Iterable[Mapping[str, Any]]) -> list[AttributeValues]:
    """The same of attributes that were read."""
    filled: Counter[str] = Counter()
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for attributes in entities:
        for name, value in attributes.items():
            if value is None or value == "":
                continue
            filled[name] += 1
            text = _text(value)
            if text is not None:
                found[name][text] += 1
    return [
        AttributeValues(
            name,
            count,
            tuple(text for text, times in found[name].most_common(_VALUES) if times > 1),
        )
        for name, count in sorted(filled.items(), key=lambda one: (-one[1], one[0]))[:_ATTRIBUTES]
    ]


def _text(value: object) -> str | None:
    """A value as a condition writes it; None: none that anybody would choose from a list."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float | str):
        text = str(value)
        return text if len(text) <= _LONGEST else None
    return None
