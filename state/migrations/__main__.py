"""`python -m state.migrations "add a column"`: write what is missing between the migrations and the tables.

Compared on an empty SQLite database that is migrated first. What SQLite cannot show (the condition of an index, a
type of PostgreSQL's own) is put in by hand; tests/cli/test_migrations.py compares the outcome on both databases to
the letter.

Where there is no migration yet, one is written for each module of `state.tables`.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from alembic import command

from state.database import Database
from state.migrate import configuration, upgrade
from state.revisions import known
from state.tables import Base

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["main"]

#: Comments and defaults that Alembic writes and nobody reads. Names are given in full, so `op.f` guards nothing.
_NOISE = re.compile(r"^ *# ###.*\n|, unique=False", re.MULTILINE)
_GUARDED = re.compile(r"op\.f\(('[^']+')\)")


def main(message: str) -> list[Path]:
    """Write the migration `message`, numbered after the last; several when there is none yet."""
    steps = [(message, None)] if known() else _nouns()
    return [_write(title, tables) for title, tables in steps]


def _nouns() -> Iterator[tuple[str, frozenset[str] | None]]:
    """The modules of `state.tables` and their tables, each behind those it refers to."""
    modules: dict[str, set[str]] = {}
    for table in Base.metadata.sorted_tables:
        owner = next(mapper.class_ for mapper in Base.registry.mappers if mapper.local_table is table)
        modules.setdefault(owner.__module__.rpartition(".")[2], set()).add(table.name)
    while modules:
        waiting = {name for names in modules.values() for name in names}
        noun = next(noun for noun, names in modules.items() if not _needs(names) & (waiting - names))
        yield noun, frozenset(modules.pop(noun))


def _needs(names: set[str]) -> set[str]:
    """The tables that these refer to."""
    tables = (Base.metadata.tables[name] for name in names)
    return {key.column.table.name for table in tables for key in table.foreign_keys}


def _write(message: str, tables: frozenset[str] | None) -> Path:
    """One migration, for these tables or for all."""
    config = configuration()
    config.attributes["tables"] = tables
    with TemporaryDirectory() as directory:
        url = f"sqlite:///{directory}/empty.db"
        upgrade(url)
        database = Database(url, pool_size=1)
        with database.engine.begin() as connection:
            config.attributes["connection"] = connection
            script = command.revision(config, message, autogenerate=True, rev_id=f"{len(known()) + 1:04}")
        database.close()
    path = Path(script.path)  # type: ignore[union-attr]  # one message, one script
    path.write_text(_GUARDED.sub(r"\1", _NOISE.sub("", path.read_text())))
    return path


if __name__ == "__main__":
    main(" ".join(sys.argv[1:]) or sys.exit("say what it does: python -m state.migrations 'add a column'"))
