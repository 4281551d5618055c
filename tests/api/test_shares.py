"""One organization takes its part of what a process has, and never all: streams, polls, imports, kept answers."""

from __future__ import annotations

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from threading import Event
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from sqlalchemy import func, select

from engine.api.errors import TooManyRequests
from engine.api.shares import Turns
from engine.campaigns import portals
from engine.kernel import idempotency
from engine.kernel.inputs import Invalid
from state.tables import IdempotencyKey
from tests.api.world import make_campaign, make_job
from tests.harness.waiting import wait_until

if TYPE_CHECKING:
    import httpx

    from tests.api.conftest import Api

ONE_DATABASE = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
NDJSON = {"content-type": "application/x-ndjson"}


@ONE_DATABASE
def test_streams(api: Api, stranger: httpx.Client) -> None:
    api.app.state.shares.streams.each = 2
    with ExitStack() as listening, api.client("viewer") as client:
        for _ in range(2):
            stream = listening.enter_context(client.stream("GET", "/v1/events:stream"))
            assert stream.status_code == 200
        refused = client.get("/v1/events:stream")
        assert (refused.status_code, "retry-after" in refused.headers) == (429, True)
        with stranger.stream("GET", "/v1/events:stream") as theirs:
            assert theirs.status_code == 200
            api.app.state.shares.streams.total = 3
            third = listening.enter_context(ExitStack())
            api.app.state.shares.streams.each = 5
            full = third.enter_context(client.stream("GET", "/v1/events:stream"))
            assert full.status_code == 503
    wait_until(lambda: api.app.state.shares.streams.taken == 0, "every place is free again")


def poll(api: Api, path: str) -> socket.socket:
    """A long poll whose answer nobody has read yet."""
    where = urlsplit(api.url)
    connection = socket.create_connection((where.hostname, where.port), timeout=20)
    head = [
        f"GET {path} HTTP/1.1",
        "host: x",
        f"authorization: Bearer {api.keys['viewer']}",
        "prefer: wait=60",
    ]
    connection.sendall("\r\n".join([*head, "", ""]).encode())
    return connection


@ONE_DATABASE
def test_polls_and_who_left_is_noticed(api: Api, stranger: httpx.Client) -> None:
    campaign_id = make_campaign(api.database, api.org_id)
    make_job(api.database, api.org_id, campaign_id)
    path = f"/v1/campaign/{campaign_id}/job"
    polls = api.app.state.shares.polls
    polls.each = 2
    waiting = [poll(api, path) for _ in range(2)]
    wait_until(lambda: polls.taken == 2, "both wait")
    with api.client("viewer") as client:
        refused = client.get(path, headers={"prefer": "wait=60"})
        assert (refused.status_code, "retry-after" in refused.headers) == (429, True)
        assert client.get(path).status_code == 200, "who does not wait is answered"
    for connection in waiting:
        connection.close()
    wait_until(lambda: polls.taken == 0, "it is noticed that both are gone")
    assert api.app.state.watch._polls == {}, "nobody waits, nothing polls"


def half_an_import(api: Api, key: str) -> socket.socket:
    """An import whose second half does not come."""
    where = urlsplit(api.url)
    connection = socket.create_connection((where.hostname, where.port), timeout=20)
    head = ["POST /v1/entity/contact:import HTTP/1.1", "host: x", f"authorization: Bearer {key}"]
    head += ["content-type: application/x-ndjson", "content-length: 100000"]
    connection.sendall("\r\n".join([*head, "", ""]).encode() + b'{"email": "ada@x.example"}\n')
    return connection


def test_slow_imports_hold_up_no_other(api: Api, stranger: httpx.Client) -> None:
    places = api.app.state.shares.imports
    slow = [half_an_import(api, api.keys["operator"]) for _ in range(places.each)]
    wait_until(lambda: places.taken == places.each, "all of them arrive")
    with api.client("operator") as client:
        assert client.post("/v1/entity/contact:import", content=b"{}\n", headers=NDJSON).status_code == 429
        slow.pop().close()
        wait_until(lambda: places.taken == places.each - 1, "one is gone")
        lines = b"".join(b'{"email": "p%d@x.example"}\n' % number for number in range(3000))
        for one in (client, stranger):
            answer = one.post("/v1/entity/contact:import", content=lines, headers=NDJSON)
            assert (answer.status_code, answer.json()["created"]) == (200, 3000)
        assert client.get("/v1/entity/contact").status_code == 200
    for connection in slow:
        connection.close()
    wait_until(lambda: places.taken == 0, "every place is free again")


@ONE_DATABASE
def test_many_imports_at_once_all_get_their_turn(api: Api, stranger: httpx.Client) -> None:
    lines = b"".join(b'{"email": "p%d@x.example", "n": "%s"}\n' % (n, b"x" * 200) for n in range(4000))

    def run(client: httpx.Client) -> int:
        answer = client.post("/v1/entity/contact:import", content=lines, headers=NDJSON)
        return int(answer.json()["created"])

    with ThreadPoolExecutor(8) as pool, api.client("operator") as client:
        assert list(pool.map(run, [client, stranger] * 4)) == [4000] * 8


def kept(api: Api) -> int:
    with api.database.read() as session:
        stored = select(func.coalesce(func.sum(func.length(IdempotencyKey.answer)), 0))
        return int(session.execute(stored).scalar_one())


@ONE_DATABASE
def test_what_a_question_is_answered_is_not_kept(api: Api) -> None:
    with api.client("operator") as client:
        client.post("/v1/target", json={"name": "everybody", "entity_schema": "contact"})
        document = client.get("/openapi.json", timeout=120).json()["paths"]
    with api.client("viewer") as client:
        headers = {"idempotency-key": str(uuid4())}
        for _ in range(2):
            answer = client.post("/v1/target:match", json={"entity_id": str(uuid4())}, headers=headers)
            assert "idempotent-replayed" not in answer.headers
    assert kept(api) == 0
    names = [one["name"] for one in document["/v1/target:match"]["post"].get("parameters", [])]
    assert "Idempotency-Key" not in names


def test_a_long_answer_is_not_kept_and_the_work_is_not_done_twice(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idempotency, "LONGEST_ANSWER", 1000)
    with api.client("operator") as client:
        headers = {"idempotency-key": str(uuid4())}
        given = {"name": "t", "text": "x" * 2000}
        first = client.post("/v1/template", json=given, headers=headers)
        again = client.post("/v1/template", json=given, headers=headers)
        assert (first.status_code, again.status_code) == (201, 409)
        assert "too long" in again.json()["message"]
        assert len(client.get("/v1/template").json()["results"]) == 1
    assert kept(api) == 0


@ONE_DATABASE
def test_threads(
    api: Api, client: httpx.Client, stranger: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An organization whose requests take long keeps others neither from being known nor from being answered."""
    turns = api.app.state.shares.turns
    assert turns.each == 1  # of the two that this process has
    begun, go_on = Event(), Event()

    def slowly(*_given: object, **_named: object) -> None:
        begun.set()
        assert go_on.wait(60)
        raise Invalid("name", "at last")

    monkeypatch.setattr(portals, "create_portal", slowly)
    with ThreadPoolExecutor(5) as pool:
        slow = [pool.submit(client.post, "/v1/portal", json={"name": "p"}) for _ in range(5)]
        assert begun.wait(60)
        assert stranger.get("/v1/campaign").status_code == 200
        go_on.set()
        assert {one.result().status_code for one in slow} == {400}
    assert client.get("/v1/campaign").status_code == 200


def test_too_many_wait_for_a_thread() -> None:
    turns, whose = Turns(each=1, waiting=1), uuid4()
    held = asyncio.Event()

    async def hold() -> None:
        async with turns.turn(whose):
            await held.wait()

    async def run() -> None:
        two = [asyncio.create_task(hold()) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(TooManyRequests, match="requests at work or waiting"):
            await hold()
        held.set()
        await asyncio.gather(*two, hold())

    asyncio.run(run())
