"""The `ses` channel: Amazon SES v2, 50 messages a request (`SendBulkEmail`).

A request has an inline template, whose places are the whole subject, text and HTML, and each entry brings its own: SES
escapes nothing in them, and reads no template in them. A request holds 1 MB, so fewer messages where they are long. A
message with files, with headers that are not ASCII, or too long for an entry, is a request of its own (`SendEmail`
with the mail as it stands).

Every entry has a status of its own. There is no idempotency key, and the Message-ID is Amazon's: what is in doubt is
held for a person to decide.

Source: https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_SendBulkEmail.html,
https://docs.aws.amazon.com/ses/latest/dg/send-personalized-email-api.html (sizes),
https://docs.aws.amazon.com/ses/latest/dg/send-personalized-email-advanced.html (nothing is escaped)
"""

from __future__ import annotations

import base64
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import formataddr
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import orjson
from pydantic import BaseModel, Field

from engine.channels.http.answers import Answer, pick
from engine.channels.http.leaves import Unrenderable
from engine.channels.http.request import Request
from engine.channels.http.settings import BaseUrl  # noqa: TC001 - pydantic reads it
from engine.channels.mail_apis.aws_signature import AwsKey, signed_headers
from engine.channels.mail_apis.batches import Batch, BatchChannel, cut
from engine.channels.mail_apis.settings import Secret, SendingSettings, check_connection, check_key
from engine.channels.port import Delivered, Doubtful
from engine.channels.scrub import Scrub
from engine.channels.trust import TrustCredentials
from engine.content.mime import MimeBuilder
from engine.kernel.media import AddressMedium

if TYPE_CHECKING:
    from collections.abc import Iterable

    from engine.channels.mail_apis.mail import Mail
    from engine.channels.port import ChannelContext, Outcome
    from engine.content.mailboxes import Mailbox
    from engine.content.message import Content

__all__ = ["SesChannel", "SesCredentials", "SesSettings"]

_MOST = 50
#: Bytes of the entries of a request, as they are written; SES takes 1 MB in all.
_BYTES = 900_000
#: Characters of an entry's data (`ReplacementTemplateData`).
_LONGEST = 262_144
#: Bytes of an entry beside its data.
_OVERHEAD = 1_200
#: What a refused entry would have been answered alone.
_REFUSED = 400


class SesSettings(SendingSettings):
    """The `settings` of a channel of kind `ses`."""

    region: Annotated[str, Field(pattern=r"^[a-z]{2}(-[a-z]+)+-\d$")]
    """Of Amazon SES: `eu-central-1`."""
    base_url: BaseUrl | None = None
    """Absent: the region's (`https://email.eu-central-1.amazonaws.com`)."""
    configuration_set: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")] | None = None
    """Which publishes events; absent: the identity's own."""
    topic_arn: (
        Annotated[str, Field(pattern=r"^arn:aws[a-z-]*:sns:[a-z0-9-]+:\d{12}:[A-Za-z0-9_-]{1,256}$")] | None
    ) = None
    """The SNS topic to which SES publishes events; absent: nothing that comes in is believed."""
    batch: int = Field(default=_MOST, ge=1, le=_MOST)
    """Messages of one request."""

    @property
    def url(self) -> str:
        """Where requests go."""
        return self.base_url or f"https://email.{self.region}.amazonaws.com"


class SesCredentials(TrustCredentials):
    """The `credentials` of a channel of kind `ses`."""

    access_key_id: Annotated[str, Field(pattern=r"^\w{16,128}$")]
    secret_access_key: Secret
    session_token: Secret | None = None
    """Of temporary credentials."""


class SesChannel(BatchChannel[bool]):
    """Sends over Amazon SES. A batch is one that is sent in bulk, or a mail as it stands."""

    kind: ClassVar[str] = "ses"
    api = "ses"
    doubt_policy: ClassVar[str] = "hold"
    links: ClassVar[bool] = True
    medium: ClassVar[AddressMedium] = AddressMedium.EMAIL
    Settings = SesSettings
    Credentials = SesCredentials

    def __init__(
        self, settings: SesSettings, credentials: SesCredentials, channel_context: ChannelContext
    ) -> None:
        """Prepare; nothing connects before the first message.

        Raises:
            ValueError: a key is none, or an address is refused; names the setting.
        """
        check_connection(settings.url, settings, channel_context)
        secret = credentials.secret_access_key.get_secret_value()
        token = None if credentials.session_token is None else credentials.session_token.get_secret_value()
        for name, value in (("secret_access_key", secret), ("session_token", token or "")):
            check_key(name, value)
        super().__init__(settings, credentials, Scrub([secret, token]), channel_context, most=settings.batch)
        self._settings = settings
        self._credentials = credentials
        self._mime = MimeBuilder(
            sender_email=settings.from_email,
            sender_name=settings.from_name,
            reply_to=settings.reply_to,
            headers=settings.headers,
        )

    @classmethod
    def problems_of(cls, content: Content, settings: BaseModel | None = None) -> list[str]:  # noqa: ARG003
        """Mail without a subject is taken, and looks like a mistake to the person who gets it."""
        return [] if content.subject else ["the message has no subject"]

    def _plan(self, mails: list[Mail]) -> list[Batch[bool]]:
        sizes = {id(mail.message): len(orjson.dumps(_data(mail).decode())) for mail in mails}
        alone = {key for key, size in sizes.items() if size > _LONGEST}
        alone |= {id(mail.message) for mail in mails if mail.attachments or not _is_ascii(mail.headers)}
        bulk = cut(
            [mail for mail in mails if id(mail.message) not in alone],
            most=self._most,
            alike=lambda mail: (mail.sender, mail.reply_to, bool(mail.text), bool(mail.html)),
            bytes_of=lambda mail: sizes[id(mail.message)] + _OVERHEAD,
            limit=_BYTES,
        )
        return [
            *(Batch(batch, shared=True) for batch in bulk),
            *(Batch([mail], shared=False) for mail in mails if id(mail.message) in alone),
        ]

    def _request(self, batch: Batch[bool]) -> Request:
        said = self._bulk(batch.mails) if batch.shared else self._one(batch.mails[0])
        if self._settings.configuration_set is not None:
            said["ConfigurationSetName"] = self._settings.configuration_set
        path = "/v2/email/outbound-bulk-emails" if batch.shared else "/v2/email/outbound-emails"
        return self._signed("POST", path, orjson.dumps(said))

    def _bulk(self, mails: list[Mail]) -> dict[str, Any]:
        first = mails[0]
        template = {"Subject": "{{subject}}"}
        if first.text:
            template["Text"] = "{{text}}"
        if first.html:
            template["Html"] = "{{html}}"
        said: dict[str, Any] = {
            "FromEmailAddress": _mailbox(first.sender),
            "DefaultContent": {"Template": {"TemplateContent": template, "TemplateData": "{}"}},
            "BulkEmailEntries": [
                {
                    "Destination": {"ToAddresses": [mail.address]},
                    "ReplacementTags": _tags(mail),
                    "ReplacementHeaders": [{"Name": name, "Value": value} for name, value in mail.headers],
                    "ReplacementEmailContent": {
                        "ReplacementTemplate": {"ReplacementTemplateData": _data(mail).decode()}
                    },
                }
                for mail in mails
            ],
        }
        if first.reply_to:
            said["ReplyToAddresses"] = [_mailbox(one) for one in first.reply_to]
        return said

    def _one(self, mail: Mail) -> dict[str, Any]:
        try:
            raw = base64.b64encode(self._mime.build(mail.message)).decode()
        except ValueError as error:
            raise Unrenderable(str(error)) from None
        return {
            "FromEmailAddress": _mailbox(mail.sender),
            "Destination": {"ToAddresses": [mail.address]},
            "Content": {"Raw": {"Data": raw}},
            "EmailTags": _tags(mail),
        }

    def _read(self, answer: Answer, batch: Batch[bool]) -> list[Outcome | None]:
        whole = self._outcome(answer)
        if not isinstance(whole, Delivered):
            return [whole] * len(batch.mails)
        said = answer.json()
        if not batch.shared:
            return [Delivered(self._reference(pick(said, "MessageId")))]
        results = pick(said, "BulkEmailEntryResults")
        if not isinstance(results, list) or len(results) != len(batch.mails):
            results = [None] * len(batch.mails)
        return [self._result(answer, result) for result in results]

    def _result(self, answer: Answer, result: Any) -> Outcome:
        status = pick(result, "Status")
        if status == "SUCCESS":
            return Delivered(self._reference(pick(result, "MessageId")))
        if not isinstance(status, str):
            return Doubtful("SES_UNCLEAR", "the answer does not say what became of the message")
        said = {"__type": status, "message": str(pick(result, "Error") or "")}
        return self._outcome(replace(answer, status=_REFUSED, body=orjson.dumps(said)), error=status)

    def _probe(self) -> Request:
        return self._signed("GET", "/v2/email/account", b"")

    def _well(self, answer: Answer) -> str | None:
        if pick(answer.json(), "SendingEnabled") is False:
            return "SES_ACCOUNT: Amazon has paused the account's sending"
        return super()._well(answer)

    def _signed(self, method: str, path: str, body: bytes) -> Request:
        given = self._credentials
        token = None if given.session_token is None else given.session_token.get_secret_value()
        key = AwsKey(given.access_key_id, given.secret_access_key.get_secret_value(), token)
        url = f"{self._settings.url}{path}"
        headers = signed_headers(
            method,
            url,
            body,
            key=key,
            region=self._settings.region,
            service="ses",
            at=datetime.now(UTC),
            more={"content-type": "application/json"},
        )
        return Request(method, url, headers, body or None)


def _data(mail: Mail) -> bytes:
    """What stands in the template's places."""
    return orjson.dumps({"subject": mail.subject, "text": mail.text, "html": mail.html})


def _is_ascii(headers: Iterable[tuple[str, str]]) -> bool:
    """Whether SES takes the headers as they are."""
    return all(value.isascii() for _, value in headers)


def _tags(mail: Mail) -> list[dict[str, str]]:
    return [{"Name": name, "Value": value} for name, value in mail.marks.items()]


def _mailbox(mailbox: Mailbox) -> str:
    """In ASCII, as SES takes it."""
    return formataddr((mailbox.name, mailbox.email))
