"""The forms of files that entities are imported from, by content type."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from engine.audience.columns import records_of
from engine.audience.csv_rows import csv_records, read_delimiter
from engine.audience.lines import ImportRefused, numbered_lines
from engine.audience.ndjson_rows import ndjson_records
from engine.audience.titles import TitleTemplate
from engine.audience.workbook_rows import workbook_fields

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from engine.audience.records import Record

__all__ = ["CSV", "NDJSON", "XLSX", "Columns", "records_in"]

CSV = "text/csv"
NDJSON = "application/x-ndjson"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"

_SAME = {
    "application/csv": CSV,
    "text/tab-separated-values": CSV,
    "application/ndjson": NDJSON,
    "application/jsonl": NDJSON,
}


class Columns(NamedTuple):
    """What the caller says about a file's columns."""

    external_id: str | None = None
    """The one that identifies an entity."""
    title: str | None = None
    """A template like `{First Name} {Last Name}`."""
    delimiter: str | None = None
    """What stands between the columns of CSV, or a word for it; absent: it is found out."""


def records_in(content_type: str, chunks: Iterable[bytes], columns: Columns) -> Iterator[Record]:
    """The records of a file.

    Raises:
        ImportRefused: the file as a whole, or what is asked for, cannot be used; also while the first record is read.
    """
    plain = content_type.split(";", maxsplit=1)[0].strip().lower()
    plain = _SAME.get(plain, plain)
    if plain not in (CSV, NDJSON, XLSX):
        raise ImportRefused(
            "content_type", f"{plain or 'nothing'!r} cannot be imported; use {CSV} or {NDJSON} or {XLSX}"
        )
    external_id = columns.external_id or None
    title = TitleTemplate(columns.title) if columns.title else None
    if plain == CSV:
        delimiter = read_delimiter(columns.delimiter) if columns.delimiter else None
        return csv_records(numbered_lines(chunks), external_id, title, delimiter=delimiter)
    if columns.delimiter:
        raise ImportRefused("delimiter", "is for CSV only")
    if plain == NDJSON:
        return ndjson_records(numbered_lines(chunks), external_id, title)
    return records_of(workbook_fields(chunks, key=external_id), external_id, title)
