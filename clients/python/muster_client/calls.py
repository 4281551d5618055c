"""Every call as a value: what is sent, and whether it may be sent again. Nothing in here touches the network."""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from muster_client.types import (
        Campaign,
        CampaignList,
        Checked,
        Count,
        EmailStats,
        ImportResult,
        JobStatus,
        MoveAnswer,
        Page,
        Recipient,
        Retriggered,
        StatusChanged,
        Touchpoint,
        TouchpointList,
        Validation,
    )

__all__ = ["AsyncStream", "Call", "Stream"]

T = TypeVar("T")

_IMBRACE = "/channel-service/v1"
_READS = frozenset(("GET", "HEAD"))

#: A body: whole, or in pieces (a binary file is such); a function that begins it anew makes it repeatable.
Stream = bytes | Iterable[bytes] | Callable[[], Iterable[bytes]]
#: What an `AsyncMuster` takes besides.
AsyncStream = Stream | AsyncIterable[bytes] | Callable[[], AsyncIterable[bytes]]


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """One call, whose answer is a T."""

    method: str
    path: str
    params: Mapping[str, Any] = field(default_factory=dict)
    json: Any = None
    stream: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    patience: float = 0.0
    """Seconds that the answer may take beyond the client's timeout: how long it was asked to wait."""
    asks: bool = False
    """It is posted and changes nothing."""

    @property
    def mutates(self) -> bool:
        """Whether it needs a key to be repeated."""
        return self.method not in _READS and not self.asks

    @property
    def repeatable(self) -> bool:
        """Whether its body can be sent again."""
        return self.stream is None or isinstance(self.stream, bytes) or callable(self.stream)


def part(key: str) -> str:
    """An id as a part of a path.

    Raises:
        ValueError: it is empty, and would address a list instead.
    """
    text = str(key)
    if not text.strip("."):
        raise ValueError(f"{text!r} is no id")
    return quote(text, safe="")


def given(**params: Any) -> dict[str, Any]:
    """The parameters that are not None."""
    return {name: value for name, value in params.items() if value is not None}


# Campaigns and touchpoints: docs/contract/imbrace.md


def list_campaigns(**params: Any) -> Call[CampaignList]:
    return Call("GET", f"{_IMBRACE}/campaign", given(**params))


def get_campaign(campaign_id: str) -> Call[Campaign]:
    return Call("GET", f"{_IMBRACE}/campaign/{part(campaign_id)}")


def create_campaign(body: Mapping[str, Any]) -> Call[Campaign]:
    return Call("POST", f"{_IMBRACE}/campaign", json=body)


def update_campaign(campaign_id: str, body: Mapping[str, Any]) -> Call[Campaign]:
    return Call("PUT", f"{_IMBRACE}/campaign/{part(campaign_id)}", json=body)


def delete_campaign(campaign_id: str) -> Call[None]:
    return Call("DELETE", f"{_IMBRACE}/campaign/{part(campaign_id)}")


def list_touchpoints(**params: Any) -> Call[TouchpointList]:
    return Call("GET", f"{_IMBRACE}/touchpoints", given(**params))


def get_touchpoint(touchpoint_id: str) -> Call[Touchpoint]:
    return Call("GET", f"{_IMBRACE}/touchpoints/{part(touchpoint_id)}")


def create_touchpoint(body: Mapping[str, Any]) -> Call[Touchpoint]:
    return Call("POST", f"{_IMBRACE}/touchpoints", json=body)


def update_touchpoint(touchpoint_id: str, body: Mapping[str, Any]) -> Call[Touchpoint]:
    return Call("PUT", f"{_IMBRACE}/touchpoints/{part(touchpoint_id)}", json=body)


def delete_touchpoint(touchpoint_id: str) -> Call[None]:
    return Call("DELETE", f"{_IMBRACE}/touchpoints/{part(touchpoint_id)}")


def validate_touchpoint(body: Mapping[str, Any]) -> Call[Validation]:
    return Call("POST", f"{_IMBRACE}/touchpoints/_validate", json=body, asks=True)


# What a campaign does (docs/contract/targeting.md, own-routes.md)


def configure_campaign(campaign_id: str, body: Mapping[str, Any]) -> Call[dict[str, Any]]:
    return Call("PATCH", f"/v1/campaign/{part(campaign_id)}", json=body)


def change_status(campaign_id: str, status: str) -> Call[StatusChanged]:
    return Call("POST", f"/v1/campaign/{part(campaign_id)}/status", json={"status": status})


def move(campaign_id: str, verb: str) -> Call[MoveAnswer]:
    return Call("POST", f"/api/v1/campaigns/{part(campaign_id)}/{verb}")


def job(campaign_id: str, *, wait: float) -> Call[JobStatus]:
    seconds = int(wait)
    headers = {"prefer": f"wait={seconds}"} if seconds else {}
    return Call("GET", f"/v1/campaign/{part(campaign_id)}/job", headers=headers, patience=wait)


def recipients(
    campaign_id: str,
    *,
    automation_status: Sequence[str],
    portal_status: str | None,
    email_status: str | None,
    q: str | None,
    limit: int,
) -> Call[Page[Recipient]]:
    params = given(portal_status=portal_status, email_status=email_status, q=q, limit=limit)
    if automation_status:
        params["automation_status"] = list(automation_status)
    return Call("GET", f"/v1/campaign/{part(campaign_id)}/recipients", params)


def retrigger(campaign_id: str, recipient_ids: Sequence[str]) -> Call[Retriggered]:
    path = f"/v1/campaign/{part(campaign_id)}/automations:retrigger"
    return Call("POST", path, json={"recipient_ids": [str(one) for one in recipient_ids]})


def email_stats(campaign_id: str) -> Call[EmailStats]:
    return Call("GET", f"/v1/campaign/{part(campaign_id)}/email-stats")


# Rows that campaigns are made of (docs/contract/own-routes.md)


def listed(path: str, **params: Any) -> Call[Page[Any]]:
    return Call("GET", path, given(**params))


def created(path: str, body: Mapping[str, Any]) -> Call[Any]:
    return Call("POST", path, json=body)


def got(path: str, key: str) -> Call[Any]:
    return Call("GET", f"{path}/{part(key)}")


def updated(path: str, key: str, body: Mapping[str, Any]) -> Call[Any]:
    return Call("PATCH", f"{path}/{part(key)}", json=body)


def deleted(path: str, key: str) -> Call[None]:
    return Call("DELETE", f"{path}/{part(key)}")


def count_target(target_id: str) -> Call[Count]:
    return Call("POST", f"/v1/target/{part(target_id)}:count", asks=True)


def test_channel(channel_id: str) -> Call[Checked]:
    return Call("POST", f"/v1/channel/{part(channel_id)}:test", asks=True)


def entities_path(schema: str) -> str:
    return f"/v1/entity/{part(schema)}"


def import_entities(
    schema: str,
    stream: Any,
    *,
    content_type: str,
    **columns: Any,
) -> Call[ImportResult]:
    return Call(
        "POST",
        f"{entities_path(schema)}:import",
        given(**columns),
        stream=stream,
        headers={"content-type": content_type},
        patience=3600.0,
    )
