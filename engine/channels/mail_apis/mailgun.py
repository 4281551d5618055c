"""The `mailgun` channel: Mailgun's batch sending with recipient variables (`POST /v3/{domain}/messages`), 1,000
recipients a request.

What the messages have in common is the content of the request, and what differs are variables of each recipient
(`%recipient.t0%`), headers included.

200 means that all are taken. Of an address that is none Mailgun says so without naming it, and takes nothing: the
request is sent again in halves, until the refusal is of one. There is no idempotency key, and one Message-ID is not
unlike another's: what is in doubt is held for a person to decide.

Source: https://documentation.mailgun.com/docs/mailgun/user-manual/sending-messages/batch-sending
"""

from __future__ import annotations

import base64
import re
import secrets
from typing import TYPE_CHECKING, Annotated, ClassVar, NamedTuple
from urllib.parse import urlencode

import orjson
from pydantic import BaseModel, Field

from engine.channels.http.answers import Answer, pick
from engine.channels.http.request import Request
from engine.channels.http.settings import BaseUrl  # noqa: TC001 - pydantic reads it
from engine.channels.mail_apis.batches import Batch, BatchChannel, cut
from engine.channels.mail_apis.settings import (
    MailApiCredentials,
    MailApiSettings,
    Secret,
    check_connection,
)
from engine.channels.mail_apis.shared_text import shape_of, share
from engine.channels.port import Delivered, Doubtful, Down
from engine.channels.scrub import Scrub
from engine.kernel.media import AddressMedium

if TYPE_CHECKING:
    from collections.abc import Iterator

    from engine.channels.mail_apis.mail import Mail
    from engine.channels.port import ChannelContext, Outcome
    from engine.content.enclosed import Attachment
    from engine.content.message import Content

__all__ = ["MailgunChannel", "MailgunCredentials", "MailgunSettings"]

_MOST = 1000
#: Bytes of content and variables of one request; Mailgun takes 25 MB.
_BYTES = 20_000_000
#: Mailgun puts a value in place of it.
_VARIABLE = "%recipient"
_BAD_REQUEST = 400
#: What is said of a recipient's address that is none.
_ADDRESS = re.compile(r"\bto['\"]? parameter is not a valid address", re.IGNORECASE)
_UNFIT = re.compile(r'[\r\n"\\]')


class MailgunSettings(MailApiSettings):
    """The `settings` of a channel of kind `mailgun`."""

    domain: Annotated[str, Field(pattern=r"^[A-Za-z0-9.-]{1,255}$")]
    """The sending domain, as Mailgun knows it."""
    base_url: BaseUrl = "https://api.mailgun.net"
    """`https://api.eu.mailgun.net` for domains in the EU."""
    batch: int = Field(default=_MOST, ge=1, le=_MOST)
    """Messages of one request."""


class MailgunCredentials(MailApiCredentials):
    """The `credentials` of a channel of kind `mailgun`."""

    webhook_signing_key: Secret | None = None
    """The account's HTTP webhook signing key; absent: nothing that comes in is believed."""


class Common(NamedTuple):
    """The content of a request, and what stands in its places for each message."""

    text: str
    html: str
    values: dict[int, dict[str, str]]
    """By the message's `id()`: variable and text."""


class MailgunChannel(BatchChannel[Common]):
    """Sends over Mailgun."""

    kind: ClassVar[str] = "mailgun"
    api = "mailgun"
    doubt_policy: ClassVar[str] = "hold"
    links: ClassVar[bool] = True
    medium: ClassVar[AddressMedium] = AddressMedium.EMAIL
    Settings = MailgunSettings
    Credentials = MailgunCredentials

    def __init__(
        self, settings: MailgunSettings, credentials: MailgunCredentials, channel_context: ChannelContext
    ) -> None:
        """Prepare; nothing connects before the first message.

        Raises:
            ValueError: the key would travel unencrypted, or an address is refused; names the setting.
        """
        check_connection(settings.base_url, settings, channel_context)
        key = credentials.key()
        scrub = Scrub([key, f"api:{key}", credentials.webhook_signing_key])
        super().__init__(settings, credentials, scrub, channel_context, most=settings.batch)
        self._settings = settings
        self._key = credentials.api_key

    @classmethod
    def problems_of(cls, content: Content, settings: BaseModel | None = None) -> list[str]:  # noqa: ARG003
        """No subject, or what Mailgun would put something else in place of."""
        problems = [] if content.subject else ["the message has no subject"]
        if any(_VARIABLE in part for part in (content.subject, content.text or "", content.html or "")):
            problems.append(f"the message holds {_VARIABLE}, which Mailgun takes for a variable")
        return problems

    def _plan(self, mails: list[Mail]) -> list[Batch[Common]]:
        return [batch for alike in cut(mails, most=self._most, alike=_alike) for batch in _common(alike)]

    def _request(self, batch: Batch[Common]) -> Request:
        first, shared = batch.mails[0], batch.shared
        variables = {mail.address: {**shared.values[id(mail.message)], **_own(mail)} for mail in batch.mails}
        fields = [("from", str(first.sender)), ("subject", "%recipient.subject%")]
        fields += [("to", mail.address) for mail in batch.mails]
        fields += [(name, part) for name, part in (("text", shared.text), ("html", shared.html)) if part]
        fields += [(f"h:{name}", f"%recipient.h{place}%") for place, (name, _) in enumerate(first.headers)]
        fields += [(f"v:{name}", f"%recipient.{name}%") for name in first.marks]
        if first.reply_to:
            fields.append(("h:Reply-To", ", ".join(map(str, first.reply_to))))
        if not self._settings.provider_tracking:
            fields.append(("o:tracking", "no"))
        fields.append(("recipient-variables", orjson.dumps(variables).decode()))
        type_, body = _encoded(fields, first.attachments)
        url = f"{self._settings.base_url}/v3/{self._settings.domain}/messages"
        return Request("POST", url, {**self._headers(), "Content-Type": type_}, body)

    def _read(self, answer: Answer, batch: Batch[Common]) -> list[Outcome | None]:
        outcome = self._outcome(answer)
        count = len(batch.mails)
        if isinstance(outcome, Delivered):
            reference = self._reference(pick(answer.json(), "id"))
            if reference is not None or not answer.whole:
                return [Delivered(reference)] * count
            if answer.json() is None:  # to paths that it does not know Mailgun says 200, too
                return [
                    Down("MAILGUN_PATH", "the answer is not the API's: look at base_url and domain")
                ] * count
            return [
                Doubtful("MAILGUN_UNCLEAR", "the answer does not say that the messages are taken")
            ] * count
        said = str(pick(answer.json(), "message") or "")
        if count > 1 and answer.status == _BAD_REQUEST and _ADDRESS.search(said):
            return [None] * count
        return [outcome] * count

    def _probe(self) -> Request:
        url = f"{self._settings.base_url}/v4/domains/{self._settings.domain}"
        return Request("GET", url, self._headers())

    def _headers(self) -> dict[str, str]:
        pair = f"api:{self._key.get_secret_value()}".encode()
        return {"Authorization": "Basic " + base64.b64encode(pair).decode()}


def _alike(mail: Mail) -> tuple[object, ...]:
    """What messages of one request have in common. How many cuts their parts have is a matter of bytes alone."""
    shapes = shape_of(mail.text) if mail.text else -1, shape_of(mail.html) if mail.html else -1
    headers = tuple(name for name, _ in mail.headers)
    return (mail.sender, mail.reply_to, id(mail.enclosed), headers, tuple(mail.marks), shapes)


def _own(mail: Mail) -> dict[str, str]:
    """Variables beside those of the parts."""
    headers = {f"h{place}": value for place, (_, value) in enumerate(mail.headers)}
    return {"subject": mail.subject, **headers, **mail.marks}


def _common(mails: list[Mail]) -> Iterator[Batch[Common]]:
    """One batch, or several where it would be too long."""
    texts, pages = share([mail.text for mail in mails]), share([mail.html for mail in mails])
    values: dict[int, dict[str, str]] = {}
    size = 0
    for mail, its_text, its_html in zip(mails, texts.values, pages.values, strict=True):
        its = {f"t{place}": value for place, value in enumerate(its_text)}
        its |= {f"p{place}": value for place, value in enumerate(its_html)}
        values[id(mail.message)] = its
        size += sum(map(len, its.values()))
    if size > _BYTES and len(mails) > 1:
        middle = len(mails) // 2
        yield from _common(mails[:middle])
        yield from _common(mails[middle:])
        return
    text = texts.with_places(lambda place: f"%recipient.t{place}%")
    html = pages.with_places(lambda place: f"%recipient.p{place}%")
    yield Batch(mails, Common(text, html, values))


def _encoded(fields: list[tuple[str, str]], files: tuple[Attachment, ...]) -> tuple[str, bytes]:
    """Content type and body: a form, with files as several parts (RFC 7578)."""
    if not files:
        return "application/x-www-form-urlencoded", urlencode(fields).encode()
    boundary = f"muster-{secrets.token_hex(16)}"
    pieces: list[bytes] = []
    for name, value in fields:
        pieces.append(_part(boundary, f'name="{name}"') + b"\r\n" + value.encode())
    for one in files:
        name, filename = (
            ("attachment", one.filename) if one.content_id is None else ("inline", one.content_id)
        )
        head = _part(boundary, f'name="{name}"; filename="{_UNFIT.sub("_", filename)}"')
        pieces.append(head + f"Content-Type: {one.content_type}\r\n\r\n".encode() + one.content)
    body = b"\r\n".join(pieces) + f"\r\n--{boundary}--\r\n".encode()
    return f"multipart/form-data; boundary={boundary}", body


def _part(boundary: str, disposition: str) -> bytes:
    return f"--{boundary}\r\nContent-Disposition: form-data; {disposition}\r\n".encode()
