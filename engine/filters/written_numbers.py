"""Numbers as people write them: with a comma or a point before the decimals, and signs between thousands.

`1.234,50` and `1,234.50` are the same number in two countries, so nothing is read as one unless somebody says which
mark stands before the decimals of a column. Then it is kept in the one form that filters read: `1234.50`.
"""

from __future__ import annotations

import re
from enum import Enum
from unicodedata import category

from engine.kernel.blanks import BLANKS

__all__ = ["DecimalMark", "plain_number"]

#: Between thousands, beside the other mark. Blanks are of several kinds; Swiss write apostrophes.
_BETWEEN = " \u00a0\u2007\u2009\u202f'\u2019"
_LONGEST = 64


class DecimalMark(Enum):
    """What stands before the decimals; the other one may stand between thousands."""

    COMMA = ","
    POINT = "."


_PATTERNS = {
    mark: re.compile(
        r"(?P<whole>[0-9]+"
        rf"|[0-9]{{1,3}}(?P<between>[{re.escape(other + _BETWEEN)}])[0-9]{{3}}(?:(?P=between)[0-9]{{3}})*)"
        rf"(?:{re.escape(mark.value)}(?P<decimals>[0-9]+))?"
    )
    for mark, other in ((DecimalMark.COMMA, "."), (DecimalMark.POINT, ","))
}


def plain_number(text: str, mark: DecimalMark) -> str | None:
    """The number's digits with a point before the decimals; None when it is no number.

    A minus may stand before or behind, a currency's sign at either end.
    """
    plain = text.strip(BLANKS)
    if len(plain) > _LONGEST:
        return None
    plain = plain.replace("\u2212", "-")
    negative = plain.startswith("-") or plain.endswith("-")
    plain = _bare(plain.removesuffix("-") if plain.endswith("-") else plain)
    match = _PATTERNS[mark].fullmatch(plain)
    if match is None:
        return None
    whole = re.sub(r"[^0-9]", "", match["whole"])
    decimals = "" if match["decimals"] is None else "." + match["decimals"]
    return f"{'-' if negative else ''}{whole}{decimals}"


def _bare(text: str) -> str:
    """The text without one sign and one currency's sign at its beginning, and another one at its end."""
    for _ in range(2):
        if text and (text[0] in "+-" or category(text[0]) == "Sc"):
            text = text[1:].strip(BLANKS)
    if text and category(text[-1]) == "Sc":
        text = text[:-1].strip(BLANKS)
    return text
