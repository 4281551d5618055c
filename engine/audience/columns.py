"""Records of a table (CSV, a sheet) as rows to store: a column is an attribute, or one of the entity's own fields."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.audience.attributes import OWN_FIELDS, canonical
from engine.audience.lines import ImportRefused
from engine.audience.records import Record
from engine.kernel.blanks import BLANKS
from engine.kernel.inputs import Invalid

if TYPE_CHECKING:
    from collections.abc import Iterator

    from engine.audience.headers import Fields
    from engine.audience.reading import Reading
    from engine.audience.store import Row

__all__ = ["records_of"]

_MAX_NAME = 255


class _Columns:
    """A header: which columns become attributes, and which are the entity's own fields."""

    def __init__(self, header: list[str], reading: Reading) -> None:
        given = [name.strip(BLANKS) for name in header]
        reading.check_renamed(given)
        self.names = [reading.renamed.get(name, name) for name in given]
        while self.names and not self.names[-1]:
            self.names.pop()
        self.notes: list[str] = []
        self.kept: list[int] = []
        seen: set[str] = set()
        for index, name in enumerate(self.names):
            if not name and given[index]:
                continue  # it is to be left out
            if not name:
                self.notes.append(f"gives column {index + 1} no name; the column is left out")
            elif name in seen:
                self.notes.append(f"names two columns {name!r}; only the first of them is read")
            elif len(name) > _MAX_NAME:
                self.notes.append(f"gives column {index + 1} a name longer than {_MAX_NAME}; it is left out")
            else:
                seen.add(name)
                self.kept.append(index)
        self.own = OWN_FIELDS & seen

    def known(self) -> list[str]:
        """The columns that are read."""
        return [self.names[index] for index in self.kept]

    def values(self, fields: list[str]) -> dict[str, str]:
        """The fields by name."""
        if len(self.kept) == len(fields):
            return dict(zip(self.names, fields, strict=True))
        return {self.names[index]: fields[index] for index in self.kept}


def records_of(found: Iterator[Fields], reading: Reading) -> Iterator[Record]:
    """The table's records in order.

    Raises:
        ImportRefused: there is no header, or the first lacks a column that was named, or nothing follows.
    """
    header = next(found, None)
    if header is None:
        raise ImportRefused("file", "is empty; its first line must name the columns")
    if header.trouble is not None:
        raise ImportRefused("file", f"has a first line, to name the columns, that {header.trouble}")
    columns = _Columns(header.values, reading)
    reading.check(columns.known())
    yield from _notes(header, columns)
    is_empty = True
    for fields in found:
        is_empty = is_empty and fields.is_header
        if fields.trouble is not None:
            yield Record(fields.line, None, fields.trouble)
        elif fields.is_header:
            columns = _Columns(fields.values, reading)
            yield from _notes(fields, columns)
        else:
            try:
                row, note = _row(columns, fields.values, reading)
            except Invalid as error:
                yield Record(fields.line, None, str(error))
            else:
                yield Record(fields.line, row, note=fields.note or note)
    if is_empty:
        said = ", ".join(columns.known())[:100]
        raise ImportRefused("file", f"has a header and no line after it; the header is {said!r}")


def _notes(header: Fields, columns: _Columns) -> Iterator[Record]:
    notes = columns.notes if header.note is None else [header.note, *columns.notes]
    return (Record(header.line, None, note=note) for note in notes)


def _row(columns: _Columns, fields: list[str], reading: Reading) -> tuple[Row, str | None]:
    values = columns.values(fields)
    values.update(reading.added)
    note = reading.read_numbers(values)
    attributes = (
        {name: value for name, value in values.items() if name not in columns.own} if columns.own else values
    )
    return reading.row(values, canonical(attributes), values.get("title", values.get("_title"))), note
