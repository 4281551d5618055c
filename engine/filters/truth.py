"""What says yes and what says no: one reading for every filter, condition and dialect.

| says | texts, in any case and with blanks around them | JSON |
|---|---|---|
| yes | `true` `t` `yes` `y` `on` `1` `1.0` | true, every number but 0 |
| no | `false` `f` `no` `n` `off` `0` `0.0` | false, 0 |

A list says what its elements say; one of things that say neither is there, which is a yes, as an object is. All else
is neither, and passes neither test.
"""

from __future__ import annotations

from engine.filters.texts import trim

__all__ = ["NO", "YES", "read_truth"]

YES = ("true", "t", "yes", "y", "on", "1", "1.0")
NO = ("false", "f", "no", "n", "off", "0", "0.0")


def read_truth(text: str) -> bool | None:
    """Whether a text says yes (True) or no (False), or neither (None)."""
    word = trim(text).lower()
    return True if word in YES else False if word in NO else None
