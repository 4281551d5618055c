"""Import of suppressions from a CSV file of any size, in constant memory.

Files are read as those of entities are: commas, semicolons or tabs, with a byte order mark or without. Each 1,000 lines
are a transaction. A bad line is reported by its number and never stops the good ones.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pydantic import ValidationError
from sqlalchemy import select

from engine.audience.csv_rows import csv_fields
from engine.audience.lines import ImportRefused, numbered_lines
from engine.audience.suppression_list import BATCH, COLUMNS, SuppressionInput, regions_of
from engine.engagement.suppression import bar
from engine.kernel.csv_cells import undefused
from engine.kernel.inputs import Invalid, explain
from state.sets import among
from state.tables import Campaign
from state.types import NIL_UUID

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from uuid import UUID

    from sqlalchemy.orm import Session

    from engine.engagement.suppression import Barred
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
    order. An address stands as the export writes it, or as it is. A line about a campaign that the organization does
    not have is rejected.

    Raises:
        ImportRefused: the file is no UTF-8 text, or lacks a column. Nothing was written.
        sqlalchemy.exc.DBAPIError: the database went away; what was added until then stays.
    """
    result = Imported()
    batch: dict[tuple[str, str, UUID], tuple[int, Barred]] = {}
    given = 0
    with database.read() as session:
        regions = regions_of(session, org_id)

    def flush() -> None:
        nonlocal given
        if not batch:
            return
        with database.begin() as session:
            known = _campaigns(session, org_id, {barred.campaign_id for _, barred in batch.values()})
            fit = [barred for _, barred in batch.values() if barred.campaign_id in known]
            result.created += len(bar(session, org_id, fit))
        for number, barred in batch.values():
            if barred.campaign_id not in known:
                given -= 1
                result.reject(number, f"campaign_id: campaign {barred.campaign_id} does not exist")
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
        given += 1
        batch.setdefault((barred.medium, barred.address, barred.campaign_id), (number, barred))
        if len(batch) >= BATCH:
            flush()
    flush()
    result.skipped = given - result.created
    return result


def _campaigns(session: Session, org_id: UUID, wanted: set[UUID]) -> set[UUID]:
    """Of campaigns that lines are about those that the organization has; all of them together are one."""
    ids = wanted - {NIL_UUID}
    if not ids:
        return wanted
    ours = select(Campaign.id).where(Campaign.org_id == org_id, among(session, Campaign.id, ids))
    return {NIL_UUID, *session.scalars(ours)}


def _records(chunks: Iterable[bytes], result: Imported) -> Iterator[tuple[int, dict[str, str]]]:
    """Line numbers and cells by column; what is wrong with a line is rejected."""
    names: list[str] | None = None
    is_empty = True
    for fields in csv_fields(numbered_lines(chunks), key="address"):
        is_empty = is_empty and fields.is_header
        if fields.trouble is not None:
            result.reject(fields.line, fields.trouble)
        elif fields.is_header:  # a file of several that were joined has more than one
            names = _header(fields.values)
        elif names is not None:
            cells = {name: value.strip() for name, value in zip(names, fields.values, strict=False)}
            yield fields.line, {name: undefused(cell) for name, cell in cells.items() if cell}
    if names is None:
        raise ImportRefused("file", f"is empty; its first line names the columns {', '.join(COLUMNS)}")
    if is_empty:
        raise ImportRefused("file", "has a header and no line after it")


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
