"""Links and the picture of opens put into a template's source, once; a recipient's message needs no parsing.

A link whose address is the same for everybody becomes a mark and its signed part; in a rendered message the mark is
replaced by the recipient's. An address with Liquid in it is known only when it is rendered: it is put between two
marks, and signed then (`Rewritten.finish`). Nobody outside this process can guess a mark.

Links are found as a browser finds them (`engine.content.html_tokens`): `&region=` in an address is no character
reference. Those of the shapes that Outlook is given instead of buttons are among them.

Not rewritten: what is no `http(s)` address (`mailto:`, `tel:`, `#…`), links to unsubscribe or to the message itself,
and links with `data-track="off"` (or `clicktracking="off"`, as others spell it). Whatever cannot be read as a link
stays as it is.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from engine.content.html_tokens import StartTag, html_tokens, mask_liquid, unescape_attribute

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from uuid import UUID

    from engine.tracking.tokens import Tokens

    #: Start and end in a source, and what is to stand there.
    _Place = tuple[int, int, str]

__all__ = ["Rewritten", "Wanted", "rewrite"]

#: What stands for the recipient's part of a link, and of the picture's address.
_CLICK = f"muster-{secrets.token_hex(8)}-c/"
_OPEN = f"muster-{secrets.token_hex(8)}-o/"
_BEGIN = f"muster-{secrets.token_hex(8)}-b:"
_END = f":muster-{secrets.token_hex(8)}-e"
_MARKED = re.compile(f"{re.escape(_BEGIN)}(.*?){re.escape(_END)}", re.DOTALL)

_OFF = ("off", "no", "false")
#: An address in a text whose Liquid is masked, without the punctuation behind it.
_ADDRESS = re.compile(r"https?://[^\s<>\"'`{}|\\^\[\]()]*[^\s<>\"'`{}|\\^\[\]().,;:!?]", re.IGNORECASE)
_RAW = re.compile(r"\{%-?\s*raw\b", re.IGNORECASE)
_BODY_END = re.compile(r"</body\s*>", re.IGNORECASE)
_ANCHORS = ("a", "area", "v:roundrect", "v:rect", "v:oval", "v:shape", "v:image")
_WEB = re.compile(r"https?://[^\s/]", re.IGNORECASE)
_OURS = ("unsubscribe_url", "view_url")
_LONGEST = 2000


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is tracked of a message."""

    opens: bool = False
    clicks: bool = False
    text: bool = False
    """Links of the text part as well; they become long, and people see them."""

    def __bool__(self) -> bool:
        return self.opens or self.clicks


@dataclass(frozen=True, slots=True)
class Rewritten:
    """A part's source with its links rewritten."""

    source: str
    per_recipient: bool
    """Whether it holds addresses that are known only when it is rendered."""

    @staticmethod
    def finish(
        rendered: str, clicks: str, opens: str, sign: Callable[[str], str] | None, *, html: bool
    ) -> str:
        """The rendered part as it goes to its recipient.

        Args:
            clicks: What stands before the signed part of the recipient's links.
            opens: The same, of the picture's address.
            sign: Gives the link for an address; None: there are none that are known only now.
        """
        rendered = rendered.replace(_CLICK, clicks).replace(_OPEN, opens)
        if sign is None:
            return rendered
        signed = sign

        def replaced(found: re.Match[str]) -> str:
            value = found[1]
            url = (unescape_attribute(value) if html else value).strip()
            if not _trackable(url):
                return value
            return escape(signed(url)) if html else signed(url)

        return _MARKED.sub(replaced, rendered)


def rewrite(
    source: str, tokens: Tokens, campaign_id: UUID, touchpoint_id: UUID, wanted: Wanted, *, html: bool
) -> Rewritten:
    """A part's source with what is wanted of it."""
    if _RAW.search(source):  # there `{{` is text
        return Rewritten(source, per_recipient=False)
    what = _Whats(tokens, campaign_id, touchpoint_id)
    if html:
        if wanted.clicks:
            source = _replaced(source, what.in_html(source))
        if wanted.opens:
            source = _with_picture(source, tokens.what(campaign_id, touchpoint_id))
    elif wanted.clicks and wanted.text:
        source = _replaced(source, what.in_text(source))
    return Rewritten(source, what.per_recipient)


def _replaced(source: str, places: Iterator[_Place]) -> str:
    """The source with other text at the given places, which are in order."""
    pieces: list[str] = []
    done = 0
    for start, end, text in places:
        pieces += (source[done:start], text)
        done = end
    return "".join((*pieces, source[done:]))


class _Whats:
    """The links of one part."""

    def __init__(self, tokens: Tokens, campaign_id: UUID, touchpoint_id: UUID) -> None:
        self._tokens = tokens
        self._campaign_id = campaign_id
        self._touchpoint_id = touchpoint_id
        self.per_recipient = False

    def in_html(self, source: str) -> Iterator[_Place]:
        """What stands in place of the addresses of anchors; those that only Outlook reads are among them."""
        for token in html_tokens(mask_liquid(source), conditional_comments=True):
            if not isinstance(token, StartTag) or token.name not in _ANCHORS:
                continue
            if any(token.get(name) in _OFF for name in ("data-track", "clicktracking")):
                continue
            href = next((one for one in token.attributes if one.name == "href"), None)
            if href is None:
                continue
            quotes = len(href.quote)
            value = source[href.start + quotes : href.end - quotes]
            if not quotes and "{" in value:
                continue  # what Liquid puts there may hold the address's end
            link = self._link(value, html=True)
            if link is not None:
                quote = href.quote or '"'
                yield href.start, href.end, f"{quote}{link}{quote}"

    def in_text(self, source: str) -> Iterator[_Place]:
        """What stands in place of the addresses of a text."""
        for found in _ADDRESS.finditer(mask_liquid(source)):
            start, end = found.span()
            link = self._link(source[start:end], html=False)
            if link is not None:
                yield start, end, link

    def _link(self, value: str, *, html: bool) -> str | None:
        """What stands in the source instead of an address; None: it stays."""
        if "{{" in value or "{%" in value:
            if any(name in value for name in _OURS):
                return None
            self.per_recipient = True
            return f"{_BEGIN}{value}{_END}"
        url = (unescape_attribute(value) if html else value).strip()
        if not _trackable(url):
            return None
        return _CLICK + self._tokens.what(self._campaign_id, self._touchpoint_id, url)


def _trackable(url: str) -> bool:
    return bool(_WEB.match(url)) and len(url) <= _LONGEST and url.isprintable()


def _with_picture(source: str, what: str) -> str:
    picture = (
        f'<img src="{_OPEN}{what}.gif" width="1" height="1" alt="" '
        'style="display:block;border:0;width:1px;height:1px">'
    )
    ends = list(_BODY_END.finditer(source))
    at = ends[-1].start() if ends else len(source)
    return source[:at] + picture + source[at:]
