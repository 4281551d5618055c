"""Ids of executions: a hash of what makes an execution one, so that every computation comes to the same.

A UUID of version 8 (RFC 9562) made of an MD5 hash. Nothing is drawn: a statement that is run twice, or on several nodes
of a distributed PostgreSQL (which refuses volatile functions in an UPDATE), writes the same id. SQLite is given it as a
function (`state.database`).
"""

from __future__ import annotations

from hashlib import md5
from typing import Any
from uuid import UUID

from sqlalchemy import Uuid
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

__all__ = ["execution_id", "execution_id_of"]


def execution_id(*parts: object) -> str:
    """The id as SQLite stores it, of parts as SQLite has them: keys as 32 hexadecimal digits."""
    words = "/".join(str(part) for part in parts if part is not None)
    digest = md5(words.encode(), usedforsecurity=False).hexdigest()
    return f"{digest[:12]}8{digest[13:16]}a{digest[17:]}"


class execution_id_of(FunctionElement[UUID]):  # noqa: N801 - called as a function of SQL
    """The id as an expression; parts are columns or parameters, and what is NULL is left out."""

    type = Uuid()
    inherit_cache = True


@compiles(execution_id_of)
def _on_postgresql(asked: execution_id_of, compiler: Any, **more: Any) -> str:
    parts = ", ".join(f"CAST({compiler.process(part, **more)} AS TEXT)" for part in asked.clauses)
    return f"CAST(overlay(overlay(md5(concat_ws('/', {parts})), '8', 13), 'a', 17) AS UUID)"


@compiles(execution_id_of, "sqlite")
def _on_sqlite(asked: execution_id_of, compiler: Any, **more: Any) -> str:
    parts = ", ".join(compiler.process(part, **more) for part in asked.clauses)
    return f"muster_execution_id({parts})"
