"""Which migrations there are, and which of them a database lacks: told from the files' names, without loading any.

Every process asks this at its start, and every command; running migrations, which needs Alembic, is `state.migrate`.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import inspect, text

from state.errors import SchemaOutdated

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from state.database import Database

__all__ = ["known", "missing_of", "pending", "require_current"]

_FOLDER = Path(__file__).parent / "migrations" / "versions"
_FILE = re.compile(r"(\d{4})_(\w+)\.py")
_REMEDY = "run `muster db upgrade`"


def known() -> list[str]:
    """Every migration there is, oldest first, each as `0001 initial`."""
    names = (_FILE.fullmatch(path.name) for path in _FOLDER.iterdir())
    return sorted(f"{name[1]} {name[2].replace('_', ' ')}" for name in names if name is not None)


def pending(database: Database) -> list[str]:
    """The migrations that the database lacks, oldest first, each as `0001 initial`.

    Raises:
        SchemaOutdated: the database was migrated by a newer Muster.
        sqlalchemy.exc.OperationalError: the database cannot be reached.
    """
    with database.read() as session:
        return missing_of(session.connection())


def require_current(database: Database) -> None:
    """Refuse a database that lacks migrations.

    Raises:
        SchemaOutdated: it does; the message says what to run.
        sqlalchemy.exc.OperationalError: the database cannot be reached.
    """
    missing = pending(database)
    if missing:
        raise SchemaOutdated(f"the database lacks {len(missing)} migration(s), first {missing[0]}: {_REMEDY}")


def missing_of(connection: Connection) -> list[str]:
    """The same over a connection."""
    titles = known()
    current = None
    if inspect(connection).has_table("alembic_version"):
        current = connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()
    if current is None:
        return titles
    revisions = [title.partition(" ")[0] for title in titles]
    if current not in revisions:
        raise SchemaOutdated(
            f"the database is at migration {current}, which this Muster does not know: "
            "install the Muster that made it, or a newer one"
        )
    return titles[revisions.index(current) + 1 :]
