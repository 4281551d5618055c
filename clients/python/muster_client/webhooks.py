"""Is a webhook from Muster? Its signature is that of Standard Webhooks (docs/webhooks.md)."""

from __future__ import annotations

import binascii
import hashlib
import hmac
import json
import time
from base64 import b64decode, b64encode
from typing import TYPE_CHECKING

from muster_client.errors import MusterError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from muster_client.types import Event

__all__ = ["InvalidSignature", "verify"]

_PREFIX = "whsec_"
_SCHEME = "v1,"


class InvalidSignature(MusterError):
    """A request that is not Muster's, was changed on its way, or is too old."""


def verify(
    body: bytes,
    headers: Mapping[str, str],
    secret: str | Sequence[str],
    *,
    tolerance: float = 300.0,
    now: float | None = None,
) -> Event:
    """The event in a webhook's request, if a secret of yours signed it.

    Args:
        body: As it arrived, byte for byte.
        headers: Of the request, in any case.
        secret: What creating the webhook answered, or several while one is being replaced.
        tolerance: Seconds by which the clock of either side may be wrong.
        now: Seconds since 1970; absent: this machine's clock.

    Raises:
        InvalidSignature: no secret of yours signed it, or not within `tolerance`.
    """
    found = {name.lower(): value for name, value in headers.items()}
    try:
        key, instant, signed = (found[f"webhook-{name}"] for name in ("id", "timestamp", "signature"))
    except KeyError as missing:
        raise InvalidSignature(f"there is no header {missing}") from None
    if not (instant.isascii() and instant.isdigit()):
        raise InvalidSignature("webhook-timestamp is no number of seconds")
    if abs((time.time() if now is None else now) - int(instant)) > tolerance:
        raise InvalidSignature(f"webhook-timestamp is more than {tolerance:g} seconds off")
    content = f"{key}.{instant}.".encode() + body
    secrets = (secret,) if isinstance(secret, str) else secret
    expected = [b64encode(hmac.digest(_key(one), content, hashlib.sha256)) for one in secrets]
    given = [one.removeprefix(_SCHEME).encode() for one in signed.split() if one.startswith(_SCHEME)]
    if not any(hmac.compare_digest(one, other) for one in given for other in expected):
        raise InvalidSignature("webhook-signature is by none of the secrets")
    event: Event = json.loads(body)
    return event


def _key(secret: str) -> bytes:
    """A secret's bytes; behind `whsec_` they are in base64.

    Raises:
        ValueError: they are not.
    """
    if not secret.startswith(_PREFIX):
        return secret.encode()
    encoded = secret.removeprefix(_PREFIX)
    try:
        return b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except binascii.Error as error:
        raise ValueError(f"what follows {_PREFIX} in the secret is not base64") from error
