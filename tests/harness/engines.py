"""Engines of tests: all of a process share the statements that were compiled, and SQLite does not wait for the disk.

Every test has a database of its own, and so an engine; compiling what it executes would take most of its time. What a
test commits need not survive a power cut. Processes that tests start have the engines of the product.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import event
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.engine import Dialect
from sqlalchemy.util import LRUCache

if TYPE_CHECKING:
    from sqlalchemy import Engine

__all__ = ["share_compiled_statements"]

_COMPILED: LRUCache[Any, Any] = LRUCache(2000)


class _Shared(Dialect):
    """One dialect is as good as another: what was compiled by one, the others find."""

    supports_statement_cache = True

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other)

    def __hash__(self) -> int:
        return hash(type(self))

    @classmethod
    def engine_created(cls, engine: Engine) -> None:
        engine.update_execution_options(compiled_cache=_COMPILED)


class SharedPostgreSQL(_Shared, PGDialect_psycopg):
    supports_statement_cache = True


class SharedSQLite(_Shared, SQLiteDialect_pysqlite):
    supports_statement_cache = True

    @classmethod
    def engine_created(cls, engine: Engine) -> None:
        super().engine_created(engine)
        event.listen(engine, "checkout", lambda connection, *_: connection.execute("PRAGMA synchronous=OFF"))


def share_compiled_statements() -> None:
    """Have every engine that is made from now on be such a one."""
    registry.register("postgresql.psycopg", __name__, SharedPostgreSQL.__name__)
    for name in ("sqlite", "sqlite.pysqlite"):
        registry.register(name, __name__, SharedSQLite.__name__)
