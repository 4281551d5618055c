"""Links in messages that only we could have made: signed, stateless, one per recipient.

A link says which organization, campaign, entity, channel kind and address it is for, and carries a MAC over that. It
needs no row in any table and works for as long as the key does. Whoever changes a letter of it has no link.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Invitation", "LinkError", "Links"]

_MAC = 16
_IDS = 48


class LinkError(ValueError):
    """It is no link of ours, or was changed."""


@dataclass(frozen=True, slots=True)
class Invitation:
    """Whom a link is for."""

    org_id: UUID
    campaign_id: UUID
    entity_id: UUID
    channel_kind: str
    address: str


class Links:
    """Makes and reads links.

    Args:
        public_url: The API's address as recipients reach it.
        keys: The first signs, all are accepted (a change of key must not break the links in old mail).
    """

    def __init__(self, public_url: str, keys: Sequence[bytes]) -> None:
        self._prefix = public_url.rstrip("/") + "/u/"
        self._keys = list(keys)

    def unsubscribe(self, invitation: Invitation) -> str:
        """The address under which this recipient unsubscribes with one click (RFC 8058)."""
        payload = b"".join(
            (
                invitation.org_id.bytes,
                invitation.campaign_id.bytes,
                invitation.entity_id.bytes,
                f"{invitation.channel_kind}\n{invitation.address}".encode(),
            )
        )
        token = base64.urlsafe_b64encode(self._mac(self._keys[0], payload) + payload)
        return self._prefix + token.rstrip(b"=").decode()

    def read(self, token: str) -> Invitation:
        """Whom the last part of a link is for.

        Raises:
            LinkError: see there.
        """
        try:
            raw = base64.urlsafe_b64decode(token.encode("ascii") + b"=" * (-len(token) % 4))
        except (binascii.Error, ValueError):
            raise LinkError("this is no link of ours") from None
        mac, payload = raw[:_MAC], raw[_MAC:]
        if len(payload) <= _IDS or not any(
            hmac.compare_digest(mac, self._mac(key, payload)) for key in self._keys
        ):
            raise LinkError("this link is not valid; it may have been cut off or changed")
        kind, _, address = payload[_IDS:].decode().partition("\n")
        return Invitation(
            UUID(bytes=payload[:16]), UUID(bytes=payload[16:32]), UUID(bytes=payload[32:_IDS]), kind, address
        )

    @staticmethod
    def _mac(key: bytes, payload: bytes) -> bytes:
        return hmac.digest(key, payload, hashlib.sha256)[:_MAC]
