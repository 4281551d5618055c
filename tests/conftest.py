"""Databases for tests: SQLite always, PostgreSQL where it runs (required when MUSTER_REQUIRE_SERVICES=1)."""

from __future__ import annotations

import gc
import os
import shutil
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import psycopg
import pytest
from hypothesis import settings
from sqlalchemy import exists, literal, select, union_all

from state.database import Database
from state.tables import Base, Organization
from tests.harness.engines import share_compiled_statements

if TYPE_CHECKING:
    from collections.abc import Iterator
    from uuid import UUID

# How long an example takes says more about the machine than about the product.
settings.register_profile("muster", deadline=None)
settings.load_profile("muster")

share_compiled_statements()

# What is imported stays, and is a million objects: looking through them for garbage again and again takes long.
gc.disable()

POSTGRESQL = os.environ.get("MUSTER_TEST_POSTGRESQL", "postgresql://postgres@127.0.0.1:5432/postgres")
REDIS = os.environ.get("MUSTER_TEST_REDIS", "redis://127.0.0.1:6379/9")
RABBITMQ = os.environ.get("MUSTER_TEST_RABBITMQ", "amqp://guest:guest@127.0.0.1:5672/")


def missing_service(name: str, why: object) -> None:
    """Skip the test by the service's name, or fail it where services are required."""
    message = f"{name} is not there: {why}"
    if os.environ.get("MUSTER_REQUIRE_SERVICES") == "1":
        pytest.fail(message)
    pytest.skip(message)


class ManualClock:
    """A clock that moves when it is told to."""

    def __init__(self) -> None:
        self.instant = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)

    def now(self) -> datetime:
        return self.instant

    def forward(self, **by: float) -> datetime:
        self.instant += timedelta(**by)
        return self.instant


def manual_clock(database: Database) -> ManualClock:
    """The clock of a database that has a manual one, to move it."""
    assert isinstance(database.clock, ManualClock)
    return database.clock


#: Folders of tests that look at the product through HTTP or the command line; the SQL below is tested by the others.
_FRONTS = frozenset(("api", "campaigns_api", "cli", "console", "imbrace", "people", "targeting", "umanize"))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """`make test` runs the tests of the fronts on SQLite alone; `make test-all` on PostgreSQL too."""
    for item in items:
        parameters = getattr(getattr(item, "callspec", None), "params", {})
        folder = item.path.relative_to(Path(__file__).parent).parts[0]
        if folder in _FRONTS and parameters.get("database") == "postgresql":
            item.add_marker(pytest.mark.slow)


def pytest_collection_finish() -> None:
    """Everything is imported: garbage is from now on looked for in what tests make."""
    gc.freeze()
    gc.set_threshold(20_000, 10, 10)
    gc.enable()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@contextmanager
def postgresql_database(name: str) -> Iterator[str]:
    """The URL of an empty PostgreSQL database with a name of its own that begins so; dropped at the end."""
    name = f"{name}_{uuid4().hex[:12]}"
    try:
        admin = psycopg.connect(POSTGRESQL, autocommit=True, connect_timeout=3)
    except psycopg.OperationalError as error:
        missing_service("PostgreSQL", error)
    with admin:
        admin.execute(f"CREATE DATABASE {name}")
        # What a test commits need not survive a power cut.
        admin.execute(f"ALTER DATABASE {name} SET synchronous_commit = off")
    try:
        yield "postgresql+psycopg://" + POSTGRESQL.split("://")[1].rsplit("/", 1)[0] + "/" + name
    finally:
        with psycopg.connect(POSTGRESQL, autocommit=True) as admin:
            admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


def delete_rows(database: Database) -> None:
    """Empty all tables, those that hold something one by one.

    Not TRUNCATE: for a few rows in dozens of tables it costs ten times as much.
    """
    tables = {table.name: table for table in reversed(Base.metadata.sorted_tables)}
    filled = union_all(
        *(select(literal(name)).where(exists(select(1).select_from(table))) for name, table in tables.items())
    )
    with database.engine.begin() as connection:
        names = set(connection.execute(filled).scalars())
        for name in (name for name in tables if name in names):
            connection.execute(tables[name].delete())


@pytest.fixture(scope="session")
def postgresql_url() -> Iterator[str]:
    """A PostgreSQL database of this test run's own, with all tables."""
    with postgresql_database("muster_test") as url:
        database = Database(url)
        Base.metadata.create_all(database.engine)
        database.close()
        yield url


@pytest.fixture(scope="session")
def empty_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with all tables, to be copied."""
    path = tmp_path_factory.mktemp("sqlite") / "empty.db"
    database = Database(f"sqlite:///{path}")
    Base.metadata.create_all(database.engine)
    database.close()  # the last connection folds the write-ahead log into the file
    return path


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path, clock: ManualClock) -> Iterator[Database]:
    """An empty database of each kind, whose clock is `clock`."""
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("empty_sqlite"), tmp_path / "muster.db")
        database = Database(f"sqlite:///{tmp_path}/muster.db", clock=clock)
        yield database
    else:
        database = Database(request.getfixturevalue("postgresql_url"), clock=clock)
        yield database
        delete_rows(database)
    database.close()


@pytest.fixture
def org_id(database: Database) -> UUID:
    """An organization to be in."""
    with database.begin() as session:
        organization = Organization(name=f"org-{uuid4().hex[:8]}", created_at=database.clock.now())
        session.add(organization)
        session.flush()
        return organization.id
