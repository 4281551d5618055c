"""The methods of a client, by noun. `synchronous` is generated from `asynchronous` (`make client`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

from muster_client import calls
from muster_client.calls import Call
from muster_client.types import (
    Campaign,
    CampaignList,
    Channel,
    Checked,
    EmailStats,
    Entity,
    Flow,
    ImportResult,
    JobStatus,
    Moved,
    Page,
    Recipient,
    Retriggered,
    StatusChanged,
    Target,
    Template,
    Touchpoint,
    TouchpointList,
    Validation,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence
    from typing import Protocol

    from muster_client.calls import AsyncStream

    class Send(Protocol):
        """Makes a call."""

        async def __call__(self, call: Call[S], idempotency_key: str | None = None) -> S: ...


__all__ = ["Campaigns", "Channels", "Collection", "Entities", "Targets"]

S = TypeVar("S")
T = TypeVar("T")

_PAGE = 1000
#: Seconds that one question about a job may be held back (docs/contract/own-routes.md).
_LONG_POLL = 60.0
_OVER = frozenset(("finished", "failed", "cancelled"))


async def _pages(send: Send, call: Call[Page[T]]) -> AsyncIterator[T]:
    """Every row of a list, page by page as they are asked for."""
    cursor: str | None = None
    while True:
        params = call.params if cursor is None else {**call.params, "next": cursor}
        page: Page[T] = await send(Call(call.method, call.path, params))
        for row in page["results"]:
            yield row
        cursor = page["next"]
        if cursor is None:
            return


class _Resource:
    def __init__(self, send: Send) -> None:
        self._send = send


class Campaigns(_Resource):
    """Campaigns, their touchpoints, and what becomes of them. `body` may hold fields of your own; they come back."""

    async def list(
        self,
        *,
        status: str | None = None,
        sort: str | None = None,
        limit: int | None = None,
        offset: int | None = None,
    ) -> CampaignList:
        """Campaigns, newest first; all of them up to 1,000, unless limited."""
        return await self._send(calls.list_campaigns(status=status, sort=sort, limit=limit, offset=offset))

    async def get(self, campaign_id: str) -> Campaign:
        """Raises NotFound."""
        return await self._send(calls.get_campaign(campaign_id))

    async def create(self, body: Mapping[str, Any], *, idempotency_key: str | None = None) -> Campaign:
        """A new campaign, as a draft: `{"name", "channel_type"?, "description"?}`."""
        return await self._send(calls.create_campaign(body), idempotency_key)

    async def update(
        self, campaign_id: str, body: Mapping[str, Any], *, idempotency_key: str | None = None
    ) -> Campaign:
        """Change the fields that are given."""
        return await self._send(calls.update_campaign(campaign_id, body), idempotency_key)

    async def delete(self, campaign_id: str, *, idempotency_key: str | None = None) -> None:
        """Delete a campaign with its touchpoints and recipients. Raises Conflict while it is being delivered."""
        await self._send(calls.delete_campaign(campaign_id), idempotency_key)

    async def list_touchpoints(
        self,
        *,
        campaign_id: str | None = None,
        channel_id: str | None = None,
        status: str | None = None,
        is_archived: bool | None = None,
        sort: str | None = None,
        limit: int | None = None,
        offset: int | None = None,
    ) -> TouchpointList:
        """Touchpoints, newest first; `sort="position"` is the order in which they are run."""
        return await self._send(
            calls.list_touchpoints(
                campaign_id=campaign_id,
                channel_id=channel_id,
                status=status,
                is_archived=is_archived,
                sort=sort,
                limit=limit,
                offset=offset,
            )
        )

    async def get_touchpoint(self, touchpoint_id: str) -> Touchpoint:
        """Raises NotFound."""
        return await self._send(calls.get_touchpoint(touchpoint_id))

    async def create_touchpoint(
        self, body: Mapping[str, Any], *, idempotency_key: str | None = None
    ) -> Touchpoint:
        """A step of a campaign: `{"name", "type", "campaign_id", "message" …}`; the last one, unless it says where."""
        return await self._send(calls.create_touchpoint(body), idempotency_key)

    async def update_touchpoint(
        self, touchpoint_id: str, body: Mapping[str, Any], *, idempotency_key: str | None = None
    ) -> Touchpoint:
        """Change the fields that are given, each as a whole."""
        return await self._send(calls.update_touchpoint(touchpoint_id, body), idempotency_key)

    async def delete_touchpoint(self, touchpoint_id: str, *, idempotency_key: str | None = None) -> None:
        """Take a step away."""
        await self._send(calls.delete_touchpoint(touchpoint_id), idempotency_key)

    async def validate_touchpoint(self, body: Mapping[str, Any]) -> Validation:
        """Whether `{"touchpoint_id": …}`, or a touchpoint that is not there yet, is fit to be activated."""
        return await self._send(calls.validate_touchpoint(body))

    async def configure(
        self, campaign_id: str, body: Mapping[str, Any], *, idempotency_key: str | None = None
    ) -> dict[str, Any]:
        """What the campaign runs by: `target_ids`, `flow_id`, `start_date`, `end_date`, `ends` …

        Answers with the campaign as the Targeting API shows it.
        """
        return await self._send(calls.configure_campaign(campaign_id, body), idempotency_key)

    async def activate(self, campaign_id: str, *, idempotency_key: str | None = None) -> StatusChanged:
        """Start delivering. Raises BadRequest with the `code` of the first rule that forbids it."""
        return await self._send(calls.change_status(campaign_id, "active"), idempotency_key)

    async def deactivate(self, campaign_id: str, *, idempotency_key: str | None = None) -> StatusChanged:
        """Stop delivering: those who were not reached are cancelled, until it is activated again."""
        return await self._send(calls.change_status(campaign_id, "inactive"), idempotency_key)

    async def pause(self, campaign_id: str, *, idempotency_key: str | None = None) -> Moved:
        """Hold the delivery within half a second: nobody is given up. Raises Conflict unless it is under way."""
        return (await self._send(calls.move(campaign_id, "pause"), idempotency_key))["data"]

    async def resume(self, campaign_id: str, *, idempotency_key: str | None = None) -> Moved:
        """Go on after a pause, where it stood. Raises Conflict unless it is paused."""
        return (await self._send(calls.move(campaign_id, "resume"), idempotency_key))["data"]

    async def job(self, campaign_id: str, *, wait: float = 0.0) -> JobStatus:
        """How far the campaign's job is; `wait`: seconds (60 at most) to hold the answer back until it is over."""
        return await self._send(calls.job(campaign_id, wait=min(wait, _LONG_POLL)))

    async def wait_for_job(
        self,
        campaign_id: str,
        *,
        seconds: float | None = None,
        seen: Callable[[JobStatus], object] | None = None,
    ) -> JobStatus:
        """Wait until the campaign's job is over, without asking more often than once a minute.

        Args:
            seconds: How long to wait at most; absent: as long as it takes.
            seen: Called with every answer.

        Returns:
            The last answer. When the time was up, its status says how far the job is; a campaign without a job has
            none, and is answered at once.
        """
        left = seconds
        while True:
            wait = _LONG_POLL if left is None else min(left, _LONG_POLL)
            status = await self.job(campaign_id, wait=wait)
            if seen is not None:
                seen(status)
            left = None if left is None else left - _LONG_POLL
            if status.get("status") in (None, *_OVER) or (left is not None and left <= 0):
                return status

    def recipients(
        self,
        campaign_id: str,
        *,
        automation_status: Sequence[str] = (),
        portal_status: str | None = None,
        email_status: str | None = None,
        q: str | None = None,
        page_size: int = _PAGE,
    ) -> AsyncIterator[Recipient]:
        """The campaign's recipients, all of them, a page at a time."""
        call = calls.recipients(
            campaign_id,
            automation_status=automation_status,
            portal_status=portal_status,
            email_status=email_status,
            q=q,
            limit=page_size,
        )
        return _pages(self._send, call)

    async def retrigger(
        self, campaign_id: str, recipient_ids: Sequence[str], *, idempotency_key: str | None = None
    ) -> Retriggered:
        """Deliver again to those of them that failed."""
        return await self._send(calls.retrigger(campaign_id, recipient_ids), idempotency_key)

    async def email_stats(self, campaign_id: str) -> EmailStats:
        """What became of the campaign's e-mail."""
        return await self._send(calls.email_stats(campaign_id))


class Collection(_Resource, Generic[T]):
    """Rows of one kind: targets, templates, channels, flows."""

    def __init__(self, send: Send, path: str) -> None:
        super().__init__(send)
        self._path = path

    def list(self, *, page_size: int = _PAGE) -> AsyncIterator[T]:
        """All of them, newest first, a page at a time."""
        return _pages(self._send, calls.listed(self._path, limit=page_size))

    async def get(self, key: str) -> T:
        """Raises NotFound."""
        row: T = await self._send(calls.got(self._path, key))
        return row

    async def create(self, body: Mapping[str, Any], *, idempotency_key: str | None = None) -> T:
        """A new one. Raises BadRequest, whose `field` says what is wrong."""
        row: T = await self._send(calls.created(self._path, body), idempotency_key)
        return row

    async def update(self, key: str, body: Mapping[str, Any], *, idempotency_key: str | None = None) -> T:
        """Change the fields that are given."""
        row: T = await self._send(calls.updated(self._path, key, body), idempotency_key)
        return row

    async def delete(self, key: str, *, idempotency_key: str | None = None) -> None:
        """Raises Conflict while something else needs it."""
        await self._send(calls.deleted(self._path, key), idempotency_key)


class Targets(Collection[Target]):
    """Saved audiences."""

    def __init__(self, send: Send) -> None:
        super().__init__(send, "/v1/target")

    async def count(self, target_id: str) -> int:
        """How many entities it lets through now."""
        return (await self._send(calls.count_target(target_id)))["count"]


class Channels(Collection[Channel]):
    """Configured senders. Credentials go in and never come out."""

    def __init__(self, send: Send) -> None:
        super().__init__(send, "/v1/channel")

    async def test(self, channel_id: str) -> Checked:
        """Whether its provider answers and accepts the credentials."""
        return await self._send(calls.test_channel(channel_id))


class Flows(Collection[Flow]):
    """Automation flows."""

    def __init__(self, send: Send) -> None:
        super().__init__(send, "/v1/flow")


class Templates(Collection[Template]):
    """Message templates."""

    def __init__(self, send: Send) -> None:
        super().__init__(send, "/v1/template")


class Entities(_Resource):
    """Contacts, contracts, or whatever their schema names."""

    def list(self, schema: str, *, q: str | None = None, page_size: int = _PAGE) -> AsyncIterator[Entity]:
        """All of a schema, a page at a time; with `q` in title or external id."""
        return _pages(self._send, calls.listed(calls.entities_path(schema), q=q, limit=page_size))

    async def get(self, schema: str, entity_id: str) -> Entity:
        """Raises NotFound."""
        entity: Entity = await self._send(calls.got(calls.entities_path(schema), entity_id))
        return entity

    async def upsert(
        self, schema: str, body: Mapping[str, Any], *, idempotency_key: str | None = None
    ) -> Entity:
        """Create one, or replace the one with this `_id` or `external_id`."""
        entity: Entity = await self._send(calls.created(calls.entities_path(schema), body), idempotency_key)
        return entity

    async def update(
        self, schema: str, entity_id: str, body: Mapping[str, Any], *, idempotency_key: str | None = None
    ) -> Entity:
        """Change the attributes that are given."""
        entity: Entity = await self._send(
            calls.updated(calls.entities_path(schema), entity_id, body), idempotency_key
        )
        return entity

    async def delete(self, schema: str, entity_id: str, *, idempotency_key: str | None = None) -> None:
        """What campaigns recorded of it stays."""
        await self._send(calls.deleted(calls.entities_path(schema), entity_id), idempotency_key)

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
        call = calls.import_entities(
            schema,
            stream,
            content_type=content_type,
            external_id=external_id,
            title=title,
            key=key,
            delimiter=delimiter,
            decimal_comma=decimal_comma,
            decimal_point=decimal_point,
            mode=mode,
        )
        return await self._send(call, idempotency_key)
