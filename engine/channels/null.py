"""The `null` channel: takes everything and delivers nothing. For measuring the engine, and for rehearsals."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from engine.channels.port import Delivered
from engine.channels.wave import INTERRUPTED, Wave
from engine.kernel.media import AddressMedium, address_finder
from engine.kernel.phone_numbers import Region  # noqa: TC001 - pydantic reads it

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from threading import Event

    from engine.channels.port import ChannelContext, Report
    from engine.content.message import Content, Message

__all__ = ["NullChannel"]

_DELIVERED = Delivered()


class NullSettings(BaseModel):
    """The `settings` of a channel of kind `null`."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    latency: timedelta = Field(default=timedelta(0), ge=timedelta(0), le=timedelta(minutes=1))
    """How long each message takes; a wave's messages are then sent one after the other."""
    medium: AddressMedium | None = None
    """What the addresses are: email, phone, chat or other (any text). Absent: e-mail addresses, and the entity's id
    where there is none."""
    address: str | None = None
    """Where an entity keeps its address; absent: any usual name of the medium, else of an e-mail address."""
    region: Region | None = None
    """Of `medium: phone`: where numbers without a country code are from."""


class NoCredentials(BaseModel):
    """There are none."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class NullChannel:
    """Drops every message."""

    kind: ClassVar[str] = "null"
    doubt_policy: ClassVar[str] = "resend"
    links: ClassVar[bool] = False
    Settings = NullSettings
    Credentials = NoCredentials

    def __init__(
        self,
        settings: NullSettings,
        credentials: NoCredentials,  # noqa: ARG002 - every kind is made from these three
        channel_context: ChannelContext,  # noqa: ARG002
    ) -> None:
        self._latency = settings.latency.total_seconds()
        self.in_one_piece = not self._latency
        self.medium = settings.medium
        self._find = address_finder(settings.medium or AddressMedium.EMAIL, settings.address, settings.region)
        self._or_id = settings.medium is None

    @classmethod
    def problems_of(cls, content: Content, settings: BaseModel | None = None) -> list[str]:  # noqa: ARG003
        """It takes everything."""
        return []

    def address_of(self, attributes: Mapping[str, Any]) -> str | None:
        """The address; without a medium, else the entity's id (`_id`)."""
        found = self._find(attributes)
        return attributes.get("_id") if found is None and self._or_id else found

    async def send(self, messages: Sequence[Message], report: Report, stop: Event) -> None:
        """Take a wave; see the port."""
        wave = Wave(self.kind, messages, report, stop)
        if not self._latency:
            wave.release_if_stopped()
            wave.settle_waiting(_DELIVERED)
            return
        try:
            while (message := wave.take()) is not None:
                await asyncio.sleep(self._latency)
                wave.settle(message, _DELIVERED)
        finally:
            wave.end(INTERRUPTED, "the wave was cancelled")

    async def check(self) -> str | None:
        """Nothing can be wrong."""
        return None

    async def close(self) -> None:
        """Nothing to give back."""
