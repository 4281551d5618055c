"""What a template's values are: when one is a number, how it is written, and what is said of one that cannot be used.

Attributes come from files, so a number is mostly a text. It is read exactly or not at all: an optional sign, up to 20
digits, a point and up to 20 more. `12,50` and `1.234,50` are no numbers, because the one means in one country what the
other means in the next. Blanks of any width and characters that nobody sees are no part of it. What is absent (null,
an empty or blank text, an attribute that there is not) is no number either, and stays absent.

Nothing is written in the notation of Python: lists and objects are JSON, numbers have no exponents.
"""

from __future__ import annotations

import json
import re
from decimal import Context, Decimal
from typing import Any

import orjson
from liquid.exceptions import FilterValueError
from liquid.undefined import is_undefined
from markupsafe import escape

from config.errors import MusterError
from engine.kernel.blanks import BLANKS

__all__ = [
    "EXACT",
    "Number",
    "UnusableArgument",
    "UnusableValue",
    "absent",
    "described",
    "liquid_text",
    "number",
    "output_text",
    "quoted",
    "read_number",
    "text_of",
]

Number = int | float | Decimal

#: Reckons without rounding what two numbers of 20 digits before and behind the point give.
EXACT = Context(prec=100)
_NUMBER = re.compile(r"[+-]?[0-9]{1,20}(?:\.[0-9]{1,20})?")
#: No number is as large, read or reckoned.
_LARGEST = Decimal(10) ** 20
_SHOWN = 60


class UnusableValue(MusterError, FilterValueError):
    """A value cannot be used for what the template wants with it."""


class UnusableArgument(UnusableValue):
    """A filter's argument cannot be used.

    Args:
        argument: Its place, counted from 0, or its name; None: it is not one of them alone.
    """

    def __init__(self, message: str, argument: int | str | None = 0) -> None:
        super().__init__(message, token=None)
        self.argument = argument


def absent(value: Any) -> bool:
    """Whether there is no value."""
    return value is None or is_undefined(value) or (isinstance(value, str) and not value.strip(BLANKS))


def read_number(value: Any) -> Decimal | None:
    """The number that a value says; None: it says none, or one of more digits than anybody counts."""
    if isinstance(value, str):
        text = value.strip(BLANKS)
        return Decimal(text) if _NUMBER.fullmatch(text) else None
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return None
    read = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    return read if read.is_finite() and abs(read) < _LARGEST else None


def number(value: Any) -> Decimal:
    """The number that a value says.

    Raises:
        UnusableValue: it says none.
    """
    read = read_number(value)
    if read is None:
        raise UnusableValue(f"{described(value)} is not a number", token=None)
    return read


def described(value: Any) -> str:
    """A value as an error names it."""
    if absent(value) and not isinstance(value, str):
        return "nothing"
    if isinstance(value, str):
        return quoted(value)[:_SHOWN]
    if isinstance(value, list | tuple):
        return "a list"
    if isinstance(value, dict):
        return "an object"
    return text_of(value)[:_SHOWN]


def quoted(text: str) -> str:
    """A text as a sentence names it: in quotation marks, with a name for what is not seen."""
    mark = '"' if "'" in text else "'"
    seen = "".join(letter if letter.isprintable() else f"<U+{ord(letter):04X}>" for letter in text)
    return f"{mark}{seen}{mark}"


def text_of(value: Any) -> str:
    """A value as it is written where text is wanted."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return ""
    if isinstance(value, float | Decimal):
        return _figure(value)
    if isinstance(value, dict | list | tuple):
        return _json(value)
    if isinstance(value, range):
        return f"{value.start}..{value.stop - 1}"
    return str(value)


def liquid_text(value: Any) -> Any:
    """A value as filters of texts may have it: a text, where Python would write one in its own notation."""
    if value is None:
        return ""
    return text_of(value) if isinstance(value, bool | float | Decimal | dict | list | tuple) else value


def output_text(value: Any, *, html: bool) -> str:
    """A value as an output writes it, escaped for HTML unless it is safe."""
    if html:
        return escape(value if hasattr(value, "__html__") else text_of(value))
    return text_of(value)


def _figure(value: float | Decimal) -> str:
    """A number in digits; 1.50 reckoned is 1.5."""
    exact = Decimal(repr(value)) if isinstance(value, float) else value
    if not exact.is_finite():
        raise UnusableValue("a number without bounds cannot be written", token=None)
    if isinstance(value, float):
        text = repr(value)
        return format(exact, "f") if "e" in text else text
    text = format(exact, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _json(value: Any) -> str:
    try:
        return orjson.dumps(value, default=text_of, option=orjson.OPT_NON_STR_KEYS).decode()
    except (TypeError, ValueError):  # whole numbers of more than 64 bits, halves of surrogate pairs
        return json.dumps(value, default=text_of, ensure_ascii=False, separators=(",", ":"))
