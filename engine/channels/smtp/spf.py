"""SPF (RFC 7208): a domain's record, what is wrong with it, and whether it lets an address send.

Macros and `exists` are not worked out: where a record needs them, what it says of an address is not known (None).
"""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING

from config.errors import MusterError

if TYPE_CHECKING:
    from engine.channels.smtp.lookup import Lookup

__all__ = ["SpfError", "SpfRecord", "read_spf"]

#: Terms that ask questions, together (§4.6.4).
_MOST_LOOKUPS = 10
_TERM = re.compile(r"([+\-~?]?)([a-z0-9]+)(?:([:=])([^/\s]*))?((?:/\d+)?(?://\d+)?)", re.IGNORECASE)
_MECHANISMS = ("all", "include", "a", "mx", "ptr", "ip4", "ip6", "exists")
_ASKING = ("include", "a", "mx", "ptr", "exists", "redirect")


class SpfError(MusterError, ValueError):
    """The record makes every check of it fail (`permerror`)."""


class SpfRecord:
    """A domain's record, and those that it includes.

    Args:
        domain: Whose.
        terms: Qualifier, name, value and prefix lengths of each.
        lookup: For what it leads to.
    """

    def __init__(self, domain: str, terms: list[tuple[str, str, str, str]], lookup: Lookup) -> None:
        self._domain = domain
        self._terms = terms
        self._lookup = lookup

    @property
    def ending(self) -> str | None:
        """What becomes of everybody else: `-`, `~`, `?` or `+`; None: the record does not say."""
        return next((qualifier for qualifier, name, _, _ in self._terms if name == "all"), None)

    def lookups(self, depth: int = 0) -> int:
        """How many questions a check of it asks at most.

        Raises:
            SpfError: a record that it includes is missing or wrong, or includes itself.
        """
        count = 0
        for _, name, value, _ in self._terms:
            count += name in _ASKING
            if name in ("include", "redirect") and "%" not in value:
                count += self._other(value, depth).lookups(depth + 1)
        if count > _MOST_LOOKUPS and not depth:
            raise SpfError(f"needs {count} lookups; more than {_MOST_LOOKUPS} make every check fail")
        return count

    def allows(self, address: str, depth: int = 0) -> bool | None:
        """Whether it lets an address send; None: nobody can say.

        Raises:
            SpfError: as `lookups`.
        """
        unknown = False
        for qualifier, name, value, lengths in self._terms:
            if name == "redirect" and self.ending is None:
                return self._other(value, depth).allows(address, depth + 1)
            matches = self._matches(name, value, lengths, address, depth)
            if matches:
                return None if unknown else qualifier in ("", "+")
            unknown = unknown or matches is None
        return None if unknown else False

    def _matches(self, name: str, value: str, lengths: str, address: str, depth: int) -> bool | None:
        if "%" in value or name in ("exists", "ptr"):
            return None
        match name:
            case "all":
                return True
            case "ip4" | "ip6":
                return _within(address, f"{value}{lengths}")
            case "include":
                return self._other(value, depth).allows(address, depth + 1)
            case "a":
                return _among(address, self._lookup.addresses(value or self._domain), lengths)
            case "mx":
                hosts = self._lookup.exchangers(value or self._domain)[:_MOST_LOOKUPS]
                return any(_among(address, self._lookup.addresses(host), lengths) for host in hosts)
        return False

    def _other(self, domain: str, depth: int) -> SpfRecord:
        if depth >= _MOST_LOOKUPS:
            raise SpfError("includes itself, or too many others")
        record = read_spf(domain, self._lookup)
        if record is None:
            raise SpfError(f"includes {domain}, which has no SPF record")
        return record


def read_spf(domain: str, lookup: Lookup) -> SpfRecord | None:
    """A domain's record; None: it has none.

    Raises:
        SpfError: there are several, or it cannot be read.
        LookupFailed: nobody answers.
    """
    found = [text for text in lookup.texts(domain) if re.match(r"v=spf1(?: |$)", text, re.IGNORECASE)]
    if len(found) > 1:
        raise SpfError(f"{len(found)} SPF records of {domain}: with more than one every check fails")
    return SpfRecord(domain, [_term(text) for text in found[0].split()[1:]], lookup) if found else None


def _term(text: str) -> tuple[str, str, str, str]:
    read = _TERM.fullmatch(text)
    if text.lower().startswith(("ip6:", "+ip6:", "-ip6:", "~ip6:", "?ip6:")):
        qualifier, _, value = text.partition("ip6:")
        network, slash, length = value.partition("/")
        return qualifier, "ip6", network, slash + length
    if read is None or (read[3] != "=" and read[2].lower() not in _MECHANISMS):
        raise SpfError(f"{text!r} is no term of SPF")
    return read[1], read[2].lower(), read[4] or "", read[5]


def _among(address: str, others: list[str], lengths: str) -> bool:
    """Whether an address is one of others, or in their networks: `/24//64` has the length of both kinds."""
    four, _, six = lengths.partition("//")
    return any(
        _within(address, other + (four if ":" not in other else f"/{six}" if six else "")) for other in others
    )


def _within(address: str, network: str) -> bool:
    try:
        return ipaddress.ip_address(address) in ipaddress.ip_network(network, strict=False)
    except ValueError:
        raise SpfError(f"{network} is no network") from None
