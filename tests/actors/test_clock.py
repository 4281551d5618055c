"""PostgreSQL's clock costs nobody a connection; a pool that is exhausted is an outage."""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import event, make_url, text

from state.change import clock_of
from state.database import Database, DatabaseClock, PoolExhausted, is_connection_loss
from tests.servers.proxy import Proxy

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.services


@pytest.fixture
def small(postgresql_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    """A pool of two that waits half a second, whose clock is read whenever it can be."""
    monkeypatch.setattr("state.dialects.postgresql.BUSY_TIMEOUT", timedelta(seconds=0.5))
    database = Database(postgresql_url, pool_size=2)
    database.clock = DatabaseClock(database.engine, every=timedelta(0))
    yield database
    database.close()


def test_as_many_sessions_as_connections_ask_for_the_time(small: Database) -> None:
    def ask() -> int:
        for _ in range(20):
            with small.begin() as session:
                session.execute(text("SELECT 1"))
                assert clock_of(session).now().utcoffset() == timedelta(0)
        return 20

    with ThreadPoolExecutor(2) as threads:
        assert [20, 20] == [asked.result() for asked in [threads.submit(ask) for _ in range(2)]]


def test_a_pool_that_is_exhausted_is_an_outage(small: Database) -> None:
    with small.read(), small.read(), pytest.raises(PoolExhausted) as caught, small.read():
        pass
    assert is_connection_loss(caught.value)
    with small.read() as session:
        assert small.uptime(session) < timedelta(minutes=1)


def test_an_outage_does_not_stop_the_clock_and_costs_no_connection(postgresql_url: str) -> None:
    url = make_url(postgresql_url)
    with Proxy(url.port or 5432) as proxy:
        database = Database(str(url.set(host="127.0.0.1", port=proxy.port)), pool_size=2)
        database.clock = DatabaseClock(database.engine, every=timedelta(0))
        before = database.clock.now()
        proxy.refuse()
        tried: list[object] = []
        event.listen(database.engine, "do_connect", lambda *given: tried.append(given))
        for _ in range(4):
            assert before <= (before := database.clock.now())
        assert tried == []
        database.close()


def test_a_host_that_says_no_good_bye_is_given_up_within_a_lease(postgresql_url: str) -> None:
    database = Database(postgresql_url, pool_size=2)
    with database.autocommit() as connection:
        number = connection.connection.dbapi_connection.fileno()  # type: ignore[union-attr]
        with socket.socket(fileno=socket.dup(number)) as wire:
            milliseconds = wire.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
            idle = wire.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE)
    assert (15_000, 5) == (milliseconds, idle)
    database.close()
