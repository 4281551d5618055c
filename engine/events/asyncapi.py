"""`make asyncapi` writes docs/asyncapi.json: events and commands as an AsyncAPI 3 document.

Made from `engine/events/names.py` and `engine/kernel/commands.py`. The shapes are those of `engine/events/payloads.py`
and `engine/kernel/wakeups.py`.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from config.version import version
from engine.events.names import AUDIT, EVENTS, RECIPIENT
from engine.kernel.commands import COMMANDS, QUEUES, Command

__all__ = ["document"]

_UUID = {"type": "string", "format": "uuid"}
_INSTANT = {"type": "string", "format": "date-time"}

_ABOUT: dict[str, Any] = {
    "type": "object",
    "description": "The campaign and the run that it is about, and the details of the event.",
    "properties": {"campaignId": _UUID, "jobId": _UUID},
}
_RECIPIENTS: dict[str, Any] = {
    "allOf": [
        {"$ref": "#/components/schemas/data"},
        {
            "type": "object",
            "required": ["recipients"],
            "properties": {
                "recipients": {
                    "type": "array",
                    "minItems": 1,
                    "maxItems": 100,
                    "items": {
                        "type": "object",
                        "required": ["recipientId"],
                        "properties": {
                            "recipientId": _UUID,
                            "touchpointId": _UUID,
                            "errorCode": {"type": "string"},
                            "error": {"type": "string"},
                            "channel": {"type": "string"},
                            "at": _INSTANT,
                            "details": {"type": "object"},
                        },
                    },
                }
            },
        },
    ]
}


def document() -> dict[str, Any]:
    """The document."""
    streamed = [name for name in EVENTS if not name.startswith(AUDIT)]
    queues = {queue: [command for command in COMMANDS if command.queue == queue] for queue in QUEUES}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Muster",
            "version": version(),
            "description": "The events that Muster sends, and the commands that wake its workers.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": {
            "webhook": {
                "address": None,
                "description": "A webhook's URL, by POST (docs/webhooks.md).",
                "messages": _references(EVENTS),
            },
            "stream": {
                "address": "/v1/events:stream",
                "description": "Server-sent events; the id of one is its place, for `Last-Event-ID`.",
                "messages": _references(streamed),
            },
            **{
                queue: {
                    "address": queue,
                    "description": "A queue of dramatiq, in Redis or RabbitMQ. A command says where work may be; to "
                    "lose, repeat or reorder one is harmless.",
                    "messages": _references([command.__name__ for command in commands]),
                }
                for queue, commands in queues.items()
            },
        },
        "operations": {
            "notify": {"action": "send", "channel": {"$ref": "#/channels/webhook"}},
            "stream": {"action": "send", "channel": {"$ref": "#/channels/stream"}},
            **{queue: {"action": "receive", "channel": {"$ref": f"#/channels/{queue}"}} for queue in QUEUES},
        },
        "components": {
            "messages": {name: _event(name, says) for name, says in EVENTS.items()}
            | {command.__name__: _command(command) for command in COMMANDS},
            "schemas": {"data": _ABOUT, "recipients": _RECIPIENTS},
        },
    }


def _references(names: Any) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/messages/{name}"} for name in names}


def _event(name: str, says: str) -> dict[str, Any]:
    data = "recipients" if name.startswith(RECIPIENT) else "data"
    return {
        "name": name,
        "summary": says,
        "payload": {
            "type": "object",
            "required": ["id", "type", "event", "timestamp", "data"],
            "properties": {
                "id": {"type": "string", "pattern": "^evt_[0-9]+$"},
                "type": {"const": name},
                "event": {"const": name},
                "timestamp": _INSTANT,
                "data": {"$ref": f"#/components/schemas/{data}"},
            },
        },
    }


def _command(command: type[Command]) -> dict[str, Any]:
    doc = command.__doc__ or ""
    given = command.model_json_schema()
    for name in ("title", "description"):
        given.pop(name, None)
    return {
        "name": command.actor,
        "summary": doc.strip().partition("\n")[0],
        "payload": {
            "type": "object",
            "description": "A message of dramatiq.",
            "required": [
                "queue_name",
                "actor_name",
                "args",
                "kwargs",
                "options",
                "message_id",
                "message_timestamp",
            ],
            "properties": {
                "queue_name": {"const": command.queue},
                "actor_name": {"const": command.actor},
                "args": {"type": "array", "maxItems": 0},
                "kwargs": given,
                "options": {"type": "object", "properties": {"traceparent": {"type": "string"}}},
                "message_id": _UUID,
                "message_timestamp": {"type": "integer", "description": "Milliseconds since 1970."},
            },
        },
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(document(), indent=2, ensure_ascii=False) + "\n")
