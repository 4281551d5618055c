"""Every process reaches PostgreSQL through PgBouncer in transaction mode, which gives each transaction another of its
connections to the server, and which is restarted under way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

import pytest
from sqlalchemy import text

from state.database import Database
from tests.acceptance.client import signed_in
from tests.harness.seeds import smtp_settings
from tests.harness.stack import Stack
from tests.harness.waiting import wait_until
from tests.servers import pgbouncer

if TYPE_CHECKING:
    from pathlib import Path

    from tests.harness.providers import SmtpSink

pytestmark = [
    pytest.mark.slow,
    pytest.mark.services,
    pytest.mark.skipif(not pgbouncer.is_installed(), reason="PgBouncer is not there"),
]

SIZE = 1_000
WAVE = 20
#: What the worker that is killed may have sent without a record of it: a wave of each of its threads.
IN_FLIGHT = 8 * WAVE


def _contacts() -> bytes:
    return "\n".join(["id,email", *(f"{n},p{n}@d{n % 20}.example" for n in range(SIZE))]).encode()


def _sink(stack: Stack) -> SmtpSink:
    assert stack.smtp is not None
    return stack.smtp


def test_nobody_is_lost_behind_a_pooler_that_restarts(tmp_path: Path) -> None:
    with Stack(tmp_path, workers=0, scheduler=False) as stack:
        pooler = pgbouncer.PgBouncer(stack.postgres.port)
        with pooler:
            stack.env |= {
                "MUSTER_DATABASE_URL": pooler.url,
                "MUSTER_SLICE_SIZE": "100",
                "MUSTER_WAVE_SIZE": str(WAVE),
            }
            stack.start_api()
            for _ in range(2):
                stack.start_worker()
            stack.start_scheduler()
            with signed_in(stack) as client:
                client.import_csv("contact", _contacts(), external_id="id")
                channel = client.make(
                    "channel", name="mail", kind="smtp", settings=smtp_settings(_sink(stack).port)
                )
                target = client.target("contact", {"key": "email", "operator": "NOT_EMPTY"})
                campaign = client.campaign(target, channel, subject="Hello", text="Hello")
                client.change_status(campaign, "active")
                wait_until(
                    lambda: _sink(stack).journal.count() >= SIZE // 4, "a quarter has left", deadline=120
                )
                pooler.kill()
                pooler.start()
                stack.workers[0].kill()
                stack.start_worker()
                client.finish(campaign, deadline=240)
                found = stack.account(UUID(campaign), expected=SIZE)
    found.assert_whole(duplicated=IN_FLIGHT)
    assert found.statuses == {"success": SIZE}


def test_what_a_session_needs_is_set_behind_a_pooler(tmp_path: Path) -> None:
    with (
        Stack(tmp_path, workers=0, scheduler=False, smtp=False) as stack,
        pgbouncer.PgBouncer(stack.postgres.port, connections=2) as pooler,
    ):
        databases = [Database(pooler.url, pool_size=2) for _ in range(4)]
        try:
            zones = {_zone(database) for database in databases for _ in range(5)}
        finally:
            for database in databases:
                database.close()
    assert zones == {"UTC"}


def _zone(database: Database) -> str:
    with database.read() as session:
        return str(session.execute(text("SHOW timezone")).scalar_one())
