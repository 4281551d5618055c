"""What a webhook and the live stream say of an event: `{id, type, event, timestamp, data}`.

`event` is the field of docs/contract/campaigns-api.md, `type` the same in Standard Webhooks.

Built from the event's row alone, so that every attempt, and every listener, is given the same bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

__all__ = ["event_key", "instant", "payload"]


def event_key(event_id: int) -> str:
    """An event's id as receivers get it: the same over all attempts, webhooks and redeliveries."""
    return f"evt_{event_id}"


def payload(
    event_id: int,
    name: str,
    created_at: datetime,
    *,
    campaign_id: UUID | None,
    job_id: UUID | None,
    data: dict[str, Any],
) -> bytes:
    """The JSON that is sent."""
    about: dict[str, Any] = {}
    if campaign_id is not None:
        about["campaignId"] = str(campaign_id)
    if job_id is not None:
        about["jobId"] = str(job_id)
    said = {_camel(key): _renamed(value) for key, value in data.items()}
    return orjson.dumps(
        {
            "id": event_key(event_id),
            "type": name,
            "event": name,
            "timestamp": instant(created_at),
            "data": about | said,
        }
    )


def instant(at: datetime) -> str:
    """ISO 8601 in UTC with milliseconds."""
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _camel(key: str) -> str:
    first, *rest = key.split("_")
    return first + "".join(part.capitalize() for part in rest)


def _renamed(value: Any) -> Any:
    """Lists of objects have their names put right as well; objects keep theirs, which may be anybody's."""
    if isinstance(value, list):
        return [
            {_camel(key): inner for key, inner in item.items()} if isinstance(item, dict) else item
            for item in value
        ]
    return value
