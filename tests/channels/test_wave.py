"""A wave: one outcome for every message, whatever its workers do."""

from __future__ import annotations

import asyncio
import threading

import pytest

from engine.channels.port import Deferred, Delivered, Doubtful, Down
from engine.channels.wave import CHANNEL_ERROR, INTERRUPTED, Wave, drive
from muster_testing.channels import Report, messages, run


def driven(work, *, count=20, workers=4, stop=None, cancel_after=None, report=None):
    sent, report = messages(count), report or Report()

    async def go():
        task = asyncio.create_task(
            drive(Wave("test", sent, report, stop or threading.Event()), work, workers=workers)
        )
        if cancel_after is not None:
            await cancel_after()
            task.cancel()
        await asyncio.wait([task], timeout=60)

    run(go())
    report.assert_complete(sent)
    return report


async def deliver(wave):
    while (message := wave.take()) is not None:
        await asyncio.sleep(0)
        wave.settle(message, Delivered())


def test_workers_share_a_wave():
    assert driven(deliver).kinds == {"Delivered": 20}


def test_a_worker_that_raises_leaves_doubt_or_delay_and_the_others_go_on():
    failing = iter([True])

    async def work(wave):
        if next(failing, False):
            first, second = wave.take(), wave.take()
            wave.sent(first)
            assert second is not None
            raise RuntimeError("a bug")
        await deliver(wave)

    report = driven(work)
    assert report.kinds == {"Delivered": 18, "Doubtful": 1, "Deferred": 1}
    assert {outcome.code for outcome in report.outcomes.values() if not isinstance(outcome, Delivered)} == {
        CHANNEL_ERROR
    }


def test_when_all_workers_raise_nobody_is_released_to_meet_the_same_error():
    async def work(wave):
        raise RuntimeError("a bug")

    assert driven(work).kinds == {"Deferred": 20}


def test_a_cancelled_wave_releases_what_nobody_took():
    at_work, all_at_work = iter(range(3)), asyncio.Event()

    async def work(wave):
        wave.sent(wave.take())
        wave.take()
        if next(at_work) == 2:
            all_at_work.set()
        await asyncio.Event().wait()

    report = driven(work, workers=3, cancel_after=all_at_work.wait)
    assert report.kinds == {"Doubtful": 3, "Deferred": 3, "Released": 14}
    for outcome in report.outcomes.values():
        if isinstance(outcome, (Doubtful, Deferred)):
            assert outcome.code == INTERRUPTED


def test_workers_with_nothing_in_hand_do_not_hold_a_finished_wave_up():
    started = iter(range(10))

    async def work(wave):
        if next(started) > 0:
            await asyncio.Event().wait()
        await deliver(wave)

    assert driven(work).kinds == {"Delivered": 20}


def test_stop_is_seen_while_everybody_waits():
    stop, released = threading.Event(), asyncio.Event()

    async def work(wave):
        message = wave.take()
        stop.set()
        await released.wait()
        wave.settle(message, Delivered())

    assert driven(work, workers=2, stop=stop, report=Report(until=18, reached=released)).kinds in (
        {"Delivered": 1, "Released": 19},
        {"Delivered": 2, "Released": 18},
    )


def test_a_message_may_be_retried_once():
    async def work(wave):
        while (message := wave.take()) is not None:
            if not wave.retry(message):
                wave.settle(message, Down("X", "x"))

    assert driven(work, workers=1).kinds == {"Down": 20}


def test_a_second_outcome_is_not_reported():
    async def work(wave):
        while (message := wave.take()) is not None:
            wave.settle(message, Delivered())
            wave.settle(message, Down("X", "x"))

    assert driven(work).kinds == {"Delivered": 20}


@pytest.mark.parametrize("outcome", [Down("X", "x"), Deferred("X", "x")])
def test_what_waits_can_be_refused_together(outcome):
    async def work(wave):
        wave.settle_waiting(outcome)

    assert driven(work).kinds == {type(outcome).__name__: 20}
