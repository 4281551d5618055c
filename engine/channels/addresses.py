"""E-mail addresses: where an entity keeps its, and how one is written down.

An address is normalised so that it can be compared with the suppression list: lower case, the domain as DNS
has it (`müller.de` is `xn--mller-kva.de`). What cannot be delivered to is None, never an error: quoted local
parts, address literals, non-ASCII local parts (they need SMTPUTF8, which few servers have), anything with
white space in it.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import idna

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["EmailFinder", "normalise_email"]

_LOCAL = r"[a-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[a-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_ADDRESS = re.compile(rf"(?=[^@]{{1,64}}@)(?=.{{3,254}}\Z){_LOCAL}@{_LABEL}(?:\.{_LABEL})*")

#: Names an address goes by, without case, white space, `-` and `_`.
_NAMES = ("email", "emailaddress", "mail")
#: Keys inside an address that is kept as an object.
_INNER = ("email", "value", "address")
_IGNORED = re.compile(r"[\s_-]+")


def normalise_email(text: str) -> str | None:
    """The address as it is compared and sent to, or None when it is none (RFC 5321 §4.1.2, dot-strings)."""
    address = text.strip().lower()
    if not address.isascii():
        local, at, domain = address.rpartition("@")
        try:
            address = local + at + idna.encode(domain, uts46=True).decode()
        except (idna.IDNAError, UnicodeError):
            return None
    return address if _ADDRESS.fullmatch(address) else None


class EmailFinder:
    """Finds the address in an entity's attributes.

    Args:
        path: A dotted path (`contact.email`), or the exact name of an attribute. None: an attribute called
            `email`, `e-mail`, `Email address` or `mail`, in any spelling of case, spaces, `-` and `_`; the
            earliest of these that holds an address.
    """

    def __init__(self, path: str | None = None) -> None:
        self._path = path
        self._steps = tuple(path.split(".")) if path else ()

    def __call__(self, attributes: Mapping[str, Any]) -> str | None:
        """The normalised address, or None."""
        if self._path is None:
            for name in _candidates(tuple(attributes)):
                address = _address(attributes[name])
                if address is not None:
                    return address
            return None
        if self._path in attributes:
            return _address(attributes[self._path])
        value: Any = attributes
        for step in self._steps:
            value = _step(value, step)
        return _address(value)


@lru_cache(maxsize=1024)
def _candidates(names: tuple[str, ...]) -> tuple[str, ...]:
    """The attributes that may hold the address, likeliest first. Entities of one import share their names."""
    plain = {name: _IGNORED.sub("", name).lower() for name in names}
    found = [name for name in names if plain[name] in _NAMES]
    return tuple(sorted(found, key=lambda name: (_NAMES.index(plain[name]), name != "email")))


def _step(value: Any, key: str) -> Any:
    if isinstance(value, list):
        value = value[0] if value else None
    return value.get(key) if isinstance(value, dict) else None


def _address(value: Any) -> str | None:
    """An address kept as text, as an object that has it, or as a list of either (its first good one)."""
    if isinstance(value, str):
        return normalise_email(value)
    if isinstance(value, list):
        return next((address for item in value if (address := _address(item)) is not None), None)
    if isinstance(value, dict):
        inner = (value[key] for key in _INNER if isinstance(value.get(key), str))
        return next((address for item in inner if (address := normalise_email(item)) is not None), None)
    return None
