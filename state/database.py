"""One way to the truth: PostgreSQL or SQLite (WAL) behind the same sessions.

Promises:
- `begin()` is a transaction that may write; `read()` one in which the database refuses to (`ReadingSession`). Both are
  committed or rolled back whole.
- On SQLite a writing transaction takes the write lock at its start (`BEGIN IMMEDIATE`), so it never fails half-way
  because somebody else wrote meanwhile; waiting is bounded by `BUSY_TIMEOUT`.
- A connection that died is noticed before use and replaced.
"""

from __future__ import annotations

import math
import sqlite3
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol

from sqlalchemy import Engine, event, make_url, text
from sqlalchemy.exc import DBAPIError, DisconnectionError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session

from config.errors import MusterError
from state.dialects import dialect_named
from state.execution_ids import execution_id
from state.sampling import place

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import Connection

    from state.tables.base import Base

__all__ = [
    "Clock",
    "Database",
    "PoolExhausted",
    "ReadingSession",
    "SystemClock",
    "is_connection_loss",
    "is_too_complex",
]

#: PostgreSQL's states for "try the same transaction again": serialization failure, deadlock.
_RETRYABLE = {"40001", "40P01"}
#: Its state for a statement that writes in a transaction that is read only.
_READ_ONLY = "25006"
#: The class of its states for "more than this server can do".
_PROGRAM_LIMIT = "54"
#: SQLite has no code of its own for these.
_SQLITE_LIMITS = (
    "too many SQL variables",
    "Expression tree is too large",
    "parser stack overflow",
    "too many terms",
)


#: Seconds within which an answer about the time is taken for the time.
_PROMPT = 1.0
#: Seconds after which a trivial statement's answer says that the database stood still for everybody.
_STALL = 5.0
#: What statements call; PostgreSQL computes the same itself, or has it stored.
_FUNCTIONS: dict[str, tuple[int, Callable[..., Any]]] = {
    "muster_place": (2, place),
    "muster_execution_id": (-1, execution_id),
}


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
        event.listen(engine, "checkout", self._read_on)

    def now(self) -> datetime:
        """The database's instant, aware, in UTC.

        Raises:
            sqlalchemy.exc.OperationalError: this process has never reached the database.
        """
        if self._anchor is None:
            with self._engine.connect():  # which reads the clock (`_read_on`)
                pass
        assert self._anchor is not None  # noqa: S101 - read a moment ago
        instant, since = self._anchor
        return instant + timedelta(seconds=time.monotonic() - since)

    def _read_on(self, connection: Any, _record: object, _proxy: object) -> None:
        """Read the clock on a connection that is just taken from the pool, if it is time to.

        Raises:
            DisconnectionError: the connection is dead; the pool makes another.
        """
        import psycopg  # noqa: PLC0415 - nobody on SQLite needs it

        asked = time.monotonic()
        if asked < self._read_from:
            return
        if self._anchor is not None:
            self._read_from = asked + self._every  # other threads carry on with the anchor meanwhile
        try:
            instant = connection.execute("SELECT clock_timestamp()").fetchone()[0]
            connection.rollback()
        except psycopg.OperationalError as error:
            raise DisconnectionError(str(error)) from error
        answered = time.monotonic()
        # Read somewhere between question and answer; an answer that was long on the way says little.
        if self._anchor is None or answered - asked < _PROMPT:
            self._anchor = (instant.astimezone(UTC), (asked + answered) / 2)
        self._read_from = answered + self._every


class PoolExhausted(MusterError, OperationalError):
    """No connection became free in time. To the caller that is an outage of the database like any other."""


class ReadingSession(MusterError):
    """A session of `Database.read` was asked to write: an error of this code."""


class Database:
    """A connection pool and the sessions on it.

    `?pooler=transaction` in the URL says that a pooler (PgBouncer) gives each transaction any connection of its own to
    the server: nothing that lives longer than a transaction is used then, prepared statements and options of the
    session among it.

    Raises (from any session):
        sqlalchemy.exc.OperationalError: the database cannot be reached or is being restarted.
    """

    def __init__(self, url: str, *, pool_size: int = 16, clock: Clock | None = None) -> None:
        given = make_url(url)
        self.url = given.difference_update_query(["pooler"])
        self.is_pooled = given.query.get("pooler") == "transaction"
        self.dialect = dialect_named(self.url.get_backend_name())
        self.engine = self.dialect.make_engine(
            self.url, pool_size=pool_size, is_pooled=self.is_pooled, functions=_FUNCTIONS
        )
        self.clock: Clock = clock or (
            DatabaseClock(self.engine) if self.dialect.has_many_writers else SystemClock()
        )
        self._lost_at: float | None = None
        self.lent: dict[str, Any] = {}
        """What the process lends to code that works here: sessions have it in `info`."""

    @contextmanager
    def begin(self, *, autocommit: bool = False, waits: bool = True) -> Iterator[Session]:
        """A transaction that may write; committed when the block ends, rolled back when it raises.

        Args:
            autocommit: Every statement may stand alone, which saves PostgreSQL two round trips.
            waits: For locks of other transactions. Else it raises SQLAlchemy's `OperationalError` where it would wait:
                for writes that a later transaction may make as well.
        """
        with (
            self._noting_loss(),
            self.autocommit()
            if autocommit and self.dialect.has_many_writers
            else self.engine.connect() as connection,
            Session(connection, expire_on_commit=False) as session,
        ):
            session.info.update(self.lent, clock=self.clock)
            with session.begin():
                if not waits:
                    self.dialect.fail_instead_of_waiting(session)
                if not self.dialect.has_many_writers:
                    session.connection()  # takes the write lock now, before this thread takes any other lock
                yield session

    @contextmanager
    def autocommit(self) -> Iterator[Connection]:
        """A connection on which every statement is a transaction of its own. PostgreSQL."""
        with (
            self._noting_loss(),
            self.engine.connect().execution_options(
                isolation_level="AUTOCOMMIT", muster_lent=self.lent
            ) as connection,
        ):
            yield connection

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A transaction that reads. On SQLite it does not wait for writers.

        Raises:
            ReadingSession: a statement would write.
        """
        with (
            self._noting_loss(),
            _refusing_to_write(),
            self.engine.connect().execution_options(**self.dialect.reading) as connection,
            Session(connection, expire_on_commit=False) as session,
        ):
            session.info.update(self.lent, clock=self.clock)
            yield session

    def product(self) -> str:
        """The database and its version: `PostgreSQL 17.2`.

        Raises:
            sqlalchemy.exc.OperationalError: it cannot be reached.
        """
        with self.read() as session:
            return f"{self.dialect.title} {session.execute(text(self.dialect.version_query)).scalar_one()}"

    def overwrite_deleted(self) -> None:
        """Overwrite what the database's file still holds of rows that are gone."""
        self.dialect.overwrite_deleted(self.engine)

    def analyze(self, *tables: type[Base]) -> None:
        """Have the planner look at tables that have just grown much, as after any bulk load. One that is being looked
        at or vacuumed already is left alone.
        """
        with self._noting_loss():
            self.dialect.analyze(self.engine, [table.__tablename__ for table in tables])

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

    def uptime(self, session: Session) -> timedelta:
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


@contextmanager
def _refusing_to_write() -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        writes = getattr(error.orig, "sqlstate", None) == _READ_ONLY
        if writes or getattr(error.orig, "sqlite_errorcode", None) == sqlite3.SQLITE_READONLY:
            raise ReadingSession(f"a reading session was asked to write: {error.orig}") from error
        raise


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
