"""The stream of events over several connections, without a network."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest

from muster_client import BadRequest, ConnectionFailed, Retries
from tests.client.kit import Lines

if TYPE_CHECKING:
    from tests.client.kit import World

LOST = httpx.ReadError("gone")


def _event(position: int, name: str = "campaign.started") -> tuple[str, ...]:
    data = f'{{"id": "evt_{position}", "event": "{name}", "timestamp": "", "data": {{}}}}'
    return (f"id: {position}", f"event: {name}", f"data: {data}", "")


def test_a_lost_connection_goes_on_behind_the_last_event(world: World) -> None:
    face, script = world(
        (200, Lines("retry: 3000", "", *_event(7), ": here", "", "id: 8", LOST)),
        LOST,
        (200, Lines(*_event(8))),
        (200, Lines(*_event(9))),
    )
    events = face.first(3, "event.listen", "campaign.*")
    assert [event["position"] for event in events] == ["7", "8", "9"]
    assert events[0]["id"] == "evt_7"
    assert [request.headers.get("last-event-id") for request in script.requests] == [None, "7", "7", "8"]
    assert {request.url.params["events"] for request in script.requests} == {"campaign.*"}
    # As long as the server asked for after each stream that ended, and as before any call after an attempt that failed.
    assert world.clock.slept == [3.0, 0.5, 3.0]


def test_it_begins_where_it_is_asked_to(world: World) -> None:
    face, script = world((200, Lines(*_event(1))))
    assert face.first(1, "event.listen", after="0")[0]["position"] == "1"
    assert script.requests[0].headers["last-event-id"] == "0"
    assert script.requests[0].headers["accept"] == "text/event-stream"
    assert "events" not in script.requests[0].url.params


def test_a_stream_that_was_reached_has_all_its_attempts_again(world: World) -> None:
    answers = [answer for n in range(5) for answer in (LOST, (200, Lines(*_event(n), LOST)))]
    face, _ = world(*answers, retries=Retries(attempts=2))
    assert [event["id"] for event in face.first(5, "event.listen")] == [f"evt_{n}" for n in range(5)]
    face, script = world(LOST, retries=Retries(attempts=2))
    with pytest.raises(ConnectionFailed):
        face.first(1, "event.listen")
    assert len(script.requests) == 2


def test_a_refusal_is_raised(world: World) -> None:
    face, script = world((400, {"message": "events[0]: 'x' is no event"}))
    with pytest.raises(BadRequest) as refused:
        face.first(1, "event.listen", "x")
    assert (refused.value.field, len(script.requests)) == ("events[0]", 1)
