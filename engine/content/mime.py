"""The bytes of an e-mail: multipart/alternative with text and HTML, and the headers that bulk mail needs.

Files stand around it: multipart/related with the images that the HTML shows, multipart/mixed with attachments.

The frame (sender, structure) is written once, and per recipient only what differs is encoded and joined; a
part that is the same text as in the message before is not encoded again. Tests compare the result with
`EmailMessage`'s, as a reader sees it. All headers pass `check_block` before they are joined to a body: exactly those
that were meant, and no CR, LF or NUL but their own line ends.

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
from engine.content.headers import check_block, check_header, header_line, subject_value
from engine.content.links import message_id_of
from engine.content.mailboxes import Mailbox, mailbox_header, read_mailboxes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from engine.content.dkim import Signer
    from engine.content.enclosed import Enclosed
    from engine.content.message import Content, Message

__all__ = ["MimeBuilder"]

_ADDRESS = re.compile(r"[!#-'*+\--9=?A-Z^-~]+(?:\.[!#-'*+\--9=?A-Z^-~]+)*@[A-Za-z0-9.-]+")
_URL = re.compile(r"(?:https?|mailto):[!-;=?-~]{1,900}")
_LONGEST_VALUE = 902
_FRAMES_KEPT = 256
#: Headers that are written for each message: To, Subject, Date, Message-ID.
_VARYING = 4


class MimeBuilder:
    """Builds the messages of one channel.

    Args:
        sender_email: Of the From header, where the content names none.
        sender_name: Goes with it.
        reply_to: The mailboxes of the Reply-To header, if there is to be one (`engine.content.mailboxes`).
        domain: Behind the `@` of a Message-ID; absent: the sender's.
        headers: More headers, the same for every message.
        signer: Signs the messages of the senders that it covers.
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
        signer: Signer | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._sender = (sender_email, sender_name, reply_to)
        self._domain = domain
        self._clock = clock
        self._signer = signer
        self._fixed = b"".join(_fixed_header(name, value) for name, value in (headers or {}).items())
        self._fixed_count = len(headers or {})
        self._frames: dict[tuple[str, str | None, str | None], tuple[bytes, bytes, bool]] = {}
        self._second = -1
        self._date = b""
        boundary = f"=_{secrets.token_hex(16)}"
        self._plain = BodyEncoder("plain", boundary)
        self._html = BodyEncoder("html", boundary)
        self._open, self._between, self._close = _around("alternative", f"{boundary}a")
        self._related = _around("related", f"{boundary}r", '; type="text/html"')
        self._mixed = _around("mixed", f"{boundary}m")
        self._frame(self._sender)

    def build(self, message: Message) -> bytes:
        """The message with CRLF line ends, signed.

        Raises:
            ValueError: the address, the sender or the subject could break out of its header, the URL is
                none, or a text holds half of a surrogate pair.
        """
        raw, signs = self._build(message)
        return raw if not signs or self._signer is None else self._signer.sign(raw) + raw

    async def built(self, message: Message) -> bytes:
        """As `build`; an event loop goes on while it is signed.

        Raises:
            ValueError: as `build`.
        """
        raw, signs = self._build(message)
        return raw if not signs or self._signer is None else await self._signer.signed(raw) + raw

    def _build(self, message: Message) -> tuple[bytes, bool]:
        """The message without a signature, and whether it is to have one."""
        content = message.content
        sender = self._sender
        if not (content.sender_email is content.sender_name is content.reply_to is None):
            sender = self._sender_of(content)
        head, tail, signs = self._frames.get(sender) or self._frame(sender)
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
        varying = b"".join(
            (
                _address(message.address).encode("ascii"),
                b"\r\nSubject: ",
                subject_value(content.subject),
                b"\r\nDate: ",
                self._date,
                b"\r\nMessage-ID: <",
                message_id_of(message.execution_id, message.campaign_id, message.entity_id),
                tail,
                unsubscribe,
                b"\r\n",
                *(header_line(*one) for one in content.headers),
            )
        )
        count = _VARYING + len(content.headers) + (2 if unsubscribe else 0)
        body = (
            self._body(content.text, content.html)
            if content.enclosed is None
            else self._enclosing(content.text, content.html, content.enclosed)
        )
        return b"".join((head, check_block(varying, count), *body)), signs

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

    def _enclosing(self, text: str | None, html: str | None, enclosed: Enclosed) -> tuple[bytes, ...]:
        """The body with the files around it. Images that no HTML shows are attached."""
        attached = enclosed.attached
        if html and enclosed.inline:
            opened, between, closed = self._related
            shown = (opened, self._html.encode(html), *_each(between, enclosed.inline), closed)
            body = (
                (self._open, self._plain.encode(text), self._between, *shown, self._close) if text else shown
            )
        else:
            body = self._body(text, html)
            attached = attached + enclosed.inline
        if not attached:
            return body
        opened, between, closed = self._mixed
        return (opened, *body, *_each(between, attached), closed)

    def _sender_of(self, content: Content) -> tuple[str, str | None, str | None]:
        """The content's, completed by the channel's. A channel's name does not stand beside another address."""
        email, name, reply_to = self._sender
        if content.sender_email is not None:
            email, name = content.sender_email, None
        return email, content.sender_name or name, content.reply_to or reply_to

    def _frame(self, sender: tuple[str, str | None, str | None]) -> tuple[bytes, bytes, bool]:
        """What stands before the recipient's address, and behind the Message-ID's left half; whether it is signed."""
        email, name, reply_to = sender
        head = b"MIME-Version: 1.0\r\n" + mailbox_header("From", [Mailbox(_address(email), name or "")])
        if reply_to is not None:
            head += mailbox_header("Reply-To", read_mailboxes(reply_to))
        head = check_block(head + self._fixed, 2 + (reply_to is not None) + self._fixed_count) + b"To: "
        tail = f"@{self._domain or email.rpartition('@')[2]}>".encode("ascii")
        frame = (head, tail, self._signer is not None and self._signer.covers(email))
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
    if check_header(name) is not None:
        raise ValueError(f"header {name!r} cannot be set")
    if not value.strip() or len(value) > _LONGEST_VALUE:
        raise ValueError(f"header {name!r} has no value, or one of more than {_LONGEST_VALUE} characters")
    return header_line(name, value)


def _around(subtype: str, boundary: str, parameters: str = "") -> tuple[bytes, bytes, bytes]:
    """What stands before, between and behind the parts of a multipart."""
    opened = f'Content-Type: multipart/{subtype}{parameters}; boundary="{boundary}"\r\n\r\n--{boundary}\r\n'
    return opened.encode(), f"\r\n--{boundary}\r\n".encode(), f"\r\n--{boundary}--\r\n".encode()


def _each(between: bytes, parts: tuple[bytes, ...]) -> Iterator[bytes]:
    for part in parts:
        yield between
        yield part
