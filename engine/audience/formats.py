"""The forms of files that entities are imported from, by content type."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.audience.columns import records_of
from engine.audience.csv_rows import csv_records, read_delimiter
from engine.audience.lines import ImportRefused, numbered_lines
from engine.audience.ndjson_rows import ndjson_records
from engine.audience.reading import Columns, Reading
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
    reading = Reading(columns)
    if plain == CSV:
        delimiter = read_delimiter(columns.delimiter) if columns.delimiter else None
        return csv_records(numbered_lines(chunks), reading, delimiter=delimiter)
    if columns.delimiter:
        raise ImportRefused("delimiter", "is for CSV only")
    if plain == NDJSON:
        if columns.renamed:
            raise ImportRefused("renamed", "is not for NDJSON, whose lines name their attributes themselves")
        return ndjson_records(numbered_lines(chunks), reading)
    if columns.decimal_comma or columns.decimal_point:
        field = "decimal_comma" if columns.decimal_comma else "decimal_point"
        raise ImportRefused(field, "is not for workbooks, whose numbers are numbers")
    return records_of(workbook_fields(chunks, key=reading.identifier), reading)
