"""What a transaction promises of its begin."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from threading import Event, Timer
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import OperationalError

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


def test_a_transaction_that_does_not_wait_fails_where_another_holds_the_lock(
    database: Database, org_id: UUID
) -> None:
    """It would wait for 30 seconds else, or for ever; the next transaction of the connection waits again."""
    rename = update(Organization).where(Organization.id == org_id)
    with database.begin() as holder:
        holder.execute(rename.values(name="held"))
        with pytest.raises(OperationalError), database.begin(waits=False) as session:
            session.execute(rename.values(name="x"))
    with database.begin(waits=False) as session:
        session.execute(rename.values(name="free"))
    held, asked = Event(), Event()

    def hold() -> None:
        with database.begin() as session:
            session.execute(rename.values(name="held again"))
            held.set()
            assert asked.wait(30)

    with ThreadPoolExecutor(1) as pool:
        holding = pool.submit(hold)
        assert held.wait(30)
        Timer(0.2, asked.set).start()
        with database.begin() as session:
            session.execute(rename.values(name="last"))
        holding.result()
    with database.read() as session:
        assert session.scalar(select(Organization.name)) == "last"
