"""How many SMS a text costs (3GPP TS 23.038 and 23.040).

A text whose every character is in the GSM 7-bit alphabet travels as septets: 160 in one message, 153 in each part of
a longer one; characters of the extension table take two, which must not be parted. Any other character, an emoji or a
typographic quote, makes the whole text UCS-2: 70 code units, 67 a part.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

__all__ = ["Segments", "count_segments"]

_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENDED = frozenset("\f^{}\\[~]|€")
_BEYOND_ONE_UNIT = 0xFFFF
_LIMITS = {"gsm7": (160, 153), "ucs2": (70, 67)}


class Segments(NamedTuple):
    """What a text costs."""

    encoding: Literal["gsm7", "ucs2"]
    units: int
    """Septets, or UTF-16 code units."""
    messages: int
    """SMS; an empty text is one."""
    odd: str
    """The characters that made it UCS-2, each once, in order; empty for `gsm7`."""


def count_segments(text: str) -> Segments:
    """What `text` costs."""
    odd = "".join(dict.fromkeys(char for char in text if char not in _BASIC and char not in _EXTENDED))
    encoding: Literal["gsm7", "ucs2"] = "ucs2" if odd else "gsm7"
    if odd:
        widths = [2 if ord(char) > _BEYOND_ONE_UNIT else 1 for char in text]
    else:
        widths = [2 if char in _EXTENDED else 1 for char in text]
    units = sum(widths)
    single, part = _LIMITS[encoding]
    if units <= single:
        return Segments(encoding, units, 1, odd)
    count, room = 1, part
    for width in widths:
        if width > room:  # a character is never parted
            count, room = count + 1, part
        room -= width
    return Segments(encoding, units, count, odd)
