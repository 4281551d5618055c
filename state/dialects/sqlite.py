"""SQLite in WAL mode: one process, one writer at a time."""

from __future__ import annotations

import json
import os
import sqlite3
import time
from contextlib import closing, suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from sqlalchemy import (
    BigInteger,
    String,
    Text,
    bindparam,
    cast,
    event,
    func,
    literal,
    select,
    type_coerce,
)
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import OperationalError

from config.private_files import make_private_folder, open_private
from state.dialects.dialect import BUSY_TIMEOUT, Dialect, new_engine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from sqlalchemy import URL, Connection, Engine
    from sqlalchemy.orm import Session
    from sqlalchemy.sql.elements import ColumnElement
    from sqlalchemy.sql.selectable import Subquery
    from sqlalchemy.types import TypeEngine

    from state.dialects.dialect import Column

__all__ = ["SQLite"]

_PRAGMAS = (
    "synchronous=FULL",
    "foreign_keys=ON",
    "cache_size=-65536",
    "secure_delete=ON",
)


#: Seconds between two looks at a file that somebody else has locked.
_PAUSE = 0.02


class SQLite(Dialect):
    """The embedded database."""

    name = "sqlite"
    title = "SQLite"
    version_query = "SELECT sqlite_version()"
    reading = {"muster_reads": True}  # noqa: RUF012 - a mapping by its type
    has_many_writers = False

    def make_engine(
        self,
        url: URL,
        *,
        pool_size: int,
        is_pooled: bool,  # noqa: ARG002 - there is none
        functions: Mapping[str, tuple[int, Callable[..., Any]]],
    ) -> Engine:
        """A transaction takes the write lock at its start, unless its connection was opened with `reading`."""
        file = None
        if url.database and url.database != ":memory:":
            file = Path(url.database)
            make_private_folder(file.parent)
        engine = new_engine(
            url,
            pool_size,
            connect_args={"timeout": BUSY_TIMEOUT.total_seconds(), "check_same_thread": False},
        )

        @event.listens_for(engine, "do_connect")
        def _make_private(*_: object) -> None:
            if file is not None and not file.exists():
                os.close(open_private(file, os.O_RDWR))  # SQLite gives its log and its index the same mode

        @event.listens_for(engine, "connect")
        def _prepare(connection: Any, _record: object) -> None:
            connection.isolation_level = None  # we say BEGIN ourselves
            connection.create_function("gen_random_uuid", 0, lambda: uuid4().hex)
            for name, (arguments, function) in functions.items():
                connection.create_function(name, arguments, function, deterministic=True)
            _write_ahead(connection)
            for pragma in _PRAGMAS:
                connection.execute(f"PRAGMA {pragma}")

        @event.listens_for(engine, "begin")
        def _begin(connection: Any) -> None:
            options = connection.get_execution_options()
            driver: Any = connection.connection.driver_connection
            reads = bool(options.get("muster_reads"))
            if connection.info.get("reads") is not reads:
                driver.execute(f"PRAGMA query_only={int(reads)}")
                connection.info["reads"] = reads
            if not options.get("muster_fails_instead_of_waiting"):
                connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")
                return
            driver.execute("PRAGMA busy_timeout=0")
            try:
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            finally:
                driver.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT // timedelta(milliseconds=1)}")

        return engine

    def insert(self, table: Any) -> Any:
        """SQLite's own construct."""
        return sqlite.insert(table)

    def among(self, left: Column, values: Sequence[Any]) -> ColumnElement[bool]:
        """`left IN (SELECT … FROM json_each(…))`."""
        return _among(left, literal(self.packed(values), String))

    def among_parameter(self, left: Column, name: str) -> ColumnElement[bool]:
        """`left IN (SELECT … FROM json_each(…))`."""
        return _among(left, bindparam(name, type_=String()))

    def packed(self, values: Iterable[Any]) -> str:
        """A JSON array."""
        return json.dumps([_plain(value) for value in values])

    def rows(
        self, types: Mapping[str, type[TypeEngine[Any]]], values: Sequence[tuple[Any, ...]], name: str
    ) -> Subquery:
        """A JSON array of arrays."""
        packed = json.dumps([[_plain(item) for item in row] for row in values])
        given = func.json_each(literal(packed, String)).table_valued("value", name=f"{name}_values")
        return select(
            *(
                type_coerce(func.json_extract(given.c.value, f"$[{i}]"), types[label]).label(label)
                for i, label in enumerate(types)
            )
        ).subquery(name)

    def document(self, text: ColumnElement[str]) -> ColumnElement[Any]:
        """The text itself."""
        return text

    def member(self, document: Column, name: str) -> ColumnElement[str]:
        """`json_extract`."""
        return cast(func.json_extract(document, f'$."{name}"'), Text)

    def hours_after(self, instant: Column, hours: Column) -> ColumnElement[Any]:
        """As the text in which an instant is kept."""
        seconds = func.printf("+%f seconds", hours * 3600)
        return func.strftime("%Y-%m-%d %H:%M:%f", instant, seconds, type_=instant.type)

    def place(self, salt: UUID, key: Column, places: int) -> ColumnElement[int]:  # noqa: ARG002
        """Computed by a function that the connection was given."""
        return func.muster_place(salt.hex, key, type_=BigInteger())

    def lock(
        self, session: Session | Connection, kind: int, subjects: Sequence[int], *, shared: bool
    ) -> None:
        """There is one writer anyway."""

    def try_lock(self, session: Session, kind: int, subject: int) -> bool:  # noqa: ARG002
        """There is one writer anyway."""
        return True

    def fail_instead_of_waiting(self, session: Session) -> None:
        """Of the one write lock."""
        connection: Any = session.get_bind()  # `Database.begin` binds every session to a connection
        connection.execution_options(muster_fails_instead_of_waiting=True)

    def analyze(self, engine: Engine, tables: Sequence[str]) -> None:
        """It plans without."""

    def overwrite_deleted(self, engine: Engine) -> None:
        """Deleted rows are overwritten at once (`secure_delete`), but for what pages copied when they were reordered,
        and the log: this removes both. It is left while somebody reads for longer than `BUSY_TIMEOUT`.
        """
        with suppress(OperationalError), closing(engine.raw_connection()) as connection:
            connection.execute("VACUUM")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def slow_statements(self, session: Session, most: int) -> None:
        """It keeps no record."""


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Have the database keep a write-ahead log. The first connection to a new file changes that, and SQLite waits for
    nobody then, whatever its time-out: two processes that begin at once would fail.

    Raises:
        sqlite3.OperationalError: others have had the file locked for `BUSY_TIMEOUT`, or it cannot be opened.
    """
    until = time.monotonic() + BUSY_TIMEOUT.total_seconds()
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(_PAUSE)
        else:
            return


def _among(left: Column, packed: ColumnElement[str]) -> ColumnElement[bool]:
    listed = func.json_each(packed).table_valued("value")
    return left.in_(select(type_coerce(listed.c.value, left.type)))


def _plain(value: Any) -> Any:
    return value.hex if isinstance(value, UUID) else value
