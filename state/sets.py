"""Many values in one parameter: arrays on PostgreSQL, JSON on SQLite.

A statement keeps one text whatever the number of values, so that it is prepared once and never meets the limit on
bound parameters.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Connection,
    Integer,
    String,
    Uuid,
    any_,
    bindparam,
    column,
    func,
    literal,
    select,
    type_coerce,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.types import UserDefinedType

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import ColumnElement
    from sqlalchemy.orm import InstrumentedAttribute, Session
    from sqlalchemy.sql.selectable import Subquery
    from sqlalchemy.types import TypeEngine

__all__ = ["PackedArray", "among", "insert_into", "is_postgresql", "literal_array", "packed", "rows"]


class PackedArray(UserDefinedType[Any]):
    """A PostgreSQL array that is given as its text (`literal_array`) and parsed once by the server.

    Binding a list costs the client several times more; casting a text inside the statement costs the server a parse
    a row.
    """

    cache_ok = True
    render_bind_cast = True

    def __init__(self, item: TypeEngine[Any]) -> None:
        self.item = item

    def get_col_spec(self, **_: Any) -> str:
        """The array type's name."""
        kinds = {Uuid: "UUID", BigInteger: "BIGINT", Integer: "INTEGER"}
        name = next((name for kind, name in kinds.items() if isinstance(self.item, kind)), "TEXT")
        return f"{name}[]"


def is_postgresql(session: Session | Connection) -> bool:
    """Whether the session speaks to PostgreSQL (else: SQLite)."""
    bind = session if isinstance(session, Connection) else session.get_bind()
    return bind.dialect.name == "postgresql"


def insert_into(session: Session, table: Any) -> Any:
    """An INSERT that knows ON CONFLICT, which both databases spell alike and SQLAlchemy keeps apart."""
    return (postgresql if is_postgresql(session) else sqlite).insert(table)


def packed(values: Iterable[Any]) -> str:
    """`values` as the JSON array that SQLite is given instead of an array."""
    return json.dumps([_plain(value) for value in values])


def literal_array(values: Iterable[Any]) -> str:
    """`values` (UUIDs, numbers, texts, or None) as the text of a PostgreSQL array."""
    return (
        "{" + ",".join([value.hex if isinstance(value, UUID) else _quoted(value) for value in values]) + "}"
    )


def _quoted(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return str(value)


def _plain(value: Any) -> Any:
    return value.hex if isinstance(value, UUID) else value


def among(
    session: Session, left: InstrumentedAttribute[Any] | ColumnElement[Any], values: Iterable[Any]
) -> ColumnElement[bool]:
    """`left IN (values)` with one bound parameter."""
    items = list(values)
    if is_postgresql(session):
        return left == any_(bindparam(None, literal_array(items), type_=PackedArray(left.type), unique=True))
    listed = func.json_each(literal(packed(items), String)).table_valued("value")
    return left.in_(select(type_coerce(listed.c.value, left.type)))


def rows(
    session: Session,
    types: dict[str, type[TypeEngine[Any]]],
    values: Sequence[tuple[Any, ...]],
    *,
    name: str = "given",
) -> Subquery:
    """`values` as a table of the named, typed columns, to join in an UPDATE or INSERT … SELECT.

    Args:
        types: Column name → one of Uuid, String, Text, Integer.
        values: One tuple a row, in the order of `types`.
    """
    names = list(types)
    if is_postgresql(session):
        arrays = [
            bindparam(None, [row[i] for row in values], type_=ARRAY(types[label]), unique=True)
            for i, label in enumerate(names)
        ]
        given = (
            func.unnest(*arrays)
            .table_valued(*(column(label, types[label]) for label in names), name=f"{name}_values")
            .render_derived()
        )
        return select(*(given.c[label] for label in names)).subquery(name)
    packed = json.dumps([[_plain(item) for item in row] for row in values])
    given = func.json_each(literal(packed, String)).table_valued("value", name=f"{name}_values")
    return select(
        *(
            type_coerce(func.json_extract(given.c.value, f"$[{i}]"), types[label]).label(label)
            for i, label in enumerate(names)
        )
    ).subquery(name)
