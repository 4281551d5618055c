"""Asking a channel's provider for somebody who waits: one way for the API and the console."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from engine.api.secrets import secrets_of
from engine.campaigns.channels import build_channel
from engine.channels.asking import ask, records_of
from engine.channels.port import ChannelContext

if TYPE_CHECKING:
    from uuid import UUID

    from fastapi import Request

    from engine.api.call import Call
    from engine.api.rates import Rates
    from engine.channels.port import Channel
    from engine.channels.smtp.mail_domain import Finding

__all__ = ["ChannelCheck", "check_channel"]

#: Longer than a slow mail server takes to greet, and short enough for a person who waits.
_SECONDS = 20.0


class ChannelCheck(NamedTuple):
    """What came of it."""

    trouble: str | None
    """What is wrong, in a sentence; None: the provider answers and accepts the credentials."""
    findings: list[Finding]
    """Of a mail channel: what receivers find about its domain; empty where names are not looked up."""


async def check_channel(request: Request, call: Call, channel_id: UUID) -> ChannelCheck:
    """Ask the provider whether it answers and accepts the credentials, and look at the sender's domain. Sends nothing
    to anybody.

    Raises:
        NotFound: the organization has no such channel.
        TooManyRequests: it tried things out too often in the last minute.
    """
    rates: Rates = request.app.state.rates
    await rates.count_test(call.org_id)
    settings = call.runtime.settings
    channel = await call.in_thread(_built, request, call, channel_id)
    trouble = await ask(channel, within=_SECONDS)
    if not settings.mx_lookups:
        return ChannelCheck(trouble, [])
    servers = [settings.dns_server] if settings.dns_server else []
    return ChannelCheck(trouble, await call.in_thread(records_of, channel, trouble, servers))


def _built(request: Request, call: Call, channel_id: UUID) -> Channel:
    lent = ChannelContext.of(call.runtime.settings, call.runtime.database)
    with call.read() as session:
        return build_channel(session, call.org_id, channel_id, secrets_of(request), lent)
