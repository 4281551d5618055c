"""One template in several languages: each recipient gets the one it reads.

The language comes from the recipient's attribute (`engine.content.locales`): `de-AT` takes the translation `de-AT`,
else `de`, else the template's own text. A recipient without a language, or with one that nobody translated to, gets
the template's own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.content.locales import Finder, fallbacks, read_language

if TYPE_CHECKING:
    from collections.abc import Container, Mapping, Sequence

    from engine.content.enclosed import Enclosed
    from engine.content.message import Content
    from engine.content.templates import CompiledTemplate

__all__ = ["TranslatedTemplate"]

_NOTHING: Mapping[str, Any] = {}
_KEPT = 4096


class TranslatedTemplate:
    """Compiled templates by language; used like one of them.

    Args:
        own: For people who read none of the others.
        translations: By tag, in its usual case.
        language: The own one's tag.
        language_attribute: Where entities keep theirs; absent: under a usual name.
    """

    def __init__(
        self,
        own: CompiledTemplate,
        translations: Mapping[str, CompiledTemplate],
        *,
        language: str,
        language_attribute: str | None = None,
    ) -> None:
        self._own = own
        self._translations = {language: own, **translations}
        self._language_of = Finder(language_attribute)
        self._chosen: dict[str, CompiledTemplate] = {}

    @property
    def variables(self) -> frozenset[str]:
        """The names it reads from an entity, in any language."""
        return frozenset().union(*(one.variables for one in self._translations.values()))

    def unknown(self, names: Sequence[str], extras: Container[str] = ()) -> frozenset[str]:
        """As `CompiledTemplate.unknown`, in any language."""
        return frozenset().union(*(one.unknown(names, extras) for one in self._translations.values()))

    @property
    def interpreted(self) -> tuple[str, ...]:
        """The fields that need the interpreter."""
        return tuple(field for one in self._translations.values() for field in one.interpreted)

    @property
    def languages(self) -> tuple[str, ...]:
        """The tags, the template's own first."""
        return tuple(self._translations)

    @property
    def enclosed(self) -> Enclosed | None:
        """The files that go with every message."""
        return self._own.enclosed

    def render(self, attributes: Mapping[str, Any], extras: Mapping[str, Any] = _NOTHING) -> Content:
        """What the template says to one recipient, in its language.

        Raises:
            RenderError: as `CompiledTemplate.render`.
        """
        language = self._language_of(attributes)
        if not isinstance(language, str):
            return self._own.render(attributes, extras)
        chosen = self._chosen.get(language) or self._choose(language)
        return chosen.render(attributes, extras)

    def in_language(self, language: str | None) -> CompiledTemplate:
        """The translation for that tag, by the same rule."""
        return self._own if language is None else self._choose(language)

    def _choose(self, language: str) -> CompiledTemplate:
        tag = read_language(language)
        found = (self._translations.get(one) for one in fallbacks(tag)) if tag is not None else ()
        chosen = next((one for one in found if one is not None), self._own)
        if len(self._chosen) >= _KEPT:
            self._chosen = {}
        self._chosen[language] = chosen
        return chosen
