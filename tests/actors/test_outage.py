"""A scheduler knows of an outage of the database by whatever it wanted of it, and takes nothing back right after."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import make_url
from sqlalchemy.exc import DBAPIError

from config.settings import Settings
from engine.campaigns.start_scheduled import start_due
from engine.kernel.runtime import Runtime
from state.database import Database
from tests.servers.proxy import Proxy

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.services, pytest.mark.slow]


@pytest.fixture
def proxy(postgresql_url: str) -> Iterator[Proxy]:
    with Proxy(make_url(postgresql_url).port or 5432) as proxy:
        yield proxy


@pytest.fixture
def database(postgresql_url: str, proxy: Proxy) -> Iterator[Database]:
    database = Database(str(make_url(postgresql_url).set(host="127.0.0.1", port=proxy.port)), pool_size=2)
    yield database
    database.close()


def steady(database: Database) -> timedelta:
    with database.read() as session:
        return database.uptime(session)


def test_an_outage_is_noted_by_whoever_meets_it(database: Database, proxy: Proxy) -> None:
    runtime = Runtime(Settings(_env_file=None), database=database)
    start_due(runtime)
    undisturbed = steady(database)
    proxy.refuse()
    with pytest.raises(DBAPIError):
        start_due(runtime)
    proxy.forward()
    start_due(runtime)
    since = steady(database)
    assert since < undisturbed
    assert since < timedelta(minutes=1)
