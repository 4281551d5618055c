"""Who asks at once is answered at once, and nobody with what was true before they asked."""

from __future__ import annotations

import asyncio

import pytest

from engine.api.shared_lookups import SharedLookups


def test_many_at_once_share_and_nobody_is_told_what_was_true_before() -> None:
    async def run() -> None:
        lookups: SharedLookups[int] = SharedLookups()
        truth, looked, go_on = 1, 0, asyncio.Event()

        async def look() -> int:
            nonlocal looked
            looked += 1
            found = truth
            await go_on.wait()
            return found

        first = asyncio.create_task(lookups.find("key", look))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert looked == 1
        truth = 2
        later = [asyncio.create_task(lookups.find("key", look)) for _ in range(100)]
        other = asyncio.create_task(lookups.find("another", look))
        await asyncio.sleep(0)
        go_on.set()
        assert await first == 1
        assert set(await asyncio.gather(*later)) == {2}
        assert (await other, looked) == (2, 3)
        assert await lookups.find("key", look) == 2
        assert looked == 4

    asyncio.run(run())


def test_an_error_is_everybodys_and_is_not_kept() -> None:
    async def run() -> None:
        lookups: SharedLookups[int] = SharedLookups()

        async def fail() -> int:
            await asyncio.sleep(0)
            raise LookupError

        outcomes = await asyncio.gather(
            *(lookups.find("key", fail) for _ in range(5)), return_exceptions=True
        )
        assert {type(one) for one in outcomes} == {LookupError}
        leaving = asyncio.create_task(lookups.find("key", fail))
        await asyncio.sleep(0)
        leaving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaving

        async def succeed() -> int:
            return 7

        assert await lookups.find("key", succeed) == 7

    asyncio.run(run())
