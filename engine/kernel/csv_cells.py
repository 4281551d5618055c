"""Cells of CSV that spreadsheets show as they are: none is run as a formula, no id becomes a number."""

from __future__ import annotations

import re
from typing import Any

__all__ = ["defused", "undefused", "unmarked"]

#: What a spreadsheet takes for a formula; a number or a phone number is none.
_FORMULA = re.compile(r"[=+\-@\t\r]")
_NUMBER = re.compile(r"[+-]?[0-9][0-9 .,]*")
#: `="00123"`, as a text is written that a spreadsheet must not take for a number.
_TEXT_FORMULA = re.compile(r'="((?:[^"]|"")*)"')
#: What an apostrophe is put before for the same reason; `'s-Hertogenbosch` and `'90s` keep theirs.
_KEPT_AS_TEXT = re.compile(r"[0-9][0-9 .,:/()-]*|0[0-9A-Za-z-]{3,}|[=+\-@][^']*", re.DOTALL)


def defused(cell: Any) -> Any:
    """A cell that a spreadsheet shows as it is: behind an apostrophe where it would be a formula."""
    if isinstance(cell, str) and _FORMULA.match(cell) and not _NUMBER.fullmatch(cell):
        return f"'{cell}"
    return cell


def undefused(cell: str) -> str:
    """What `defused` was given."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell, 1) else cell


def unmarked(cell: str) -> str:
    """The text that a cell stands for, without a spreadsheet's apostrophe or formula around it."""
    if cell.startswith("'"):
        return cell[1:] if _KEPT_AS_TEXT.fullmatch(cell, 1) is not None else cell
    if cell.startswith('="') and (formula := _TEXT_FORMULA.fullmatch(cell.rstrip())) is not None:
        return formula[1].replace('""', '"')
    return cell
