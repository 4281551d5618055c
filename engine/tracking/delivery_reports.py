"""Delivery reports of RFC 3464 and, in UTF-8, RFC 6533: what each of their recipients is said to have met.

However they are written: with comments, without an action, encoded, with a diagnostic of several lines that nobody
folded, with blank lines where none belong. Nothing but the actions that RFC 3464 §2.3.3 names for it is ever
"delivered"; what has another action, or none, is told by its status.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

from engine.answers.reading import read_report
from engine.tracking.mail_values import RecipientReport, addresses_in, without_comments
from engine.tracking.mime_parts import Headers, read_fields

if TYPE_CHECKING:
    from collections.abc import Iterator

    from engine.answers.meanings import ProviderAnswer
    from engine.tracking.mime_parts import Part

__all__ = ["is_delivery_report", "names_recipients", "read_delivery_report"]

_KINDS = frozenset({"message/delivery-status", "message/global-delivery-status", "text/delivery-status"})
_MOST = 100
_REASON = 1000
_ACTIONS: dict[str, Literal["delivered", "delayed", "bounced"]] = {
    "failed": "bounced",
    "delayed": "delayed",
    "delivered": "delivered",
    "relayed": "delivered",
    "expanded": "delivered",
}
#: How servers that do not know RFC 3464 say `failed`.
_FAILURE = re.compile(r"fail|expire|reject|undeliver|bounce|error|return|refuse|abort|give")
_OF_A_RECIPIENT = ("final-recipient", "original-recipient", "action", "status", "diagnostic-code")
#: As RFC 3461 §4 (xtext) and RFC 6533 §3 write what is no plain ASCII.
_XTEXT = re.compile(r"\+([0-9A-F]{2})")
_UNITEXT = re.compile(r"\\x\{([0-9A-Fa-f]{2,6})\}")
_LAST_CHARACTER = 0x10FFFF


def is_delivery_report(part: Part) -> bool:
    """Whether a part is the machine-readable one of a delivery report."""
    return part.kind in _KINDS


def names_recipients(part: Part) -> bool:
    """Whether it says anything of a recipient, whatever that comes to."""
    return next(_recipients(_fields(part)), None) is not None


def read_delivery_report(part: Part, notice: str) -> list[RecipientReport]:
    """One report for each recipient.

    Args:
        notice: The part for people; its words count where a recipient has no diagnostic.
    """
    reports: list[RecipientReport] = []
    for fields in _recipients(_fields(part)):
        report = _report(fields, notice)
        if report is not None and len(reports) < _MOST:
            reports.append(report)
    return reports


def _fields(part: Part) -> list[Headers]:
    return read_fields(part.text(), diagnostic="diagnostic-code")


def _recipients(groups: list[Headers]) -> Iterator[Headers]:
    """The fields of each recipient: a group goes on behind a blank line while it names nobody, or nothing happened."""
    collected: list[tuple[str, str]] = []
    for name, value in (field for group in groups for field in [*group.items(), ("", "")]):
        names = {known for known, _ in collected}
        if name == "":
            if ("action" in names or "status" in names) and "final-recipient" in names:
                yield Headers(collected)
                collected = []
            continue
        if name not in _OF_A_RECIPIENT:
            continue
        if name in names and name != "diagnostic-code":
            yield Headers(collected)
            collected = []
        collected.append((name, value))
    if collected:
        yield Headers(collected)


def _report(fields: Headers, notice: str) -> RecipientReport | None:
    addresses = tuple(
        dict.fromkeys(
            address
            for name in ("original-recipient", "final-recipient")
            for address in _addresses(fields.get(name))
        )
    )
    diagnostic = fields.get("diagnostic-code")
    words = diagnostic or _words_about(notice, addresses)
    answer = read_report(without_comments(fields.get("status")), words)
    kind = _kind(without_comments(fields.get("action")).lower(), answer)
    if kind is None:
        return None
    typed, _, reason = diagnostic.partition(";")
    said = reason.strip() if " " not in typed.strip() else diagnostic
    return RecipientReport(kind, addresses, answer, (said or diagnostic or words or "")[:_REASON] or None)


def _kind(action: str, answer: ProviderAnswer) -> Literal["delivered", "delayed", "bounced"] | None:
    """What happened; None: it cannot be told."""
    known = _ACTIONS.get(action)
    if known is not None:
        return known
    if _FAILURE.search(action) is not None:
        return "bounced"
    level = (answer.status or str(answer.code or ""))[:1]
    return {"5": "bounced", "4": "delayed"}.get(level)  # type: ignore[return-value]


def _words_about(notice: str, addresses: tuple[str, ...]) -> str | None:
    """What the part for people says behind an address."""
    folded = notice.lower()
    for address in addresses:
        at = folded.find(address)
        if at >= 0:
            return notice[at + len(address) : at + len(address) + _REASON].strip(" \n\t>:") or None
    return None


def _addresses(value: str) -> list[str]:
    """`rfc822; ada@x.example`, or an address as headers have it; also as it was before it was encoded."""
    _, mark, rest = value.partition(";")
    text = rest if mark else value
    plain = _UNITEXT.sub(_character, text)
    return addresses_in(f"{plain} , {_XTEXT.sub(_letter, plain)}")


def _character(found: re.Match[str]) -> str:
    number = int(found[1], 16)
    return chr(number) if number <= _LAST_CHARACTER and not 0xD800 <= number < 0xE000 else ""  # noqa: PLR2004 - halves


def _letter(found: re.Match[str]) -> str:
    return chr(int(found[1], 16))
