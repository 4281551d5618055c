"""Delivery reports of RFC 3464 and, in UTF-8, RFC 6533: what each of their recipients is said to have met.

However they are written: with comments, without an action, encoded, with a diagnostic of several lines that nobody
folded, with blank lines where none belong. Nothing but the actions that RFC 3464 §2.3.3 names for it is ever
"delivered"; what has another action, or none, counts by its status.
"""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Literal

from engine.answers.reading import read_report
from engine.inbound.mail_values import RecipientReport, addresses_in, without_comments
from engine.inbound.mime_parts import Headers, read_fields
from engine.inbound.notices import REASON, notice_of, text_of, words_about

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from engine.answers.meanings import ProviderAnswer
    from engine.inbound.mime_parts import Part

__all__ = ["is_delivery_report", "names_recipients", "read_delivery_report", "read_report_in_text"]

_KINDS = frozenset({"message/delivery-status", "message/global-delivery-status", "text/delivery-status"})
_MOST = 100
_ACTIONS: dict[str, Literal["delivered", "delayed", "bounced"]] = {
    "failed": "bounced",
    "delayed": "delayed",
    "delivered": "delivered",
    "relayed": "delivered",
    "expanded": "delivered",
}
#: How servers that do not know RFC 3464 say `failed`.
_FAILURE = re.compile(r"fail|expire|reject|undeliver|bounce|error|return|refuse|abort|give")
#: Where a report begins that stands in the text.
_IN_TEXT = re.compile(
    r"^[ \t]*(?:Reporting-MTA|Original-Recipient|Final-Recipient)[ \t]*:", re.IGNORECASE | re.MULTILINE
)
_ABOUT_SOMEBODY = re.compile(r"^(?:Original|Final)-Recipient[ \t]*:", re.IGNORECASE | re.MULTILINE)
_MOST_OF_A_FILE = 10_000
_OF_A_RECIPIENT = ("final-recipient", "original-recipient", "action", "status", "diagnostic-code")
#: As RFC 3461 §4 (xtext) and RFC 6533 §3 write what is no plain ASCII.
_XTEXT = re.compile(r"\+([0-9A-F]{2})")
_UNITEXT = re.compile(r"\\x\{([0-9A-Fa-f]{2,6})\}")
_LAST_CHARACTER = 0x10FFFF


def is_delivery_report(part: Part) -> bool:
    """Whether a part is the machine-readable one of a delivery report."""
    return part.kind in _KINDS or (
        # as gateways pass it on that take every part for a file
        part.kind == "application/octet-stream"
        and _IN_TEXT.match(text := part.text().lstrip()[:_MOST_OF_A_FILE]) is not None
        and _ABOUT_SOMEBODY.search(text) is not None
    )


def names_recipients(part: Part) -> bool:
    """Whether it says anything of a recipient, whatever that comes to."""
    return next(_recipients(_fields(part.text())), None) is not None


def read_delivery_report(part: Part, notice: str) -> list[RecipientReport]:
    """One report for each recipient.

    Args:
        notice: The part for people; its words count where a recipient has no diagnostic.
    """
    return _read(part.text(), notice)


def read_report_in_text(message: Part) -> list[RecipientReport]:
    """The same of a report that stands in the text, as a program that lost the parts passes it on; empty: there is
    none.
    """
    text = text_of(message)
    begins = _IN_TEXT.search(text)
    return [] if begins is None else _read(text[begins.start() :], notice_of(message)[: begins.start()])


def _read(text: str, notice: str) -> list[RecipientReport]:
    found = list(islice(_recipients(_fields(text)), _MOST))
    named = [address for fields in found for address in _addresses_of(fields)]
    reports = (_report(fields, notice, named) for fields in found)
    return [report for report in reports if report is not None]


def _fields(text: str) -> list[Headers]:
    return read_fields(text, diagnostic="diagnostic-code")


def _recipients(groups: list[Headers]) -> Iterator[Headers]:
    """The fields of each recipient: they go on behind a blank line, up to one that names another."""
    collected: list[tuple[str, str]] = []
    for name, value in (field for group in groups for field in [("", _recipient_in(group)), *group.items()]):
        names = {known for known, _ in collected}
        if name == "":
            if value and ("action" in names or "status" in names) and "final-recipient" in names:
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


def _recipient_in(group: Headers) -> str:
    return group.get("final-recipient") or group.get("original-recipient")


def _addresses_of(fields: Headers) -> tuple[str, ...]:
    return tuple(
        dict.fromkeys(
            address
            for name in ("original-recipient", "final-recipient")
            for address in _addresses(fields.get(name))
        )
    )


def _report(fields: Headers, notice: str, all_named: Sequence[str]) -> RecipientReport | None:
    addresses = _addresses_of(fields)
    diagnostic = fields.decoded("diagnostic-code")
    words = diagnostic or _behind_the_address(notice, addresses, all_named)
    answer = read_report(without_comments(fields.get("status")), words)
    kind = _kind(without_comments(fields.get("action")).lower(), answer)
    if kind is None:
        return None
    if kind == "bounced" and answer.code is None:
        answer = replace(answer, code=550)  # the action alone says that it failed; the words may say why
    typed, _, reason = diagnostic.partition(";")
    said = reason.strip() if " " not in typed.strip() else diagnostic
    return RecipientReport(kind, addresses, answer, (said or diagnostic or words or "")[:REASON] or None)


def _kind(action: str, answer: ProviderAnswer) -> Literal["delivered", "delayed", "bounced"] | None:
    """What happened; None: it is not known."""
    known = _ACTIONS.get(action)
    if known is not None:
        return known
    if _FAILURE.search(action) is not None:
        return "bounced"
    level = (answer.status or str(answer.code or ""))[:1]
    return {"5": "bounced", "4": "delayed"}.get(level)  # type: ignore[return-value]


def _behind_the_address(notice: str, addresses: tuple[str, ...], all_named: Sequence[str]) -> str | None:
    """What the part for people says of a recipient, behind its address."""
    folded = notice.lower()
    for address in addresses:
        if address in folded:
            others = [one for one in all_named if one not in addresses]
            words = words_about(notice, address, [address, *others])
            return words[words.lower().find(address) + len(address) :].strip(" \n\t>:") or None
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
