"""The interface of a database."""

from __future__ import annotations

from abc import ABC, abstractmethod
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import orjson
from sqlalchemy import create_engine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from uuid import UUID

    from sqlalchemy import URL, Connection, Engine
    from sqlalchemy.orm import InstrumentedAttribute, Session
    from sqlalchemy.sql.elements import ColumnElement
    from sqlalchemy.sql.selectable import Subquery
    from sqlalchemy.types import TypeEngine

    Column = ColumnElement[Any] | InstrumentedAttribute[Any]

__all__ = ["BUSY_TIMEOUT", "Dialect", "SlowStatement", "new_engine"]

#: How long a transaction waits for its turn: for a connection of the pool, and for SQLite's write lock.
BUSY_TIMEOUT = timedelta(seconds=30)


def new_engine(url: URL, pool_size: int, **more: Any) -> Engine:
    """A pool as every database has it; `more` is given to `create_engine`."""
    return create_engine(
        url,
        pool_size=pool_size,
        max_overflow=0,
        json_serializer=lambda value: orjson.dumps(value).decode(),
        json_deserializer=orjson.loads,
        **more,
    )


class SlowStatement(NamedTuple):
    """A statement that took the database long, its values left out."""

    text: str
    calls: int
    mean_seconds: float
    total_seconds: float


class Dialect(ABC):
    """What a database does in its own way."""

    name: ClassVar[str]
    """As SQLAlchemy calls it."""
    version_query: ClassVar[str]
    """The statement that gives the server's version."""
    title: ClassVar[str]
    """As people call it."""
    reading: ClassVar[Mapping[str, Any]]
    """Execution options of a connection that only reads."""
    has_many_writers: ClassVar[bool]
    """Whether several transactions write at once; where not, nothing needs a lock beside the transaction's."""

    @abstractmethod
    def make_engine(
        self,
        url: URL,
        *,
        pool_size: int,
        is_pooled: bool,
        functions: Mapping[str, tuple[int, Callable[..., Any]]],
    ) -> Engine:
        """A pool of at most `pool_size` connections.

        Args:
            url: Where the database is.
            pool_size: Connections at most.
            is_pooled: Whether a pooler stands between, which gives each transaction any connection.
            functions: Those that statements call and a database without stored ones is given: name → number of
                arguments (-1: any), function of the same arguments that depends on nothing else.
        """

    @abstractmethod
    def insert(self, table: Any) -> Any:
        """An INSERT that knows ON CONFLICT, which both databases spell alike and SQLAlchemy keeps apart."""

    @abstractmethod
    def among(self, left: Column, values: Sequence[Any]) -> ColumnElement[bool]:
        """`left IN (values)` with one bound parameter."""

    @abstractmethod
    def among_parameter(self, left: Column, name: str) -> ColumnElement[bool]:
        """The same for the parameter `name`, which is given as `packed` has it."""

    @abstractmethod
    def packed(self, values: Iterable[Any]) -> str:
        """`values` (UUIDs, numbers, texts, or None) as the one text in which a list travels."""

    @abstractmethod
    def rows(
        self, types: Mapping[str, type[TypeEngine[Any]]], values: Sequence[tuple[Any, ...]], name: str
    ) -> Subquery:
        """`values` as a table `name` of the typed columns."""

    @abstractmethod
    def document(self, text: ColumnElement[str]) -> ColumnElement[Any]:
        """A text that is JSON, as the value of a column of JSON."""

    @abstractmethod
    def member(self, document: Column, name: str) -> ColumnElement[str]:
        """A member of a column of JSON, as text; NULL where there is none."""

    @abstractmethod
    def hours_after(self, instant: Column, hours: Column) -> ColumnElement[Any]:
        """`instant` and so many hours."""

    @abstractmethod
    def place(self, salt: UUID, key: Column, places: int) -> ColumnElement[int]:
        """The place, of `places`, of `key` in the order that `salt` makes (`state.sampling.place`)."""

    @abstractmethod
    def lock(
        self, session: Session | Connection, kind: int, subjects: Sequence[int], *, shared: bool
    ) -> None:
        """Wait for the locks of a kind and take them, in the order of their numbers, until the transaction ends."""

    @abstractmethod
    def try_lock(self, session: Session, kind: int, subject: int) -> bool:
        """Take a lock until the transaction ends if nobody has it; returns whether it was taken."""

    @abstractmethod
    def fail_instead_of_waiting(self, session: Session) -> None:
        """Have statements of the transaction raise where another one holds the lock that they need. To be called
        before its first statement.
        """

    @abstractmethod
    def analyze(self, engine: Engine, tables: Sequence[str]) -> None:
        """Have the planner look at tables that have just grown much. One that is being looked at is left alone."""

    @abstractmethod
    def overwrite_deleted(self, engine: Engine) -> None:
        """Overwrite what the database's file still holds of rows that are gone."""

    @abstractmethod
    def slow_statements(self, session: Session, most: int) -> Sequence[SlowStatement] | None:
        """The statements of this database that took longest in all, or None: it keeps no record that we may read."""
