"""Titles made from columns: `{First Name} {Last Name}`. A brace itself is written twice."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from engine.audience.lines import ImportRefused
from engine.kernel.suggestions import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["TitleTemplate"]

_PART = re.compile(r"\{\{|\}\}|\{([^{}]+)\}|[{}]")


class TitleTemplate:
    """A title with holes.

    Raises:
        ImportRefused: a brace has no partner.
    """

    def __init__(self, template: str) -> None:
        self.columns: list[str] = []
        """The holes, in order; every second part of the text is one."""
        self._texts = [""]
        position = 0
        for match in _PART.finditer(template):
            self._texts[-1] += template[position : match.start()]
            position = match.end()
            if match[1] is not None:
                self.columns.append(match[1].strip())
                self._texts.append("")
            elif len(match[0]) == 2:  # noqa: PLR2004 - a brace written twice
                self._texts[-1] += match[0][0]
            else:
                raise ImportRefused(
                    "title", f"has a {match[0]!r} without its partner; write it twice to mean itself"
                )
        self._texts[-1] += template[position:]

    def check(self, known: Iterable[str]) -> None:
        """Refuse a column that is not among the known ones.

        Raises:
            ImportRefused: names the column.
        """
        known = list(known)
        for column in self.columns:
            if column not in known:
                raise ImportRefused(
                    "title", f"names the column {column!r}, which is not there{did_you_mean(column, known)}"
                )

    def covers(self, values: Mapping[str, Any]) -> bool:
        """Whether the row names all of the columns."""
        return all(column in values for column in self.columns)

    def fill(self, values: Mapping[str, Any]) -> str:
        """The title of one row; what is absent leaves no gap."""
        filled = [self._texts[0]]
        for column, text in zip(self.columns, self._texts[1:], strict=True):
            value = values.get(column)
            filled.append("" if value is None or isinstance(value, dict | list) else str(value))
            filled.append(text)
        return " ".join("".join(filled).split())
