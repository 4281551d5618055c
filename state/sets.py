"""Many values in one parameter.

A statement keeps one text whatever the number of values, so that it is prepared once and never meets the limit on
bound parameters.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from state.dialects import dialect_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import ColumnElement
    from sqlalchemy.orm import InstrumentedAttribute, Session
    from sqlalchemy.sql.selectable import Subquery
    from sqlalchemy.types import TypeEngine

__all__ = ["among", "insert_into", "rows"]


def insert_into(session: Session, table: Any) -> Any:
    """An INSERT that knows ON CONFLICT."""
    return dialect_of(session).insert(table)


def among(
    session: Session, left: InstrumentedAttribute[Any] | ColumnElement[Any], values: Iterable[Any]
) -> ColumnElement[bool]:
    """`left IN (values)` with one bound parameter."""
    return dialect_of(session).among(left, list(values))


def rows(
    session: Session,
    types: dict[str, type[TypeEngine[Any]]],
    values: Sequence[tuple[Any, ...]],
    *,
    name: str = "given",
) -> Subquery:
    """`values` as a table of the named, typed columns, to join in an UPDATE or INSERT … SELECT.

    Args:
        session: Whose database it is for.
        types: Column name → one of Uuid, String, Text, Integer.
        values: One tuple a row, in the order of `types`.
        name: The table's.
    """
    return dialect_of(session).rows(types, values, name)
