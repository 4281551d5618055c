"""CloudEvents 1.0 as reported events: https://github.com/cloudevents/spec, structured, batched and binary.

`data` holds the fields of the event, `time` is its `at`. `type` is one of ours, or ends with one behind a name of your
own: `com.example.shop.conversion`. Two events are the same when `source` and `id` are.
"""

from __future__ import annotations

import base64
import binascii
from hashlib import sha256
from typing import TYPE_CHECKING, Any, TypeGuard

import orjson

from engine.inbound.reported_events import TYPES
from engine.kernel.inputs import Invalid

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["binary_attributes", "is_cloud_event", "read_cloud_event"]

#: What precedes an attribute in headers: of HTTP and NATS, of Kafka, of AMQP (two spellings).
_PREFIXES = ("ce-", "ce_", "cloudevents:", "cloudevents_")
_REQUIRED = ("id", "source", "type")
_LONGEST_ID = 200


def is_cloud_event(value: Any) -> TypeGuard[Mapping[str, Any]]:
    """Whether a JSON value is an event in structured mode."""
    return isinstance(value, dict) and "specversion" in value


def binary_attributes(headers: Mapping[str, str]) -> dict[str, str] | None:
    """The attributes of an event in binary mode; None: it is none."""
    found = {}
    for name, value in headers.items():
        lower = name.lower()
        prefix = next((one for one in _PREFIXES if lower.startswith(one)), None)
        if prefix is not None:
            found[lower.removeprefix(prefix)] = value
    return found if "specversion" in found else None


def read_cloud_event(event: Mapping[str, Any]) -> dict[str, Any]:
    """The reported event (engine.inbound.reported_events) that it is.

    Raises:
        Invalid: names the attribute.
    """
    version = event.get("specversion")
    if version != "1.0":
        raise Invalid("specversion", f"{str(version)[:20]!r} is not 1.0")
    for name in _REQUIRED:
        if not isinstance(event.get(name), str) or not event[name]:
            raise Invalid(name, "is required, as a text")
    item = {**_data(event), "id": _id(event["source"], event["id"]), "type": _type(event["type"])}
    if event.get("time") is not None:
        item["at"] = event["time"]
    return item


def _id(source: str, key: str) -> str:
    together = f"{source} {key}"
    return together if len(together) <= _LONGEST_ID else sha256(together.encode()).hexdigest()


def _type(name: str) -> str:
    return next((one for one in TYPES if name.endswith(f".{one}")), name)


def _data(event: Mapping[str, Any]) -> dict[str, Any]:
    data = event.get("data")
    if data is None and "data_base64" in event:
        try:
            data = orjson.loads(base64.b64decode(event["data_base64"], validate=True))
        except (TypeError, binascii.Error, orjson.JSONDecodeError):
            raise Invalid("data_base64", "is no JSON in base64") from None
    if not isinstance(data, dict):
        raise Invalid("data", "must be an object: the fields of the event")
    return data
