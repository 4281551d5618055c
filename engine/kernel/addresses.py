"""Addresses: where an entity keeps its, and how one is written down.

An address is normalised so that it can be compared with the suppression list: an e-mail address in lower case, its
domain as DNS has it (`müller.de` is `xn--mller-kva.de`); what nobody sees around it (blanks, a byte order mark, a
zero-width space) is dropped; a phone number in E.164 (`+4930123456`); a Telegram chat as
its id or its @name. What cannot be delivered to is None, never an error: quoted local parts, address literals,
non-ASCII local parts (they need SMTPUTF8, which few servers have), anything with white space in it; numbers that no
country has given out. Which of an entity's values that is, and why, `address_trouble` tells.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

import idna

from engine.kernel.blanks import BLANKS, UNSEEN
from engine.kernel.phone_numbers import normalise_phone, phone_trouble

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = [
    "AnyFinder",
    "ChatFinder",
    "EmailFinder",
    "Finder",
    "PhoneFinder",
    "address_texts",
    "address_trouble",
    "email_trouble",
    "no_address",
    "normalise_chat",
    "normalise_email",
    "phone_names",
]

_LOCAL = r"[a-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[a-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_ADDRESS = re.compile(rf"(?=[^@]{{1,64}}@)(?=.{{3,254}}\Z){_LOCAL}@{_LABEL}(?:\.{_LABEL})*")

#: Names an address goes by, without case, white space, `-` and `_`.
_EMAIL = ("email", "emailaddress", "mail")
_PHONE = (
    "phone",
    "mobile",
    "phonenumber",
    "mobilephone",
    "mobilenumber",
    "cellphone",
    "msisdn",
    "telephone",
    "tel",
)
_CHAT = ("telegramchatid", "telegramid", "telegram", "chatid", "telegramuserid")
#: Keys inside an address that is kept as an object.
_INNER = ("email", "value", "address")
_IGNORED = re.compile(r"[\s_-]+")
_CHAT_ID = re.compile(r"-?[1-9][0-9]{0,19}|@[A-Za-z][A-Za-z0-9_]{3,31}")
_LARGEST = 10**20
_LONGEST_ADDRESS = 320
#: Characters of a value that an error shows.
_SHOWN = 100


def normalise_email(text: str) -> str | None:
    """The address as it is compared and sent to, or None when it is none (RFC 5321 §4.1.2, dot-strings)."""
    address = text.strip(BLANKS).lower()
    if not address.isascii():
        local, at, domain = address.rpartition("@")
        try:
            address = local + at + idna.encode(domain, uts46=True).decode()
        except (idna.IDNAError, UnicodeError):
            return None
    return address if _ADDRESS.fullmatch(address) else None


def email_trouble(text: str) -> str:
    """Why a text is no e-mail address that mail can be sent to (`normalise_email` gives None)."""
    address = text.strip(BLANKS)
    local, _, domain = address.rpartition("@")
    unseen = next((character for character in address if character in UNSEEN), None)
    if unseen is not None:
        name = unicodedata.name(unseen, "a character without a width").lower()
        return f"holds U+{ord(unseen):04X} ({name})"
    if address.lower().startswith("mailto:"):
        return "begins with 'mailto:'"
    for holds, reason in (
        ("@" not in address, "has no '@'"),
        ("<" in address or ">" in address, "holds more than an address: brackets, or a name before them"),
        (address.count("@") > 1, "holds more than one '@'"),
        (any(map(str.isspace, address)), "holds blanks"),
        (",;".find(address[-1:]) >= 0, f"ends with {address[-1:]!r}"),
        (any(".." in part or part[:1] == "." or part[-1:] == "." for part in (local, domain)),
         "has a dot at an end or two in a row"),
        (not local.isascii(), "has other letters than ASCII before the '@', which few servers take (SMTPUTF8)"),
    ):  # fmt: skip
        if holds:
            return reason
    return "is no e-mail address"


def normalise_chat(text: str) -> str | None:
    """A chat's id, or the @name of a public one, as the Bot API takes it; names in lower case."""
    chat = text.strip(BLANKS)
    return chat.lower() if _CHAT_ID.fullmatch(chat) else None


class Finder:
    """Finds an address in an entity's attributes.

    Args:
        path: A dotted path (`contact.email`), or the exact name of an attribute. None: an attribute that goes by
            one of `names`, in any spelling of case, spaces, `-` and `_`; the earliest of these that holds an
            address.
        names: The usual names, likeliest first, without case, white space, `-` and `_`.
        normalise: Writes an address down the one way it is compared and sent to; None when it is none.
    """

    def __init__(
        self, path: str | None, names: tuple[str, ...], normalise: Callable[[str], str | None]
    ) -> None:
        self._path = path
        self._steps = tuple(path.split(".")) if path else ()
        self._names = names
        self._normalise = normalise

    def __call__(self, attributes: Mapping[str, Any]) -> str | None:
        """The normalised address, or None."""
        if self._path is None:
            for name in _candidates(tuple(attributes), self._names):
                address = self._address(attributes[name])
                if address is not None:
                    return address
            return None
        if self._path in attributes:
            return self._address(attributes[self._path])
        value: Any = attributes
        for step in self._steps:
            value = _step(value, step)
        return self._address(value)

    def trouble(self, attributes: Mapping[str, Any]) -> str | None:
        """Which value stands where an address should, and why it is none; None: nothing stands there."""
        if self._path is None:
            found = [(name, attributes[name]) for name in _candidates(tuple(attributes), self._names)]
        elif self._path in attributes:
            found = [(self._path, attributes[self._path])]
        else:
            value: Any = attributes
            for step in self._steps:
                value = _step(value, step)
            found = [(self._path, value)]
        for name, value in found:
            texts = address_texts(value)
            if texts and self._normalise(texts[0]) is None:
                return f"{name} {texts[0][:_SHOWN]!r} {self._reason(texts[0])}"
        return None

    def _reason(self, text: str) -> str:  # noqa: ARG002 - kinds of addresses that know more than this say it
        return "is none"

    def _address(self, value: Any) -> str | None:
        """An address kept as text or number, as an object that has it, or as a list of these (its first good one)."""
        if isinstance(value, str):
            return self._normalise(value)
        if isinstance(value, int) and not isinstance(value, bool):
            return self._normalise(_digits(value))
        if isinstance(value, list):
            return next((address for item in value if (address := self._address(item)) is not None), None)
        if isinstance(value, dict):
            inner = (value[key] for key in (*self._names, *_INNER) if isinstance(value.get(key), str | int))
            return next((address for item in inner if (address := self._address(item)) is not None), None)
        return None


class EmailFinder(Finder):
    """Finds an e-mail address; `path` as `Finder` has it."""

    def __init__(self, path: str | None = None) -> None:
        super().__init__(path, _EMAIL, normalise_email)

    def _reason(self, text: str) -> str:
        return email_trouble(text)


class PhoneFinder(Finder):
    """Finds a phone number that can be written in E.164.

    Args:
        path: As `Finder` has it.
        region: Where numbers without a country code are from: `DE`. None: such numbers are none.
        names: More names it goes by, before the usual ones.
        normalise: Another way to write it down than E.164.
    """

    def __init__(
        self,
        path: str | None = None,
        *,
        region: str | None = None,
        names: tuple[str, ...] = (),
        normalise: Callable[[str], str | None] | None = None,
    ) -> None:
        super().__init__(path, (*names, *_PHONE), normalise or partial(normalise_phone, region=region))
        self._region = region

    def _reason(self, text: str) -> str:
        return phone_trouble(text, self._region)


class ChatFinder(Finder):
    """Finds a Telegram chat."""

    def __init__(self, path: str | None = None) -> None:
        super().__init__(path, _CHAT, normalise_chat)


class AnyFinder:
    """Finds an address of a kind that is not known: what stands at `path`; without one, an e-mail address, else the
    entity's id (`_id`).
    """

    def __init__(self, path: str | None = None) -> None:
        self._find = EmailFinder() if path is None else Finder(path, (), _any_text)
        self._or_id = path is None

    def __call__(self, attributes: Mapping[str, Any]) -> str | None:
        """The address, or None."""
        found = self._find(attributes)
        return attributes.get("_id") if found is None and self._or_id else found

    def trouble(self, attributes: Mapping[str, Any]) -> str | None:
        """As `Finder.trouble`."""
        return self._find.trouble(attributes)


def address_trouble(finder: object, attributes: Mapping[str, Any]) -> str | None:
    """Why a channel's `address_of` finds no address in an entity's attributes: the value that cannot be used, and what
    is wrong with it. None: there is no such value, or the channel looks for addresses in a way of its own.
    """
    return finder.trouble(attributes) if isinstance(finder, Finder | AnyFinder) else None


def no_address(kind: str, trouble: str | None) -> str:
    """What is recorded of a recipient that a channel has no address of."""
    return f"no address for channel {kind}" + (f": {trouble}" if trouble else "")


def address_texts(value: Any, depth: int = 4) -> list[str]:
    """Every text and number in an entity's attributes that is short enough to be an address."""
    if isinstance(value, str):
        text = value.strip(BLANKS)
        return [text] if 0 < len(text) <= _LONGEST_ADDRESS else []
    if isinstance(value, int) and not isinstance(value, bool):
        return [_digits(value)] if abs(value) < _LARGEST else []
    if depth and isinstance(value, dict):
        return [text for inner in value.values() for text in address_texts(inner, depth - 1)]
    if depth and isinstance(value, list):
        return [text for inner in value for text in address_texts(inner, depth - 1)]
    return []


def phone_names(names: tuple[str, ...]) -> tuple[str, ...]:
    """Which attributes of an entity usually hold a phone number, likeliest first."""
    return _candidates(names, _PHONE)


def _any_text(text: str) -> str | None:
    """Any line of text."""
    address = text.strip(BLANKS)
    return address if address and len(address) <= _LONGEST_ADDRESS and address.isprintable() else None


@lru_cache(maxsize=1024)
def _candidates(names: tuple[str, ...], usual: tuple[str, ...]) -> tuple[str, ...]:
    """The attributes that may hold the address, likeliest first. Entities of one import share their names."""
    plain = {name: _IGNORED.sub("", name).lower() for name in names}
    found = [name for name in names if plain[name] in usual]
    return tuple(sorted(found, key=lambda name: (usual.index(plain[name]), name != plain[name])))


def _digits(value: int) -> str:
    """A number as text; Python refuses to write down those of thousands of digits, and none is an address."""
    return str(value) if abs(value) < _LARGEST else ""


def _step(value: Any, key: str) -> Any:
    if isinstance(value, list):
        value = value[0] if value else None
    return value.get(key) if isinstance(value, dict) else None
