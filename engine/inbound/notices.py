"""What a bounce says to people: its words up to the copy of the message, and those of them about an address."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.inbound.mime_parts import Part

__all__ = ["REASON", "notice_of", "text_of", "words_about"]

#: Characters of what a server said that are kept.
REASON = 1000
_NOTICE = 16_000
#: Where the copy of the message begins.
_COPY = re.compile(
    r"^[ \t>]*(?:[-=_*#]{2,}[^\n]{0,60}\b(?:copy of|original|returned|returning|message (?:follows|headers?|text)"
    r"|headers?|below (?:this|the next) line|forwarded|unsent|undelivered)\b[^\n]*"
    r"|(?:original message(?: headers?)?|message headers?|the (?:original )?message|the header[^\n]{0,30})"
    r"(?: follows?|:)[^\n]*"
    r"|(?:return-path|received|mime-version|message-id|dkim-signature|from):[^\n]*(?=\n(?:[ \t]|>*[\w-]+:)))$",
    re.IGNORECASE | re.MULTILINE,
)
#: Words behind an address in its line, and the lines that go on with it.
_OWN_LINE = re.compile(r"[^\n]*[A-Za-z]{3}[^\n]{5,}(?:\n[ \t]+[^\n]+)*")
#: A reply code.
_CODE = re.compile(r"(?<![\w.])[45]\d\d(?![\w.])")


def notice_of(message: Part) -> str:
    """The words for people: the first texts, up to the copy of the message."""
    text = text_of(message)[:_NOTICE]
    copy = next((one for one in _COPY.finditer(text) if one.start() > 0), None)
    return text if copy is None else text[: copy.start()]


def text_of(message: Part) -> str:
    """The texts of a message, without those of messages that it encloses."""
    texts = [
        part.text() for part in message.own_parts() if part.kind.startswith("text/") and not part.is_message
    ]
    return "\n".join(texts)


def words_about(notice: str, address: str, all_failed: Sequence[str]) -> str:
    """What stands in the line of an address and below it, up to the next failed address; without the address."""
    folded = notice.lower()
    at = folded.find(address)
    if at < 0:
        return notice[-REASON:] if len(all_failed) == 1 else ""
    start = folded.rfind("\n", 0, at) + 1
    others = "|".join(re.escape(one) for one in all_failed[:20] if one != address)
    if others:  # sendmail lists them first, and then has a line for each that says it all
        for one in re.finditer(re.escape(address), folded):
            if (own := _OWN_LINE.match(notice, one.end())) is not None:
                line = notice[folded.rfind("\n", 0, one.start()) + 1 : own.end()]
                if _CODE.search(line) is not None:
                    return line
                following = re.compile(rf"\n[^\n]*(?:{others})|\n[ \t]*(?:\n|\Z)").search(folded, own.end())
                end = len(notice) if following is None else following.start()
                return (line + notice[own.end() : end])[:REASON]
    following = re.compile(rf"^[ \t<>*-]*(?:{others})", re.MULTILINE).search(folded, at) if others else None
    end = len(notice) if following is None else following.start()
    return notice[start : min(start + REASON, end)]
