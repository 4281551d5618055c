"""What a message carries so that whatever comes back finds its recipient: no row in any table, nothing to look up.

- The unsubscribe link says which organization, campaign, entity, channel kind and address it is for, and carries a MAC
  over that. It works for as long as the key does; with a letter changed it is no link.
- The Message-ID, and the return path where a channel wants it (VERP), hold the recipient's key. They are not signed:
  two random ids are as hard to guess as a MAC, and who knows them has had the message.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from config.errors import MusterError
from engine.kernel.media import AddressMedium, medium_of_kind

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "Invitation",
    "LinkError",
    "Links",
    "message_id_of",
    "read_message_id",
    "read_return_path",
    "return_path_of",
]

_MAC = 16
_IDS = 48
_URL_SAFE = bytes.maketrans(b"+/", b"-_")
_MESSAGE_ID = re.compile(r"<?[0-9a-f-]{36}\.([A-Za-z0-9_-]{43})@[^<>@\s]+>?")
_RETURN_PATH = re.compile(r"[^@\s]*\+([a-z2-7]{52})@[^@\s]+", re.IGNORECASE | re.ASCII)


class LinkError(MusterError, ValueError):
    """It is no link of ours, or was changed."""


@dataclass(frozen=True, slots=True)
class Invitation:
    """Whom a link is for."""

    org_id: UUID
    campaign_id: UUID
    entity_id: UUID
    channel_kind: str
    address: str
    medium: AddressMedium | None = None
    """The channel's own, where it says one."""


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
                _way(invitation),
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
        way, _, address = payload[_IDS:].decode().partition("\n")
        kind, _, medium = way.partition(":")
        return Invitation(
            UUID(bytes=payload[:16]),
            UUID(bytes=payload[16:32]),
            UUID(bytes=payload[32:_IDS]),
            kind,
            address,
            AddressMedium(medium) if medium else None,
        )

    @staticmethod
    def _mac(key: bytes, payload: bytes) -> bytes:
        return hmac.digest(key, payload, hashlib.sha256)[:_MAC]


def _way(invitation: Invitation) -> bytes:
    """Channel kind, its medium where the kind does not say it, and address."""
    kind, medium = invitation.channel_kind, invitation.medium
    own = f":{medium}" if medium is not None and medium is not medium_of_kind(kind) else ""
    return f"{kind}{own}\n{invitation.address}".encode()


def message_id_of(execution_id: UUID, campaign_id: UUID, entity_id: UUID) -> bytes:
    """What stands before the `@` of a Message-ID: the execution, so that a repeat is recognised, and the recipient."""
    key = binascii.b2a_base64(campaign_id.bytes + entity_id.bytes, newline=False)
    return b"%b.%b" % (str(execution_id).encode(), key[:-1].translate(_URL_SAFE))


def read_message_id(text: str) -> tuple[UUID, UUID] | None:
    """Campaign and entity in a Message-ID of ours, with angle brackets or without; None: it is none."""
    found = _MESSAGE_ID.fullmatch(text.strip())
    return None if found is None else _pair(base64.urlsafe_b64decode(found[1] + "="))


def return_path_of(return_path: str, campaign_id: UUID, entity_id: UUID) -> str:
    """A return path with the recipient in it: `b+…@bounces.example`."""
    local, _, domain = return_path.rpartition("@")
    key = base64.b32encode(campaign_id.bytes + entity_id.bytes).rstrip(b"=").decode().lower()
    return f"{local}+{key}@{domain}"


def read_return_path(text: str) -> tuple[UUID, UUID] | None:
    """Campaign and entity in a return path of ours, whatever became of its case; None: it is none."""
    found = _RETURN_PATH.fullmatch(text.strip())
    return None if found is None else _pair(base64.b32decode(found[1].upper() + "===="))


def _pair(key: bytes) -> tuple[UUID, UUID]:
    return UUID(bytes=key[:16]), UUID(bytes=key[16:])
