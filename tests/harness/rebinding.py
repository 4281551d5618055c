"""A name whose address changes from one look to the next."""

from __future__ import annotations

import socket
from typing import Any

import aiohttp

__all__ = ["Rebinding"]


class Rebinding(aiohttp.abc.AbstractResolver):
    """Answers with each address once, and with the last one from then on."""

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)

    async def resolve(self, host: str, port: int = 0, family: Any = 0) -> list[aiohttp.abc.ResolveResult]:
        address = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return [
            {
                "hostname": host,
                "host": address,
                "port": port,
                "family": socket.AF_INET,
                "proto": 0,
                "flags": socket.AI_NUMERICHOST,
            }
        ]

    async def close(self) -> None:
        pass
