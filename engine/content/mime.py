"""The bytes of an e-mail: multipart/alternative with text and HTML, and the headers that bulk mail needs.

The standard library takes milliseconds for what is the same for everybody. Here the frame (sender,
structure) is written once by the standard library itself, and per recipient only what differs is encoded and
joined; a part that is the same text as in the message before is not encoded again. Tests compare the result
with `EmailMessage`'s, as a reader sees it.

Everything travels in seven bits (`engine.content.bodies`), so that it passes any server unchanged and DKIM
signatures survive. The boundary begins with `=_`, which neither quoted-printable nor base64 can contain, and
a readable body that contains it is quoted, so that no recipient's data can end a part.

Dots are not doubled here: that belongs to SMTP.
"""

from __future__ import annotations

import re
import secrets
import time
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import TYPE_CHECKING

from engine.content.bodies import BodyEncoder
from engine.content.headers import address_header, subject_value

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from engine.channels.port import Message

__all__ = ["MimeBuilder"]

_ADDRESS = re.compile(r"[!#-'*+\--9=?A-Z^-~]+(?:\.[!#-'*+\--9=?A-Z^-~]+)*@[A-Za-z0-9.-]+")
_URL = re.compile(r"(?:https?|mailto):[!-;=?-~]{1,900}")
_HEADER_NAME = re.compile(r"[A-Za-z0-9-]+")
_HEADER_VALUE = re.compile(r"[!-~](?:[ -~]{0,900}[!-~])?")
_OWN_HEADERS = frozenset(
    {"from", "to", "subject", "date", "message-id", "mime-version", "reply-to", "bcc", "cc", "sender"}
    | {"list-unsubscribe", "list-unsubscribe-post", "return-path", "dkim-signature"}
)
_FRAMES_KEPT = 256


class MimeBuilder:
    """Builds the messages of one channel.

    Args:
        sender_email: Of the From header, where the content names none.
        sender_name: Goes with it.
        reply_to: The address of the Reply-To header, if there is to be one.
        domain: Behind the `@` of a Message-ID; absent: the sender's.
        headers: More headers, the same for every message: printable ASCII.
        clock: Seconds since 1970.

    Raises:
        ValueError: an address or header cannot be used; the message names it.
    """

    def __init__(
        self,
        *,
        sender_email: str,
        sender_name: str | None = None,
        reply_to: str | None = None,
        domain: str | None = None,
        headers: Mapping[str, str] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._sender = (sender_email, sender_name)
        self._domain = domain
        self._clock = clock
        self._fixed = b"" if reply_to is None else address_header("Reply-To", _address(reply_to), None)
        self._fixed += b"".join(_fixed_header(name, value) for name, value in (headers or {}).items())
        self._frames: dict[tuple[str, str | None], tuple[bytes, bytes]] = {}
        self._second = -1
        self._date = b""
        boundary = f"=_{secrets.token_hex(16)}"
        self._plain = BodyEncoder("plain", boundary)
        self._html = BodyEncoder("html", boundary)
        self._open = (
            f'Content-Type: multipart/alternative; boundary="{boundary}"\r\n\r\n--{boundary}\r\n'.encode()
        )
        self._between = f"\r\n--{boundary}\r\n".encode()
        self._close = f"\r\n--{boundary}--\r\n".encode()
        self._frame(self._sender)

    def build(self, message: Message) -> bytes:
        """The message with CRLF line ends.

        Raises:
            ValueError: the address, the sender or the subject could break out of its header, the URL is
                none, or a text holds half of a surrogate pair.
        """
        content = message.content
        email = content.sender_email
        sender = self._sender if email is None else (email, content.sender_name)
        head, tail = self._frames.get(sender) or self._frame(sender)
        unsubscribe = b""
        if message.unsubscribe_url is not None:
            unsubscribe = (
                b"\r\nList-Unsubscribe: <"
                + _url(message.unsubscribe_url)
                + b">\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click"
            )
        now = int(self._clock())
        if now != self._second:
            self._date = format_datetime(datetime.fromtimestamp(now, UTC)).encode("ascii")
            self._second = now
        return b"".join(
            (
                head,
                _address(message.address).encode("ascii"),
                b"\r\nSubject: ",
                subject_value(content.subject),
                b"\r\nDate: ",
                self._date,
                b"\r\nMessage-ID: <",
                str(message.execution_id).encode("ascii"),
                tail,
                unsubscribe,
                b"\r\n",
                *self._body(content.text, content.html),
            )
        )

    def sender_of(self, message: Message) -> str:
        """The address in the From header."""
        return message.content.sender_email or self._sender[0]

    def _body(self, text: str | None, html: str | None) -> tuple[bytes, ...]:
        if not html:
            return (self._plain.encode(text or ""),)
        if not text:
            return (self._html.encode(html),)
        return (
            self._open,
            self._plain.encode(text),
            self._between,
            self._html.encode(html),
            self._close,
        )

    def _frame(self, sender: tuple[str, str | None]) -> tuple[bytes, bytes]:
        """What stands before the recipient's address, and behind the Message-ID's left half."""
        email, name = sender
        head = (
            b"MIME-Version: 1.0\r\n" + address_header("From", _address(email), name) + self._fixed + b"To: "
        )
        frame = (head, f"@{self._domain or email.rpartition('@')[2]}>".encode("ascii"))
        if len(self._frames) >= _FRAMES_KEPT:  # sender names that differ by recipient
            self._frames.clear()
        self._frames[sender] = frame
        return frame


def _address(email: str) -> str:
    if not _ADDRESS.fullmatch(email):
        raise ValueError(f"{email!r} is not an e-mail address")
    return email


def _url(url: str) -> bytes:
    if not _URL.fullmatch(url):
        raise ValueError(f"{url!r} is not a URL for a header")
    return url.encode("ascii")


def _fixed_header(name: str, value: str) -> bytes:
    if (
        not _HEADER_NAME.fullmatch(name)
        or name.lower() in _OWN_HEADERS
        or name.lower().startswith("content-")
    ):
        raise ValueError(f"header {name!r} cannot be set")
    if not _HEADER_VALUE.fullmatch(value):
        raise ValueError(f"header {name!r} holds more than printable ASCII, or too much of it")
    return f"{name}: {value}\r\n".encode("ascii")
