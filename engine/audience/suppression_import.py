"""Import of suppressions from a CSV file of any size, in constant memory.

Files are read as those of entities are: commas, semicolons or tabs, with a byte order mark or without. Each 1,000 lines
are a transaction. A bad line is reported by its number and never stops the good ones.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pydantic import ValidationError

from engine.audience.csv_rows import csv_fields
from engine.audience.lines import ImportRefused, numbered_lines
from engine.audience.suppression import bar
from engine.audience.suppression_list import BATCH, COLUMNS, SuppressionInput, regions_of
from engine.inputs import Invalid, explain

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from uuid import UUID

    from engine.audience.suppression import Barred
    from state.database import Database

__all__ = ["Imported", "import_suppressions"]

_MAX_ERRORS = 1_000
_BETWEEN_WORDS = re.compile(r"[\s-]+")


@dataclass(slots=True)
class Imported:
    """What became of a file's lines."""

    created: int = 0
    skipped: int = 0
    """On the list already."""
    rejected: int = 0
    errors: list[tuple[int, str]] = field(default_factory=list)
    """Line and message of the first 1,000 rejected."""

    def reject(self, line: int, message: str) -> None:
        """Count a trouble."""
        self.rejected += 1
        if len(self.errors) < _MAX_ERRORS:
            self.errors.append((line, message))


def import_suppressions(database: Database, org_id: UUID, chunks: Iterable[bytes]) -> Imported:
    """Add a CSV file's addresses.

    The header names `address`, `channel_kind` or `medium`, and, if they are there, `reason` and `campaign_id`, in any
    order. A campaign may be gone: a list that was exported can be imported.

    Raises:
        ImportRefused: the file is no UTF-8 text, or lacks a column. Nothing was written.
        sqlalchemy.exc.DBAPIError: the database went away; what was added until then stays.
    """
    result = Imported()
    batch: dict[tuple[str, str, UUID], Barred] = {}
    taken = 0
    with database.read() as session:
        regions = regions_of(session, org_id)

    def flush() -> None:
        if batch:
            with database.begin() as session:
                result.created += len(bar(session, org_id, batch.values()))
            batch.clear()

    for number, cells in _records(chunks, result):
        try:
            barred = SuppressionInput.model_validate(cells).barred(regions)
        except ValidationError as error:
            result.reject(number, str(explain(error.errors(), SuppressionInput)))
            continue
        except Invalid as error:
            result.reject(number, str(error))
            continue
        taken += 1
        batch.setdefault((barred.medium, barred.address, barred.campaign_id), barred)
        if len(batch) >= BATCH:
            flush()
    flush()
    result.skipped = taken - result.created
    return result


def _records(chunks: Iterable[bytes], result: Imported) -> Iterator[tuple[int, dict[str, str]]]:
    """Line numbers and cells by column; what is wrong with a line is rejected."""
    names: list[str] | None = None
    for fields in csv_fields(numbered_lines(chunks), key="address"):
        if fields.trouble is not None:
            result.reject(fields.line, fields.trouble)
        elif fields.is_header:  # a file of several that were joined has more than one
            names = _header(fields.values)
        elif names is not None:
            cells = {name: value.strip() for name, value in zip(names, fields.values, strict=False)}
            yield fields.line, {name: cell for name, cell in cells.items() if cell}
    if names is None:
        raise ImportRefused("file", f"is empty; its first line names the columns {', '.join(COLUMNS)}")


def _header(cells: list[str]) -> list[str]:
    names = [_BETWEEN_WORDS.sub("_", cell.strip().lower()) for cell in cells]
    while names and not names[-1]:  # a delimiter at the end of the line
        names.pop()
    for wanted in (("address",), ("channel_kind", "medium")):
        if not any(name in names for name in wanted):
            columns = " or ".join(map(repr, wanted))
            raise ImportRefused("file", f"has no column {columns}; its header is {', '.join(cells)[:200]}")
    for name in names:
        if name not in COLUMNS or names.count(name) > 1:
            known = ", ".join(COLUMNS)
            raise ImportRefused("file", f"column {name[:64]!r} is not one of {known}, each once")
    return names
