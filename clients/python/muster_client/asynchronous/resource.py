"""What the nouns of a client have in common. `synchronous` is generated from `asynchronous` (`make client`)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from muster_client.calls import Call, given, part

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from typing import Protocol

    from muster_client.types import Page

    class Send(Protocol):
        """Makes a call."""

        async def __call__(self, call: Call[S], idempotency_key: str | None = None) -> S: ...


__all__ = ["PAGE", "Collection", "Resource", "pages"]

S = TypeVar("S")
T = TypeVar("T")

#: Rows that a list reads at once, unless it is given another `page_size`.
PAGE = 1000


async def pages(send: Send, call: Call[Page[T]]) -> AsyncIterator[T]:
    """Every row of a list, page by page as they are asked for."""
    cursor: str | None = None
    while True:
        params = call.params if cursor is None else {**call.params, "next": cursor}
        page: Page[T] = await send(replace(call, params=params))
        for row in page["results"]:
            yield row
        cursor = page["next"]
        if cursor is None:
            return


class Resource:
    """One noun of a client."""

    def __init__(self, send: Send) -> None:
        self._send = send


class Collection(Resource, Generic[T]):
    """Rows of one kind: targets, templates, channels, flows."""

    def __init__(self, send: Send, path: str) -> None:
        super().__init__(send)
        self._path = path

    def _one(self, key: str) -> str:
        return f"{self._path}/{part(key)}"

    def list(self, *, page_size: int = PAGE) -> AsyncIterator[T]:
        """All of them, newest first, a page at a time."""
        return pages(self._send, Call("GET", self._path, given(limit=page_size)))

    async def get(self, key: str) -> T:
        """Raises NotFound."""
        call: Call[T] = Call("GET", self._one(key))
        return await self._send(call)

    async def create(self, body: Mapping[str, Any], *, idempotency_key: str | None = None) -> T:
        """A new one. Raises BadRequest, whose `field` says what is wrong."""
        call: Call[T] = Call("POST", self._path, json=body)
        return await self._send(call, idempotency_key)

    async def update(self, key: str, body: Mapping[str, Any], *, idempotency_key: str | None = None) -> T:
        """Change the fields that are given."""
        call: Call[T] = Call("PATCH", self._one(key), json=body)
        return await self._send(call, idempotency_key)

    async def delete(self, key: str, *, idempotency_key: str | None = None) -> None:
        """Raises Conflict while something else needs it."""
        call: Call[None] = Call("DELETE", self._one(key))
        await self._send(call, idempotency_key)
