"""CSV (RFC 4180) as rows to store, whatever is wrong with some of its lines.

The first line names the columns; the delimiter (comma, semicolon or tab) is told from it. A quoted field may
span lines. When a record turns out bad (a quotation mark that is never closed, too many or too few fields),
its *first* line is reported and reading goes on with its second: a stray quotation mark costs one line and
not all that follow.
"""

from __future__ import annotations

import csv
import re
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from engine.audience.attributes import MAX_TITLE, OWN_FIELDS, canonical, external_key
from engine.audience.lines import MAX_LINE, ImportRefused
from engine.audience.records import Record
from engine.audience.store import Row
from engine.inputs import Invalid
from engine.suggestions import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator

    from engine.audience.lines import Line
    from engine.audience.titles import TitleTemplate

__all__ = ["Fields", "csv_fields", "csv_records"]

_QUOTED = re.compile(r'"[^"]*"')
_MAX_NAME = 255

#: What the csv module says, by a part of it, and what we say.
_MESSAGES = {
    "unexpected end of data": "opens a quotation mark that is never closed",
    "expected after": "goes on after a closing quotation mark; inside a quoted field it is written twice",
    "new-line character": "contains a carriage return outside quotation marks",
    "field larger": f"has a field longer than {MAX_LINE} characters",
}


class _Broken(Exception):
    """The record under way cannot be completed."""


class _Feed:
    """Gives the csv module its lines, remembers those of the record under way, and takes them back."""

    def __init__(self, lines: Iterator[Line]) -> None:
        self._lines = lines
        self._returned: deque[Line] = deque()
        self._taken: list[Line] = []
        self._size = 0

    def __iter__(self) -> _Feed:
        return self

    def __next__(self) -> str:
        line = self._returned.popleft() if self._returned else next(self._lines)
        self._taken.append(line)
        self._size += len(line.text) + 1
        if line.trouble is not None:
            inside = len(self._taken) > 1
            raise _Broken(
                f"runs on into line {line.number}, which {line.trouble}" if inside else line.trouble
            )
        if self._size > MAX_LINE and len(self._taken) > 1:
            raise _Broken(f"opens a quotation mark that is not closed within {MAX_LINE} characters")
        return line.text + "\n"

    def delimiter(self) -> str:
        """The one that the header uses; a header of one column uses none."""
        header = next((line for line in self._lines if line.trouble or line.text.strip()), None)
        if header is None:
            return ","
        self._returned.append(header)
        bare = _QUOTED.sub("", header.text)
        return max(",;\t", key=bare.count)

    def line(self) -> int:
        """Where the record under way starts; the next one starts after it."""
        first = self._taken[0].number
        self._start()
        return first

    def again(self) -> int:
        """Where the record under way starts; its other lines are read again."""
        self._returned.extendleft(reversed(self._taken[1:]))
        return self.line()

    def _start(self) -> None:
        self._taken = []
        self._size = 0


class Fields(NamedTuple):
    """One record, or what is wrong with it."""

    line: int
    values: list[str]
    trouble: str | None = None


def _fields(feed: _Feed, delimiter: str) -> Iterator[Fields]:
    """The file's records as fields; all have as many as the first."""
    reader = csv.reader(feed, delimiter=delimiter, strict=True)
    width = None
    while True:
        try:
            values = next(reader)
        except StopIteration:
            return
        except (_Broken, csv.Error) as error:
            trouble = str(error)
            known = (ours for theirs, ours in _MESSAGES.items() if theirs in trouble)
            yield Fields(feed.again(), [], next(known, trouble))
            continue
        if not values:
            feed.line()  # blank
        elif width is not None and len(values) != width:
            trouble = f"has {len(values)} fields where the header has {width}"
            yield Fields(feed.again(), [], trouble)
        else:
            width = len(values)
            yield Fields(feed.line(), values)


class _Columns:
    """The header: which columns become attributes, and which are the entity's own fields."""

    def __init__(self, header: list[str]) -> None:
        self.names = [name.strip() for name in header]
        self.troubles: list[str] = []
        self.kept: list[int] = []
        seen: set[str] = set()
        for index, name in enumerate(self.names):
            if not name:
                self.troubles.append(f"gives column {index + 1} no name; the column is left out")
            elif name in seen:
                self.troubles.append(f"names two columns {name!r}; only the first of them is read")
            elif len(name) > _MAX_NAME:
                self.troubles.append(
                    f"gives column {index + 1} a name longer than {_MAX_NAME}; it is left out"
                )
            else:
                seen.add(name)
                self.kept.append(index)
        self.own = OWN_FIELDS & seen

    def check(self, external_id: str | None, title: TitleTemplate | None) -> None:
        """Refuse what is asked for and not there."""
        known = [self.names[index] for index in self.kept]
        if external_id is not None and external_id not in known:
            hint = did_you_mean(external_id, known)
            raise ImportRefused("external_id", f"names the column {external_id!r}, which is not there{hint}")
        if title is not None:
            title.check(known)

    def values(self, fields: list[str]) -> dict[str, str]:
        """The fields by name."""
        if len(self.kept) == len(fields):
            return dict(zip(self.names, fields, strict=True))
        return {self.names[index]: fields[index] for index in self.kept}


def csv_fields(lines: Iterator[Line]) -> Iterator[Fields]:
    """The file's records as fields, the header first; blank lines are none."""
    feed = _Feed(lines)
    return _fields(feed, feed.delimiter())


def csv_records(
    lines: Iterator[Line], external_id: str | None, title: TitleTemplate | None
) -> Iterator[Record]:
    """The file's records in order; blank lines are none.

    Raises:
        ImportRefused: there is no header, or it lacks a column that `external_id` or `title` names.
    """
    found = csv_fields(lines)
    header = next(found, None)
    if header is None:
        raise ImportRefused("file", "is empty; its first line must name the columns")
    if header.trouble is not None:
        raise ImportRefused("file", f"has a first line, to name the columns, that {header.trouble}")
    columns = _Columns(header.values)
    columns.check(external_id, title)
    yield from (Record(header.line, None, trouble) for trouble in columns.troubles)
    for line, fields, trouble in found:
        if trouble is not None:
            yield Record(line, None, trouble)
        elif fields == header.values:
            yield Record(line, None, "is the header again")
        else:
            try:
                yield Record(line, _row(columns, fields, external_id, title))
            except Invalid as error:
                yield Record(line, None, str(error))


def _row(columns: _Columns, fields: list[str], external_id: str | None, title: TitleTemplate | None) -> Row:
    values = columns.values(fields)
    key = external_key(values.get(external_id or "external_id"))
    if key is None and external_id is not None:
        raise Invalid(external_id, "is empty; it must hold the external id")
    name = title.fill(values) if title is not None else values.get("title", values.get("_title", ""))
    if len(name) > MAX_TITLE:
        raise Invalid("title", f"has {len(name)} characters; at most {MAX_TITLE} are allowed")
    for own in columns.own:
        del values[own]
    return Row(key, name, canonical(values))
