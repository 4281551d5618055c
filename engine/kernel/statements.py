"""The statements that carry the load, each built once per database and run with parameters.

A wave of 100 recipients costs one transaction of five of them. They are Core statements over tables, not ORM ones: at
ten thousand recipients a second the difference is a third of the time. Parameters are called `p_…`; here stand those
that all share. `slice_statements`: leases and counters. `recipient_statements`: a wave. `step_statements`: a flow of
several touchpoints.

Recipients are addressed by job, slice and key, and by nothing else that has an index: a planner whose statistics lag
behind a million fresh rows would otherwise take the index by status, and read the whole campaign for every wave
(measured: eight times slower).

Lock order: a leased slice, its recipients, the job, ready slices.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Self

from sqlalchemy import Integer, Uuid, bindparam, column, func

from state.dialects import PostgreSQL, dialect_of
from state.dialects.postgresql import PackedArray
from state.types import UtcDateTime

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection, TableValuedAlias
    from sqlalchemy.orm import Session
    from sqlalchemy.types import TypeEngine

    from state.dialects import Dialect

__all__ = ["JOB", "NOW", "NUMBER", "ORG", "Statements", "looked_up"]

#: The transaction's instant.
NOW = bindparam("p_now", type_=UtcDateTime())
ORG = bindparam("p_org_id", type_=Uuid())
JOB = bindparam("p_job_id", type_=Uuid())
#: The slice's.
NUMBER = bindparam("p_number", type_=Integer())


def looked_up(name: str, kind: TypeEngine[Any]) -> TableValuedAlias:
    """A list of keys as a table of one column, `key`, for a LATERAL look-up of each. PostgreSQL."""
    keys = func.unnest(bindparam(name, type_=PackedArray(kind)))
    return keys.table_valued(column("key", kind), name="given").render_derived()


class Statements:
    """One database's set of them."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._postgresql = isinstance(dialect, PostgreSQL)

    @classmethod
    def of(cls, session: Session | Connection) -> Self:
        """The statements for the session's database."""
        return cls._built(dialect_of(session))

    @classmethod
    @cache
    def _built(cls, dialect: Dialect) -> Self:
        return cls(dialect)

    def _among(self, left: ColumnElement[Any], name: str = "p_ids") -> ColumnElement[bool]:
        """`left` is one of a list, which travels as one text."""
        return self._dialect.among_parameter(left, name)
