"""The `sms` channel: the text part of a message as one SMS, or several when it is long.

A duplicate costs money and trust: what is in doubt is held for a person to decide.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Protocol

from engine.channels.http.leaves import check_sayable
from engine.channels.http.wire import WireChannel, trouble
from engine.channels.sms.gateway import Gateway
from engine.channels.sms.segments import count_segments
from engine.channels.sms.settings import SmsCredentials, SmsSettings
from engine.channels.sms.twilio import TEXT_LIMIT, Twilio
from engine.kernel.addresses import PhoneFinder
from engine.kernel.media import AddressMedium

if TYPE_CHECKING:
    from pydantic import BaseModel

    from engine.channels.http.answers import Answer
    from engine.channels.http.request import Request
    from engine.channels.port import ChannelContext, Outcome
    from engine.channels.scrub import Scrub
    from engine.content.message import Content, Message

__all__ = ["SmsChannel"]

_ODD_SHOWN = 5


class _Provider(Protocol):
    """A way to send one SMS."""

    scrub: Scrub

    def request(self, message: Message) -> Request: ...

    def read(self, answer: Answer) -> Outcome: ...

    def probe(self) -> Request: ...

    def read_probe(self, answer: Answer) -> Outcome: ...


class SmsChannel(WireChannel):
    """Sends SMS."""

    kind: ClassVar[str] = "sms"
    doubt_policy: ClassVar[str] = "hold"
    links: ClassVar[bool] = True
    medium: ClassVar[AddressMedium] = AddressMedium.PHONE
    in_one_piece: ClassVar[bool] = False
    Settings = SmsSettings
    Credentials = SmsCredentials

    def __init__(
        self,
        settings: SmsSettings,
        credentials: SmsCredentials,
        channel_context: ChannelContext,
    ) -> None:
        """Prepare; nothing connects before the first message.

        Raises:
            ValueError: credentials of another provider, a template that does not parse; names the setting.
        """
        credentials.check(settings.provider)
        kind = Gateway if settings.provider == "gateway" else Twilio
        self._provider: _Provider = kind(settings, credentials, channel_context.classifier)
        for field, url in settings.reaches().items():
            channel_context.check_url(field, url)
        super().__init__(settings, credentials, self._provider.scrub, channel_context)
        self._settings = settings
        self.address_of = PhoneFinder(settings.address, region=settings.region)

    @classmethod
    def problems_of(cls, content: Content, settings: BaseModel | None = None) -> list[str]:
        """No text, or more SMS than it may cost."""
        given = settings if isinstance(settings, SmsSettings) else None
        text = content.text or ""
        if not text.strip():
            return ["the message has no text"]
        if given is not None and given.provider == "twilio" and len(text) > TEXT_LIMIT:
            return [f"the message has {len(text)} characters; Twilio takes {TEXT_LIMIT}"]
        most = given.max_segments if given is not None else SmsSettings.model_fields["max_segments"].default
        if len(text) <= most:  # a segment holds far more than a character
            return []
        cost = count_segments(text)
        if cost.messages <= most:
            return []
        because = f", because of {' '.join(cost.odd[:_ODD_SHOWN])}" if cost.odd else ""
        return [
            f"the message takes {cost.messages} SMS ({cost.encoding}{because}); the channel allows {most}"
        ]

    def _request(self, message: Message) -> Request:
        check_sayable(self.problems_of(message.content, self._settings))
        return self._provider.request(message)

    def _read(self, answer: Answer) -> Outcome:
        return self._provider.read(answer)

    def _probe(self) -> Request:
        return self._provider.probe()

    def _well(self, answer: Answer) -> str | None:
        return trouble(self._provider.read_probe(answer))
