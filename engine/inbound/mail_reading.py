"""E-mail that comes back, read: delivery reports, bounces in prose, complaints, answers.

Nothing here trusts what it reads: it says what a message claims. The caller matches it to a message of ours
first (engine.inbound.returned_mail). What cannot be read as any of these is `other`; no input raises anything but
`Unreadable`, and the time is bounded by the size (engine.inbound.mime_parts).

A mail that forwards reports or complaints as attachments stands for what these hold, each about a message of its own. A
person who attaches a message of ours to an answer still answers.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from engine.inbound.automatic_answers import (
    has_null_return_path,
    is_automatic,
    is_receipt,
    is_robots_address,
)
from engine.inbound.complaints import (
    is_feedback_report,
    read_feedback_report,
    read_providers_complaint,
    return_paths_of,
)
from engine.inbound.delivery_reports import is_delivery_report, names_recipients, read_delivery_report
from engine.inbound.mail_values import InboundMail, MailReport, Traces, addresses_in
from engine.inbound.mime_parts import Headers, Part, Unreadable, parse_message
from engine.inbound.notices import notice_of, text_of
from engine.inbound.prose_bounces import is_forwarded_bounce, read_prose_bounce

if TYPE_CHECKING:
    from collections.abc import Iterator

    from engine.inbound.mail_values import RecipientReport

__all__ = ["Unreadable", "read_inbound_mail"]

_REPORTS = 100
_IDS = re.compile(r"<[^<>]{1,998}>")
_LINKS = re.compile(r"<([^<>]{1,4000})>")
#: In the copy of a message that stands in the text of a bounce.
_COPIED_ID = re.compile(r"^[ \t>]*message-id:\s*(<[^<>\s]{1,998}>)", re.IGNORECASE | re.MULTILINE)
_COPIED_LINK = re.compile(r"^[ \t>]*list-unsubscribe:\s*<([^<>]{1,4000})>", re.IGNORECASE | re.MULTILINE)
_SUBJECT = 200


def read_inbound_mail(raw: bytes) -> InboundMail:
    """What a message that came in is.

    Raises:
        Unreadable: it has no headers.
    """
    message = parse_message(raw)
    reports = [report for report, _ in zip(_reports(message), range(_REPORTS), strict=False)]
    traces = Traces(tuple(_references(message.headers)), return_paths=tuple(_sent_to(message.headers)))
    subject = message.headers.decoded("subject")[:_SUBJECT]
    if reports:
        return InboundMail(reports[0].kind, reports, traces, subject)
    if is_receipt(message):
        return InboundMail("auto_reply", [], traces, subject)
    if not traces.message_ids or _is_a_systems(message) or is_forwarded_bounce(message):
        return InboundMail("other", [], traces, subject)
    return InboundMail("auto_reply" if is_automatic(message) else "reply", [], traces, subject)


def _is_a_systems(message: Part) -> bool:
    """Whether a mail system says something that is no bounce as far as is known: nobody's answer."""
    senders = addresses_in(message.headers.get("from"))
    return has_null_return_path(message.headers) and any(
        is_robots_address(sender) or sender.startswith("postmaster@") for sender in senders
    )


def _reports(message: Part) -> Iterator[MailReport]:
    """The reports of a message: its own, else those that are attached to it."""
    parts = list(message.own_parts())
    originals = [part.parts[0] for part in parts if part.is_message and part.parts]
    delivery = next((part for part in parts if is_delivery_report(part)), None)
    feedback = next((part for part in parts if is_feedback_report(part)), None)
    if feedback is not None:
        found = read_feedback_report(feedback, originals[0] if originals else None)
        paths = return_paths_of(feedback)
        yield _report("complaint" if found else "other", found, message, originals, paths)
    elif delivery is not None:
        found = read_delivery_report(delivery, notice_of(message))
        if not found and not names_recipients(delivery):
            found = read_prose_bounce(message)
        yield _report("bounce", found, message, originals)
    elif found := read_providers_complaint(message, originals):
        yield _report("complaint", found, message, originals)
    elif found := read_prose_bounce(message):
        yield _report("bounce", found, message, originals)
    else:
        for attached in (part.parts[0] for part in parts if part.is_message and part.parts):
            yield from _reports(attached)


def _report(
    kind: str,
    recipients: list[RecipientReport],
    message: Part,
    originals: list[Part],
    more_paths: list[str] | None = None,
) -> MailReport:
    ids: list[str] = []
    links: list[str] = []
    for original in originals[:1]:
        ids += _ids(original.headers, "message-id")
        # Folding on the way may have put white space into a long address.
        links += [
            "".join(found.split()) for found in _LINKS.findall(original.headers.get("list-unsubscribe"))
        ]
    if not ids and not links:
        text = text_of(message)
        ids += _COPIED_ID.findall(text)
        links += ["".join(found.split()) for found in _COPIED_LINK.findall(text)]
    ids += _references(message.headers)
    traces = Traces(
        tuple(dict.fromkeys(ids))[:50], tuple(links[:10]), (*(more_paths or ()), *_sent_to(message.headers))
    )
    return MailReport(kind, tuple(recipients), traces)  # type: ignore[arg-type]


def _ids(headers: Headers, name: str) -> list[str]:
    """Message-IDs in a header; long ones come folded, or as encoded words, from programs that take them for text."""
    return ["".join(found.split()) for found in _IDS.findall(headers.decoded(name))]


def _references(headers: Headers) -> list[str]:
    """The ids that a message answers to, the latest first."""
    return [*_ids(headers, "in-reply-to"), *reversed(_ids(headers, "references"))][:50]


def _sent_to(headers: Headers) -> Iterator[str]:
    for name in ("delivered-to", "x-original-to", "to"):
        for value in headers.get_all(name)[:20]:
            yield from addresses_in(value)
