"""The `telegram` channel: the Bot API's sendMessage.

A bot can write only to people who started it and to groups it is in. The Bot API has no idempotency key: what is in
doubt is held for a person to decide.

The token is part of the URL; no text, log or representation shows it.
"""

from __future__ import annotations

import html
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import orjson
from pydantic import BaseModel, Field, SecretStr

from engine.channels.http.answers import outcome_of, pick, seconds
from engine.channels.http.leaves import Unrenderable, check_sayable
from engine.channels.http.request import Request
from engine.channels.http.settings import BaseUrl, Connection, check_private
from engine.channels.http.wire import WireChannel
from engine.channels.port import Delivered, Rejected, Throttled
from engine.channels.scrub import Scrub
from engine.channels.trust import TrustCredentials
from engine.kernel.addresses import ChatFinder
from engine.kernel.media import AddressMedium

if TYPE_CHECKING:
    from engine.channels.http.answers import Answer
    from engine.channels.port import ChannelContext, Outcome
    from engine.content.message import Content, Message

__all__ = ["TEXT_LIMIT", "TelegramChannel", "TelegramCredentials", "TelegramSettings"]

#: Characters of a message, without its markup.
TEXT_LIMIT = 4096
_TAG = re.compile(r"<[^>]*>")


class TelegramSettings(Connection):
    """The `settings` of a channel of kind `telegram`."""

    base_url: BaseUrl = "https://api.telegram.org"
    """Of another Bot API server, if you run one."""
    parse_mode: Literal["HTML", "MarkdownV2"] | None = None
    """`HTML`: the template's html part, which may use Telegram's few tags, else its text. `MarkdownV2`: the text part
    as it is; a value that holds Markdown is markup then. Absent: the text part, as text."""
    silent: bool = False
    """Arrives without a sound."""
    link_preview: bool = True
    protect_content: bool = False
    """Cannot be forwarded."""
    address: str | None = None
    """Where an entity keeps its chat id; absent: any usual name, such as `telegram_chat_id` or `Telegram`."""


class TelegramCredentials(TrustCredentials):
    """The `credentials` of a channel of kind `telegram`."""

    token: Annotated[SecretStr, Field(min_length=3, max_length=200)]
    """From BotFather: `123456:ABC…`."""


class TelegramChannel(WireChannel):
    """Writes as a Telegram bot."""

    kind: ClassVar[str] = "telegram"
    doubt_policy: ClassVar[str] = "hold"
    links: ClassVar[bool] = True
    medium: ClassVar[AddressMedium] = AddressMedium.CHAT
    in_one_piece: ClassVar[bool] = False
    Settings = TelegramSettings
    Credentials = TelegramCredentials

    def __init__(
        self,
        settings: TelegramSettings,
        credentials: TelegramCredentials,
        channel_context: ChannelContext,
    ) -> None:
        """Prepare; nothing connects before the first message.

        Raises:
            ValueError: the token is none, or would travel unencrypted, or an address is refused; names the setting.
        """
        token = credentials.token.get_secret_value()
        if not re.fullmatch(r"\d+:[\w-]+", token, re.ASCII):
            raise ValueError("credentials.token: is not a bot's token, like 123456:ABC-DEF…")
        check_private(settings.base_url, insecure_login=settings.insecure_login)
        channel_context.check_url("base_url", settings.base_url)
        super().__init__(settings, credentials, Scrub([token, token.partition(":")[2]]), channel_context)
        self._settings = settings
        self._token = credentials.token
        self.address_of = ChatFinder(settings.address)

    @classmethod
    def problems_of(cls, content: Content, settings: BaseModel | None = None) -> list[str]:
        """Nothing to say, or more than fits."""
        mode = settings.parse_mode if isinstance(settings, TelegramSettings) else None
        text = _text(content, mode)
        shown = html.unescape(_TAG.sub("", text)) if mode == "HTML" else text
        if not shown.strip():
            return ["the message has no text"]
        if len(shown) > TEXT_LIMIT:
            return [f"the message has {len(shown)} characters; Telegram takes {TEXT_LIMIT}"]
        return []

    def _request(self, message: Message) -> Request:
        settings = self._settings
        check_sayable(self.problems_of(message.content, settings))
        chat: int | str = message.address if message.address.startswith("@") else int(message.address)
        said: dict[str, Any] = {"chat_id": chat, "text": _text(message.content, settings.parse_mode)}
        if settings.parse_mode is not None:
            said["parse_mode"] = settings.parse_mode
        if settings.silent:
            said["disable_notification"] = True
        if settings.protect_content:
            said["protect_content"] = True
        if not settings.link_preview:
            said["link_preview_options"] = {"is_disabled": True}
        try:
            body = orjson.dumps(said)
        except TypeError:
            raise Unrenderable(
                "the message holds half of a surrogate pair, or the chat id is too long"
            ) from None
        return Request("POST", self._url("sendMessage"), {"Content-Type": "application/json"}, body)

    def _probe(self) -> Request:
        return Request("GET", self._url("getMe"))

    def _url(self, method: str) -> str:
        return f"{self._settings.base_url}/bot{self._token.get_secret_value()}/{method}"

    def _read(self, answer: Answer) -> Outcome:
        said = answer.json()
        ok = pick(said, "ok") if isinstance(said, dict) else None
        if ok is True:
            reference = pick(said, "result.message_id")
            return Delivered(None if reference is None else str(reference))
        code = said.get("error_code", answer.status) if ok is False else None
        outcome = outcome_of(
            replace(answer, status=code) if isinstance(code, int) else answer,
            classifier=self._classifier,
            scrub=self._scrub,
            prefix="TELEGRAM",
            api="telegram" if ok is False else None,  # else a proxy's words, or a success without any
            error=None if code is None else str(code),
        )
        moved = pick(said, "parameters.migrate_to_chat_id")
        if moved is not None and isinstance(outcome, Rejected):
            return Rejected("TELEGRAM_MOVED", f"the group is the supergroup {moved} now")
        wait = seconds(pick(said, "parameters.retry_after"))
        if isinstance(outcome, Throttled) and wait is not None:
            return replace(outcome, retry_after=wait)
        return outcome


def _text(content: Content, mode: str | None) -> str:
    if mode != "HTML":
        return content.text or ""
    return content.html if content.html is not None else html.escape(content.text or "", quote=False)
