"""A worker's threads: how many of them are where."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event, Lock, get_ident
from typing import TYPE_CHECKING, Any

from sqlalchemy import update

from engine.campaigns import lifecycle
from engine.content.stored import compile_stored
from engine.delivery import sender
from engine.delivery.sender import Senders
from engine.delivery.single_flight import Made, SingleFlight
from engine.kernel.commands import Execute
from state.tables import Channel, Template

if TYPE_CHECKING:
    from collections.abc import Iterator
    from uuid import UUID

    import pytest

    from tests.delivery.kit import Bench


def executions(bench: Bench) -> list[Execute]:
    """Those on their way, which are no longer."""
    return [command for command in bench.wakeups.take() if isinstance(command, Execute)]


def test_two_threads_are_in_the_database_at_a_time(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many slices a worker's threads execute: more would be in each other's way."""
    bench.entities(120)
    campaign = bench.campaign()
    with bench.runtime.transaction() as session:
        lifecycle.activate(session, bench.org_id, campaign, window=12)
    bench.work(most=1)
    inside, most, lock = Counter[int](), 0, Lock()

    def counted(transact: Any) -> Any:
        @contextmanager
        def counting(*given: Any, **named: Any) -> Iterator[Any]:
            nonlocal most
            with transact(*given, **named) as session:
                with lock:
                    inside[get_ident()] += 1
                    most = max(most, len(+inside))
                yield session
                with lock:
                    inside[get_ident()] -= 1

        return counting

    monkeypatch.setattr(bench.runtime, "transaction", counted(bench.runtime.transaction))
    monkeypatch.setattr(bench.database, "autocommit", counted(bench.database.autocommit))
    executor = bench.new_executor()
    with ThreadPoolExecutor(8) as pool:
        given = [(command.org_id, command.job_id, command.number) for command in executions(bench)]
        assert 12 == len(list(pool.map(lambda place: executor.execute(*place), given)))
    assert {"success": 120} == bench.statuses()
    assert 1 <= most <= bench.settings.worker_database_threads


def test_a_template_that_is_slow_to_compile_holds_up_nobody_but_those_who_send_it(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither other campaigns nor the database, though one thread at a time may be in it."""
    bench.settings = bench.settings.model_copy(update={"worker_database_threads": 1})
    bench.runtime.settings = bench.settings
    bench.entities(10)
    slow, fast = bench.campaign(), bench.campaign()
    with bench.database.begin() as session:
        session.execute(update(Channel).values(kind="null"))
        session.execute(update(Template).values(text="Hello"))
    jobs = [bench.activate(campaign) for campaign in (slow, fast)]
    bench.work(most=2)  # both are planned
    places = {command.job_id: command for command in executions(bench)}
    began, may_end = Event(), Event()
    calls = Counter[str]()

    def compile_slowly(session: Any, row: Any, **options: Any) -> Any:
        calls[str(row.id)] += 1
        if len(calls) == 1:
            began.set()
            assert may_end.wait(30)
        return compile_stored(session, row, **options)

    monkeypatch.setattr(sender, "compile_stored", compile_slowly)
    senders = Senders(bench.settings, bench.loop, bench.database)
    bench.senders = senders  # type: ignore[assignment]
    executor = bench.new_executor()

    def execute(job_id: UUID) -> None:
        command = places[job_id]
        executor.execute(command.org_id, command.job_id, command.number)

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(execute, jobs[0])
        assert began.wait(30)
        pool.submit(execute, jobs[1]).result(30)
        assert {"success": 10} == bench.statuses_of(fast)
        assert not first.done()
        may_end.set()
        first.result(30)
    assert {"success": 10} == bench.statuses_of(slow)
    assert [1, 1] == list(calls.values())
    senders.close()


def test_what_several_threads_want_is_made_once_and_another_version_replaces_it() -> None:
    began, may_end, made, disposed = Event(), Event(), list[int](), list[int]()
    flights = SingleFlight[int](dispose=disposed.append)

    def make() -> Made[int]:
        began.set()
        assert may_end.wait(30)
        made.append(len(made))
        return Made("a", made[-1])

    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(flights.of, "key", "a", make)
        assert began.wait(30)
        others = [pool.submit(flights.of, "key", "a", make) for _ in range(3)]
        assert 7 == flights.of("other key", "a", lambda: Made("a", 7))
        assert not flights.has("key", "a")
        may_end.set()
        assert [0, 0, 0, 0] == [one.result(30) for one in (first, *others)]
    assert 9 == flights.of("key", "b", lambda: Made("b", 9))
    assert ([0], [0]) == (made, disposed)
    assert sorted([7, 9]) == sorted(flights.take_all())
