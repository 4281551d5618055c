"""Bringing a database to the tables that this code needs.

`upgrade` runs what is missing in one transaction, one upgrader at a time: of two that start together the
second finds nothing to do, and one that is killed half-way leaves the database as it was. Every process that
serves or works asks `require_current` first, so that old tables are named as such and never end in a strange
SQL error.

Migrations only go forward; going back is restoring a backup (docs/operations.md).
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text

from state.database import Database
from state.errors import SchemaOutdated

if TYPE_CHECKING:
    from alembic.script import Script
    from sqlalchemy import Connection

__all__ = ["configuration", "known", "pending", "require_current", "upgrade"]

# What ran is told by whoever upgrades; Alembic's own lines would stand in every process's log.
logging.getLogger("alembic").setLevel(logging.WARNING)

#: PostgreSQL's advisory lock of whoever migrates ("muster" in ASCII, as a number).
_LOCK = 0x6D7573746572
_REMEDY = "run `muster db upgrade`"


def configuration() -> Config:
    """Alembic's configuration, made here and not in an ini file, so that an installed package has it."""
    config = Config()
    config.set_main_option("script_location", "state:migrations")
    config.set_main_option("path_separator", "os")
    return config


def known() -> list[str]:
    """Every migration there is, oldest first, each as `0001 initial`."""
    return [_title(script) for script in _scripts()]


def upgrade(database_url: str) -> list[str]:
    """Run every missing migration; returns those that ran, oldest first, each as `0001 initial`.

    Raises:
        SchemaOutdated: the database was migrated by a newer Muster, or holds tables that no migration made.
        sqlalchemy.exc.OperationalError: the database cannot be reached.
    """
    database = Database(database_url, pool_size=1)
    try:
        with database.engine.begin() as connection:
            if database.is_postgresql:
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
            missing = _pending(connection)
            if missing and _made_otherwise(connection):
                raise SchemaOutdated(
                    "the database holds tables that no migration made; use an empty database, "
                    "or the one Muster was installed with"
                )
            if missing:
                config = configuration()
                config.attributes["connection"] = connection
                command.upgrade(config, "head")
            return missing
    finally:
        database.close()


def pending(database: Database) -> list[str]:
    """The migrations that the database lacks, oldest first, each as `0001 initial`.

    Raises:
        SchemaOutdated: the database was migrated by a newer Muster.
        sqlalchemy.exc.OperationalError: the database cannot be reached.
    """
    with database.read() as session:
        return _pending(session.connection())


def require_current(database: Database) -> None:
    """Refuse a database that lacks migrations.

    Raises:
        SchemaOutdated: it does; the message says what to run.
        sqlalchemy.exc.OperationalError: the database cannot be reached.
    """
    missing = pending(database)
    if missing:
        raise SchemaOutdated(f"the database lacks {len(missing)} migration(s), first {missing[0]}: {_REMEDY}")


def _scripts() -> list[Script]:
    return [*ScriptDirectory.from_config(configuration()).walk_revisions()][::-1]


def _title(script: Script) -> str:
    return f"{script.revision} {script.doc}"


def _pending(connection: Connection) -> list[str]:
    scripts = _scripts()
    current = MigrationContext.configure(connection).get_current_revision()
    if current is None:
        return [_title(script) for script in scripts]
    revisions = [script.revision for script in scripts]
    if current not in revisions:
        raise SchemaOutdated(
            f"the database is at migration {current}, which this Muster does not know: "
            "install the Muster that made it, or a newer one"
        )
    return [_title(script) for script in scripts[revisions.index(current) + 1 :]]


def _made_otherwise(connection: Connection) -> bool:
    """Whether there are tables of ours and no trace of a migration."""
    inspector = inspect(connection)
    return inspector.has_table("organization") and not inspector.has_table("alembic_version")
