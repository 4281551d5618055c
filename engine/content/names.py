"""How a template reaches an entity's attributes, whatever they are called.

The rule:

1. `{{ entity["First Name"] }}` takes an attribute by its exact name. `entity` is always the whole entity; an
   attribute that is itself called `entity` is `{{ entity["entity"] }}`.
2. `{{ email }}` takes the attribute of exactly that name.
3. When there is none, a bare name is an alias: lower case, every run of other characters than letters,
   digits and `_` became one `_`, none at the ends, and a leading digit got one in front. `First Name` is
   `{{ first_name }}`, `E-Mail` is `{{ e_mail }}`, `2nd line` is `{{ _2nd_line }}`. Of several attributes with
   one alias the first has it.
4. A default stands in where the attribute is absent, null, or a text that is empty or blank (CSV files know no
   other absence), and is found by the exact name or by the alias just the same.

Entities of one import share their attribute names, so all of this is worked out once per set of names: a
`Layout`.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from engine.content.values import absent

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["ENTITY", "Layout", "Source", "alias"]

#: The name under which a template sees the whole entity.
ENTITY = "entity"

_OTHER = re.compile(r"\W+")


@lru_cache(maxsize=4096)
def alias(name: str) -> str:
    """The identifier an attribute can be reached by; empty when the name has no letter or digit."""
    identifier = _OTHER.sub("_", name).strip("_").lower()
    return f"_{identifier}" if identifier[:1].isdigit() else identifier


class Source(NamedTuple):
    """Where a value comes from."""

    key: str
    """The attribute's name."""
    given: bool
    """The entity has such an attribute."""
    default: Any
    """What stands in for it; None when nothing does."""

    def read(self, attributes: Mapping[str, Any]) -> Any:
        """The attribute's value, or its default."""
        value = attributes[self.key] if self.given else None
        return self.default if self.default is not None and absent(value) else value


class Layout:
    """The names of one kind of entity, resolved."""

    __slots__ = ("_aliases", "_sources")

    def __init__(self, names: Sequence[str], defaults: Mapping[str, Any]) -> None:
        given = set(names)
        by_alias = _first(names)
        stand_in: dict[str, Any] = {}
        absent: list[str] = []
        for name, value in defaults.items():
            key = name if name in given else by_alias.get(alias(name))
            if key is None:
                absent.append(name)
            else:
                stand_in.setdefault(key, value)
        self._sources = {name: Source(name, True, stand_in.get(name)) for name in names}
        self._sources |= {name: Source(name, False, defaults[name]) for name in absent}
        self._aliases = {
            short: key for short, key in _first([*names, *absent]).items() if short not in self._sources
        }

    def find(self, name: str) -> Source | None:
        """The source of a bare name: rules 2 and 3."""
        return self._sources.get(self._aliases.get(name, name))

    def exactly(self, name: str) -> Source | None:
        """The source of `entity[name]`: rule 1."""
        return self._sources.get(name)

    def entity(self, attributes: Mapping[str, Any]) -> dict[str, Any]:
        """The whole entity under its own names, defaults filled in."""
        return {name: source.read(attributes) for name, source in self._sources.items()}

    def scope(self, attributes: Mapping[str, Any], extras: Mapping[str, Any]) -> dict[str, Any]:
        """Everything a template sees. The engine's own names (`extras`) cannot be taken by an attribute."""
        entity = self.entity(attributes)
        aliases = {short: entity[key] for short, key in self._aliases.items()}
        return {**aliases, **entity, ENTITY: entity, **extras}


def _first(names: Sequence[str]) -> dict[str, str]:
    """Alias → the first name that has it."""
    found: dict[str, str] = {}
    for name in names:
        if short := alias(name):
            found.setdefault(short, name)
    return found
