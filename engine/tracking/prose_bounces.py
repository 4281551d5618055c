"""Bounces in prose: what qmail, Exim, DragonFly, Gmail, Yahoo, mail.ru and others write in place of a delivery report.

Two things must come together, else it is no bounce: that a mail system sent it (a null return path, MAILER-DAEMON,
`X-Failed-Recipients`, or that it came to a return path of ours, VERP), and that its words have the form of a bounce
(flufl.bounce, which Mailman uses, knows some forty; and a few that it does not know). What the server said about each
address is read from the lines behind it, up to the copy of the message.
"""

from __future__ import annotations

import re
from email import message_from_bytes
from email.policy import compat32
from typing import TYPE_CHECKING, Literal

import structlog
from flufl.bounce import all_failures

from engine.answers.reading import read_report
from engine.content.links import read_return_path
from engine.tracking.automatic_answers import has_null_return_path
from engine.tracking.mail_values import RecipientReport, addresses_in

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.tracking.mime_parts import Part

__all__ = ["notice_of", "read_prose_bounce", "text_of"]

log = structlog.get_logger(__name__)

_NOTICE = 16_000
_REASON = 1000
_MOST = 100
#: What flufl.bounce is given: notices are short, and its patterns cost the square of a line's length.
_HEAD, _LINES, _LENGTH = 16_000, 200, 250
_SYSTEM = re.compile(
    r"\b(mailer-?daemon|mail-?daemon|post[._-]master|mail delivery (system|subsystem))\b", re.IGNORECASE
)
#: Somebody reads what comes to this address, and may answer: only with a subject of a bounce is it the system.
_POSTMASTER = re.compile(r"\bpostmaster\b", re.IGNORECASE)
_SUBJECT = re.compile(
    r"^(undeliver(able|ed)|failure notice|delivery (status )?(failure|notification|failed)|returned mail"
    r"|mail delivery failed|non-?delivery)",
    re.IGNORECASE,
)
#: Where the copy of the message begins.
_COPY = re.compile(
    r"^[ \t>]*(?:[-=_*#]{2,}[^\n]{0,60}\b(?:copy of|original|returned|returning|message (?:follows|headers?|text)"
    r"|headers?|below (?:this|the next) line|forwarded|unsent|undelivered)\b[^\n]*"
    r"|(?:original message(?: headers?)?|message headers?|the (?:original )?message|the header[^\n]{0,30})"
    r"(?: follows?|:)[^\n]*"
    r"|(?:return-path|received|mime-version|message-id|dkim-signature|from): [^\n]*)$",
    re.IGNORECASE | re.MULTILINE,
)
#: Whoever is away writes with a null return path as well, that they cannot be reached: these words are a bounce's.
_SURE_FORM = re.compile(
    r"\b(could ?n.t|could not|cannot|can not|was not|were not|has not been|unable to|failed to) (be )?deliver"
    r"|\bundeliver(able|ed)|\breturned (to sender|mail)|returning message to sender|error delivering your mail",
    re.IGNORECASE,
)
#: A mail system's.
_FORM = re.compile(
    r"\b(could ?n.t|could not|cannot|can not|was not|were not|has not been|not be|unable to|failed to)"
    r" (be )?(deliver|send|reach|find)"
    r"|\bundeliver(able|ed)|\bdelivery.{0,60}\b(fail|error|abort|problem|unsuccessful)|fail(ed|ure).{0,30}\bdeliver"
    r"|\breturned (to sender|mail|message)|returning message to sender|failed permanently|permanent(ly)? (error|fail)"
    r"|error delivering your mail|\bdid not reach|not deliverable|non-?delivery|rejected your message"
    r"|rejected recipient|error message below|trouble delivering|unknown user",
    re.IGNORECASE,
)
_WARNING = re.compile(
    r"\bwarning\b.{0,60}\b(delay|not (yet )?(been )?(deliver|sent)|undelivered|could not)"
    r"|will (be )?(continue|retried|keep|tried)"
    r"|\b(still|yet)\b.{0,30}\b(undelivered|deliver|be sent|trying)|\bdelayed\b|this is a warning"
    r"|not yet been delivered|delivery attempts will continue",
    re.IGNORECASE,
)
#: Words behind an address in its line, and the lines that go on with it.
_OWN_LINE = re.compile(r"[^\n]*[A-Za-z]{3}[^\n]{5,}(?:\n[ \t]+[^\n]+)*")


def read_prose_bounce(message: Part) -> list[RecipientReport]:
    """Whom it says a message of ours did not reach; empty: it is no bounce, or not one that can be told surely."""
    is_systems = _is_a_mail_systems(message)
    if not is_systems and not _came_as_a_bounce(message):
        return []
    notice = notice_of(message)
    named = addresses_in(" , ".join(message.headers.get_all("x-failed-recipients")))
    temporary, permanent = _scanned(message)
    words = " ".join([message.headers.decoded("subject"), *notice.split()])
    form = _FORM if is_systems else _SURE_FORM
    if not (named or permanent or temporary or form.search(words)):
        return []
    own = {
        address
        for name in ("from", "to", "delivered-to")
        for address in addresses_in(message.headers.get(name))
    }
    found = named or permanent or temporary or [one for one in addresses_in(notice) if one not in own]
    waits = not permanent and (bool(temporary) or _WARNING.search(words) is not None)
    kind: Literal["bounced", "delayed"] = "delayed" if waits else "bounced"
    if not found:
        return [_report(kind, (), notice)] if is_systems else []
    return [_report(kind, (address,), _words_about(notice, address, found)) for address in found[:_MOST]]


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


def _is_a_mail_systems(message: Part) -> bool:
    headers = message.headers
    sender = headers.decoded("from")
    return (
        "x-failed-recipients" in headers
        or _SYSTEM.search(sender) is not None
        or (
            _POSTMASTER.search(sender) is not None and _SUBJECT.search(headers.decoded("subject")) is not None
        )
    )


def _came_as_a_bounce(message: Part) -> bool:
    """Whether no report is wanted of it, or it came to a return path of ours."""
    return has_null_return_path(message.headers) or any(
        read_return_path(address) is not None
        for name in ("delivered-to", "x-original-to", "to")
        for address in addresses_in(message.headers.get(name))
    )


def _scanned(message: Part) -> tuple[list[str], list[str]]:
    """What flufl.bounce finds: addresses that are tried again, and those that have failed."""
    head = "".join(
        f"{name}: {value[: _LENGTH * 4]}\n" for name, value in message.headers.items() if value.isascii()
    )
    body = b"\n".join(line[:_LENGTH] for line in message.body.split(b"\n", _LINES)[:_LINES])
    try:
        temporary, permanent = all_failures(
            message_from_bytes(head[:_HEAD].encode() + b"\n" + body, policy=compat32)
        )
    except Exception as error:  # noqa: BLE001 - whatever it trips over, the message is one that it does not know
        log.debug("bounce.not_scanned", reason=repr(error))
        return [], []
    return _decoded(temporary), _decoded(permanent)


def _decoded(found: frozenset[bytes | str]) -> list[str]:
    texts = (one.decode("ascii", "replace") if isinstance(one, bytes) else str(one) for one in found)
    return sorted({address for text in texts for address in addresses_in(text)})


def _report(kind: Literal["bounced", "delayed"], addresses: tuple[str, ...], words: str) -> RecipientReport:
    level = "5.0.0" if kind == "bounced" else "4.0.0"
    return RecipientReport(
        kind, addresses, read_report(level, words), " ".join(words.split())[:_REASON] or None
    )


def _words_about(notice: str, address: str, all_failed: Sequence[str]) -> str:
    """What stands in the line of an address and below it, up to the next failed address; without the address."""
    folded = notice.lower()
    at = folded.find(address)
    if at < 0:
        return notice[-_REASON:] if len(all_failed) == 1 else ""
    start = folded.rfind("\n", 0, at) + 1
    if len(all_failed) > 1:  # sendmail lists them first, and then has a line for each that says it all
        for one in re.finditer(re.escape(address), folded):
            if (own := _OWN_LINE.match(notice, one.end())) is not None:
                return notice[folded.rfind("\n", 0, one.start()) + 1 : own.end()]
    others = "|".join(re.escape(one) for one in all_failed[:20] if one != address)
    following = re.compile(rf"^[ \t<>*-]*(?:{others})", re.MULTILINE).search(folded, at) if others else None
    end = len(notice) if following is None else following.start()
    return notice[start : min(start + _REASON, end)]
