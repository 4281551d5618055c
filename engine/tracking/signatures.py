"""Proof that a webhook comes from who holds the secret: `t=<seconds>,v0=<hex>`, HMAC-SHA256 of `<t>.<body>`.

The instant is signed, so that what was heard on the way cannot be sent again much later. Signatures are compared in
constant time, every one that is given, and the answer does not say what is wrong.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from datetime import UTC, datetime, timedelta

from config.errors import MusterError

__all__ = ["FUTURE", "TOLERANCE", "Unsigned", "is_signed", "sign"]

#: How old a signature may be: providers sign once, and try again for a while.
TOLERANCE = timedelta(minutes=30)
#: How far a sender's clock may be ahead.
FUTURE = timedelta(minutes=5)
_INSTANT = re.compile(r"[0-9]{1,12}")
#: While a secret is being replaced there are two.
_MOST = 5
_LONGEST = 1024


class Unsigned(MusterError):
    """It cannot be believed that it comes from the channel's provider."""


def sign(secret: str, body: bytes, at: datetime) -> str:
    """The header of a body that is signed at an instant."""
    seconds = str(int(at.timestamp()))
    return f"t={seconds},v0={_digest(secret, seconds, body)}"


def is_signed(header: str, body: bytes, secret: str, now: datetime) -> bool:
    """Whether `header` is a fresh signature of `body` by a holder of `secret`."""
    if len(header) > _LONGEST:
        return False
    parts = [part.strip().partition("=") for part in header.split(",")]
    instants = [value for name, _, value in parts if name == "t"]
    given = [value for name, _, value in parts if name == "v0"][:_MOST]
    if len(instants) != 1 or not _INSTANT.fullmatch(instants[0]):
        return False
    expected = _digest(secret, instants[0], body).encode()
    # No early end: how long it takes says nothing about which of them it was.
    matches = [hmac.compare_digest(expected, one.encode()) for one in given]
    age = now - datetime.fromtimestamp(int(instants[0]), UTC)
    return any(matches) and -FUTURE <= age <= TOLERANCE


def _digest(secret: str, seconds: str, body: bytes) -> str:
    return hmac.digest(secret.encode(), f"{seconds}.".encode() + body, hashlib.sha256).hex()
