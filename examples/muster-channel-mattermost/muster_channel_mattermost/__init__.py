"""The `mattermost` channel: a direct message by an incoming webhook.

https://developers.mattermost.com/integrate/webhooks/incoming/: POST `{"channel": "@user", "text": …}`, answered 200 `ok`, or
an error as JSON with `id` and `message`. A webhook has no idempotency key, so what is in doubt is held for a person.
The webhook's URL is its secret.
"""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Any, ClassVar
from urllib.parse import urlsplit

import orjson
from pydantic import BaseModel, Field, SecretStr

from engine.channels.http.answers import outcome_of
from engine.channels.http.leaves import check_sayable
from engine.channels.http.request import Request
from engine.channels.http.settings import Connection, check_private
from engine.channels.http.wire import WireChannel
from engine.channels.port import Delivered, Down
from engine.channels.scrub import Scrub
from engine.channels.trust import TrustCredentials
from engine.kernel.media import AddressMedium

if TYPE_CHECKING:
    from collections.abc import Mapping

    from engine.channels.http.answers import Answer
    from engine.channels.port import ChannelContext, Outcome
    from engine.content.message import Content, Message

__all__ = ["MattermostChannel"]

#: What is answered instead of the webhook's own refusals.
_NO_WEBHOOK = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND)
#: Characters of a post.
_LONGEST = 16_383
_USER = re.compile(r"@?([a-z][a-z0-9._-]{0,63})", re.ASCII | re.IGNORECASE)


class MattermostSettings(Connection):
    """The `settings` of a channel of kind `mattermost`."""

    address: str = "mattermost"
    """Where an entity keeps its user name."""
    username: Annotated[str, Field(max_length=64)] | None = None
    """The name that posts carry; absent: the webhook's own."""


class MattermostCredentials(TrustCredentials):
    """The `credentials` of a channel of kind `mattermost`."""

    url: SecretStr
    """The webhook's address, as Mattermost shows it."""


class MattermostChannel(WireChannel):
    """Writes direct messages."""

    kind: ClassVar[str] = "mattermost"
    doubt_policy: ClassVar[str] = "hold"
    links: ClassVar[bool] = True
    medium: ClassVar[AddressMedium] = AddressMedium.CHAT
    in_one_piece: ClassVar[bool] = False
    Settings = MattermostSettings
    Credentials = MattermostCredentials

    def __init__(
        self,
        settings: MattermostSettings,
        credentials: MattermostCredentials,
        channel_context: ChannelContext,
    ) -> None:
        """Prepare; nothing connects before the first message.

        Raises:
            ValueError: the URL is none, would travel unencrypted, or may not be reached; names the field.
        """
        url = credentials.url.get_secret_value()
        secret = urlsplit(url).path.rpartition("/")[2]
        if not secret:
            raise ValueError("credentials.url: is no webhook's, like https://chat.example.com/hooks/…")
        check_private(url, insecure_login=settings.insecure_login)
        channel_context.check_url("credentials.url", url)
        super().__init__(settings, credentials, Scrub([secret]), channel_context)
        self._settings = settings
        self._url = credentials.url

    @classmethod
    def problems_of(cls, content: Content, settings: BaseModel | None = None) -> list[str]:
        """Nothing to say, or more than fits."""
        text = content.text or ""
        if not text.strip():
            return ["the message has no text"]
        return (
            [f"the message has {len(text)} characters; Mattermost takes {_LONGEST}"]
            if len(text) > _LONGEST
            else []
        )

    def address_of(self, attributes: Mapping[str, Any]) -> str | None:
        """The user name behind an `@`, in lower case."""
        found = attributes.get(self._settings.address)
        match = _USER.fullmatch(found.strip()) if isinstance(found, str) else None
        return None if match is None else f"@{match[1].lower()}"

    def _request(self, message: Message) -> Request:
        check_sayable(self.problems_of(message.content))
        post = {
            "channel": message.address,
            "text": message.content.text,
            "props": {"muster_execution_id": str(message.execution_id)},
        }
        if self._settings.username is not None:
            post["username"] = self._settings.username
        return Request(
            "POST", self._url.get_secret_value(), {"Content-Type": "application/json"}, orjson.dumps(post)
        )

    def _read(self, answer: Answer) -> Outcome:
        if answer.status == HTTPStatus.OK:
            return Delivered()
        if answer.status in _NO_WEBHOOK:
            return Down(f"MATTERMOST_{answer.status}", "there is no such webhook, or it is switched off")
        return outcome_of(
            answer, classifier=self._classifier, scrub=self._scrub, prefix="MATTERMOST", api="mattermost"
        )

    def _probe(self) -> Request:
        """An empty post, which Mattermost refuses (400) after it found the webhook."""
        return Request("POST", self._url.get_secret_value(), {"Content-Type": "application/json"}, b"{}")

    def _well(self, answer: Answer) -> str | None:
        return None if answer.status == 400 else super()._well(answer)
