"""Cells of CSV that spreadsheets show as they are: none is run as a formula."""

from __future__ import annotations

import re
from typing import Any

__all__ = ["defused", "undefused"]

#: What a spreadsheet takes for a formula; a number or a phone number is none.
_FORMULA = re.compile(r"[=+\-@\t\r]")
_NUMBER = re.compile(r"[+-]?[0-9][0-9 .,]*")


def defused(cell: Any) -> Any:
    """A cell that a spreadsheet shows as it is: behind an apostrophe where it would be a formula."""
    if isinstance(cell, str) and _FORMULA.match(cell) and not _NUMBER.fullmatch(cell):
        return f"'{cell}"
    return cell


def undefused(cell: str) -> str:
    """What `defused` was given."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell, 1) else cell
