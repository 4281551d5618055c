"""Bounces in prose: what qmail, Exim, DragonFly, Gmail, Yahoo, mail.ru and others write in place of a delivery report.

Two things must come together, else it is no bounce: that a mail system sent it (a null return path, MAILER-DAEMON,
`X-Failed-Recipients`, or that it came to a return path of ours, VERP), and that its words have the form of a bounce
(flufl.bounce, which Mailman uses, knows some forty; and a few that it does not know). What the server said about each
address is read from the lines behind it, up to the copy of the message.
"""

from __future__ import annotations

import logging
import re
from email import message_from_bytes
from email.policy import compat32
from typing import TYPE_CHECKING, Literal

import structlog
from flufl.bounce import all_failures

from engine.answers.reading import read_report
from engine.content.links import read_return_path
from engine.inbound.automatic_answers import has_null_return_path
from engine.inbound.delivery_reports import read_report_in_text
from engine.inbound.mail_values import RecipientReport, addresses_in
from engine.inbound.notices import REASON, notice_of, text_of, words_about

if TYPE_CHECKING:
    from engine.inbound.mime_parts import Part

__all__ = ["is_forwarded_bounce", "read_prose_bounce"]

log = structlog.get_logger(__name__)

_MOST = 100
# It writes a traceback for each message that one of its readers trips over; what counts is what the others find.
logging.getLogger("flufl.bounce").setLevel(logging.CRITICAL)
#: What flufl.bounce is given: notices are short, and its patterns cost the square of a line's length.
_HEAD, _LINES, _LENGTH = 16_000, 200, 250
_SYSTEM = re.compile(
    r"\b(mailer-?daemon|mail-?daemon|post[._-]master|mail delivery (system|subsystem))\b", re.IGNORECASE
)
#: Somebody reads what comes to this address, and may answer: only with a subject of a bounce is it the system.
_POSTMASTER = re.compile(r"\bpostmaster\b", re.IGNORECASE)
_SUBJECT = re.compile(
    r"^(undeliver(able|ed)|failure notice|delivery (status )?(failure|notification|failed)|returned mail"
    r"|mail delivery failed|non-?delivery|unzustellbar|non remis|no se puede entregar|impossibile recapitare"
    r"|n[ãa]o [ée] poss[íi]vel entregar|onbestelbaar|kan ikke leveres|olevererbart|kan inte levereras|niedostarczon"
    r"|nedoru[čc]iteln|k[ée]zbes[íi]thetetlen|teslim edilemedi|не удается доставить|недоставленн|配信不能"
    r"|配信できません|无法送达|无法投递|系统退信|배달되지 않음)",
    re.IGNORECASE,
)
#: How programs begin the subject of what is forwarded, and the sender of what they quote.
_FORWARDED = re.compile(
    r"(?:\s*(?:fwd?|wg|tr|rv|enc|vs|vb|i|pd|ilt|doorst|転送|转发|轉寄)\s*[:：]\s*)+", re.IGNORECASE
)
_QUOTED_SYSTEM = re.compile(
    r"^[ \t>*]*(?:from|von|de|da|van|från|fra|от|差出人|发件人)\s*[:：][^\n]{0,80}(?:mailer-?daemon|mail delivery)",
    re.IGNORECASE | re.MULTILINE,
)
#: Automatic answers have a null return path as well, and say that somebody cannot be reached: these words are a
#: bounce's.
_SURE_FORM = re.compile(
    r"\b(could ?n.t|could not|cannot|can not|was not|were not|has not been|unable to|failed to) (be )?deliver"
    r"|\bundeliver(able|ed)|\breturned (to sender|mail)|returning message to sender|error delivering your mail",
    re.IGNORECASE,
)
#: In the languages that mail systems write as well.
_FORM_ELSEWHERE = (
    r"|\bnicht (erfolgreich )?(zugestellt|ausgeliefert|zustellen|erreich)|unzustellbar"
    r"|\bzustellung.{0,40}fehlgeschlagen"
    r"|n.a (pas )?pu [êe]tre (remis|distribu|d[ée]livr)|[ée]chec de (la )?(remise|distribution)"
    r"|no (se )?(ha podido|pudo|puede) (ser )?entreg|no ha podido ser entreg"
    r"|non [èe] stato possibile (consegnare|recapitare)"
    r"|n[ãa]o (foi poss[íi]vel|p[ôo]de ser) entreg|(niet|kon niet) (worden )?(afgeleverd|bezorgd|besteld)"
    r"|nie (mo[żz]na|zosta[łl]a?) (by[ćc] )?dor[ęe]cz|не (может быть|удалось|было|была) доставл?|не доставлено"
    r"|配信できません|送信できません|配達できません|投递失败|无法(投递|送达)|退信|전송하지 못|배달되지"
)
#: A mail system's.
_FORM = re.compile(
    r"\b(could ?n.t|could not|cannot|can not|was not|were not|has not been|not be|unable to|failed to)"
    r" (be )?(deliver|send|reach|find)"
    r"|\bundeliver(able|ed)|\bdelivery.{0,60}\b(fail|error|abort|problem|unsuccessful)|fail(ed|ure).{0,30}\bdeliver"
    r"|\breturned (to sender|mail|message)|returning message to sender|failed permanently|permanent(ly)? (error|fail)"
    r"|error delivering your mail|\bdid not reach|not deliverable|non-?delivery|rejected your message"
    r"|rejected recipient|error message below|(trouble|problem) delivering|unknown user|user unknown"
    r"|no such (user|mail ?box|address)|invalid (user|recipient|mail ?box)( address)?|\bmail action aborted"
    + _FORM_ELSEWHERE,
    re.IGNORECASE,
)
_WARNING = re.compile(
    r"\bwarning\b.{0,60}\b(delay|not (yet )?(been )?(deliver|sent)|undelivered|could not)"
    r"|will (be )?(continue|retried|retry|keep|tried)\b|delivery status notification \(delay\)"
    r"|\b(still|yet)\b.{0,30}\b(undelivered|deliver|be sent|trying)|\bdelayed\b|this is a warning"
    r"|not yet been delivered|delivery attempts will continue",
    re.IGNORECASE,
)


def read_prose_bounce(message: Part) -> list[RecipientReport]:
    """Whom it says a message of ours did not reach; empty: it is no bounce, or not surely one."""
    is_systems = _is_a_mail_systems(message)
    if not is_systems and not _came_as_a_bounce(message):
        return []
    if is_systems and (reported := read_report_in_text(message)):
        return reported
    notice = notice_of(message)
    named = addresses_in(" , ".join(message.headers.get_all("x-failed-recipients")))
    own = {
        address
        for name in ("from", "to", "delivered-to")
        for address in addresses_in(message.headers.get(name))
    }
    written = [one for one in addresses_in(notice) if one not in own]
    # flufl.bounce reads the copy as well, whose Message-ID looks like an address.
    temporary, permanent = (
        [one for one in found if one in written or not written] for found in _scanned(message)
    )
    words = " ".join([message.headers.decoded("subject"), *notice.split()])
    form = _FORM if is_systems else _SURE_FORM
    if not (named or permanent or temporary or form.search(words)):
        return []
    found = named or permanent or temporary or written
    waits = not permanent and (bool(temporary) or _WARNING.search(words) is not None)
    kind: Literal["bounced", "delayed"] = "delayed" if waits else "bounced"
    if not found:
        return [_report(kind, (), notice)] if is_systems else []
    return [_report(kind, (address,), words_about(notice, address, found)) for address in found[:_MOST]]


def is_forwarded_bounce(message: Part) -> bool:
    """Whether somebody hands on in the text what a mail system wrote: nobody's answer, and no report to go by."""
    subject = message.headers.decoded("subject")
    mark = _FORWARDED.match(subject)
    if mark is None:
        return False
    is_bounces = _SUBJECT.match(subject[mark.end() :]) is not None
    return is_bounces or _QUOTED_SYSTEM.search(text_of(message)) is not None


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
        kind, addresses, read_report(level, words), " ".join(words.split())[:REASON] or None
    )
