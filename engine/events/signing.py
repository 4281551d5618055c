"""How a webhook proves that it is ours: by two schemes, over the same bytes and the same instant.

| headers | scheme |
|---|---|
| `webhook-id`, `-timestamp`, `-signature: v1,<base64>` | Standard Webhooks: HMAC-SHA256 of `id.timestamp.body` |
| `X-Webhook-Signature: sha256=<hex>`, `-Timestamp`, `-Event`, `-Delivery` | docs/contract/campaigns-api.md: of
`timestamp.body` |

Keys: a secret that begins with `whsec_` is base64 behind that for the standard scheme; any other is its own bytes
there. The contract's scheme takes every secret as the text it is. While a secret is being replaced the standard
header carries a signature by either.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["PREFIX", "headers", "key_of", "new_secret"]

PREFIX = "whsec_"
_BYTES = 32


def new_secret() -> str:
    """A random secret, as Standard Webhooks writes them."""
    return PREFIX + base64.b64encode(secrets.token_bytes(_BYTES)).decode()


def key_of(secret: str) -> bytes:
    """The standard scheme's key.

    Raises:
        ValueError: it begins with `whsec_`, and no base64 follows.
    """
    if not secret.startswith(PREFIX):
        return secret.encode()
    encoded = secret.removeprefix(PREFIX)
    try:
        key = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except binascii.Error:
        key = b""
    if not key:
        raise ValueError(f"what follows {PREFIX} is not base64")
    return key


def headers(
    keys: Sequence[str], *, event_id: str, event: str, delivery_id: str, timestamp: int, body: bytes
) -> dict[str, str]:
    """The headers that sign `body`.

    Args:
        keys: Secrets, the present one first.
        timestamp: Seconds since 1970, of this attempt.
    """
    instant = str(timestamp)
    signed = f"{event_id}.{instant}.".encode() + body
    standard = [base64.b64encode(hmac.digest(key_of(key), signed, hashlib.sha256)).decode() for key in keys]
    ours = hmac.digest(keys[0].encode(), instant.encode() + b"." + body, hashlib.sha256).hex()
    return {
        "webhook-id": event_id,
        "webhook-timestamp": instant,
        "webhook-signature": " ".join(f"v1,{signature}" for signature in standard),
        "X-Webhook-Signature": f"sha256={ours}",
        "X-Webhook-Timestamp": instant,
        "X-Webhook-Event": event,
        "X-Webhook-Delivery": delivery_id,
    }
