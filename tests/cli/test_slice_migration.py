"""Slices of a database of before know what they hold, and lists and totals are what they were."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from alembic import command

from engine.insight.progress import campaign_progress
from engine.insight.recipients import list_recipients
from state import migrate
from state.database import Database
from state.tables import Recipient, Slice
from state.types import UtcDateTime
from tests.cli.test_migrations import new_url  # noqa: F401 - a fixture
from tests.harness.account import slice_miscounts

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.slow

AT = datetime(2026, 1, 1, tzinfo=UTC)
#: Of the job: what it counted, slice by slice, less what the leased one has not folded.
JOB = {"total": 12, "success": 3, "failed": 1, "cancelled": 1, "in_progress": 1}
#: State, what is not folded, in progress and what of it is folded, statuses of its recipients.
SLICES = {
    0: ("done", (0, 0, 0), (0, 0), ["success"] * 3 + ["cancelled", "failed"]),
    1: ("leased", (2, 1, 0), (1, 0), ["success"] * 2 + ["failed", "in_progress"]),
    2: ("ready", (0, 0, 0), (1, 1), ["in_progress", "pending", "pending"]),
    3: ("done", (0, 0, 0), (0, 0), []),  # its recipients were retriggered away
}
#: In no slice.
OTHERS = ["failed", "failed", None]


def _rows(org_id: UUID, campaign_id: UUID, job_id: UUID) -> dict[str, list[dict[str, object]]]:
    recipients: list[tuple[int | None, str | None]] = [
        (number, status) for number, (*_, statuses) in SLICES.items() for status in statuses
    ]
    recipients += [(None, status) for status in OTHERS]
    common = {"org_id": org_id, "campaign_id": campaign_id}
    return {
        "organization": [{"id": org_id, "name": "shop", "created_at": AT, "limits_epoch": 0}],
        "campaign": [{"id": campaign_id, "org_id": org_id, "name": "c"}],
        "job": [{"id": job_id, **common, **JOB, "slices_total": 4, "slices_done": 2}],
        "slice": [
            {
                "org_id": org_id,
                "job_id": job_id,
                "number": number,
                "state": state,
                "size": 5,
                "due_at": AT,
                "woken_at": AT if state == "leased" else None,
                "lease_expires_at": AT + timedelta(minutes=1) if state == "leased" else None,
                "lease_epoch": 1,
                **dict(zip(("success", "failed", "cancelled"), unfolded, strict=True)),
                **dict(zip(("in_progress", "in_progress_folded"), between, strict=True)),
            }
            for number, (state, unfolded, between, _) in SLICES.items()
        ],
        "recipient": [
            {
                **common,
                "entity_id": uuid4(),
                "job_id": None if number is None else job_id,
                "slice_number": number,
                "automation_status": status,
                "in_flight": status == "in_progress" and number == 1,
                "entity_schema": "contact",
                "title": "",
                "attempt": 1,
            }
            for number, status in recipients
        ],
    }


def fill(connection: sa.Connection, rows: dict[str, list[dict[str, object]]]) -> None:
    """Write rows into tables as they were; what nobody names is whatever the column takes."""
    found = sa.MetaData()
    found.reflect(connection, only=list(rows))
    for name, values in rows.items():
        table = found.tables[name]
        for value in values:
            row = {}
            for column in table.columns:
                given = value.get(column.name)
                if isinstance(given, UUID) and connection.dialect.name == "sqlite":
                    given = given.hex
                if isinstance(given, datetime):
                    given = UtcDateTime().process_bind_param(given, connection.dialect)
                if given is None and not column.nullable and column.server_default is None:
                    given = _blank(column)
                if given is not None:
                    row[column.name] = given
            connection.execute(table.insert(), row)


def _blank(column: sa.Column[object]) -> object:
    kind = column.type
    if isinstance(kind, sa.DateTime):
        return AT if kind.timezone else AT.replace(tzinfo=None)
    if isinstance(kind, sa.Boolean):
        return False
    if isinstance(kind, (sa.Integer, sa.Float)):
        return 0
    if isinstance(kind, sa.JSON):
        return []
    return "processing" if column.name == "status" else "x"


@pytest.fixture
def upgraded(new_url: Callable[[], str]) -> tuple[Database, UUID, UUID, UUID]:  # noqa: F811
    url, (org_id, campaign_id, job_id) = new_url(), (uuid4(), uuid4(), uuid4())
    database = Database(url, pool_size=2)
    with database.engine.begin() as connection:
        config = migrate.configuration()
        config.attributes["connection"] = connection
        command.upgrade(config, "0020")
        fill(connection, _rows(org_id, campaign_id, job_id))
    migrate.upgrade(url)
    return database, org_id, campaign_id, job_id


def test_slices_count_what_they_hold_and_their_job_what_it_counted(
    upgraded: tuple[Database, UUID, UUID, UUID],
) -> None:
    database, org_id, campaign_id, job_id = upgraded
    with database.read() as session:
        assert slice_miscounts(session.connection(), job_id) == []
        pieces = {row.number: row for row in session.scalars(sa.select(Slice))}
        folded = [(row.success_folded, row.failed_folded, row.cancelled_folded) for row in pieces.values()]
        assert folded == [(3, 1, 1), (0, 0, 0), (0, 0, 0), (0, 0, 0)]
        assert {row.campaign_id for row in pieces.values()} == {campaign_id}
        assert (pieces[1].lease_epoch, pieces[1].state) == (1, "leased")
        counts = campaign_progress(session, org_id, campaign_id).counts
        assert counts == {"pending": 2, "in_progress": 2, "success": 5, "failed": 2, "cancelled": 1}
        for status, expected in {**counts, "failed": 4}.items():
            page = list_recipients(session, org_id, campaign_id, automation_status=[status])
            assert (page.total, len(page.results)) == (expected, expected)
        claimed = session.scalars(sa.select(Recipient).where(Recipient.in_flight)).one()
        assert (pieces[1].claimed, pieces[1].claimed_step) == ([claimed.entity_id], None)
        assert (claimed.automation_status, claimed.attempt) == ("pending", 0)
        unsliced = sa.select(Recipient.unsliced_status).where(Recipient.slice_number.is_(None))
        assert sorted(session.scalars(unsliced), key=str) == sorted(OTHERS, key=str)
    database.close()
