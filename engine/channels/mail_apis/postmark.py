"""The `postmark` channel: Postmark's batch of whole messages (`POST /email/batch`, 500 and 50 MB at most).

Every message has an answer of its own in the order of the request, with Postmark's error code. There is no idempotency
key; `X-PM-KeepID` makes Postmark keep our Message-ID, by which receivers recognise a repeat.

Source: https://postmarkapp.com/developer/api/email-api#send-batch-emails
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import orjson
from pydantic import BaseModel, Field

from engine.channels.http.answers import Answer, pick
from engine.channels.http.request import Request
from engine.channels.http.settings import BaseUrl  # noqa: TC001 - pydantic reads it
from engine.channels.mail_apis.batches import Batch, BatchChannel, cut
from engine.channels.mail_apis.mail import base64_of
from engine.channels.mail_apis.settings import (
    MailApiSettings,
    Secret,
    check_connection,
    check_key,
)
from engine.channels.port import Delivered, Doubtful
from engine.channels.scrub import Scrub
from engine.channels.trust import TrustCredentials
from engine.kernel.media import AddressMedium

if TYPE_CHECKING:
    from engine.channels.mail_apis.mail import Mail
    from engine.channels.port import ChannelContext, Outcome
    from engine.content.message import Content

__all__ = ["PostmarkChannel", "PostmarkCredentials", "PostmarkSettings"]

_MOST, _BYTES = 500, 40_000_000
#: Bytes that a message has beside its parts.
_OVERHEAD = 1500
#: What a refused message of a batch would have been answered alone.
_REFUSED = 422


class PostmarkSettings(MailApiSettings):
    """The `settings` of a channel of kind `postmark`."""

    base_url: BaseUrl = "https://api.postmarkapp.com"
    message_stream: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")] = "broadcast"
    """The stream of the Postmark server that sends; campaigns belong into one for broadcasts."""
    batch: int = Field(default=_MOST, ge=1, le=_MOST)
    """Messages of one request."""


class PostmarkCredentials(TrustCredentials):
    """The `credentials` of a channel of kind `postmark`."""

    server_token: Secret
    webhook_password: Secret | None = None
    """What stands in the webhook's address in front of the `@` as the password (`https://muster:…@`); absent: nothing
    that comes in is believed."""


class PostmarkChannel(BatchChannel[None]):
    """Sends over Postmark."""

    kind: ClassVar[str] = "postmark"
    api = "postmark"
    doubt_policy: ClassVar[str] = "resend"
    links: ClassVar[bool] = True
    medium: ClassVar[AddressMedium] = AddressMedium.EMAIL
    Settings = PostmarkSettings
    Credentials = PostmarkCredentials

    def __init__(
        self, settings: PostmarkSettings, credentials: PostmarkCredentials, channel_context: ChannelContext
    ) -> None:
        """Prepare; nothing connects before the first message.

        Raises:
            ValueError: the token would travel unencrypted, or an address is refused; names the setting.
        """
        check_connection(settings.base_url, settings, channel_context)
        token = credentials.server_token.get_secret_value()
        check_key("server_token", token)
        scrub = Scrub([token, credentials.webhook_password])
        super().__init__(settings, credentials, scrub, channel_context, most=settings.batch)
        self._settings = settings
        self._token = credentials.server_token

    @classmethod
    def problems_of(cls, content: Content, settings: BaseModel | None = None) -> list[str]:  # noqa: ARG003
        """Mail without a subject is taken, and looks like a mistake to the person who gets it."""
        return [] if content.subject else ["the message has no subject"]

    def _plan(self, mails: list[Mail]) -> list[Batch[None]]:
        found = cut(mails, most=self._most, bytes_of=_bytes_of, limit=_BYTES)
        return [Batch(batch, None) for batch in found]

    def _request(self, batch: Batch[None]) -> Request:
        body = orjson.dumps([self._said(mail) for mail in batch.mails])
        return Request("POST", f"{self._settings.base_url}/email/batch", self._headers(), body)

    def _said(self, mail: Mail) -> dict[str, Any]:
        headers = [{"Name": name, "Value": value} for name, value in mail.headers]
        headers.append({"Name": "Message-ID", "Value": mail.message_id})
        headers.append({"Name": "X-PM-KeepID", "Value": "true"})
        said: dict[str, Any] = {
            "From": str(mail.sender),
            "To": mail.address,
            "Subject": mail.subject,
            "MessageStream": self._settings.message_stream,
            "Headers": headers,
            "Metadata": mail.marks,
        }
        if not self._settings.provider_tracking:
            said |= {"TrackOpens": False, "TrackLinks": "None"}
        if mail.text:
            said["TextBody"] = mail.text
        if mail.html:
            said["HtmlBody"] = mail.html
        if mail.reply_to:
            said["ReplyTo"] = ", ".join(map(str, mail.reply_to))
        if mail.attachments:
            said["Attachments"] = [
                {
                    "Name": one.filename,
                    "Content": base64_of(one),
                    "ContentType": one.content_type,
                    **({} if one.content_id is None else {"ContentID": f"cid:{one.content_id}"}),
                }
                for one in mail.attachments
            ]
        return said

    def _read(self, answer: Answer, batch: Batch[None]) -> list[Outcome | None]:
        whole = self._outcome(answer)
        if not isinstance(whole, Delivered):
            return [whole] * len(batch.mails)
        said = answer.json()
        results = (
            said if isinstance(said, list) and len(said) == len(batch.mails) else [None] * len(batch.mails)
        )
        return [self._result(answer, result) for result in results]

    def _result(self, answer: Answer, result: Any) -> Outcome:
        code = pick(result, "ErrorCode")
        if code == 0:
            return Delivered(self._reference(pick(result, "MessageID")))
        if not isinstance(code, int):
            return Doubtful("POSTMARK_UNCLEAR", "the answer does not say what became of the message")
        alone = replace(answer, status=_REFUSED, body=orjson.dumps(result))
        return self._outcome(alone, error=str(code))

    def _probe(self) -> Request:
        return Request("GET", f"{self._settings.base_url}/server", self._headers())

    def _headers(self) -> dict[str, str]:
        return {
            "X-Postmark-Server-Token": self._token.get_secret_value(),
            "Accept": "application/json",
            "Content-Type": "application/json",
        }


def _bytes_of(mail: Mail) -> int:
    files = sum(len(one.content) for one in mail.attachments)
    return mail.size * 5 // 4 + files * 4 // 3 + _OVERHEAD
