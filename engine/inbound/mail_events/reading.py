"""What the readers of providers' events have in common: a delivery as it came, and an event as it is handed on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["Delivery", "Item", "epoch", "is_fresh", "item", "moment", "part", "text"]

#: How old a delivery may be: providers try again for a day, and an event that is told twice is taken once.
_FRESH = timedelta(days=1)
_FUTURE = timedelta(minutes=5)
#: Events that may be about an address alone.
_OF_ADDRESSES = ("message.bounced", "message.complained", "message.unsubscribed")
_MARKS = ("campaign_id", "recipient_id", "touchpoint_id")

Item = dict[str, Any]
"""An event as `POST /v1/events` takes it."""


class Delivery(NamedTuple):
    """What a provider posted to a channel's address."""

    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes
    settings: Mapping[str, Any]
    """The channel's."""
    credentials: Mapping[str, Any]
    now: datetime
    certificate: bytes | None = None
    """Of its signer, where it names one (Amazon SNS), as PEM."""

    def secret(self, name: str) -> str | None:
        """A credential that is given."""
        found = self.credentials.get(name)
        return found if isinstance(found, str) and found else None

    def header(self, name: str) -> str:
        """A header; empty: there is none."""
        return self.headers.get(name, "")


def item(
    kind: str,
    event_id: Any,
    type_: str,
    at: datetime | None,
    marks: Any,
    address: Any,
    **more: Any,
) -> Iterator[Item]:
    """An event, if it says whom it is about.

    Args:
        kind: The channel's.
        marks: What the channel marked the message with, as the provider repeats it.
        more: Fields of the event; absent ones are None.
    """
    known = {name: part(marks, f"muster_{name}") for name in _MARKS}
    to = text(address, 320)
    about = known["campaign_id"] is not None and known["recipient_id"] is not None
    if event_id is None or not (about or (to is not None and type_ in _OF_ADDRESSES)):
        return
    found = {
        "id": f"{kind}:{event_id}"[:200],
        "type": type_,
        "at": None if at is None else at.isoformat(),
        "channel": kind,
        "address": to,
        **(known if about else {}),
        **more,
    }
    yield {name: value for name, value in found.items() if value is not None}


def text(value: Any, longest: int) -> str | None:
    """A text of one line, cut; None: it is none, or empty."""
    if not isinstance(value, str):
        return None
    return " ".join(value.replace("\0", " ").encode(errors="replace").decode().split())[:longest] or None


def part(value: Any, *path: str) -> Any:
    """What stands at a path; None when nothing does."""
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def epoch(value: Any) -> datetime | None:
    """An instant of seconds since 1970."""
    try:
        return datetime.fromtimestamp(float(value), UTC)
    except (TypeError, ValueError, OverflowError, OSError):
        return None


def moment(value: Any) -> datetime | None:
    """An instant of ISO 8601 with its offset."""
    try:
        at = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None
    return at if at.tzinfo is not None else None


def is_fresh(at: datetime | None, now: datetime) -> bool:
    """Whether a signature of that instant is still believed."""
    return at is not None and -_FUTURE <= now - at <= _FRESH
