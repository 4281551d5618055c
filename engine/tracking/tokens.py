"""Signed, stateless addresses of opens and clicks: `/t/o/{who}/{what}.gif` and `/t/c/{who}/{what}`.

*Who* is the recipient and when the message was made: 64 characters, signed once a message. *What* is the message
(its touchpoint) and, of a click, where the link leads: signed once a template and campaign, because it is the same for
everybody there, and good beside recipients of that campaign alone. A link whose address differs by recipient is signed
for that recipient alone. Links in mail that was sent before they were bound to campaigns hold their old signature,
which is accepted as well; what they tell is written only within their organization (engine.inbound.hits).

Nothing is kept in any table, so the links work for as long as the key does, whatever becomes of the template.
A redirect needs both signatures, so it leads nowhere but to where a message of ours did.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import UUID

from engine.content.links import LinkError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Tokens", "What", "Who"]

_MAC = 12
_WHO = 16 + 16 + 4
_WEB = ("http://", "https://")


@dataclass(frozen=True, slots=True)
class Who:
    """Whose message it is."""

    campaign_id: UUID
    entity_id: UUID
    made_at: datetime
    """To the second."""


@dataclass(frozen=True, slots=True)
class What:
    """Which message, and where its link leads."""

    touchpoint_id: UUID
    url: str = ""
    """Empty: it is the picture that tells of an open."""


class Tokens:
    """Makes and reads both parts.

    Args:
        public_url: The API's address as recipients reach it.
        keys: The first signs, all are accepted.
    """

    def __init__(self, public_url: str, keys: Sequence[bytes]) -> None:
        base = public_url.rstrip("/")
        self.opens = f"{base}/t/o/"
        """What stands before *who* in the address of the picture."""
        self.clicks = f"{base}/t/c/"
        """What stands before *who* in a link."""
        self._who = [hmac.digest(key, b"muster tracking who", "sha256") for key in keys]
        self._what = [hmac.digest(key, b"muster tracking campaign what", "sha256") for key in keys]
        self._unbound = [hmac.digest(key, b"muster tracking what", "sha256") for key in keys]

    def who(self, campaign_id: UUID, entity_id: UUID, made_at: int) -> str:
        """The recipient's part; `made_at` in seconds since 1970."""
        return self.who_of(campaign_id.bytes + entity_id.bytes, made_at)

    def who_of(self, key: bytes, made_at: int) -> str:
        """The same, of the bytes of both ids."""
        payload = key + made_at.to_bytes(4)
        return base64.urlsafe_b64encode(_mac(self._who[0], payload) + payload).decode()

    def what(self, campaign_id: UUID, touchpoint_id: UUID, url: str = "", *, who: str = "") -> str:
        """The message's part, good for recipients of the campaign; with `who`, for that one alone."""
        payload = touchpoint_id.bytes + url.encode()
        mac = _mac(self._what[0], campaign_id.bytes + who.encode() + payload)
        return base64.urlsafe_b64encode(mac + payload).rstrip(b"=").decode()

    def read_who(self, token: str) -> Who:
        """Raises LinkError: it is none of ours, or was changed."""
        mac, payload = _split(token)
        if len(payload) != _WHO or not any(hmac.compare_digest(mac, _mac(key, payload)) for key in self._who):
            raise LinkError("this link is not valid; it may have been cut off or changed")
        return Who(
            UUID(bytes=payload[:16]),
            UUID(bytes=payload[16:32]),
            datetime.fromtimestamp(int.from_bytes(payload[32:]), UTC),
        )

    def read_what(self, token: str, *, who: str) -> What:
        """Raises LinkError: it is none of ours, was changed, is another campaign's or recipient's, or leads out of the
        web.
        """
        mac, payload = _split(token)
        campaign, own = self.read_who(who).campaign_id.bytes, who.encode()
        accepted = [(key, campaign + bound) for key in self._what for bound in (b"", own)]
        accepted += [(key, bound) for key in self._unbound for bound in (b"", own)]
        if not any(hmac.compare_digest(mac, _mac(key, bound + payload)) for key, bound in accepted):
            raise LinkError("this link is not valid; it may have been cut off or changed")
        url = payload[16:].decode()
        if url and not url.lower().startswith(_WEB):
            raise LinkError("this link does not lead to a page")
        return What(UUID(bytes=payload[:16]), url)


def _mac(key: bytes, payload: bytes) -> bytes:
    """BLAKE2's keyed mode is a MAC by itself (RFC 7693 §2.9), at a quarter of HMAC's cost."""
    return hashlib.blake2s(payload, key=key, digest_size=_MAC).digest()


def _split(token: str) -> tuple[bytes, bytes]:
    try:
        raw = base64.urlsafe_b64decode(token.encode("ascii") + b"=" * (-len(token) % 4))
    except (binascii.Error, ValueError):
        raise LinkError("this is no link of ours") from None
    if len(raw) < _MAC + 16:
        raise LinkError("this is no link of ours")
    return raw[:_MAC], raw[_MAC:]
