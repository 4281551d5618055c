"""How many recipients are claimed at once, and how they are named to the database."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import update

from engine.channels.port import Down
from engine.delivery import health
from engine.kernel.triggers import arm
from state.tables import Recipient

if TYPE_CHECKING:
    from collections.abc import Sequence
    from threading import Event

    from engine.channels.port import Report
    from engine.content.message import Message
    from tests.conftest import ManualClock
    from tests.delivery.kit import Bench


def sizes(bench: Bench) -> list[int]:
    """How many messages each wave will have had."""
    found: list[int] = []
    send = bench.channel.send

    async def counted(messages: Sequence[Message], report: Report, stop: Event) -> None:
        found.append(len(messages))
        await send(messages, report, stop)

    bench.channel.send = counted  # type: ignore[method-assign]
    return found


@pytest.mark.parametrize(("in_one_piece", "expected"), [(False, [5, 5, 5, 5]), (True, [10, 10])])
def test_what_takes_a_wave_in_one_piece_is_given_slices(
    bench: Bench, in_one_piece: bool, expected: list[int]
) -> None:
    bench.channel.in_one_piece = in_one_piece
    people, waves = bench.entities(20), sizes(bench)
    bench.activate(bench.campaign())
    bench.work()
    assert expected == waves
    assert Counter(people) == bench.channel.sent()
    assert {"success": 20} == bench.statuses()


def test_after_an_outage_it_is_tried_with_few(bench: Bench, clock: ManualClock) -> None:
    bench.channel.in_one_piece = True
    people, waves = bench.entities(10), sizes(bench)
    bench.channel.answer = lambda _: Down("GONE", "nobody answers")
    bench.activate(bench.campaign())
    bench.work()
    bench.channel.answer = type(bench.channel)().answer
    clock.forward(hours=1)
    waves.clear()
    bench.channel.journal.clear()
    bench.sweep_and_work()
    assert health.PROBE == waves[0]
    assert Counter(people) == bench.channel.sent()
    assert {"success": 10} == bench.statuses()


def test_a_crash_leaves_that_piece_in_doubt(bench: Bench, clock: ManualClock) -> None:
    bench.channel.in_one_piece = True
    bench.entities(20)
    campaign = bench.campaign(doubt="hold")
    bench.activate(campaign)
    bench.work(most=1)
    bench.crash_at("wave.sent")
    clock.forward(seconds=31)
    bench.executor = bench.new_executor()
    bench.sweep_and_work()
    assert {"success": 10, "failed": 10} == bench.statuses()
    assert {"OUTCOME_UNKNOWN"} == {
        row.error_code for row in bench.recipients().values() if row.automation_status == "failed"
    }
    bench.check_counters(campaign)


@pytest.mark.parametrize("in_one_piece", [False, True])
def test_whoever_was_cancelled_meanwhile_is_not_written(bench: Bench, in_one_piece: bool) -> None:
    """A wave is named by its first and last key: what others have done to somebody between them stands."""
    bench.channel.in_one_piece = in_one_piece
    people = bench.entities(10)
    bench.activate(bench.campaign())
    bench.work(most=1)
    before, during = people[2], people[3]

    def cancel(key: object) -> None:
        with bench.database.begin() as session:
            session.execute(
                update(Recipient).where(Recipient.entity_id == key).values(automation_status="cancelled")
            )

    seen: list[str] = []

    def claimed() -> None:
        if not seen:
            seen.append("claimed")
            cancel(during)

    def leased() -> None:
        cancel(before)

    with arm("slice.leased", leased), arm("wave.claimed", claimed):
        bench.work()
    assert seen
    rows = bench.recipients()
    assert {"cancelled": 2, "success": 8} == bench.statuses()
    assert {before, during} == {key for key, row in rows.items() if row.automation_status == "cancelled"}
    assert not any(row.in_flight for row in rows.values())
    assert 0 == bench.channel.sent()[before]
