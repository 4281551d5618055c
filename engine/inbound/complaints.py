"""Complaints: feedback reports (ARF: RFC 5965, RFC 6591), and the forms of providers that have their own.

A feedback type says whether a person complained: the registry of RFC 5965 §7.3 and what came since. What is about
authentication, a virus or a signature, and types that nobody registered, are no complaint and bar nobody.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

from engine.inbound.mail_values import RecipientReport, addresses_in, without_comments
from engine.inbound.mime_parts import read_fields

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.inbound.mime_parts import Part

__all__ = ["is_feedback_report", "read_feedback_report", "read_providers_complaint", "return_paths_of"]

_Kind = Literal["complained", "unsubscribed"]
#: RFC 5965 §7.3: `abuse`, `fraud`, `other` are a person's; `opt-out` and `opt-out-list` were in its drafts, and are
#: still sent. Not a person's complaint: `not-spam` (RFC 6430), `virus`, `auth-failure` (RFC 6591), `dkim`.
_COMPLAINTS: dict[str, _Kind] = {
    "abuse": "complained",
    "fraud": "complained",
    "other": "complained",
    "opt-out": "unsubscribed",
    "opt-out-list": "unsubscribed",
}
#: Microsoft's JMRP: in the message itself, or in the one that it encloses.
_JMRP = "x-hmxmroriginalrecipient"
#: Other forms: who sends it, and how its subject begins (Outlook.com, Amazon SES; SpamCop).
_FORMS = (
    (
        re.compile(r"staff@hotmail\.\w+|@email-abuse\.amazonses\.com", re.IGNORECASE),
        "complaint about message",
    ),
    (re.compile(r"@reports\.spamcop\.net", re.IGNORECASE), "[spamcop"),
    (re.compile(r"scomp@aol\.", re.IGNORECASE), "email feedback report"),
)


def is_feedback_report(part: Part) -> bool:
    """Whether a part is the machine-readable one of a feedback report."""
    return part.kind == "message/feedback-report"


def read_feedback_report(part: Part, original: Part | None) -> list[RecipientReport]:
    """Whom it says complained; nobody, where its type is no person's complaint."""
    fields = next(iter(read_fields(part.text())), None)
    if fields is None:
        return []
    kind = without_comments(fields.get("feedback-type")).partition(";")[0].strip().lower()
    told = _COMPLAINTS.get(kind)
    if told is None:
        return []
    named = [*fields.get_all("original-rcpt-to"), *fields.get_all("removal-recipient")]
    if not named and original is not None:
        named = original.headers.get_all("to")
    addresses = addresses_in(" , ".join(named))
    return [RecipientReport(told, tuple(addresses), complaint_type=kind)]


def return_paths_of(part: Part) -> list[str]:
    """The envelope's sender of the message that a feedback report is about."""
    return [
        address
        for fields in read_fields(part.text())
        for value in fields.get_all("original-mail-from")
        for address in addresses_in(value)
    ]


def read_providers_complaint(message: Part, originals: Sequence[Part]) -> list[RecipientReport]:
    """A complaint without a feedback report, in a provider's own form; empty: it is none.

    Args:
        originals: The messages that it encloses.
    """
    if not originals:
        return []
    named = next((one.headers.get(_JMRP) for one in (message, *originals) if _JMRP in one.headers), None)
    if named is None:
        sender, subject = message.headers.get("from"), message.headers.decoded("subject").lower()
        if not any(who.search(sender) and subject.startswith(begin) for who, begin in _FORMS):
            return []
        named = originals[0].headers.get("to")
    return [RecipientReport("complained", tuple(addresses_in(named)), complaint_type="abuse")]
