"""How load-carrying statements reach the driver: as text that was compiled once, parameters by number."""

from __future__ import annotations

import re
import typing
from functools import cache
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError, NoResultFound

from state.dialects import SQLite, dialect_of
from state.types import NIL_UUID

if TYPE_CHECKING:
    from collections.abc import Callable

    import psycopg
    from sqlalchemy import ClauseElement, Executable
    from sqlalchemy.engine import Dialect
    from sqlalchemy.orm import Session
    from sqlalchemy.sql.compiler import SQLCompiler

__all__ = ["Rows", "execute", "execute_named"]

_KEYS = {"p_keys", "p_wanted_keys"}
_SETS = {"p_ids", "p_digests", "p_claimed"}
#: A parameter, or a percent sign, as SQLAlchemy writes them for the driver.
_PLACE = re.compile(r"%\((\w+)\)s|%%")


class Rows:
    """What PostgreSQL's driver found, in the few ways in which it is asked for: rows are plain tuples.

    SQLAlchemy's own result works out what its columns are for every execution, which costs a worker as much as the
    messages that it renders.
    """

    __slots__ = ("_cursor",)

    def __init__(self, cursor: psycopg.Cursor[Any]) -> None:
        self._cursor = cursor

    @property
    def rowcount(self) -> int:
        """Rows that were written, or found."""
        return self._cursor.rowcount

    def all(self) -> list[Any]:
        """Every row."""
        return self._cursor.fetchall()

    def first(self) -> Any:
        """The first row; None: there is none."""
        return self._cursor.fetchone()

    def one(self) -> Any:
        """The row that there always is."""
        row = self._cursor.fetchone()
        if row is None:
            raise NoResultFound
        return row

    def scalars(self) -> list[Any]:
        """The first column of every row."""
        return [row[0] for row in self._cursor.fetchall()]


def execute(transaction: Session | Connection, statement: Executable, **parameters: Any) -> Any:
    """Run a load-carrying statement in a transaction; returns its rows, as `Rows` gives them.

    Sets are given as lists, whatever the database. Recipients' keys (`p_keys`, `p_wanted_keys`) come with their bounds.
    """
    connection, parameters = _prepared(transaction, parameters)
    if isinstance(dialect_of(connection), SQLite):
        return connection.execute(statement, parameters)
    return Rows(_run(connection, _written(statement, connection.dialect), parameters))


def execute_named(transaction: Session | Connection, statement: Executable, **parameters: Any) -> list[Any]:
    """The same; returns rows whose columns have names."""
    connection, parameters = _prepared(transaction, parameters)
    if isinstance(dialect_of(connection), SQLite):
        return list(connection.execute(statement, parameters))
    return _run(connection, _written(statement, connection.dialect), parameters, named=True).fetchall()


def _prepared(
    transaction: Session | Connection, parameters: dict[str, Any]
) -> tuple[Connection, dict[str, Any]]:
    """The connection, and the parameters as its database takes them."""
    connection = transaction if isinstance(transaction, Connection) else transaction.connection()
    dialect = dialect_of(connection)
    for name in _KEYS & parameters.keys():
        keys = [key.hex for key in parameters[name]]
        ends = (UUID(min(keys)), UUID(max(keys))) if keys else (NIL_UUID, NIL_UUID)
        parameters |= {name: dialect.packed(keys), f"{name}_first": ends[0], f"{name}_last": ends[1]}
    for name in _SETS & parameters.keys():
        parameters[name] = dialect.packed(parameters[name])
    if isinstance(dialect, SQLite):
        parameters = {
            key: dialect.packed(value) if isinstance(value, list) else value
            for key, value in parameters.items()
        }
    return connection, parameters


def _run(
    connection: Connection,
    written: _Written,
    parameters: dict[str, Any],
    *,
    named: bool = False,
) -> psycopg.Cursor[Any]:
    """Run a text on the driver's own connection; what goes wrong is raised as SQLAlchemy raises it.

    Raises:
        sqlalchemy.exc.DBAPIError: `connection_invalidated` says whether the connection was lost.
    """
    import psycopg  # noqa: PLC0415 - nobody on SQLite needs it
    from psycopg.rows import namedtuple_row, tuple_row  # noqa: PLC0415

    rows: psycopg.rows.RowFactory[Any] = namedtuple_row if named else tuple_row
    driver, dialect = connection.connection.dbapi_connection, typing.cast("Any", connection.dialect)
    cursor: psycopg.Cursor[Any] = psycopg.RawCursor(typing.cast("Any", driver), row_factory=rows)
    try:
        cursor.execute(written.text, written.bind(parameters))
    except psycopg.Error as error:
        lost: bool = dialect.is_disconnect(error, driver, cursor)
        if lost:
            connection.invalidate(error)
        raise DBAPIError.instance(
            written.text.decode(), None, error, psycopg.Error, connection_invalidated=lost, dialect=dialect
        ) from error
    return cursor


class _Written:
    """A statement as the driver takes it, which SQLAlchemy would work out anew for every execution, and the driver too
    if its parameters had names.

    What is the same in every execution stands in the text: PostgreSQL plans a prepared statement without its values,
    and one that says `state = $2` uses no index on `state = 'ready'` (measured: a third of the database's time at a
    million recipients).

    Values come back as the driver reads them: keys as UUIDs, instants aware, JSON only where it is cast to text.
    """

    __slots__ = ("_parameters", "text")

    def __init__(self, statement: Executable, dialect: Dialect) -> None:
        compiled = typing.cast(
            "SQLCompiler", typing.cast("ClauseElement", statement).compile(dialect=dialect)
        )
        # What a parameter's type does to a value.
        processors = typing.cast("dict[str, Callable[[Any], Any]]", dict(compiled._bind_processors))  # noqa: SLF001
        literals = {
            name: compiled.render_literal_value(bound.effective_value, bound.type)
            for name, bound in compiled.binds.items()
            if not name.startswith("p_")
        }
        places: dict[str, str] = {}

        def place(found: re.Match[str]) -> str:
            name = found[1]
            if name is None:
                return "%"
            return literals.get(name) or places.setdefault(name, f"${len(places) + 1}")

        self.text = _PLACE.sub(place, str(compiled)).encode()
        self._parameters = [(name, processors.get(name)) for name in places]

    def bind(self, parameters: dict[str, Any]) -> list[Any]:
        """The driver's parameters, in the order of their numbers."""
        return [
            parameters[name] if processor is None else processor(parameters[name])
            for name, processor in self._parameters
        ]


@cache
def _written(statement: Executable, dialect: Dialect) -> _Written:
    return _Written(statement, dialect)
