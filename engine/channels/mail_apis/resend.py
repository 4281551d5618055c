"""The `resend` channel: Resend's batch of whole messages (`POST /emails/batch`, 100 at most).

`x-batch-validation: permissive` makes Resend take the valid messages of a batch and name the others by their place.
`Idempotency-Key` is a digest of the request: the same messages together again, with the same content, are sent once
within a day. A batch holds no files, so a message with files is a request of its own (`POST /emails`).

Source: https://resend.com/docs/api-reference/emails/send-batch-emails, /docs/dashboard/emails/idempotency-keys
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import orjson
from pydantic import BaseModel, Field

from engine.channels.http.answers import Answer, pick
from engine.channels.http.request import Request
from engine.channels.http.settings import BaseUrl  # noqa: TC001 - pydantic reads it
from engine.channels.mail_apis.batches import Batch, BatchChannel, cut
from engine.channels.mail_apis.mail import base64_of
from engine.channels.mail_apis.settings import (
    MailApiCredentials,
    Secret,
    SendingSettings,
    check_connection,
)
from engine.channels.port import Delivered, Doubtful
from engine.channels.scrub import Scrub
from engine.kernel.media import AddressMedium

if TYPE_CHECKING:
    from engine.channels.mail_apis.mail import Mail
    from engine.channels.port import ChannelContext, Outcome
    from engine.content.message import Content

__all__ = ["ResendChannel", "ResendCredentials", "ResendSettings"]

_MOST = 100
#: What a refused message of a batch would have been answered alone.
_REFUSED = 422
#: The name of the error of a key that may send, and nothing else.
_SENDING_KEY = "restricted_api_key"


class ResendSettings(SendingSettings):
    """The `settings` of a channel of kind `resend`."""

    base_url: BaseUrl = "https://api.resend.com"
    batch: int = Field(default=_MOST, ge=1, le=_MOST)
    """Messages of one request."""


class ResendCredentials(MailApiCredentials):
    """The `credentials` of a channel of kind `resend`."""

    webhook_secret: Secret | None = None
    """What Resend signs its webhook with (`whsec_…`); absent: nothing that comes in is believed."""


class ResendChannel(BatchChannel[None]):
    """Sends over Resend."""

    kind: ClassVar[str] = "resend"
    api = "resend"
    doubt_policy: ClassVar[str] = "hold"
    links: ClassVar[bool] = True
    medium: ClassVar[AddressMedium] = AddressMedium.EMAIL
    Settings = ResendSettings
    Credentials = ResendCredentials

    def __init__(
        self, settings: ResendSettings, credentials: ResendCredentials, channel_context: ChannelContext
    ) -> None:
        """Prepare; nothing connects before the first message.

        Raises:
            ValueError: the key would travel unencrypted, or an address is refused; names the setting.
        """
        check_connection(settings.base_url, settings, channel_context)
        scrub = Scrub([credentials.key(), credentials.webhook_secret])
        super().__init__(settings, credentials, scrub, channel_context, most=settings.batch)
        self._settings = settings
        self._key = credentials.api_key

    @classmethod
    def problems_of(cls, content: Content, settings: BaseModel | None = None) -> list[str]:  # noqa: ARG003
        """Resend takes no mail without a subject."""
        return [] if content.subject else ["the message has no subject"]

    def _plan(self, mails: list[Mail]) -> list[Batch[None]]:
        whole = cut([mail for mail in mails if not mail.attachments], most=self._most)
        alone = [[mail] for mail in mails if mail.attachments]
        return [Batch(batch, None) for batch in (*whole, *alone)]

    def _request(self, batch: Batch[None]) -> Request:
        said = [_said(mail) for mail in batch.mails]
        if batch.mails[0].attachments:
            body, path, more = orjson.dumps(said[0]), "/emails", {}
        else:
            body, path, more = orjson.dumps(said), "/emails/batch", {"x-batch-validation": "permissive"}
        key = {"Idempotency-Key": hashlib.sha256(body).hexdigest()}
        return Request("POST", f"{self._settings.base_url}{path}", self._headers() | more | key, body)

    def _read(self, answer: Answer, batch: Batch[None]) -> list[Outcome | None]:
        whole = self._outcome(answer)
        if not isinstance(whole, Delivered):
            return [whole] * len(batch.mails)
        said = answer.json()
        if batch.mails[0].attachments:
            return [self._taken(said)]
        errors = _errors(pick(said, "errors"))
        taken = pick(said, "data")
        if not isinstance(taken, list) or len(taken) + len(errors) != len(batch.mails):
            taken = []
        results = iter(taken)
        return [
            self._refused(answer, errors[place]) if place in errors else self._taken(next(results, None))
            for place in range(len(batch.mails))
        ]

    def _taken(self, result: Any) -> Outcome:
        reference = self._reference(pick(result, "id"))
        if reference is None:
            return Doubtful("RESEND_UNCLEAR", "the answer does not say what became of the message")
        return Delivered(reference)

    def _refused(self, answer: Answer, message: str) -> Outcome:
        said = {"statusCode": _REFUSED, "name": "validation_error", "message": message}
        return self._outcome(replace(answer, status=_REFUSED, body=orjson.dumps(said)))

    def _probe(self) -> Request:
        return Request("GET", f"{self._settings.base_url}/domains", self._headers())

    def _well(self, answer: Answer) -> str | None:
        """A key that may only send is a good one."""
        return None if pick(answer.json(), "name") == _SENDING_KEY else super()._well(answer)

    def _headers(self) -> dict[str, str]:
        return {
            "Authorization": f"Bearer {self._key.get_secret_value()}",
            "Content-Type": "application/json",
        }


def _said(mail: Mail) -> dict[str, Any]:
    said: dict[str, Any] = {
        "from": str(mail.sender),
        "to": [mail.address],
        "subject": mail.subject,
        "headers": {**dict(mail.headers), "Message-ID": mail.message_id},
        "tags": [{"name": name, "value": value} for name, value in mail.marks.items()],
    }
    if mail.text:
        said["text"] = mail.text
    if mail.html:
        said["html"] = mail.html
    if mail.reply_to:
        said["reply_to"] = [str(one) for one in mail.reply_to]
    if mail.attachments:
        said["attachments"] = [
            {
                "filename": one.filename,
                "content": base64_of(one),
                "content_type": one.content_type,
                **({} if one.content_id is None else {"content_id": one.content_id}),
            }
            for one in mail.attachments
        ]
    return said


def _errors(given: Any) -> dict[int, str]:
    """What was refused, by its place."""
    found = given if isinstance(given, list) else []
    return {
        one["index"]: str(one.get("message") or "refused")
        for one in found
        if isinstance(one, dict) and isinstance(one.get("index"), int)
    }
