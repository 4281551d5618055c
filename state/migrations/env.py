"""Alembic's environment. Runs inside `state.migrate`, which owns the connection and its transaction."""

from __future__ import annotations

from typing import Any, Literal

from alembic import context

from state.tables import Base
from state.types import Json, Keys, UtcDateTime


def _render(kind: str, item: Any, autogenerate: Any) -> str | Literal[False]:
    """How our own column types are written into a migration."""
    if kind == "type" and isinstance(item, (Keys, UtcDateTime)):
        name = type(item).__name__
        autogenerate.imports.add(f"from state.types import {name}")
        return f"{name}()"
    if kind == "type" and item is Json:
        autogenerate.imports.add("from state.types import Json")
        return "Json"
    return False


def _wanted(item: Any, name: str | None, kind: str, reflected: bool, other: Any) -> bool:  # noqa: ARG001
    """Only the tables that the maker asks about, when it asks about some."""
    tables = context.config.attributes.get("tables")
    return kind != "table" or tables is None or name in tables


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    compare_type=True,
    compare_server_default=True,
    render_item=_render,
    include_object=_wanted,
)
context.run_migrations()
