"""A worker's threads: how many of them are where."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Lock, get_ident
from typing import TYPE_CHECKING, Any

from engine.campaigns import lifecycle

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest

    from tests.delivery.kit import Bench


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
    monkeypatch.setattr(bench.database, "alone", counted(bench.database.alone))
    executor = bench.new_executor()
    with ThreadPoolExecutor(8) as pool:
        given = [(command.org_id, command.job_id, command.number) for command in bench.wakeups.take()]
        assert 12 == len(list(pool.map(lambda place: executor.execute(*place), given)))
    assert {"success": 120} == bench.statuses()
    assert 1 <= most <= bench.settings.worker_database_threads
