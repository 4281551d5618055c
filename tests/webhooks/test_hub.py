"""The live stream: everything in order, resumable, and one poll however many listen."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from engine.events import hub as hubs
from engine.events.hub import EventHub, Happened
from engine.events.outbox import record
from engine.organizations import create_organization
from tests.harness.waiting import wait_until

if TYPE_CHECKING:
    import pytest

    from tests.webhooks.desk import Desk


class Counting(EventHub):
    """Counts its queries."""

    polls = 0
    reads = 0

    def _read_all(self, position: int) -> Any:
        self.polls += 1
        return super()._read_all(position)

    def _read(self, position: int, org_id: Any) -> Any:
        self.reads += 1
        return super()._read(position, org_id)


async def take(
    hub: EventHub, desk: Desk, count: int, after: int | None = 0, *patterns: str
) -> list[Happened]:
    """The first `count` events of a new listener."""
    got: list[Happened] = []
    listening = hub.listen(
        desk.org_id, after=after, patterns=patterns or ("*",), heartbeat=30, ended=asyncio.Event()
    )
    async for one in listening:
        if one is not None:
            got.append(one)
        if len(got) == count:
            break
    await listening.aclose()
    return got


def test_what_happens_is_heard_in_order_and_resumed_behind_any_event(desk: Desk) -> None:
    async def listen() -> None:
        hub = EventHub(desk.runtime, interval=0.01)
        for number in range(5):
            desk.happen("campaign.started", number=number)
        first = await take(hub, desk, 5)
        assert sorted(one.position for one in first) == [one.position for one in first]
        assert first[3:] == await take(hub, desk, 2, first[2].position)
        live = asyncio.create_task(take(hub, desk, 3, None))
        await _present(hub, 1)
        for name in ("campaign.paused", "campaign.resumed", "campaign.completed"):
            await asyncio.to_thread(desk.happen, name)
        assert ["campaign.paused", "campaign.resumed", "campaign.completed"] == [
            one.name for one in await live
        ]
        assert not hub._rooms
        assert hub._poll is None

    asyncio.run(listen())


async def _present(hub: EventHub, count: int) -> None:
    """Until so many listen."""
    await asyncio.to_thread(wait_until, lambda: hub.listeners == count, f"{count} listen")


def test_patterns_and_organizations_are_kept_apart(desk: Desk) -> None:
    with desk.changing() as session:
        other = create_organization(session, f"other-{uuid4().hex[:6]}").id
        record(session, other, "campaign.started", secret=True)
    desk.happen("job.finished")
    desk.happen("campaign.started")

    async def listen() -> list[Happened]:
        return await take(EventHub(desk.runtime, interval=0.01), desk, 1, 0, "campaign.*")

    [heard] = asyncio.run(listen())
    assert "campaign.started" == heard.name
    assert b"secret" not in heard.body


def test_many_listeners_cost_one_poll(desk: Desk) -> None:
    async def listen() -> None:
        hub = Counting(desk.runtime, interval=0.01)
        listeners = [asyncio.create_task(take(hub, desk, 20, None)) for _ in range(100)]
        await _present(hub, 100)
        for number in range(20):
            await asyncio.to_thread(desk.happen, "campaign.started", number=number)
        heard = await asyncio.gather(*listeners)
        assert all(one == heard[0] for one in heard)
        assert 0 == hub.reads, "everybody was served from memory"

    asyncio.run(listen())


def test_who_falls_behind_what_is_kept_misses_nothing(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hubs, "KEPT", 4)

    async def listen() -> None:
        hub = Counting(desk.runtime, interval=0.01)
        slow = hub.listen(desk.org_id, after=None, patterns=("*",), heartbeat=30, ended=asyncio.Event())
        assert await anext(slow) is None
        quick = asyncio.create_task(take(hub, desk, 30, None))
        await _present(hub, 2)
        for number in range(30):
            await asyncio.to_thread(desk.happen, "campaign.started", number=number)
        heard = await quick
        late = [one async for one in _first(slow, 30)]
        assert heard == late
        assert hub.reads > 0
        await slow.aclose()

    asyncio.run(listen())


async def _first(listening: Any, count: int) -> Any:
    for _ in range(count):
        yield await anext(listening)


def test_a_silent_stream_beats_and_ends_when_the_hub_stops(desk: Desk) -> None:
    async def listen() -> None:
        hub = EventHub(desk.runtime, interval=0.01)
        listening = hub.listen(
            desk.org_id, after=None, patterns=("*",), heartbeat=0.02, ended=asyncio.Event()
        )
        assert await anext(listening) is None
        assert await anext(listening) is None
        hub.stop()
        async with asyncio.timeout(5):
            assert [] == [one async for one in listening if one is not None]
        assert 0 == hub.listeners

    asyncio.run(listen())
