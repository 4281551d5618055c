"""People and who of them is meant. `synchronous` is generated from `asynchronous` (`make client`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from muster_client.asynchronous.resource import PAGE, Collection, Resource, pages
from muster_client.calls import Call, given, part
from muster_client.types import (
    Count,
    Entity,
    Erasure,
    ImportResult,
    Page,
    PersonExport,
    Suppression,
    SuppressionImport,
    Target,
    TargetPreview,
    Topic,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from muster_client.asynchronous.resource import Send
    from muster_client.calls import AsyncStream

__all__ = ["Entities", "Suppressions", "Targets", "Topics"]

#: Seconds that the answer to a file may take beyond the client's timeout.
_IMPORT = 3600.0
_SUPPRESSION = "/v1/suppression"


def _schema(schema: str) -> str:
    return f"/v1/entity/{part(schema)}"


class Entities(Resource):
    """Contacts, contracts, or whatever their schema names."""

    def list(self, schema: str, *, q: str | None = None, page_size: int = PAGE) -> AsyncIterator[Entity]:
        """All of a schema, a page at a time; with `q` in title or external id."""
        call: Call[Page[Entity]] = Call("GET", _schema(schema), given(q=q, limit=page_size))
        return pages(self._send, call)

    async def get(self, schema: str, entity_id: str) -> Entity:
        """Raises NotFound."""
        call: Call[Entity] = Call("GET", f"{_schema(schema)}/{part(entity_id)}")
        return await self._send(call)

    async def upsert(
        self, schema: str, body: Mapping[str, Any], *, idempotency_key: str | None = None
    ) -> Entity:
        """Create one, or replace the one with this `_id` or `external_id`."""
        call: Call[Entity] = Call("POST", _schema(schema), json=body)
        return await self._send(call, idempotency_key)

    async def update(
        self, schema: str, entity_id: str, body: Mapping[str, Any], *, idempotency_key: str | None = None
    ) -> Entity:
        """Change the attributes that are given."""
        call: Call[Entity] = Call("PATCH", f"{_schema(schema)}/{part(entity_id)}", json=body)
        return await self._send(call, idempotency_key)

    async def delete(self, schema: str, entity_id: str, *, idempotency_key: str | None = None) -> None:
        """What campaigns recorded of it stays."""
        call: Call[None] = Call("DELETE", f"{_schema(schema)}/{part(entity_id)}")
        await self._send(call, idempotency_key)

    async def export(self, schema: str, entity_id: str) -> PersonExport:
        """Everything that is known of a person (docs/people.md). For an administrator's key."""
        call: Call[PersonExport] = Call("GET", f"{_schema(schema)}/{part(entity_id)}:export")
        return await self._send(call)

    async def erase(self, schema: str, entity_id: str, *, idempotency_key: str | None = None) -> Erasure:
        """Erase a person for good (docs/people.md). Asked again under a new key: how far it is.

        For an administrator's key.
        """
        call: Call[Erasure] = Call("POST", f"{_schema(schema)}/{part(entity_id)}:erase")
        return await self._send(call, idempotency_key)

    async def import_stream(
        self,
        schema: str,
        stream: AsyncStream,
        *,
        content_type: str = "text/csv",
        external_id: str | None = None,
        title: str | None = None,
        key: str | None = None,
        delimiter: str | None = None,
        decimal_comma: Sequence[str] | None = None,
        decimal_point: Sequence[str] | None = None,
        mode: str | None = None,
        idempotency_key: str | None = None,
    ) -> ImportResult:
        """Upsert the entities of a file of any size, in constant memory. A bad line never stops the good ones.

        Args:
            schema: What they are.
            stream: Bytes, a binary file, an iterable of bytes, or a function that begins one anew. Only bytes and a
                function can be sent again when the connection is lost.
            content_type: `text/csv`, `application/x-ndjson` or XLSX's.
            external_id: The column that identifies an entity.
            title: A template like `{First Name} {Last Name}`.
            key: Instead of `external_id`: the column whose value is looked for in the attribute of its name.
            delimiter: Of CSV; absent: it is found out.
            decimal_comma: Columns of numbers like `1.234,50`.
            decimal_point: Columns of numbers like `1,234.50`.
            mode: `merge`, the server's default: what a line does not name stays; `replace`: it goes.
            idempotency_key: Absent: a new one.
        """
        call: Call[ImportResult] = Call(
            "POST",
            f"{_schema(schema)}:import",
            given(
                external_id=external_id,
                title=title,
                key=key,
                delimiter=delimiter,
                decimal_comma=decimal_comma,
                decimal_point=decimal_point,
                mode=mode,
            ),
            stream=stream,
            headers={"content-type": content_type},
            patience=_IMPORT,
        )
        return await self._send(call, idempotency_key)


class Targets(Collection[Target]):
    """Saved audiences."""

    def __init__(self, send: Send) -> None:
        super().__init__(send, "/v1/target")

    async def count(self, target_id: str) -> int:
        """How many entities it lets through now."""
        call: Call[Count] = Call("POST", f"{self._one(target_id)}:count", asks=True)
        return (await self._send(call))["count"]

    async def preview(self, target_id: str) -> TargetPreview:
        """How many it lets through now, and what is odd about their data."""
        call: Call[TargetPreview] = Call("POST", f"{self._one(target_id)}:preview", asks=True)
        return await self._send(call)


class Topics(Collection[Topic]):
    """Kinds of messages that people may opt out of (docs/consent.md)."""

    def __init__(self, send: Send) -> None:
        super().__init__(send, "/v1/topic")


class Suppressions(Resource):
    """Addresses that must not be used."""

    def list(
        self,
        *,
        address: str | None = None,
        medium: str | None = None,
        channel_kind: str | None = None,
        page_size: int = PAGE,
    ) -> AsyncIterator[Suppression]:
        """All of them, newest first, a page at a time; `address` in any spelling, with its `medium`."""
        params = given(address=address, medium=medium, channel_kind=channel_kind, limit=page_size)
        call: Call[Page[Suppression]] = Call("GET", _SUPPRESSION, params)
        return pages(self._send, call)

    async def add(self, body: Mapping[str, Any], *, idempotency_key: str | None = None) -> Suppression:
        """Put an address on the list: `{"address", "medium" or "channel_kind", "reason"?, "campaign_id"?}`."""
        call: Call[Suppression] = Call("POST", _SUPPRESSION, json=body)
        return await self._send(call, idempotency_key)

    async def remove(self, suppression_id: str, *, idempotency_key: str | None = None) -> None:
        """Take an address off the list."""
        call: Call[None] = Call("DELETE", f"{_SUPPRESSION}/{part(suppression_id)}")
        await self._send(call, idempotency_key)

    async def import_stream(
        self, stream: AsyncStream, *, idempotency_key: str | None = None
    ) -> SuppressionImport:
        """Add the addresses of a CSV file: `address`, with `medium` or `channel_kind`, `reason?`, `campaign_id?`.

        `stream` is as in `entity.import_stream`.
        """
        headers = {"content-type": "text/csv"}
        call: Call[SuppressionImport] = Call(
            "POST", f"{_SUPPRESSION}:import", stream=stream, headers=headers, patience=_IMPORT
        )
        return await self._send(call, idempotency_key)

    async def export(self) -> str:
        """The whole list as CSV, in the form that `import_stream` takes."""
        call: Call[str] = Call("GET", f"{_SUPPRESSION}:export", headers={"accept": "text/csv"})
        return await self._send(call)
