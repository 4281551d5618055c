"""What Amazon SNS posts, and whether Amazon signed it.

The signature is of the message's own fields, made with the key of a certificate whose address the message names. Only
addresses of Amazon's are asked for it. What is signed may come from anybody's topic, so a channel names its own.

Source: https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message-verify-message-signature.html
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA1, SHA256, HashAlgorithm
from cryptography.x509 import load_pem_x509_certificate

from engine.channels.http.client import HttpClient, Unanswered
from engine.channels.http.request import Request
from engine.channels.http.settings import Connection
from engine.inbound.mail_events.reading import is_fresh, moment, part

if TYPE_CHECKING:
    from engine.inbound.mail_events.reading import Delivery
    from engine.kernel.outbound import Guard

__all__ = ["AmazonPages", "certificate_url", "is_proven", "read_sns", "subscribe_url"]

_HOST = re.compile(r"sns\.[a-z0-9-]{1,40}\.amazonaws\.com(\.cn)?")
_SIGNED: dict[str, tuple[str, ...]] = {
    "Notification": ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    "SubscriptionConfirmation": (
        "Message",
        "MessageId",
        "SubscribeURL",
        "Timestamp",
        "Token",
        "TopicArn",
        "Type",
    ),
}
_HASHES: dict[str, type[HashAlgorithm]] = {"1": SHA1, "2": SHA256}
_OK = 200
#: Certificates that are kept; Amazon has one a region.
_KEPT = 32


def read_sns(body: bytes) -> dict[str, Any]:
    """The message; empty: it is none."""
    try:
        said = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return said if isinstance(said, dict) else {}


def is_proven(delivery: Delivery) -> bool:
    """Whether it comes from the channel's topic, signed by Amazon."""
    said, topic = read_sns(delivery.body), delivery.settings.get("topic_arn")
    names = _SIGNED.get(str(part(said, "Type")))
    algorithm = _HASHES.get(str(part(said, "SignatureVersion")))
    fresh = is_fresh(moment(part(said, "Timestamp")), delivery.now)
    if delivery.certificate is None or names is None or algorithm is None or not fresh:
        return False
    if not topic or part(said, "TopicArn") != topic:
        return False
    text = "".join(f"{name}\n{said[name]}\n" for name in names if said.get(name) is not None)
    try:
        key = load_pem_x509_certificate(delivery.certificate).public_key()
        if not isinstance(key, RSAPublicKey):
            return False
        signature = base64.b64decode(str(part(said, "Signature")), validate=True)
        key.verify(signature, text.encode(), PKCS1v15(), algorithm())
    except (ValueError, binascii.Error, InvalidSignature):
        return False
    return True


def certificate_url(body: bytes, topic: Any) -> str | None:
    """Where the certificate of the signer of a message of this topic is; None: at no address of Amazon's."""
    said = read_sns(body)
    return _amazons(part(said, "SigningCertURL")) if topic and part(said, "TopicArn") == topic else None


def subscribe_url(body: bytes) -> str | None:
    """What confirms a subscription, if the message asks for it."""
    said = read_sns(body)
    return _amazons(said.get("SubscribeURL")) if said.get("Type") == "SubscriptionConfirmation" else None


class AmazonPages:
    """Gets what messages of SNS name: certificates, which are kept, and confirmations.

    Args:
        guard: Which addresses may be reached.
    """

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._known: dict[str, bytes] = {}

    async def certificate(self, url: str) -> bytes | None:
        """A certificate; None: it cannot be had."""
        if url not in self._known:
            page = await self.get(url)
            if page is None:
                return None
            if len(self._known) >= _KEPT:
                self._known.clear()
            self._known[url] = page
        return self._known[url]

    async def get(self, url: str) -> bytes | None:
        """What stands there; None: it cannot be had."""
        client = HttpClient(Connection(), self._guard)
        try:
            answer = await client.exchange(Request("GET", url))
        except Unanswered:
            return None
        finally:
            await client.close()
        return answer.body if answer.status == _OK and answer.whole else None


def _amazons(url: Any) -> str | None:
    if not isinstance(url, str) or not url.isascii() or not url.isprintable():
        return None
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    good = parts.scheme == "https" and port is None and _HOST.fullmatch(parts.netloc)
    return url if good else None
