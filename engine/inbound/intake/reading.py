"""From the bytes and headers of a message to reported events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from engine.inbound.cloudevents import binary_attributes
from engine.inbound.ingest import MOST
from engine.kernel.inputs import Invalid

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["LARGEST", "events_of"]

#: Bytes of a message.
LARGEST = 4 * 1024 * 1024


def events_of(body: bytes, headers: Mapping[str, str]) -> list[Any]:
    """The events in a message: one, or a list of at most `MOST`. Each is checked when it is taken.

    Raises:
        Invalid: it is no JSON, or too large.
    """
    if len(body) > LARGEST:
        raise Invalid("body", f"has {len(body)} bytes; at most {LARGEST} are read")
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Invalid("body", f"is no JSON: {error}") from None
    attributes = binary_attributes(headers)
    if attributes is not None:
        return [{**attributes, "data": value}]
    items = value if isinstance(value, list) else [value]
    if len(items) > MOST:
        raise Invalid("body", f"has {len(items)} events; at most {MOST} are taken at once")
    return items
