"""What stands around a value and is no part of it: blanks of every width, and characters that nobody sees.

They come along when a value is copied out of a page, a document or a sheet. Numbers, dates, truth words, addresses and
external ids are read without them.
"""

from __future__ import annotations

__all__ = ["BLANKS", "UNSEEN"]

#: Characters without a width: soft hyphens, joiners, marks of direction, byte order marks.
UNSEEN = (
    "\u00ad\u034f\u061c\u115f\u1160\u180e\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\u2061"
    "\u2062\u2063\u2064\u2066\u2067\u2068\u2069\u3164\ufe0e\ufe0f\ufeff\uffa0\ufff9\ufffa\ufffb"
)
#: Those, the white space of ASCII, and the spaces of Unicode.
BLANKS = (
    UNSEEN
    + "".join(map(chr, (*range(9, 14), *range(28, 33), 0x85, 0xA0, 0x1680, *range(0x2000, 0x200B))))
    + "\u2028\u2029\u202f\u205f\u3000"
)
