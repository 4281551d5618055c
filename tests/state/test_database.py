"""What a transaction promises of its begin."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import delete, insert, select, update

from state.database import Database, ReadingSession
from state.tables import Organization

if TYPE_CHECKING:
    from pathlib import Path
    from uuid import UUID

    from sqlalchemy import Executable


def test_a_writing_transaction_has_the_lock_of_sqlite_from_its_start(tmp_path: Path) -> None:
    """Before its first statement: a thread that held another lock meanwhile would wait for a writer that wants it."""
    database = Database(f"sqlite:///{tmp_path}/muster.db", pool_size=2)
    other = sqlite3.connect(tmp_path / "muster.db", timeout=0, isolation_level=None)
    try:
        with database.begin(), pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("BEGIN IMMEDIATE")
        other.execute("BEGIN IMMEDIATE")
        other.rollback()
        with database.read():
            other.execute("BEGIN IMMEDIATE")
            other.rollback()
    finally:
        other.close()
        database.close()


@pytest.mark.parametrize(
    "writes", [insert(Organization).values(name="x"), update(Organization).values(name="x")]
)
def test_a_reading_session_refuses_to_write(database: Database, org_id: UUID, writes: Executable) -> None:
    with pytest.raises(ReadingSession), database.read() as session:
        session.execute(writes)
    with pytest.raises(ReadingSession), database.read() as session:
        session.execute(delete(Organization))
    with database.begin() as session:  # on the same connections
        session.execute(update(Organization).values(name="y"))
    with database.read() as session:
        assert session.scalar(select(Organization.name)) == "y"
