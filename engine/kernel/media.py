"""Media: what an address is, whatever sends to it. Consent belongs to the medium and not to a kind of channel.

| medium | kinds of channel | an address as it is kept and compared |
|---|---|---|
| `email` | smtp, the mail APIs (mailgun …) | lower case, the domain as DNS has it: `ada@xn--mller-kva.de` |
| `phone` | sms, whatsapp, voice | E.164: `+4915112345678` |
| `chat` | telegram | a Telegram id, or a name in lower case: `@ada_lovelace` |
| `other` | portal | as it is: an entity's id, a device's token |

A channel of kind `http`, `apprise`, `file` or `null` says by `medium` what it writes to. One that does not say so
writes to any: the form of each address says what it is.
"""

from __future__ import annotations

import re
import unicodedata
from email.utils import parseaddr
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from engine.kernel.addresses import (
    AnyFinder,
    ChatFinder,
    EmailFinder,
    PhoneFinder,
    normalise_chat,
    normalise_email,
)
from engine.kernel.phone_numbers import normalise_phone

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

__all__ = [
    "AddressMedium",
    "FoldedAddress",
    "Regions",
    "address_finder",
    "fold_address",
    "folded",
    "medium_of_kind",
    "medium_of_text",
]


class AddressMedium(StrEnum):
    """What an address is."""

    EMAIL = "email"
    PHONE = "phone"
    CHAT = "chat"
    OTHER = "other"


class FoldedAddress(NamedTuple):
    """An address in the one form in which it is kept and compared."""

    medium: AddressMedium
    address: str


class Regions(NamedTuple):
    """Where an organization's phone numbers without a country code are from (ISO 3166-1)."""

    own: str | None = None
    """The organization's."""
    channels: tuple[str, ...] = ()
    """Those of its channels."""


_NO_REGIONS = Regions()
_OF_KIND = {
    **dict.fromkeys(("smtp", "mailgun", "postmark", "resend", "sendgrid", "ses"), AddressMedium.EMAIL),
    "sms": AddressMedium.PHONE,
    "whatsapp": AddressMedium.PHONE,
    "voice": AddressMedium.PHONE,
    "telegram": AddressMedium.CHAT,
    "portal": AddressMedium.OTHER,
}
_PREFIX = re.compile(r"(?:mailto|tel|sms|whatsapp):", re.IGNORECASE)
_CHAT_LINK = re.compile(
    r"(?:https?://)?(?:www\.)?(?:t|telegram)\.me/([A-Za-z]\w{3,31})/?", re.ASCII | re.IGNORECASE
)
_CHAT_NAME = re.compile(r"[A-Za-z]\w{3,31}", re.ASCII)
_LONGEST = 320


def medium_of_kind(kind: str) -> AddressMedium | None:
    """What every channel of a kind writes to; None: each channel says so itself."""
    return _OF_KIND.get(kind)


def fold_address(medium: AddressMedium, text: str, regions: Regions = _NO_REGIONS) -> str | None:
    """An address as people, files and providers write it, in the form in which it is kept; None: it is none.

    Invisible characters, which copying leaves behind, and a scheme (`mailto:`, `tel:`) are no part of it.
    """
    plain = _PREFIX.sub("", _visible(text), count=1).strip()
    return _FOLDS[medium](plain, regions) if 0 < len(plain) <= _LONGEST else None


def folded(medium: AddressMedium | None, address: str) -> FoldedAddress:
    """An address that a channel writes to, as it is compared.

    Args:
        medium: The channel's, which has written the address down in its form already; None: the form says it.
    """
    if medium is not None:
        return FoldedAddress(medium, address)
    known = _told_from_form(address)
    if known is AddressMedium.EMAIL and normalise_email(address) == address:  # as nearly all are
        return FoldedAddress(known, address)
    return FoldedAddress(known, fold_address(known, address) or address)


def medium_of_text(text: str) -> AddressMedium:
    """What an address is of which nobody says it."""
    return _told_from_form(_PREFIX.sub("", _visible(text), count=1).strip())


def address_finder(
    medium: AddressMedium | None, path: str | None, region: str | None = None
) -> Callable[[Mapping[str, Any]], str | None]:
    """Finds an entity's address of a medium; see `engine.kernel.addresses` for `path` and `region`."""
    match medium:
        case AddressMedium.EMAIL:
            return EmailFinder(path)
        case AddressMedium.PHONE:
            return PhoneFinder(path, region=region)
        case AddressMedium.CHAT:
            return ChatFinder(path)
    return AnyFinder(path)


def _told_from_form(address: str) -> AddressMedium:
    if address.startswith("@"):
        return AddressMedium.CHAT
    if "@" in address:
        return AddressMedium.EMAIL
    return AddressMedium.PHONE if address.startswith("+") else AddressMedium.OTHER


def _visible(text: str) -> str:
    if text.isascii():
        return text.strip()
    return "".join(one for one in text if unicodedata.category(one) != "Cf").strip()


def _fold_email(text: str, _: Regions) -> str | None:
    """The local part may have letters of any script: a provider may take what SMTP does not."""
    address = parseaddr(text)[1] if text.endswith(">") else text
    if (plain := normalise_email(address)) is not None or address.isascii():
        return plain
    local, _at, domain = address.rpartition("@")
    standing = normalise_email(f"x@{domain}")
    usable = local and local.isprintable() and not any(one.isspace() or one in '@"<>(),;:' for one in local)
    if standing is None or not usable:
        return None
    return f"{unicodedata.normalize('NFC', local).casefold()}{standing[1:]}"


def _fold_phone(text: str, regions: Regions) -> str | None:
    """Read with the organization's region, else with its channels' where these agree."""
    if (found := normalise_phone(text, regions.own)) is not None:
        return found
    numbers = {number for one in regions.channels if (number := normalise_phone(text, one)) is not None}
    return numbers.pop() if len(numbers) == 1 else None


def _fold_chat(text: str, _: Regions) -> str | None:
    if (link := _CHAT_LINK.fullmatch(text)) is not None:
        return f"@{link[1].lower()}"
    return normalise_chat(f"@{text}" if _CHAT_NAME.fullmatch(text) else text)


def _fold_other(text: str, _: Regions) -> str | None:
    return text if text.isprintable() and not any(one.isspace() for one in text) else None


_FOLDS: Mapping[AddressMedium, Callable[[str, Regions], str | None]] = {
    AddressMedium.EMAIL: _fold_email,
    AddressMedium.PHONE: _fold_phone,
    AddressMedium.CHAT: _fold_chat,
    AddressMedium.OTHER: _fold_other,
}
