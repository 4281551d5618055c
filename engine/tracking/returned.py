"""E-mail that comes back, read: delivery reports (RFC 3464), complaints (RFC 5965), replies.

Nothing here trusts what it reads: it says what a message claims. Whoever acts on it matches it to a message of ours
first (engine.tracking.inbound). What cannot be read as any of these is `other`; no input raises anything but
`Unreadable`.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass, field, replace
from email import message_from_bytes
from email.errors import MessageError
from email.header import decode_header, make_header
from email.message import Message
from email.policy import compat32
from email.utils import parseaddr
from typing import TYPE_CHECKING, Literal

from engine.answers.reading import read_report
from engine.channels.addresses import normalise_email

if TYPE_CHECKING:
    from collections.abc import Iterator

    from engine.answers.meanings import ProviderAnswer

__all__ = ["Report", "Returned", "Unreadable", "read_returned"]

#: Recipients of one delivery report.
_MOST = 100
_PARTS = 200
_IDS = re.compile(r"<[^<>]{1,998}>")
_TEXT = 1000


class Unreadable(ValueError):
    """It is no e-mail message."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a message says happened to one recipient."""

    kind: Literal["delivered", "delayed", "bounced", "complained", "unsubscribed"]
    address: str | None
    """Whom it names, normalised; absent: nobody."""
    answer: ProviderAnswer | None = None
    """Of a delivery report: what the classifier is asked about."""
    reason: str | None = None
    """In the server's words."""
    complaint_type: str | None = None

    @property
    def status(self) -> str | None:
        """The enhanced status code of RFC 3463: `5.1.1`."""
        return None if self.answer is None else self.answer.status

    @property
    def permanent(self) -> bool:
        """A bounce that trying again does not help against."""
        return self.kind == "bounced" and (self.status or "5").startswith("5")


@dataclass(frozen=True, slots=True)
class Returned:
    """A message that came in."""

    kind: Literal["bounce", "complaint", "reply", "auto_reply", "other"]
    reports: list[Report] = field(default_factory=list)
    message_ids: list[str] = field(default_factory=list)
    """Of the message it is about, the likeliest first, with angle brackets."""
    unsubscribe: list[str] = field(default_factory=list)
    """Addresses in the List-Unsubscribe header of the message it returns."""
    recipients: list[str] = field(default_factory=list)
    """Where it was sent to: the return path of the message it is about, perhaps with the recipient in it."""
    subject: str = ""


def read_returned(raw: bytes) -> Returned:
    """What a message that came in is.

    Raises:
        Unreadable: it has no headers, or nests without end.
    """
    try:
        message = message_from_bytes(raw, policy=compat32)
        parts = [part for _, part in zip(range(_PARTS), message.walk(), strict=False)]
    except (RecursionError, ValueError, LookupError) as error:
        raise Unreadable("is no e-mail message") from error
    if not message.keys():
        raise Unreadable("is no e-mail message: it has no headers")
    original = _original(parts)
    found = Returned(
        "other",
        message_ids=list(dict.fromkeys([*_ids_of(original), *_references(message)])),
        unsubscribe=_links_of(original),
        recipients=list(_sent_to(message)),
        subject=_header(message, "subject")[:200],
    )
    complaint = next((part for part in parts if part.get_content_type() == "message/feedback-report"), None)
    if complaint is not None:
        return replace(found, kind="complaint", reports=_complaint(complaint, original))
    delivery = next((part for part in parts if part.get_content_type() == "message/delivery-status"), None)
    if delivery is not None:
        return replace(found, kind="bounce", reports=_deliveries(delivery))
    if not _references(message):
        return found
    return replace(found, kind="auto_reply" if _automatic(message) else "reply")


def _deliveries(part: Message) -> list[Report]:
    """One report for each recipient block of a delivery report (RFC 3464 §2.3)."""
    reports: list[Report] = []
    for block in _blocks(part):
        action = _header(block, "action").lower()
        address = _address(_header(block, "original-recipient")) or _address(
            _header(block, "final-recipient")
        )
        if not action or len(reports) >= _MOST:
            continue
        diagnostic = _header(block, "diagnostic-code")
        reason = diagnostic.partition(";")[2].strip() or diagnostic or None
        answer = read_report(_header(block, "status"), diagnostic)
        if action == "failed":
            kind: Literal["delivered", "delayed", "bounced"] = "bounced"
        elif action == "delayed":
            kind = "delayed"
        else:
            kind = "delivered"
        reports.append(Report(kind, address, answer, reason and reason[:_TEXT]))
    return reports


def _blocks(part: Message) -> list[Message]:
    payload = part.get_payload()
    if isinstance(payload, list):
        return [block for block in payload if isinstance(block, Message)]
    return []


def _complaint(part: Message, original: Message | None) -> list[Report]:
    """What a feedback report says (RFC 5965 §3); `not-spam` is no complaint."""
    payload = part.get_payload()
    fields = payload[0] if isinstance(payload, list) and payload else part
    if not isinstance(fields, Message):
        return []
    kind = _header(fields, "feedback-type").lower()
    if not kind or kind == "not-spam":
        return []
    address = _address(_header(fields, "original-rcpt-to"))
    if address is None and original is not None:
        address = _address(_header(original, "to"))
    told: Literal["unsubscribed", "complained"] = (
        "unsubscribed" if kind.startswith("opt-out") else "complained"
    )
    return [Report(told, address, complaint_type=kind[:64])]


def _original(parts: list[Message]) -> Message | None:
    """The headers of the message that is returned, whole or in part."""
    for part in parts:
        kind = part.get_content_type()
        payload = part.get_payload()
        if kind == "message/rfc822" and isinstance(payload, list) and payload:
            inner = payload[0]
            return inner if isinstance(inner, Message) else None
        if kind in ("text/rfc822-headers", "message/rfc822-headers"):
            if isinstance(payload, list) and payload and isinstance(payload[0], Message):
                return payload[0]
            text = part.get_payload(decode=True)
            if isinstance(text, bytes):
                return message_from_bytes(text.lstrip(), policy=compat32)
    return None


def _ids_of(original: Message | None) -> list[str]:
    return [] if original is None else _ids(original, "message-id")


def _ids(message: Message, name: str) -> list[str]:
    """Message-IDs in a header; long ones come folded, or as encoded words, from programs that take them for text."""
    value = _header(message, name)
    if "=?" in value:
        with suppress(ValueError, LookupError, MessageError):
            value = str(make_header(decode_header(value)))
    return ["".join(found.split()) for found in _IDS.findall(value)]


def _references(message: Message) -> list[str]:
    """The ids that a message answers to, the latest first."""
    return [*_ids(message, "in-reply-to"), *reversed(_ids(message, "references"))][:50]


def _links_of(original: Message | None) -> list[str]:
    if original is None:
        return []
    # Whoever folded the header on the way may have put white space into a long address.
    found = re.findall(r"<([^<>]*)>", _header(original, "list-unsubscribe"))
    return [re.sub(r"\s+", "", link) for link in found][:10]


def _sent_to(message: Message) -> Iterator[str]:
    for name in ("delivered-to", "x-original-to", "to"):
        for value in message.get_all(name, []):
            address = parseaddr(str(value))[1]
            if "@" in address:
                yield address[:320]


def _automatic(message: Message) -> bool:
    """Whether nobody wrote it (RFC 3834 §5, and what came before it)."""
    if _header(message, "auto-submitted").lower() not in ("", "no"):
        return True
    if any(
        message.get(name) is not None for name in ("x-autoreply", "x-autorespond", "x-auto-response-suppress")
    ):
        return True
    return _header(message, "precedence").lower() in ("auto_reply", "bulk", "junk")


def _address(value: str) -> str | None:
    """`rfc822; ada@x.example`, or an address as headers have it."""
    _, mark, rest = value.partition(";")
    text = (rest if mark else value).strip()
    return normalise_email(parseaddr(text)[1] or text.strip("<>"))


def _header(message: Message, name: str) -> str:
    """A header's value in one line; empty when it is not there."""
    return " ".join(str(message.get(name, "")).split())
