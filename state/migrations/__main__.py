"""`python -m state.migrations "add a column"`: write what is missing between the migrations and the tables.

Compared on an empty SQLite database that is migrated first. What SQLite cannot show (an index's condition,
a type of PostgreSQL's own) is put in by hand; tests/cli/test_migrations.py compares the outcome on both
databases to the letter.
"""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from alembic import command
from alembic.script import ScriptDirectory

from state.database import Database
from state.migrate import configuration, upgrade

_MARK = "    # ###"


def main(message: str) -> Path:
    """Write the migration `message`, numbered after the last, and give back its file."""
    config = configuration()
    number = len([*ScriptDirectory.from_config(config).walk_revisions()]) + 1
    with TemporaryDirectory() as directory:
        url = f"sqlite:///{directory}/empty.db"
        upgrade(url)
        database = Database(url, pool_size=1)
        with database.engine.begin() as connection:
            config.attributes["connection"] = connection
            script = command.revision(config, message, autogenerate=True, rev_id=f"{number:04}")
        database.close()
    path = Path(script.path)  # type: ignore[union-attr]  # one message, one script
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(line for line in lines if not line.startswith(_MARK)))
    return path


if __name__ == "__main__":
    main(" ".join(sys.argv[1:]) or sys.exit("say what it does: python -m state.migrations 'add a column'"))
