"""The `sendgrid` channel: SendGrid's v3 Mail Send (`POST /v3/mail/send`), 1,000 personalizations a request.

A request has one content. What its messages have in common is that content, and what differs are `substitutions` of
each personalization, of 10,000 bytes at most; a message that differs by more is a request of its own. Substitutions are
replaced as text, and their tags occur nowhere else.

202 means that all are taken. A 400 takes nothing and names what it refuses by its place
(`personalizations.3.to.0.email`): those are refused, and the others sent again at once. There is no idempotency key;
the Message-ID is ours, by which receivers recognise a repeat.

Source: https://www.twilio.com/docs/sendgrid/api-reference/mail-send/mail-send, …/mail-send/errors
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import orjson
from pydantic import BaseModel, Field

from engine.channels.http.answers import Answer, pick
from engine.channels.http.request import Request
from engine.channels.http.settings import BaseUrl  # noqa: TC001 - pydantic reads it
from engine.channels.mail_apis.batches import Batch, BatchChannel, cut
from engine.channels.mail_apis.mail import base64_of
from engine.channels.mail_apis.settings import (
    MailApiCredentials,
    MailApiSettings,
    Secret,
    check_connection,
)
from engine.channels.mail_apis.shared_text import SharedText, shape_of, share
from engine.channels.port import Delivered
from engine.channels.scrub import Scrub
from engine.kernel.media import AddressMedium

if TYPE_CHECKING:
    from collections.abc import Iterator

    from engine.channels.mail_apis.mail import Mail
    from engine.channels.port import ChannelContext, Outcome
    from engine.content.mailboxes import Mailbox
    from engine.content.message import Content

__all__ = ["SendGridChannel", "SendGridCredentials", "SendGridSettings"]

_MOST = 1000
#: Bytes of all substitutions of a personalization, tags included.
_SUBSTITUTIONS = 10_000
_PLACE = re.compile(r"personalizations\.(\d+)(?:\.|$)")
_BAD_REQUEST = 400


class SendGridSettings(MailApiSettings):
    """The `settings` of a channel of kind `sendgrid`."""

    base_url: BaseUrl = "https://api.sendgrid.com"
    """`https://api.eu.sendgrid.com` for accounts in the EU."""
    batch: int = Field(default=_MOST, ge=1, le=_MOST)
    """Messages of one request."""


class SendGridCredentials(MailApiCredentials):
    """The `credentials` of a channel of kind `sendgrid`."""

    webhook_public_key: Secret | None = None
    """The verification key of the signed event webhook, as SendGrid shows it; absent: nothing that comes in is
    believed."""


class Substituted(NamedTuple):
    """The content of a request, and what stands in its places for each message."""

    text: str
    html: str
    values: dict[int, dict[str, str]]
    """By the message's `id()`: tag and text."""


class SendGridChannel(BatchChannel[Substituted]):
    """Sends over SendGrid."""

    kind: ClassVar[str] = "sendgrid"
    api = "sendgrid"
    doubt_policy: ClassVar[str] = "resend"
    links: ClassVar[bool] = True
    medium: ClassVar[AddressMedium] = AddressMedium.EMAIL
    Settings = SendGridSettings
    Credentials = SendGridCredentials

    def __init__(
        self, settings: SendGridSettings, credentials: SendGridCredentials, channel_context: ChannelContext
    ) -> None:
        """Prepare; nothing connects before the first message.

        Raises:
            ValueError: the key would travel unencrypted, or an address is refused; names the setting.
        """
        check_connection(settings.base_url, settings, channel_context)
        super().__init__(
            settings, credentials, Scrub([credentials.key()]), channel_context, most=settings.batch
        )
        self._settings = settings
        self._key = credentials.api_key

    @classmethod
    def problems_of(cls, content: Content, settings: BaseModel | None = None) -> list[str]:  # noqa: ARG003
        """SendGrid takes no mail without a subject."""
        return [] if content.subject else ["the message has no subject"]

    def _plan(self, mails: list[Mail]) -> list[Batch[Substituted]]:
        return [batch for alike in cut(mails, most=self._most, alike=_alike) for batch in _substituted(alike)]

    def _request(self, batch: Batch[Substituted]) -> Request:
        first, shared = batch.mails[0], batch.shared
        said: dict[str, Any] = {
            "from": _mailbox(first.sender),
            "personalizations": [_personalization(mail, shared) for mail in batch.mails],
            "content": [
                {"type": type_, "value": value}
                for type_, value in (("text/plain", shared.text), ("text/html", shared.html))
                if value
            ],
        }
        if first.reply_to:
            said["reply_to_list"] = [_mailbox(one) for one in first.reply_to]
        if first.attachments:
            said["attachments"] = [
                {
                    "filename": one.filename,
                    "content": base64_of(one),
                    "type": one.content_type,
                    "disposition": "attachment" if one.content_id is None else "inline",
                    **({} if one.content_id is None else {"content_id": one.content_id}),
                }
                for one in first.attachments
            ]
        if not self._settings.provider_tracking:
            off = {"enable": False}
            said["tracking_settings"] = {
                "click_tracking": {**off, "enable_text": False},
                "open_tracking": off,
                "subscription_tracking": off,
            }
        url = f"{self._settings.base_url}/v3/mail/send"
        return Request("POST", url, self._headers(), orjson.dumps(said))

    def _read(self, answer: Answer, batch: Batch[Substituted]) -> list[Outcome | None]:
        whole = self._outcome(answer)
        if isinstance(whole, Delivered):
            return [Delivered(self._reference(answer.headers.get("x-message-id")))] * len(batch.mails)
        refused = _refused(answer, len(batch.mails)) if answer.status == _BAD_REQUEST else {}
        if not refused:
            return [whole] * len(batch.mails)
        return [
            self._outcome(replace(answer, body=refused[place])) if place in refused else None
            for place in range(len(batch.mails))
        ]

    def _probe(self) -> Request:
        return Request("GET", f"{self._settings.base_url}/v3/scopes", self._headers())

    def _headers(self) -> dict[str, str]:
        return {
            "Authorization": f"Bearer {self._key.get_secret_value()}",
            "Content-Type": "application/json",
        }


def _alike(mail: Mail) -> tuple[object, ...]:
    """What messages of one request have in common. How many cuts their parts have is a matter of bytes alone."""
    shapes = shape_of(mail.text) if mail.text else -1, shape_of(mail.html) if mail.html else -1
    return (mail.sender, mail.reply_to, id(mail.enclosed), shapes)


def _substituted(mails: list[Mail]) -> Iterator[Batch[Substituted]]:
    """One batch of those whose substitutions are short enough, and each other alone."""
    name = _unused([part for mail in mails for part in (mail.text, mail.html, mail.subject)])
    texts, pages = share([mail.text for mail in mails]), share([mail.html for mail in mails])
    values: dict[int, dict[str, str]] = {}
    whole: list[Mail] = []
    alone: list[Mail] = []
    for position, mail in enumerate(mails):
        its = {**_tagged(texts, position, f"{name}t"), **_tagged(pages, position, f"{name}h")}
        if sum(len(tag) + len(value.encode()) for tag, value in its.items()) > _SUBSTITUTIONS:
            alone.append(mail)
            continue
        values[id(mail.message)] = its
        whole.append(mail)
    if whole:
        text = texts.with_places(lambda place: f"{name}t{place}]")
        html = pages.with_places(lambda place: f"{name}h{place}]")
        yield Batch(whole, Substituted(text, html, values))
    for mail in alone:
        yield Batch([mail], Substituted(mail.text, mail.html, {}))


def _tagged(shared: SharedText, position: int, name: str) -> dict[str, str]:
    return {f"{name}{place}]": value for place, value in enumerate(shared.values[position])}


def _unused(texts: list[str]) -> str:
    """How tags begin: nothing that the texts hold."""
    number, name = 0, "[%m"
    while any(name in text for text in texts):
        number += 1
        name = f"[%m{number}."
    return name


def _personalization(mail: Mail, shared: Substituted) -> dict[str, Any]:
    said: dict[str, Any] = {
        "to": [{"email": mail.address}],
        "subject": mail.subject,
        "headers": {**dict(mail.headers), "Message-ID": mail.message_id},
        "custom_args": mail.marks,
    }
    values = shared.values.get(id(mail.message))
    return {**said, "substitutions": values} if values else said


def _mailbox(mailbox: Mailbox) -> dict[str, str]:
    return {"email": mailbox.email, **({"name": mailbox.name} if mailbox.name else {})}


def _refused(answer: Answer, count: int) -> dict[int, bytes]:
    """What the answer would say to each message that it names; empty: it is about the whole request."""
    errors = pick(answer.json(), "errors")
    found: dict[int, list[Any]] = {}
    for error in errors if isinstance(errors, list) else []:
        named = _PLACE.match(str(pick(error, "field") or ""))
        if named is None or int(named[1]) >= count:
            return {}
        found.setdefault(int(named[1]), []).append(error)
    return {place: orjson.dumps({"errors": its}) for place, its in found.items()}
