"""Column types that mean the same on PostgreSQL and SQLite."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import ARRAY, JSON, Boolean, Computed, DateTime, Text, Uuid
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator

if TYPE_CHECKING:
    from sqlalchemy.engine import Dialect

__all__ = ["NIL_UUID", "Derived", "ExactJson", "Json", "Keys", "UtcDateTime", "is_among"]

#: Stands where a key names nothing, so that a unique index sees two such keys as the same.
NIL_UUID = UUID(int=0)
#: A JSON value: `jsonb` on PostgreSQL, checked text on SQLite.
Json = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
#: A JSON value that comes back as it was written: `jsonb` sorts names and makes 1e16 a whole number. It has no
#: equality on PostgreSQL, so rows with it cannot be grouped by all their columns or made DISTINCT.
ExactJson = JSON(none_as_null=True)


class Derived(Computed):
    """The value of a column that the database makes of others of its row: stored on PostgreSQL, which before 18 knows
    no other; worked out where it is read on SQLite, which cannot add a stored one to a table. Both index it.
    """

    inherit_cache = True

    def __init__(self, expression: str) -> None:
        super().__init__(expression, persisted=True)


@compiles(Derived, "sqlite")
def _derive_on_sqlite(derived: Derived, compiler: Any, **_: Any) -> str:
    expression = compiler.sql_compiler.process(derived.sqltext, include_table=False, literal_binds=True)
    return f"GENERATED ALWAYS AS ({expression})"


class Keys(TypeDecorator[list[UUID]]):
    """A list of keys in one column: an array on PostgreSQL, JSON of their digits on SQLite."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> Any:
        """What the database has for it."""
        return dialect.type_descriptor(ARRAY(Uuid()) if dialect.name == "postgresql" else Text())

    def process_bind_param(self, value: list[UUID] | None, dialect: Dialect) -> Any:
        """As the database takes it."""
        if value is None or dialect.name == "postgresql":
            return value
        return json.dumps([key.hex for key in value])

    def process_result_value(self, value: Any, dialect: Dialect) -> list[UUID] | None:
        """As Python has it."""
        if value is None:
            return None
        return list(value) if dialect.name == "postgresql" else [UUID(key) for key in json.loads(value)]


class is_among(FunctionElement[bool]):  # noqa: N801 - called as a function of SQL
    """Whether a key is in a column of `Keys`; not where that is NULL."""

    type = Boolean()
    inherit_cache = True


@compiles(is_among)
def _is_among(asked: is_among, compiler: Any, **more: Any) -> str:
    key, keys = (compiler.process(one, **more) for one in asked.clauses)
    return f"coalesce({key} = ANY ({keys}), false)"


@compiles(is_among, "sqlite")
def _is_among_on_sqlite(asked: is_among, compiler: Any, **more: Any) -> str:
    key, keys = (compiler.process(one, **more) for one in asked.clauses)
    return f"({key} IN (SELECT value FROM json_each({keys})))"  # noqa: S608 - compiled parts


class UtcDateTime(TypeDecorator[datetime]):
    """An instant. Always aware and in UTC in Python; SQLite, which has no zones, keeps it as naive UTC.

    Raises:
        ValueError: a naive datetime was bound; its zone would be a guess.
    """

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        """Refuse naive values; strip the zone for SQLite."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value!r} has no time zone")
        value = value.astimezone(UTC)
        return value if dialect.name == "postgresql" else value.replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Give back an aware UTC instant."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
