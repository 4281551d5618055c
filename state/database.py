"""One way to the truth: PostgreSQL or SQLite (WAL) behind the same sessions.

Promises:
- `begin()` is a transaction that may write, `read()` one that will not. Both are committed or rolled back whole.
- On SQLite a writing transaction takes the write lock at its start (`BEGIN IMMEDIATE`), so it never fails half-way
  because somebody else wrote meanwhile; waiting is bounded by `BUSY_TIMEOUT`.
- A connection that died is noticed before use and replaced.
"""

from __future__ import annotations

import math
import select
import sqlite3
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from uuid import uuid4

import orjson
from sqlalchemy import Engine, create_engine, event, make_url, text
from sqlalchemy.exc import DBAPIError, DisconnectionError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session

from state.sampling import place

if TYPE_CHECKING:
    from collections.abc import Iterator

    import psycopg
    from sqlalchemy import Connection

    from state.tables.base import Base

__all__ = ["Clock", "Database", "PoolExhausted", "SystemClock", "is_connection_loss", "is_too_complex"]

BUSY_TIMEOUT = timedelta(seconds=30)

#: PostgreSQL's states for "try the same transaction again": serialization failure, deadlock.
_RETRYABLE = {"40001", "40P01"}
#: The class of its states for "more than this server can do".
_PROGRAM_LIMIT = "54"
#: SQLite has no code of its own for these.
_SQLITE_LIMITS = (
    "too many SQL variables",
    "Expression tree is too large",
    "parser stack overflow",
    "too many terms",
)


#: Of every session. Statements are short and many: for one of these PostgreSQL would start a helper process, or compile
#: it, when its statistics are off (measured: 9 ms instead of 2 to load a slice).
_SESSION = "-c timezone=UTC -c jit=off -c max_parallel_workers_per_gather=0"


#: When a host that says no good-bye counts as gone: a connection attempt, data that nobody acknowledges, and silence
#: while an answer is waited for. Seconds, but `tcp_user_timeout`: milliseconds. Below a lease (30 s), so that a worker
#: comes back on another connection while its lease can still be renewed.
_SILENCE = {
    "connect_timeout": 10,
    "tcp_user_timeout": 15_000,
    "keepalives_idle": 5,
    "keepalives_interval": 5,
    "keepalives_count": 2,
}
#: Seconds within which an answer about the time is taken for the time.
_PROMPT = 1.0
#: Seconds after which a trivial statement's answer says that the database stood still for everybody.
_STALL = 5.0


def _dumps(value: Any) -> str:
    return orjson.dumps(value).decode()


class Clock(Protocol):
    """Where instants come from. Tests bring their own."""

    def now(self) -> datetime:
        """The instant, aware, in UTC."""
        ...


class SystemClock:
    """This machine's clock."""

    def now(self) -> datetime:
        """The instant, aware, in UTC."""
        return datetime.now(UTC)


class DatabaseClock:
    """PostgreSQL's clock, carried forward by this process's monotonic one.

    Workers on machines whose clocks disagree, or jump, still agree on leases. The clock never takes a connection while
    it is asked: it is read on connections that are taken from the pool anyhow, every `every`, by the thread that takes
    one. So asking costs no round trip, waits for nobody, and goes on through an outage.
    """

    def __init__(self, engine: Engine, *, every: timedelta = timedelta(minutes=1)) -> None:
        self._engine = engine
        self._every = every.total_seconds()
        self._read_from = -math.inf
        """The monotonic instant from which the next connection that is taken reads the clock."""
        self._anchor: tuple[datetime, float] | None = None

    def now(self) -> datetime:
        """The database's instant, aware, in UTC.

        Raises:
            sqlalchemy.exc.OperationalError: this process has never reached the database.
        """
        if self._anchor is None:
            with self._engine.connect():  # which reads the clock (`read_on`)
                pass
        assert self._anchor is not None  # noqa: S101 - read a moment ago
        instant, since = self._anchor
        return instant + timedelta(seconds=time.monotonic() - since)

    def read_on(self, connection: psycopg.Connection) -> None:
        """Read the clock on a connection that was just taken from the pool, if it is time to.

        Raises:
            psycopg.Error: the connection is dead.
        """
        asked = time.monotonic()
        if asked < self._read_from:
            return
        if self._anchor is not None:
            self._read_from = asked + self._every  # other threads carry on with the anchor meanwhile
        instant = connection.execute("SELECT clock_timestamp()").fetchone()
        connection.rollback()
        assert instant is not None  # noqa: S101 - one row
        answered = time.monotonic()
        # Read somewhere between question and answer; an answer that was long on the way says little.
        if self._anchor is None or answered - asked < _PROMPT:
            self._anchor = (instant[0].astimezone(UTC), (asked + answered) / 2)
        self._read_from = answered + self._every


class PoolExhausted(OperationalError):
    """No connection became free in time. To whoever wanted one that is an outage of the database like any other."""


class Database:
    """A connection pool and the sessions on it.

    Raises (from any session):
        sqlalchemy.exc.OperationalError: the database cannot be reached or is being restarted.
    """

    def __init__(self, url: str, *, pool_size: int = 16, clock: Clock | None = None) -> None:
        self.url = make_url(url)
        self.is_postgresql = self.url.get_backend_name() == "postgresql"
        self.engine = self._postgresql(pool_size) if self.is_postgresql else self._sqlite(pool_size)
        self.clock: Clock = clock or (DatabaseClock(self.engine) if self.is_postgresql else SystemClock())
        self._lost_at: float | None = None

    def _postgresql(self, pool_size: int) -> Engine:
        silence = {name: self.url.query.get(name, value) for name, value in _SILENCE.items()}
        engine = create_engine(
            self.url,
            pool_size=pool_size,
            max_overflow=0,
            json_serializer=_dumps,
            json_deserializer=orjson.loads,
            pool_timeout=BUSY_TIMEOUT.total_seconds(),
            connect_args={"application_name": "muster", "options": _SESSION, **silence},
        )

        import psycopg  # noqa: PLC0415 - nobody on SQLite needs it

        @event.listens_for(engine, "checkout")
        def _still_there(connection: Any, _record: object, _proxy: object) -> None:
            """A server that went away has closed its end: seen by a look at the socket, without a round trip."""
            watch = select.poll()
            watch.register(connection.fileno(), select.POLLIN)
            if watch.poll(0):
                raise DisconnectionError("the server closed the connection")
            if isinstance(self.clock, DatabaseClock):
                try:
                    self.clock.read_on(connection)
                except psycopg.OperationalError as error:
                    raise DisconnectionError(str(error)) from error

        return engine

    def _sqlite(self, pool_size: int) -> Engine:
        if self.url.database and self.url.database != ":memory:":
            Path(self.url.database).parent.mkdir(parents=True, exist_ok=True)
        engine = create_engine(
            self.url,
            pool_size=pool_size,
            max_overflow=0,
            json_serializer=_dumps,
            json_deserializer=orjson.loads,
            connect_args={"timeout": BUSY_TIMEOUT.total_seconds(), "check_same_thread": False},
        )

        @event.listens_for(engine, "connect")
        def _prepare(connection: Any, _record: object) -> None:
            connection.isolation_level = None  # we say BEGIN ourselves
            connection.create_function("gen_random_uuid", 0, lambda: uuid4().hex)
            connection.create_function("muster_place", 2, place, deterministic=True)
            for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "cache_size=-65536"):
                connection.execute(f"PRAGMA {pragma}")

        @event.listens_for(engine, "begin")
        def _begin(connection: Any) -> None:
            reads = connection.get_execution_options().get("muster_reads")
            connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")

        return engine

    @contextmanager
    def begin(self, *, piecemeal: bool = False) -> Iterator[Session]:
        """A transaction that may write; committed when the block ends, rolled back when it raises.

        Args:
            piecemeal: Every statement may stand alone, which saves PostgreSQL two round trips.
        """
        with (
            self._noting_loss(),
            self.alone() if piecemeal and self.is_postgresql else self.engine.connect() as connection,
            Session(connection, expire_on_commit=False) as session,
        ):
            session.info["clock"] = self.clock
            with session.begin():
                yield session

    @contextmanager
    def alone(self) -> Iterator[Connection]:
        """A connection on which every statement is a transaction of its own. PostgreSQL."""
        with (
            self._noting_loss(),
            self.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection,
        ):
            yield connection

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A transaction that only reads. On SQLite it does not wait for writers."""
        with (
            self._noting_loss(),
            self.engine.connect().execution_options(muster_reads=True) as connection,
            Session(connection, expire_on_commit=False) as session,
        ):
            session.info["clock"] = self.clock
            yield session

    def renew_statistics(self, *tables: type[Base]) -> None:
        """Have the planner look at tables that have just grown much, as after any bulk load (SQLite plans without). One
        that is being looked at or vacuumed already is left alone.
        """
        if self.is_postgresql:
            names = ", ".join(table.__tablename__ for table in tables)
            with self.alone() as connection:
                connection.execute(text(f"ANALYZE (SKIP_LOCKED) {names}"))

    @contextmanager
    def _noting_loss(self) -> Iterator[None]:
        """Remember when the database was found away, by whatever this process wanted of it."""
        try:
            yield
        except PoolTimeout as error:
            self._lost_at = time.monotonic()
            raise PoolExhausted(None, None, error) from error
        except DBAPIError as error:
            if is_connection_loss(error) and not _is_victim(error):
                self._lost_at = time.monotonic()
            raise

    def note_answer(self, asked: float) -> None:
        """Note that a trivial statement was answered now: an answer that took long was an outage for everybody.

        Args:
            asked: The monotonic instant of the question.
        """
        if time.monotonic() - asked > _STALL:
            self._lost_at = time.monotonic()

    def steady_for(self, session: Session) -> timedelta:
        """How long the database has been there for everybody, as far as this process can know: since its server
        started, and since it was last found away or standing still here. Under a clock of a test's own the server's
        start says nothing.
        """
        steady = timedelta.max
        if isinstance(self.clock, DatabaseClock):
            asked = time.monotonic()
            steady = session.execute(
                text("SELECT clock_timestamp() - pg_postmaster_start_time()")
            ).scalar_one()
            self.note_answer(asked)
        if self._lost_at is not None:
            steady = min(steady, timedelta(seconds=time.monotonic() - self._lost_at))
        return steady

    def close(self) -> None:
        """Give back every connection. Safe to call twice."""
        self.engine.dispose()


def is_connection_loss(error: Exception) -> bool:
    """Whether the same transaction may be tried again as it was: the database went away, restarts, or chose a
    deadlock's victim. A commit may have happened before the loss; only repeatable work may be tried again.
    """
    if not isinstance(error, DBAPIError):
        return False
    if error.connection_invalidated or _is_victim(error):
        return True
    return isinstance(error, OperationalError | InterfaceError) and not is_too_complex(error)


def is_too_complex(error: Exception) -> bool:
    """Whether a statement is more than the database evaluates, however often it is tried: too many parameters, too deep
    an expression, a value that is too long (PostgreSQL: class 54; SQLite: SQLITE_ERROR of these words, SQLITE_TOOBIG).
    """
    if not isinstance(error, DBAPIError):
        return False
    if (getattr(error.orig, "sqlstate", None) or "").startswith(_PROGRAM_LIMIT):
        return True
    code = getattr(error.orig, "sqlite_errorcode", None)
    return code == sqlite3.SQLITE_TOOBIG or (
        code == sqlite3.SQLITE_ERROR and any(words in str(error.orig) for words in _SQLITE_LIMITS)
    )


def _is_victim(error: DBAPIError) -> bool:
    return getattr(error.orig, "sqlstate", None) in _RETRYABLE
