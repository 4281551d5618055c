"""DKIM signatures (RFC 6376, RFC 8463): `c=relaxed/relaxed`, SHA-256, RSA or Ed25519.

A message that `engine.content.mime` built has no bare line ends, no folding but its own and known headers, so it is
canonicalised with a few passes over its bytes instead of being parsed again; what is left is the key's own arithmetic.
Tests verify every kind of message with dkimpy.

Signed are the headers that a reader sees or acts on; List-Unsubscribe and List-Unsubscribe-Post are among them, because
one-click unsubscribing is only believed when they are (RFC 8058 §4). Each that must not come twice is named once more
than it is there, so that another one in front breaks the signature (RFC 6376 §8.15).

RSA takes hundreds of microseconds in which the interpreter is free for others, so an event loop has it done by a few
threads (`Signer.signed`); Ed25519 is faster than the way to them.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import os
import re
import time
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from typing import TYPE_CHECKING

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

if TYPE_CHECKING:
    from collections.abc import Callable

    from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

__all__ = ["Signer", "public_key"]

_ONCE = ("from", "to", "subject", "date", "message-id", "mime-version", "content-type")
_SIGNED = (
    *_ONCE,
    "reply-to",
    "content-transfer-encoding",
    "list-unsubscribe",
    "list-unsubscribe-post",
    "list-id",
)
#: RFC 8301 §3.2.
_FEWEST_BITS = 1024
_LINE = 72
_MOST_THREADS = 4
_DOMAIN = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)+")
_SELECTOR = re.compile(
    r"[A-Za-z0-9](?:[A-Za-z0-9_-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9_-]*[A-Za-z0-9])?)*"
)
_SPACES = re.compile(rb"[ \t]+")
_TRAILING = re.compile(rb"[ \t]+\r\n")


class Signer:
    """Signs for one domain with one key. Shared by threads.

    Args:
        domain: `d=`; the key's record stands in DNS at `SELECTOR._domainkey.DOMAIN`.
        selector: `s=`.
        private_key: RSA or Ed25519 as PEM without password; or Ed25519's 32 bytes in base64.
        clock: Seconds since 1970.

    Raises:
        ValueError: one of them cannot be used; never repeats the key.
    """

    def __init__(
        self, domain: str, selector: str, private_key: str, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._domain = domain.strip().rstrip(".").lower()
        if not _DOMAIN.fullmatch(self._domain):
            raise ValueError(f"{domain!r} is no domain")
        if not _SELECTOR.fullmatch(selector):
            raise ValueError(f"{selector!r} is no selector")
        self._selector = selector
        self._key = _key(private_key)
        self._clock = clock
        self._threads: ThreadPoolExecutor | None = None
        self._closed = False
        if isinstance(self._key, RSAPrivateKey):
            count = min(_MOST_THREADS, os.cpu_count() or 1)
            self._threads = ThreadPoolExecutor(count, thread_name_prefix="dkim")
        algorithm = "rsa-sha256" if isinstance(self._key, RSAPrivateKey) else "ed25519-sha256"
        self._opening = f"v=1; a={algorithm}; c=relaxed/relaxed;\r\n d={self._domain}; s={selector};\r\n t="

    def __repr__(self) -> str:
        return f"<Signer {self._domain}>"

    @property
    def record(self) -> tuple[str, str]:
        """Name and text of the record that lets others check its signatures (RFC 6376 §3.6, RFC 8463 §4)."""
        kind, key = public_key(self._key.public_key())
        return f"{self._selector}._domainkey.{self._domain}", f"v=DKIM1; k={kind}; p={key}"

    def close(self) -> None:
        """Let the threads go. Safe to call twice; what is being signed still will be."""
        self._closed = True
        if self._threads is not None:
            self._threads.shutdown(wait=False)

    async def signed(self, raw: bytes) -> bytes:
        """As `sign`, while the event loop goes on."""
        if self._threads is None or self._closed:  # a closed channel's last waves are signed as well
            return self.sign(raw)
        return await asyncio.get_running_loop().run_in_executor(self._threads, self.sign, raw)

    def covers(self, email: str) -> bool:
        """Whether the address is of the domain, or of one below it: for others a signature says nothing."""
        host = email.rpartition("@")[2].lower()
        return host == self._domain or host.endswith("." + self._domain)

    def sign(self, raw: bytes) -> bytes:
        """The DKIM-Signature header to put in front of a message with CRLF line ends."""
        head, _, body = raw.partition(b"\r\n\r\n")
        lines = _canonical_headers(head)
        names = [name for name in _SIGNED for _ in range(len(lines.get(name, ())) + (name in _ONCE))]
        value = (
            f"{self._opening}{int(self._clock())};\r\n h={_folded(names)};\r\n"
            f" bh={base64.b64encode(sha256(_canonical_body(body)).digest()).decode()};\r\n b="
        )
        signed = b"".join(lines[name].pop() for name in names if lines.get(name))
        own = "dkim-signature:" + value.replace("\r\n", "")
        signature = base64.b64encode(self._signature(signed + own.encode("ascii"))).decode()
        split = "\r\n ".join(signature[at : at + _LINE] for at in range(0, len(signature), _LINE))
        return f"DKIM-Signature: {value}{split}\r\n".encode("ascii")

    def _signature(self, data: bytes) -> bytes:
        if isinstance(self._key, RSAPrivateKey):
            return self._key.sign(data, PKCS1v15(), SHA256())
        return self._key.sign(sha256(data).digest())  # RFC 8463 §3


def _canonical_headers(head: bytes) -> dict[str, list[bytes]]:
    """Headers by name, in order, each as it is signed (RFC 6376 §3.4.2)."""
    found: dict[str, list[bytes]] = {}
    unfolded = head.replace(b"\r\n ", b" ").replace(b"\r\n\t", b" ")
    for line in _SPACES.sub(b" ", unfolded).split(b"\r\n"):
        name, _, value = line.partition(b":")
        lower = name.rstrip().lower()
        found.setdefault(lower.decode("ascii"), []).append(lower + b":" + value.strip() + b"\r\n")
    return found


def _canonical_body(body: bytes) -> bytes:
    """The body as it is hashed (RFC 6376 §3.4.4)."""
    if b"\t" in body or b"  " in body or b" \r\n" in body:
        body = _SPACES.sub(b" ", _TRAILING.sub(b"\r\n", body))
    body = body.rstrip(b"\r\n")
    return body + b"\r\n" if body else b""


def _folded(names: list[str]) -> str:
    """The names with colons between them, in lines."""
    lines = [""]
    for name in names:
        if len(lines[-1]) + len(name) > _LINE:
            lines.append("")
        lines[-1] += f"{name}:"
    return "\r\n ".join(lines)[:-1]


def public_key(key: PublicKeyTypes) -> tuple[str, str]:
    """Kind and value (`k=` and `p=`) of a key as a record has them.

    Raises:
        ValueError: it is of another kind.
    """
    if isinstance(key, RSAPublicKey):
        return "rsa", base64.b64encode(
            key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        ).decode()
    if isinstance(key, Ed25519PublicKey):
        return "ed25519", base64.b64encode(key.public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()
    raise ValueError("the key is neither RSA nor Ed25519")


def _key(text: str) -> RSAPrivateKey | Ed25519PrivateKey:
    try:
        key = (
            load_pem_private_key(text.strip().encode(), password=None)
            if "-----BEGIN" in text
            else Ed25519PrivateKey.from_private_bytes(base64.b64decode("".join(text.split()), validate=True))
        )
    except (ValueError, TypeError, binascii.Error, UnsupportedAlgorithm):
        raise ValueError("the private key is neither PEM without a password nor Ed25519's 32 bytes") from None
    if isinstance(key, RSAPrivateKey):
        if key.key_size < _FEWEST_BITS:
            raise ValueError(f"the private key has {key.key_size} bits; {_FEWEST_BITS} are the fewest")
        return key
    if isinstance(key, Ed25519PrivateKey):
        return key
    raise ValueError("the private key is neither RSA nor Ed25519")
