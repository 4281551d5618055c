"""Templates whose messages tell of opens and clicks.

They render as plain ones do, with one MAC and one replacement a message more; links whose address holds Liquid cost a
MAC each. The text part is made from the HTML as it was written, so that people read addresses they know, unless links
of the text are wanted as well. (A text that can only be made from a message's own HTML shows what that has.)
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from engine.content.errors import TemplateError
from engine.content.plain import text_template
from engine.content.templates import compile_template
from engine.tracking.rewrite import Rewritten, Wanted, rewrite

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from uuid import UUID

    from engine.content.message import Content
    from engine.content.stored import AnyTemplate
    from engine.tracking.tokens import Tokens

__all__ = ["TrackedTemplate", "Tracker", "wanted_of"]

_NAMES = ("opens", "clicks", "text")


def wanted_of(*settings: Mapping[str, Any] | None) -> Wanted:
    """What is tracked: the channel's word, then the campaign's, name by name. Nobody's: nothing."""
    merged: dict[str, bool] = {}
    for given in settings:
        merged |= {name: bool(given[name]) for name in _NAMES if given and given.get(name) is not None}
    return Wanted(**merged)


class Tracker:
    """Puts links into one campaign's messages of one touchpoint.

    Args:
        clock: Seconds since 1970.
    """

    def __init__(
        self,
        wanted: Wanted,
        tokens: Tokens,
        campaign_id: UUID,
        touchpoint_id: UUID,
        *,
        clock: Callable[[], float],
    ) -> None:
        self._wanted = wanted
        self._tokens = tokens
        self._campaign_id = campaign_id
        self._touchpoint_id = touchpoint_id
        self._clock = clock
        self._marked = False

    def rewrite(self, html: str | None, text: str | None) -> tuple[str | None, str | None]:
        """The parts of a message in one language, as they are to be compiled."""
        if html and not text:
            text = _text_of(html)
        return self._part(html, html=True), self._part(text, html=False)

    def _part(self, source: str | None, *, html: bool) -> str | None:
        if not source:
            return source
        part = rewrite(source, self._tokens, self._campaign_id, self._touchpoint_id, self._wanted, html=html)
        self._marked = self._marked or part.per_recipient
        return part.source

    def finish(self, content: Content, attributes: Mapping[str, Any]) -> Content:
        """A rendered message as it goes to its recipient; `_id` is the entity's."""
        tokens, step = self._tokens, self._touchpoint_id
        entity = bytes.fromhex(attributes["_id"].replace("-", ""))
        who = tokens.who_of(self._campaign_id.bytes + entity, int(self._clock()))
        clicks, opens = f"{tokens.clicks}{who}/", f"{tokens.opens}{who}/"

        def sign(url: str) -> str:
            return clicks + tokens.what(self._campaign_id, step, url, who=who)

        html, text = content.html, content.text
        if html:
            html = Rewritten.finish(html, clicks, opens, sign if self._marked else None, html=True)
        if text:
            signed = (sign if self._wanted.text else str) if self._marked else None
            text = Rewritten.finish(text, clicks, opens, signed, html=False)
        return replace(content, html=html, text=text)


class TrackedTemplate:
    """A compiled template whose parts a tracker has rewritten."""

    def __init__(self, template: AnyTemplate, tracker: Tracker) -> None:
        self._template = template
        self._tracker = tracker

    def render(self, attributes: Mapping[str, Any], extras: Mapping[str, Any]) -> Content:
        """What the template says to one recipient; see `CompiledTemplate.render`.

        Raises:
            RenderError: see there.
        """
        return self._tracker.finish(self._template.render(attributes, extras), attributes)


def _text_of(html: str) -> str | None:
    """The text part that an HTML part becomes, before its links are rewritten; None: it is made from each message."""
    source = text_template(html)
    if source is None:
        return None
    try:
        compile_template(text=source)
    except TemplateError:
        return None
    return source
