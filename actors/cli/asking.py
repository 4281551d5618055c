"""Asking a channel's provider whether it answers."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.channels.port import Channel

__all__ = ["ask"]

#: Seconds a provider may take.
_LONGEST = 10.0


async def ask(sender: Channel) -> str | None:
    """What is wrong with it, in a sentence; None when nothing is. Closes it."""
    try:
        async with asyncio.timeout(_LONGEST):
            return await sender.check()
    except TimeoutError:
        return f"no answer in {_LONGEST:.0f} seconds"
    finally:
        await sender.close()
