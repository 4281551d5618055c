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
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import Protocol

    from muster_client.calls import Stream

    class Send(Protocol):
        """Makes a call."""

        def __call__(self, call: Call[S], idempotency_key: str | None = None) -> S: ...


__all__ = ["Campaigns", "Channels", "Collection", "Entities", "Targets"]

S = TypeVar("S")
T = TypeVar("T")

_PAGE = 1000
#: Seconds that one question about a job may be held back (docs/contract/own-routes.md).
_LONG_POLL = 60.0
_OVER = frozenset(("finished", "failed", "cancelled"))


def _pages(send: Send, call: Call[Page[T]]) -> Iterator[T]:
    """Every row of a list, page by page as they are asked for."""
    cursor: str | None = None
    while True:
        params = call.params if cursor is None else {**call.params, "next": cursor}
        page: Page[T] = send(Call(call.method, call.path, params))
        yield from page["results"]
        cursor = page["next"]
        if cursor is None:
            return


class _Resource:
    def __init__(self, send: Send) -> None:
        self._send = send


class Campaigns(_Resource):
    """Campaigns, their touchpoints, and what becomes of them. `body` may hold fields of your own; they come back."""

    def list(
        self,
        *,
        status: str | None = None,
        sort: str | None = None,
        limit: int | None = None,
        offset: int | None = None,
    ) -> CampaignList:
        """Campaigns, newest first; all of them up to 1,000, unless limited."""
        return self._send(calls.list_campaigns(status=status, sort=sort, limit=limit, offset=offset))

    def get(self, campaign_id: str) -> Campaign:
        """Raises NotFound."""
        return self._send(calls.get_campaign(campaign_id))

    def create(self, body: Mapping[str, Any], *, idempotency_key: str | None = None) -> Campaign:
        """A new campaign, as a draft: `{"name", "channel_type"?, "description"?}`."""
        return self._send(calls.create_campaign(body), idempotency_key)

    def update(
        self, campaign_id: str, body: Mapping[str, Any], *, idempotency_key: str | None = None
    ) -> Campaign:
        """Change the fields that are given."""
        return self._send(calls.update_campaign(campaign_id, body), idempotency_key)

    def delete(self, campaign_id: str, *, idempotency_key: str | None = None) -> None:
        """Delete a campaign with its touchpoints and recipients. Raises Conflict while it is being delivered."""
        self._send(calls.delete_campaign(campaign_id), idempotency_key)

    def list_touchpoints(
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
        return self._send(
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

    def get_touchpoint(self, touchpoint_id: str) -> Touchpoint:
        """Raises NotFound."""
        return self._send(calls.get_touchpoint(touchpoint_id))

    def create_touchpoint(self, body: Mapping[str, Any], *, idempotency_key: str | None = None) -> Touchpoint:
        """A step of a campaign: `{"name", "type", "campaign_id", "message" …}`; the last one, unless it says where."""
        return self._send(calls.create_touchpoint(body), idempotency_key)

    def update_touchpoint(
        self, touchpoint_id: str, body: Mapping[str, Any], *, idempotency_key: str | None = None
    ) -> Touchpoint:
        """Change the fields that are given, each as a whole."""
        return self._send(calls.update_touchpoint(touchpoint_id, body), idempotency_key)

    def delete_touchpoint(self, touchpoint_id: str, *, idempotency_key: str | None = None) -> None:
        """Take a step away."""
        self._send(calls.delete_touchpoint(touchpoint_id), idempotency_key)

    def validate_touchpoint(self, body: Mapping[str, Any]) -> Validation:
        """Whether `{"touchpoint_id": …}`, or a touchpoint that is not there yet, is fit to be activated."""
        return self._send(calls.validate_touchpoint(body))

    def configure(
        self, campaign_id: str, body: Mapping[str, Any], *, idempotency_key: str | None = None
    ) -> dict[str, Any]:
        """What the campaign runs by: `target_ids`, `flow_id`, `start_date`, `end_date`, `ends` …

        Answers with the campaign as the Targeting API shows it.
        """
        return self._send(calls.configure_campaign(campaign_id, body), idempotency_key)

    def activate(self, campaign_id: str, *, idempotency_key: str | None = None) -> StatusChanged:
        """Start delivering. Raises BadRequest with the `code` of the first rule that forbids it."""
        return self._send(calls.change_status(campaign_id, "active"), idempotency_key)

    def deactivate(self, campaign_id: str, *, idempotency_key: str | None = None) -> StatusChanged:
        """Stop delivering: those who were not reached are cancelled, until it is activated again."""
        return self._send(calls.change_status(campaign_id, "inactive"), idempotency_key)

    def pause(self, campaign_id: str, *, idempotency_key: str | None = None) -> Moved:
        """Hold the delivery within half a second: nobody is given up. Raises Conflict unless it is under way."""
        return (self._send(calls.move(campaign_id, "pause"), idempotency_key))["data"]

    def resume(self, campaign_id: str, *, idempotency_key: str | None = None) -> Moved:
        """Go on after a pause, where it stood. Raises Conflict unless it is paused."""
        return (self._send(calls.move(campaign_id, "resume"), idempotency_key))["data"]

    def job(self, campaign_id: str, *, wait: float = 0.0) -> JobStatus:
        """How far the campaign's job is; `wait`: seconds (60 at most) to hold the answer back until it is over."""
        return self._send(calls.job(campaign_id, wait=min(wait, _LONG_POLL)))

    def wait_for_job(
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
            status = self.job(campaign_id, wait=wait)
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
    ) -> Iterator[Recipient]:
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

    def retrigger(
        self, campaign_id: str, recipient_ids: Sequence[str], *, idempotency_key: str | None = None
    ) -> Retriggered:
        """Deliver again to those of them that failed."""
        return self._send(calls.retrigger(campaign_id, recipient_ids), idempotency_key)

    def email_stats(self, campaign_id: str) -> EmailStats:
        """What became of the campaign's e-mail."""
        return self._send(calls.email_stats(campaign_id))


class Collection(_Resource, Generic[T]):
    """Rows of one kind: targets, templates, channels, flows."""

    def __init__(self, send: Send, path: str) -> None:
        super().__init__(send)
        self._path = path

    def list(self, *, page_size: int = _PAGE) -> Iterator[T]:
        """All of them, newest first, a page at a time."""
        return _pages(self._send, calls.listed(self._path, limit=page_size))

    def get(self, key: str) -> T:
        """Raises NotFound."""
        row: T = self._send(calls.got(self._path, key))
        return row

    def create(self, body: Mapping[str, Any], *, idempotency_key: str | None = None) -> T:
        """A new one. Raises BadRequest, whose `field` says what is wrong."""
        row: T = self._send(calls.created(self._path, body), idempotency_key)
        return row

    def update(self, key: str, body: Mapping[str, Any], *, idempotency_key: str | None = None) -> T:
        """Change the fields that are given."""
        row: T = self._send(calls.updated(self._path, key, body), idempotency_key)
        return row

    def delete(self, key: str, *, idempotency_key: str | None = None) -> None:
        """Raises Conflict while something else needs it."""
        self._send(calls.deleted(self._path, key), idempotency_key)


class Targets(Collection[Target]):
    """Saved audiences."""

    def __init__(self, send: Send) -> None:
        super().__init__(send, "/v1/target")

    def count(self, target_id: str) -> int:
        """How many entities it lets through now."""
        return (self._send(calls.count_target(target_id)))["count"]


class Channels(Collection[Channel]):
    """Configured senders. Credentials go in and never come out."""

    def __init__(self, send: Send) -> None:
        super().__init__(send, "/v1/channel")

    def test(self, channel_id: str) -> Checked:
        """Whether its provider answers and accepts the credentials."""
        return self._send(calls.test_channel(channel_id))


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

    def list(self, schema: str, *, q: str | None = None, page_size: int = _PAGE) -> Iterator[Entity]:
        """All of a schema, a page at a time; with `q` in title or external id."""
        return _pages(self._send, calls.listed(calls.entities_path(schema), q=q, limit=page_size))

    def get(self, schema: str, entity_id: str) -> Entity:
        """Raises NotFound."""
        entity: Entity = self._send(calls.got(calls.entities_path(schema), entity_id))
        return entity

    def upsert(self, schema: str, body: Mapping[str, Any], *, idempotency_key: str | None = None) -> Entity:
        """Create one, or replace the one with this `_id` or `external_id`."""
        entity: Entity = self._send(calls.created(calls.entities_path(schema), body), idempotency_key)
        return entity

    def update(
        self, schema: str, entity_id: str, body: Mapping[str, Any], *, idempotency_key: str | None = None
    ) -> Entity:
        """Change the attributes that are given."""
        entity: Entity = self._send(
            calls.updated(calls.entities_path(schema), entity_id, body), idempotency_key
        )
        return entity

    def delete(self, schema: str, entity_id: str, *, idempotency_key: str | None = None) -> None:
        """What campaigns recorded of it stays."""
        self._send(calls.deleted(calls.entities_path(schema), entity_id), idempotency_key)

    def import_stream(
        self,
        schema: str,
        stream: Stream,
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
        return self._send(call, idempotency_key)
