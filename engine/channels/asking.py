"""Asking a channel's provider whether it answers and knows us. Sends nothing to anybody."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.channels.port import Channel

__all__ = ["CHECK_SECONDS", "ask"]

#: How long a provider may take.
CHECK_SECONDS = 10.0


async def ask(channel: Channel, *, within: float = CHECK_SECONDS) -> str | None:
    """None when the channel's provider answers and takes its credentials, else what is wrong, in a sentence. Closes the
    channel.

    Args:
        channel: Ready to send.
        within: Seconds.
    """
    try:
        async with asyncio.timeout(within):
            return await channel.check()
    except TimeoutError:
        return f"no answer in {within:.0f} seconds"
    finally:
        await channel.close()
