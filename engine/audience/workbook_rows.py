"""A workbook (XLSX) as records: the first visible sheet, its cells as the texts that filters read.

Numbers lose a `.0`, dates are `2026-01-15`, instants `2026-01-15T12:00:00`, booleans `true` and `false`; cells that
show an error are empty. A workbook cannot be read as a stream, so it is bounded: 32 MiB, 256 MiB unpacked, and
5,000,000 cells. All three are checked before it is read.
"""

from __future__ import annotations

import re
from datetime import date, datetime, time
from decimal import Decimal
from tempfile import NamedTemporaryFile
from typing import IO, TYPE_CHECKING, Any
from zipfile import BadZipFile, ZipFile

from python_calamine import CalamineError, CalamineSheet, CalamineWorkbook, SheetTypeEnum, SheetVisibleEnum

from engine.audience.foreign_files import binary_form, text_form
from engine.audience.headers import Fields, Header
from engine.audience.lines import ImportRefused

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["workbook_fields"]

MAX_FILE = 33_554_432
MAX_UNPACKED = 268_435_456
MAX_CELLS = 5_000_000

_BLOCK = 1 << 20
_CELL = re.compile(rb'\br="([A-Z]{1,3})([0-9]{1,7})"')
#: A cell's name is not longer than this, so that none is cut in two unseen.
_OVERLAP = 16


def workbook_fields(chunks: Iterable[bytes], *, key: str | None = None) -> Iterator[Fields]:
    """The sheet's records, a header first; lines are those that a spreadsheet shows.

    Args:
        chunks: The file.
        key: The column that identifies, if the caller knows one.

    Raises:
        ImportRefused: it is no workbook, or too large.
    """
    with NamedTemporaryFile(suffix=".xlsx") as file:  # the name alone says what it is
        size = 0
        for chunk in chunks:
            if not size and (what := _other_form(chunk)) is not None:
                raise ImportRefused("file", f"{what}, not a workbook (XLSX)")
            size += file.write(chunk)
            if size > MAX_FILE:
                raise ImportRefused(
                    "file",
                    f"has more than {MAX_FILE >> 20} MiB, the most for a workbook; export it as CSV UTF-8",
                )
        file.flush()
        _check_size(file)
        try:
            workbook = CalamineWorkbook.from_path(file.name)
            visible = [
                sheet.name
                for sheet in workbook.sheets_metadata
                if sheet.visible is SheetVisibleEnum.Visible and sheet.typ is SheetTypeEnum.WorkSheet
            ]
            sheet = workbook.get_sheet_by_name(visible[0]) if visible else None
        except CalamineError as error:
            raise ImportRefused("file", f"is not a workbook that can be read: {str(error)[:200]}") from None
    return iter(()) if sheet is None else _fields(sheet, visible, Header(key))


def _fields(sheet: CalamineSheet, visible: list[str], header: Header) -> Iterator[Fields]:
    was_header = False
    others = f"of {len(visible)} sheets only {visible[0]!r} is read" if len(visible) > 1 else None
    first = 1 if sheet.start is None else sheet.start[0] + 1
    for line, cells in enumerate(sheet.to_python(), first):
        fields = header.read(line, [_text(cell) for cell in cells])
        if fields is None:
            continue
        if not fields.is_header:
            yield fields._replace(note=None)  # a sheet's rows are all as wide as its widest
        elif others is not None:
            yield fields._replace(note=others)
            others = None
        else:
            yield fields._replace(note=fields.note if was_header else None)
        was_header = was_header or fields.is_header


def _other_form(head: bytes) -> str | None:
    """What it is, if that can be told and it is no archive; some programs call a page of HTML a workbook."""
    if head.startswith(b"PK"):
        return None
    form = binary_form(head) or text_form(head.decode(errors="replace"))
    return None if form is None else re.split("[;,]", form)[0]


def _check_size(stream: IO[bytes]) -> None:
    """Read all of the archive once, so that nothing in it is larger than it says, or has cells far apart."""
    unpacked = 0
    try:
        with ZipFile(stream) as archive:
            for member in archive.infolist():
                rows = columns = 0
                rest = b""
                with archive.open(member) as file:
                    while block := file.read(_BLOCK):
                        unpacked += len(block)
                        if unpacked > MAX_UNPACKED:
                            raise ImportRefused(
                                "file", f"has more than {MAX_UNPACKED >> 20} MiB when it is unpacked"
                            )
                        if not member.filename.startswith("xl/worksheets/"):
                            continue
                        for match in _CELL.finditer(rest + block):
                            rows, columns = max(rows, int(match[2])), max(columns, _column(match[1]))
                        rest = block[-_OVERLAP:]
                if rows * columns > MAX_CELLS:
                    raise ImportRefused(
                        "file",
                        f"has a sheet of {rows:,} rows and {columns:,} columns; at most {MAX_CELLS:,} cells are "
                        "read from a workbook: take out what is not used, or export it as CSV UTF-8",
                    )
    except (BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError) as error:
        raise ImportRefused("file", f"is not a workbook (XLSX): {str(error)[:200]}") from None


def _column(letters: bytes) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + letter - 64
    return number


def _text(cell: Any) -> str:
    """A cell's value as text."""
    if isinstance(cell, str):
        return cell
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, float):
        return str(int(cell)) if cell.is_integer() else format(Decimal(repr(cell)), "f")
    if isinstance(cell, datetime):
        return cell.date().isoformat() if cell.time() == time() else cell.isoformat(timespec="seconds")
    return cell.isoformat() if isinstance(cell, date | time) else str(cell)
