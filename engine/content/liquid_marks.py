"""Liquid put aside while another program works on the markup around it.

Every `{{ output }}` and `{% tag %}` is replaced by a mark, whatever it holds (`{% if a < b %}`), and stands in its
place again afterwards. What the program dropped, doubled or moved is refused: a tag's other half would stay open, an
output would say nothing.
"""

from __future__ import annotations

import re
from collections import Counter

from engine.content.errors import TemplateError

__all__ = ["LiquidMarks"]

_LIQUID = re.compile(r"\{\{|\{%-?\s*(?:(raw|comment)\s*-?%\})?")


class LiquidMarks:
    """The Liquid of one source.

    Args:
        source: Markup with Liquid in it.
        field: Of the template, for errors.
        program: What works on it, for errors: `MJML`.

    Raises:
        TemplateError: a piece of Liquid is not closed.
    """

    def __init__(self, source: str, *, field: str, program: str) -> None:
        self._source, self._field, self._program = source, field, program
        mark = "xliquid"
        while mark in source:
            mark += "d"
        self._pieces = self._read()
        self.pattern = re.compile(f"{mark}([0-9]+)x")
        """Finds marks."""
        kept: list[str] = []
        done = 0
        for number, (start, text) in enumerate(self._pieces):
            kept += (source[done:start], f"{mark}{number}x")
            done = start + len(text)
        self.marked = "".join((*kept, source[done:]))
        """The source with marks in place of Liquid."""

    def line_at(self, position: int) -> int:
        """The line in the source of a position in `marked`, counted from 1."""
        before = self.marked[:position]
        inside = sum(self._pieces[int(number)][1].count("\n") for number in self.pattern.findall(before))
        return before.count("\n") + inside + 1

    def restore(self, html: str) -> str:
        """What the program made, with Liquid in its place again.

        Raises:
            TemplateError: some of it is not where it was.
        """
        found = [int(number) for number in self.pattern.findall(html)]
        times = Counter(found)
        for number, (start, text) in enumerate(self._pieces):
            if times[number] != 1 if text.startswith("{%") else not times[number]:
                line = self._source.count("\n", 0, start) + 1
                raise TemplateError(
                    self._field, line, f"{text[:60]} stands where {self._program} has no place for it"
                )
        tags = [number for number in found if self._pieces[number][1].startswith("{%")]
        if tags != sorted(tags):
            raise TemplateError(self._field, 1, f"{self._program} would change the order of the Liquid tags")
        return self.pattern.sub(lambda match: self._pieces[int(match[1])][1], html)

    def _read(self) -> list[tuple[int, str]]:
        """Where each piece of Liquid begins, and all of it; `raw` and `comment` with what is in them."""
        source = self._source
        found = []
        position = 0
        while (opened := _LIQUID.search(source, position)) is not None:
            start = opened.start()
            if opened[1] is not None:
                closed = re.compile(rf"\{{%-?\s*end{opened[1]}\s*-?%\}}").search(source, opened.end())
                end = closed.end() if closed is not None else -1
            else:
                end = source.find("}}" if opened[0] == "{{" else "%}", start + 2)
                end += 2 if end >= 0 else 0
            if end < 0:
                line = source.count("\n", 0, start) + 1
                raise TemplateError(self._field, line, f"{opened[0].strip()} is not closed")
            found.append((start, source[start:end]))
            position = end
        return found
