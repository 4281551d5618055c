"""The console's texts in the reader's language: English as they are written, others from `locale/*.po`.

Catalogues are read as they are, without a compiled form: a few hundred texts take some milliseconds, once.
"""

from __future__ import annotations

from functools import cache
from gettext import NullTranslations
from importlib.resources import files
from typing import TYPE_CHECKING

from babel import Locale, negotiate_locale
from babel.messages.pofile import read_po

if TYPE_CHECKING:
    from babel.messages.catalog import Catalog

__all__ = ["ENGLISH", "LANGUAGES", "Texts", "catalogue", "negotiate", "texts_of", "understands"]

ENGLISH = "en"
#: Language → what it calls itself.
LANGUAGES = {"en": "English", "de": "Deutsch"}


class Texts(NullTranslations):
    """The texts of one language."""

    def __init__(self, language: str) -> None:
        super().__init__()
        self.language = language
        self._one: dict[str, str] = {}
        self._many: dict[str, tuple[str, ...]] = {}
        if language != ENGLISH:
            for message in catalogue(language):
                if isinstance(message.id, tuple) and message.string:
                    self._many[message.id[0]] = tuple(message.string)
                elif message.id and message.string:
                    self._one[str(message.id)] = str(message.string)
        self._plural = Locale(language).plural_form

    def gettext(self, message: str) -> str:
        """The text; English where there is none."""
        return self._one.get(message, message)

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        """The text for so many. Both languages have two forms."""
        one = self._plural(abs(n)) == "one"
        forms = self._many.get(msgid1)
        if forms is None:
            return msgid1 if one else msgid2
        return forms[0] if one else forms[-1]


def catalogue(language: str) -> Catalog:
    """A language's file, read."""
    with (files("engine.api.console") / "locale" / f"{language}.po").open("rb") as file:
        return read_po(file, locale=language)


@cache
def texts_of(language: str) -> Texts:
    """The texts of one of `LANGUAGES`."""
    return Texts(language)


def negotiate(header: str) -> str:
    """The best of `LANGUAGES` for an `Accept-Language` header."""
    return understands(header) or ENGLISH


def understands(header: str) -> str | None:
    """The best of `LANGUAGES` that a reader says they read; None: none of them."""
    weighted = []
    for part in header[:200].split(","):
        tag, _, weight = part.partition(";q=")
        try:
            weighted.append((-float(weight or 1), tag.strip()))
        except ValueError:
            continue
    preferred = [tag.partition("-")[0].lower() for _, tag in sorted(weighted, key=lambda one: one[0]) if tag]
    return negotiate_locale(preferred, list(LANGUAGES))
