"""Whether receivers will believe mail from a domain: SPF, DKIM, DMARC and its alignment, reverse names, TLS.

What is looked at is what stands in the domain name system, compared with what a channel does: its return path, its
key, its server. Each finding says what was found, and what to publish where something is missing. Nothing is sent.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key

from engine.channels.smtp.lookup import LookupFailed
from engine.channels.smtp.spf import SpfError, read_spf
from engine.content.dkim import public_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from engine.channels.smtp.lookup import Lookup

__all__ = ["Finding", "MailDomain", "examine_domain"]

#: DMARC's walk up the tree goes no further (RFC 9989 §4.10).
_MOST_LABELS = 8
_SHORT_KEY = 400
_TAG = re.compile(r"\s*([A-Za-z0-9_]+)\s*=\s*([^;]*?)\s*(?:;|$)")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    name: str
    ok: bool | None
    """None: not wrong, and worth a look."""
    found: str
    remedy: str | None = None


@dataclass(frozen=True, slots=True)
class MailDomain:
    """A domain that messages come from, and what is known of how a channel sends them."""

    domain: str
    return_path: str | None = None
    """The domain of the envelope's sender; None: the same."""
    host: str | None = None
    """The mail server; None: not known."""
    dkim_domain: str | None = None
    selector: str | None = None
    record: str | None = None
    """What the selector's record has to say; None: the key is not known."""
    trouble: str | None = None
    """Why the server cannot be used: unreachable, its certificate not trusted, a login refused."""
    security: str | None = None
    """The channel's `security`; None: there is no channel."""


def examine_domain(given: MailDomain, lookup: Lookup) -> list[Finding]:
    """Everything about a domain, in the order in which it is mended. A question that nobody answers is a finding."""
    findings: list[Finding] = []
    for name, look in (
        ("SPF", _spf),
        ("DKIM", _dkim),
        ("DMARC", _dmarc),
        ("DMARC alignment", _alignment),
        ("answers", _answers),
        ("reverse name", _reverse),
        ("TLS", _tls),
    ):
        findings += _asked(name, look, given, lookup)
    return findings


def _asked(
    name: str, look: Callable[[MailDomain, Lookup], Iterator[Finding]], given: MailDomain, lookup: Lookup
) -> list[Finding]:
    try:
        return list(look(given, lookup))
    except LookupFailed as error:
        return [
            Finding(name, ok=False, found=str(error), remedy="ask again, or another resolver (--dns-server)")
        ]


def _spf(given: MailDomain, lookup: Lookup) -> Iterator[Finding]:
    domain = given.return_path or given.domain
    server = f"a:{given.host}" if given.host else "include:YOUR-PROVIDER"
    publish = f'publish at {domain}: TXT "v=spf1 {server} ~all"'
    try:
        record = read_spf(domain, lookup)
        if record is None:
            yield Finding("SPF", ok=False, found=f"{domain} has no SPF record", remedy=publish)
            return
        count = record.lookups()
        addresses = _addresses_of(given, lookup)
        allowed = {address: record.allows(address) for address in addresses}
    except SpfError as error:
        yield Finding("SPF", ok=False, found=str(error), remedy=publish)
        return
    if record.ending == "+":
        yield Finding(
            "SPF", ok=False, found=f"{domain} lets everybody send (+all)", remedy="end it with ~all or -all"
        )
        return
    refused = [address for address, answer in allowed.items() if answer is False]
    if refused:
        yield Finding(
            "SPF",
            ok=None,
            found=f"{domain}: {given.host} ({', '.join(refused)}) is not among those who may send",
            remedy=f"add {server}, unless the server hands on to others that are named",
        )
        return
    yield Finding(
        "SPF", ok=True, found=f"{domain}: {count} lookups" + (", the server may send" if allowed else "")
    )


def _dkim(given: MailDomain, lookup: Lookup) -> Iterator[Finding]:
    if given.selector is None:
        yield Finding(
            "DKIM",
            ok=None,
            found="no channel signs for this domain, and no selector was named",
            remedy="set dkim_domain, dkim_selector and the key of the channel, or name --selector",
        )
        return
    name = f"{given.selector}._domainkey.{given.dkim_domain or given.domain}"
    publish = f'publish at {name}: TXT "{given.record or "v=DKIM1; k=rsa; p=…"}"'
    records = [tags for text in lookup.texts(name) if "p" in (tags := _tags(text))]
    if len(records) != 1:
        found = f"{name} has {len(records) or 'no'} DKIM record{'s' if records else ''}"
        yield Finding("DKIM", ok=False, found=found, remedy=publish)
        return
    tags = records[0]
    try:
        kind, key = _published_key(tags)
    except ValueError as error:
        yield Finding("DKIM", ok=False, found=f"{name}: {error}", remedy=publish)
        return
    if given.record is not None and _tags(given.record) | {"v": "", "t": ""} != {
        "v": "",
        "t": "",
        "k": kind,
        "p": key,
    }:
        yield Finding("DKIM", ok=False, found=f"{name} has another key than the channel", remedy=publish)
    elif kind == "rsa" and len(key) < _SHORT_KEY * 4 // 5:
        yield Finding("DKIM", ok=None, found=f"{name}: a short RSA key", remedy="make one of 2048 bits")
    elif "y" in tags.get("t", ""):
        yield Finding(
            "DKIM", ok=None, found=f"{name} says that it is tried out (t=y)", remedy="publish it without t=y"
        )
    else:
        matches = ", the channel's key" if given.record is not None else ""
        yield Finding("DKIM", ok=True, found=f"{name}: {kind}{matches}")


def _published_key(tags: dict[str, str]) -> tuple[str, str]:
    """Kind and value of a record's key, in the form that `public_key` gives.

    Raises:
        ValueError: it cannot be used.
    """
    value = "".join(tags["p"].split())
    if not value:
        raise ValueError("the key is revoked (p=)")
    if tags.get("v", "DKIM1") != "DKIM1":
        raise ValueError(f"is no DKIM record: v={tags['v']}")
    try:
        raw = base64.b64decode(value, validate=True)
        if tags.get("k", "rsa") == "ed25519":
            return public_key(Ed25519PublicKey.from_public_bytes(raw))
        return public_key(load_der_public_key(raw))
    except (ValueError, binascii.Error, UnsupportedAlgorithm):
        raise ValueError("the key cannot be read") from None


def _dmarc(given: MailDomain, lookup: Lookup) -> Iterator[Finding]:
    where, records = _dmarc_records(given.domain, lookup)
    publish = (
        f'publish at _dmarc.{given.domain}: TXT "v=DMARC1; p=none; rua=mailto:postmaster@{given.domain}"'
    )
    if not records:
        yield Finding("DMARC", ok=False, found=f"{given.domain} has no DMARC record", remedy=publish)
    elif len(records) > 1:
        yield Finding("DMARC", ok=False, found=f"{where} has {len(records)} DMARC records", remedy="keep one")
    elif records[0].get("p", "").lower() not in ("none", "quarantine", "reject"):
        yield Finding("DMARC", ok=False, found=f"{where}: its policy (p=) cannot be read", remedy=publish)
    else:
        yield Finding("DMARC", ok=True, found=f"{where}: p={records[0]['p'].lower()}")


def _alignment(given: MailDomain, lookup: Lookup) -> Iterator[Finding]:
    """Whether SPF or DKIM speaks for the domain that readers see."""
    _, records = _dmarc_records(given.domain, lookup)
    tags = records[0] if records else {}
    aligned = []
    if _is_aligned(given.return_path or given.domain, given.domain, tags.get("aspf"), lookup):
        aligned.append("SPF")
    signs = given.dkim_domain if given.selector is not None else None
    if given.selector is not None and _is_aligned(
        signs or given.domain, given.domain, tags.get("adkim"), lookup
    ):
        aligned.append("DKIM")
    if aligned:
        ok = True if "DKIM" in aligned else None
        remedy = None if ok else "sign with the domain as well (dkim_domain): forwarding breaks SPF"
        yield Finding("DMARC alignment", ok=ok, found=f"by {' and '.join(aligned)}", remedy=remedy)
        return
    said = f"return path {given.return_path}" + (f", signed by {signs}" if signs else ", not signed")
    yield Finding(
        "DMARC alignment",
        ok=False,
        found=f"neither SPF nor DKIM is of {given.domain}: {said}",
        remedy=f"sign with dkim_domain {given.domain}, or use a return_path below it",
    )


def _is_aligned(one: str, domain: str, mode: str | None, lookup: Lookup) -> bool:
    if one == domain:
        return True
    if (mode or "r").lower() == "s":
        return False
    return _organizational(one, lookup) == _organizational(domain, lookup)


def _organizational(domain: str, lookup: Lookup) -> str:
    """The domain above a domain that has a DMARC record, the one with the fewest labels; without any, the last two."""
    labels = domain.split(".")
    above = [".".join(labels[at:]) for at in range(max(0, len(labels) - _MOST_LABELS), len(labels) - 1)]
    found = [one for one in above if _dmarc_at(one, lookup)]
    return found[-1] if found else ".".join(labels[-2:])


def _dmarc_records(domain: str, lookup: Lookup) -> tuple[str, list[dict[str, str]]]:
    """The records that hold for a domain, and where they stand: its own, else those of the nearest domain above."""
    labels = domain.split(".")
    for at in [0, *range(max(1, len(labels) - _MOST_LABELS), len(labels) - 1)]:
        name = ".".join(labels[at:])
        if records := _dmarc_at(name, lookup):
            return f"_dmarc.{name}", records
    return f"_dmarc.{domain}", []


def _dmarc_at(domain: str, lookup: Lookup) -> list[dict[str, str]]:
    return [tags for text in lookup.texts(f"_dmarc.{domain}") if (tags := _tags(text)).get("v") == "DMARC1"]


def _answers(given: MailDomain, lookup: Lookup) -> Iterator[Finding]:
    for domain in dict.fromkeys((given.domain, given.return_path or given.domain)):
        exchangers = lookup.exchangers(domain)
        if exchangers == [""]:
            yield Finding(
                "answers", ok=False, found=f"{domain} takes no mail (null MX)", remedy="receivers refuse it"
            )
        elif not exchangers and not lookup.addresses(domain):
            yield Finding(
                "answers",
                ok=False,
                found=f"{domain} has neither MX nor address: nobody can answer or bounce",
                remedy=f"publish an MX record at {domain}",
            )
        else:
            yield Finding(
                "answers", ok=True, found=f"{domain}: {', '.join(exchangers[:3]) or 'its own address'}"
            )


def _reverse(given: MailDomain, lookup: Lookup) -> Iterator[Finding]:
    for address in _addresses_of(given, lookup):
        names = lookup.reverse_names(address)
        confirmed = [name for name in names if address in lookup.addresses(name)]
        if confirmed:
            yield Finding("reverse name", ok=True, found=f"{address} is {confirmed[0]}")
        else:
            said = f"is said to be {names[0]}, which has another address" if names else "has no name"
            remedy = "have the owner of the address name it (PTR), and that name lead back to it"
            yield Finding("reverse name", ok=False, found=f"{address} {said}", remedy=remedy)


def _tls(given: MailDomain, _: Lookup) -> Iterator[Finding]:
    if given.security is None:
        return
    if given.trouble is not None:
        yield Finding(
            "TLS", ok=False, found=given.trouble, remedy="mend the channel's server, certificate or login"
        )
    elif given.security in ("none", "opportunistic"):
        yield Finding("TLS", ok=None, found=f"security {given.security!r}", remedy="use 'starttls' or 'tls'")
    else:
        yield Finding("TLS", ok=True, found=f"{given.host}: {given.security}, and the login is taken")


def _addresses_of(given: MailDomain, lookup: Lookup) -> list[str]:
    """The public addresses of the server: a relay inside one's own network is not what receivers see."""
    if given.host is None:
        return []
    try:
        found = [str(ipaddress.ip_address(given.host.strip("[]")))]
    except ValueError:
        found = lookup.addresses(given.host)
    return [address for address in found if ipaddress.ip_address(address).is_global]


def _tags(text: str) -> dict[str, str]:
    """Tag → value of a record such as `v=DKIM1; k=rsa; p=…`."""
    return {found[1]: found[2] for found in _TAG.finditer(text)}
