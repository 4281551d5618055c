"""When two texts are the same to a reader: without blanks around them, in any case, however accents are encoded.

Searching (`CONTAINS`, the `q` of lists) compares folded texts: NFD, Unicode's full case folding, NFC. So `Σπύρος`
is in `ΣΠΎΡΟΣ` (a final sigma is a sigma), `STRASSE` in `Straße`, and a letter with its accent apart is that with its
accent on. The dotted capital `İ` is an `i`; Turkish `ı` is a letter of its own, as Unicode has it without a language.
"""

from __future__ import annotations

from functools import lru_cache
from unicodedata import normalize

from engine.kernel.blanks import BLANKS

__all__ = ["DOTTED_I", "fold", "letters_to_fold", "trim"]

#: No letter beyond this code point has a case; the next blocks are signs and ideographs.
_LAST_WITH_CASE = 0x1EFFF
#: What `İ` is folded to.
DOTTED_I = "i\u0307"


def trim(text: str) -> str:
    """The text without what does not count at the ends of a number, a date or a truth word."""
    return text.strip(BLANKS)


def fold(text: str) -> str:
    """The text as searching compares it."""
    if text.isascii():
        return text.lower()
    return normalize("NFC", normalize("NFD", text).casefold().replace(DOTTED_I, "i"))


@lru_cache(maxsize=1024)
def letters_to_fold(folded: str) -> dict[str, str]:
    """Letters beyond ASCII that must be folded in a text in NFD, and to what, so that `folded` is found in it.

    Folding all letters that have a case costs a database too much. A letter whose folding shares nothing with what is
    looked for is no part of a match, folded or not.
    """
    wanted = set(normalize("NFD", folded))
    return {letter: to for letter, to in _foldings().items() if not wanted.isdisjoint(to)}


@lru_cache(maxsize=1)
def _foldings() -> dict[str, str]:
    """Letters beyond ASCII that stay one letter in NFD and that folding changes: 1,100, a dozen of them to several."""
    letters = map(chr, range(128, _LAST_WITH_CASE + 1))
    return {
        letter: folded
        for letter in letters
        if (folded := letter.casefold()) != letter and normalize("NFD", letter) == letter
    }
