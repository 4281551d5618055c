"""Clients of one organization that want to stop the others: `python -m tests.attack.hostile --url U --key K …`.

Fifty of them, each busy with one thing until the time is up: bodies of millions of values, heads that never end,
templates that never end, filters without measure, streams and polls without number, imports that dawdle, credentials
that are made up. Prints how often each was answered what, as JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from uuid import uuid4

import httpx

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

__all__ = ["CLIENTS", "main"]

CLIENTS = 50
_NDJSON = {"content-type": "application/x-ndjson"}


class Attack:
    """What the clients share."""

    def __init__(self, url: str, key: str, campaign: str, seconds: float) -> None:
        self.url = url
        self.headers = {"authorization": f"Bearer {key}"}
        self.job = f"/v1/campaign/{campaign}/job"
        self.until = time.monotonic() + seconds
        self.told: Counter[str] = Counter()
        self.client = httpx.AsyncClient(base_url=url, headers=self.headers, timeout=30, limits=_ANY_NUMBER)

    async def run(self) -> None:
        kinds: list[Callable[[], Awaitable[Any]]] = [
            self.many_values, self.endless_head, self.endless_template, self.deep_parse, self.wide_filter,
            self.streams, self.polls, self.slow_import, self.kept_question, self.made_up_key,
        ]  # fmt: skip
        await asyncio.gather(*(self._repeat(kinds[number % len(kinds)]) for number in range(CLIENTS)))
        await self.client.aclose()

    async def _repeat(self, work: Callable[[], Awaitable[Any]]) -> None:
        while time.monotonic() < self.until:
            try:
                async with asyncio.timeout(max(0.1, self.until - time.monotonic())):
                    outcome = str(await work())
            except (httpx.TransportError, OSError, TimeoutError) as error:
                outcome = type(error).__name__
            self.told[f"{work.__name__} {outcome}"] += 1

    async def _post(self, path: str, **more: Any) -> int:
        return (await self.client.post(path, **more)).status_code

    async def many_values(self) -> int:
        return await self._post("/v1/target/queries", content=b"[" + b"1," * 4_000_000 + b"1]")

    async def endless_head(self) -> str:
        where = urlsplit(self.url)
        reader, writer = await asyncio.open_connection(where.hostname, where.port)
        try:
            writer.write(b"GET / HTTP/1.1\r\nhost: x\r\nx-long: " + b"x" * 200_000)
            await writer.drain()
            return (await reader.read(12)).decode("latin-1")[9:]
        finally:
            writer.close()

    async def endless_template(self) -> int:
        loop = "{% for i in (1..9999) %}" * 3 + "x" + "{% endfor %}" * 3
        return await self._post("/v1/template", json={"name": "t", "text": loop})

    async def deep_parse(self) -> int:
        given = {"name": "x", "type": "message", "message": "{{" * 10_000}
        return await self._post("/channel-service/v1/touchpoints/_validate", json=given)

    async def wide_filter(self) -> int:
        items = [{"key": f"k{n}", "operator": "CONTAINS", "value": "x" * 50} for n in range(100)]
        inner = [{"items": items, "combination": "OR"} for _ in range(100)]
        filters = {"filter": {"items": inner, "combination": "AND"}}
        return await self._post(
            "/v1/target", json={"name": "wide", "entity_schema": "contact", "entity_filters": filters}
        )

    async def streams(self) -> int:
        async with self.client.stream("GET", "/v1/events:stream") as answer:
            if answer.status_code == httpx.codes.OK:
                with suppress(TimeoutError):
                    async with asyncio.timeout(3):
                        await answer.aread()
            return answer.status_code

    async def polls(self) -> str:
        many = [self.client.get(self.job, headers={"prefer": "wait=5"}) for _ in range(60)]
        return str(sorted({answer.status_code for answer in await asyncio.gather(*many)}))

    async def slow_import(self) -> int:
        async def dawdle() -> Any:
            for _ in range(5):
                yield b'{"email": "a@x.example"}\n' * 20
                await asyncio.sleep(1)

        return await self._post("/v1/entity/contact:import", content=dawdle(), headers=_NDJSON)

    async def kept_question(self) -> int:
        key = {"idempotency-key": str(uuid4())}
        return await self._post("/v1/target:match", json={"entity_id": str(uuid4())}, headers=key)

    async def made_up_key(self) -> int:
        headers = {"authorization": f"Bearer mk_{uuid4()}"}
        return (await self.client.get("/v1/campaign", headers=headers)).status_code


_ANY_NUMBER = httpx.Limits(max_connections=None)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--url", required=True)
    parser.add_argument("--key", required=True)
    parser.add_argument("--campaign", required=True)
    parser.add_argument("--seconds", type=float, required=True)
    options = parser.parse_args()

    async def run() -> Counter[str]:
        attack = Attack(options.url, options.key, options.campaign, options.seconds)
        await attack.run()
        return attack.told

    print(json.dumps(asyncio.run(run())))  # noqa: T201


if __name__ == "__main__":
    main()
