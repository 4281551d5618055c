"""When a call is made again, and what is raised when it is not: over a transport that does as it is told."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

import muster_client as errors
from muster_client.retries import Retries, seconds_of
from tests.client.kit import AwaitedFace, Face, World

GOOD = (200, {"_id": "1"})
BUSY = (503, {"message": "busy"})
LOST = httpx.ReadError("gone")


@pytest.mark.parametrize(
    "trouble", [BUSY, (429, {}), (502, {}), (504, {}), LOST, httpx.ConnectTimeout("slow")]
)
@pytest.mark.parametrize("mutates", [False, True])
def test_what_is_safe_is_tried_again_under_the_same_key(world: World, trouble: Any, mutates: bool) -> None:
    face, script = world(trouble, trouble, GOOD)
    if mutates:
        assert face("campaign.create", {"name": "x"}) == {"_id": "1"}
        assert len(set(script.keys)) == 1
        assert len(str(script.keys[0])) == 32
        assert {json.loads(body)["name"] for body in script.bodies} == {"x"}
    else:
        assert face("campaign.get", "1") == {"_id": "1"}
        assert script.keys == [None] * 3
    assert len(script.requests) == 3
    assert world.clock.slept == [0.5, 1.0]


def test_every_mutation_has_a_key_of_its_own_or_the_callers(world: World) -> None:
    face, script = world(GOOD)
    face("campaign.create", {})
    face("campaign.create", {})
    face("target.delete", "1", idempotency_key="mine")
    face("campaign.validate_touchpoint", {})
    assert len(set(script.keys[:2])) == 2
    assert script.keys[2:] == ["mine", None]


def test_the_server_says_when_to_come_back(world: World) -> None:
    face, _ = world((429, {}, ("retry-after", "7")), (503, {}, ("retry-after", "soon")), GOOD)
    face("campaign.get", "1")
    assert world.clock.slept == [7.5, 1.0]
    assert seconds_of("Thu, 01 Jan 1970 00:01:40 GMT", lambda: 40.0) == 60.0
    assert seconds_of("Thu, 01 Jan 1970 00:01:40 GMT", lambda: 400.0) == 0.0
    assert seconds_of("-5", lambda: 0.0) == 0.0


def test_patience_ends(world: World) -> None:
    face, script = world(BUSY)
    with pytest.raises(errors.ServerError) as refused:
        face("campaign.get", "1")
    assert (len(script.requests), refused.value.status, refused.value.message) == (6, 503, "busy")
    face, script = world(LOST, retries=Retries(attempts=3))
    with pytest.raises(
        errors.ConnectionFailed, match=r"GET /channel-service/v1/campaign/1: gone \(3 attempts\)"
    ):
        face("campaign.get", "1")
    assert len(script.requests) == 3
    # Whoever would have to wait longer than it may gives up at once.
    face, script = world((429, {"message": "later"}, ("retry-after", "3600")))
    with pytest.raises(errors.RateLimited):
        face("campaign.get", "1")
    assert len(script.requests) == 1


def test_waits_double_up_to_the_longest_and_jitter() -> None:
    patient = Retries(attempts=99, within=1e9)
    assert [patient.wait(n, 0, None, lambda: 1.0) for n in range(1, 9)] == [0.5, 1, 2, 4, 8, 16, 30, 30]
    assert patient.wait(5, 0, None, lambda: 0.25) == 2.0
    assert patient.wait(1, 0, 3.0, lambda: 0.0) == 3.0
    assert patient.wait(99, 0, None, lambda: 1.0) is None


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 413, 422, 500])
def test_what_would_fail_again_is_not_tried_again(world: World, status: int) -> None:
    face, script = world((status, {"message": "no"}))
    with pytest.raises(errors.ApiError) as refused:
        face("campaign.create", {})
    assert (len(script.requests), refused.value.status) == (1, status)
    kinds = {401: "Unauthorized", 403: "Forbidden", 404: "NotFound", 409: "Conflict", 500: "ServerError"}
    assert type(refused.value).__name__ == kinds.get(status, "BadRequest")


def test_a_request_that_cannot_be_sent_is_not_tried_again(world: World) -> None:
    face, script = world(httpx.LocalProtocolError("bad header"))
    with pytest.raises(errors.ConnectionFailed):
        face("campaign.get", "1")
    assert len(script.requests) == 1


def test_an_attempt_that_the_server_still_works_on_is_waited_for(world: World) -> None:
    running = (409, {"message": "the first request with this Idempotency-Key still runs"})
    face, script = world(LOST, running, running, GOOD)
    assert face("campaign.create", {}) == {"_id": "1"}
    assert len(script.requests) == 4
    taken = (409, {"message": "this Idempotency-Key was used for another request"})
    face, script = world(LOST, taken)
    with pytest.raises(errors.Conflict):
        face("campaign.create", {})
    assert len(script.requests) == 2


@pytest.mark.parametrize(
    ("body", "field", "code", "message"),
    [
        ({"message": "touchpoints[0].x: is wrong"}, "touchpoints[0].x", None, "touchpoints[0].x: is wrong"),
        ({"message": "it is: wrong"}, None, None, "it is: wrong"),
        ({"code": "CAMPAIGN_HAS_NO_TARGET"}, None, "CAMPAIGN_HAS_NO_TARGET", "CAMPAIGN_HAS_NO_TARGET"),
        ({"success": False, "error": "e", "code": "C"}, None, "C", "e"),
        ({"detail": [{"loc": ["body", "a", 0], "msg": "no"}]}, "a.0", None, "a.0: no"),
        ({"detail": [{"loc": ["a"]}]}, None, None, '[{"loc": ["a"]}]'),
        ([], None, None, "[]"),
        ({}, None, None, "no reason was given"),
    ],
)
def test_errors_say_what_the_server_said(
    world: World, body: Any, field: Any, code: Any, message: str
) -> None:
    face, _ = world((400, body, ("x-request-id", "r1")))
    with pytest.raises(errors.BadRequest) as refused:
        face("campaign.create", {})
    error = refused.value
    assert (error.field, error.code, error.message, error.request_id) == (field, code, message, "r1")


def test_ids_stay_inside_their_place_in_the_path(world: World) -> None:
    face, script = world(GOOD)
    face("campaign.get", "a/../b?c=d#e")
    assert script.requests[0].url.raw_path == b"/channel-service/v1/campaign/a%2F..%2Fb%3Fc%3Dd%23e"
    for nothing in ("", ".", ".."):
        with pytest.raises(ValueError, match="is no id"):
            face("campaign.delete", nothing)
    assert len(script.requests) == 1


def test_lists_are_read_to_their_end(world: World) -> None:
    pages = [
        (200, {"results": [{"entity_id": str(n)}], "next": after, "total": 2})
        for n, after in ((1, "c"), (2, None))
    ]
    face, script = world(*pages)
    found = face("campaign.recipients", "1", automation_status=["failed", "cancelled"], page_size=1)
    assert [one["entity_id"] for one in found] == ["1", "2"]
    queries = [request.url.params.multi_items() for request in script.requests]
    first = [("limit", "1"), ("automation_status", "failed"), ("automation_status", "cancelled")]
    assert queries == [first, [*first, ("next", "c")]]


def test_waiting_for_a_job_asks_once_a_minute(world: World) -> None:
    states = [(200, {"status": status}) for status in ("queued", "processing", "finished")]
    face, script = world(*states)
    seen: list[Any] = []
    assert face("campaign.wait_for_job", "1", seen=seen.append) == {"status": "finished"}
    assert [one["status"] for one in seen] == ["queued", "processing", "finished"]
    assert {request.headers["prefer"] for request in script.requests} == {"wait=60"}
    assert {request.extensions["timeout"]["read"] for request in script.requests} == {90.0}
    face, script = world((200, {"status": "processing"}))
    assert face("campaign.wait_for_job", "1", seconds=90) == {"status": "processing"}
    assert [request.headers["prefer"] for request in script.requests] == ["wait=60", "wait=30"]
    face, script = world((200, {}))
    assert face("campaign.wait_for_job", "1") == {}


def test_a_stream_is_repeated_only_when_it_can_be_begun_anew(world: World) -> None:
    done = (200, {"created": 1})
    for stream in (b"a,b", lambda: iter([b"a,", b"b"])):
        face, script = world(LOST, done)
        assert face("entity.import_stream", "contact", stream, external_id="a") == {"created": 1}
        assert script.bodies == [b"a,b", b"a,b"]
        assert len(set(script.keys)) == 1
    face, script = world(LOST, done)
    with pytest.raises(errors.ConnectionFailed):
        face("entity.import_stream", "contact", iter([b"a"]))
    assert len(script.requests) == 1


def test_streams_of_either_kind() -> None:
    async def pieces() -> Any:
        yield b"a,"
        yield b"b"

    awaited, waiting = World(AwaitedFace), World(Face)
    face, script = awaited((200, {}))
    face("entity.import_stream", "contact", pieces)
    assert script.bodies == [b"a,b"]
    face, _ = waiting((200, {}))
    with pytest.raises(TypeError, match="not an async iterable"):
        face("entity.import_stream", "contact", pieces)
    for world in (awaited, waiting):
        world.faces[-1].close()


def test_the_key_is_in_no_repr() -> None:
    face = Face("http://muster", "mk_secret")
    assert "mk_secret" not in repr(vars(face.client))
    face.close()
