"""A backup that is taken in the middle of a delivery is restored elsewhere and finished there: nobody is lost."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
from contextlib import closing
from typing import TYPE_CHECKING
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import func, select

from engine.campaigns import lifecycle
from state.database import Database
from state.tables import Job, Recipient
from state.transitions import AutomationStatus, JobStatus
from tests.acceptance.embedded import Dev
from tests.acceptance.samples import customers
from tests.acceptance.test_main_path import draft, wait_for_sent
from tests.harness.account import account
from tests.harness.postgres import binaries
from tests.harness.providers import SmtpSink
from tests.harness.seeds import seed, smtp_settings
from tests.harness.stack import Stack
from tests.harness.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow

SIZE = 3000
FAST = {"MUSTER_LEASE": "2", "MUSTER_SWEEP_INTERVAL": "0.5"}


def delivered(database: Database, campaign_id: UUID) -> int:
    with database.read() as session:
        successes = select(func.count()).where(
            Recipient.campaign_id == campaign_id, Recipient.automation_status == AutomationStatus.SUCCESS
        )
        return session.execute(successes).scalar_one()


@pytest.mark.services
def test_a_dump_of_postgresql_is_finished_in_another_database(tmp_path: Path) -> None:
    with (
        SmtpSink(tmp_path, "slow", "--latency", "0.02") as sink,
        Stack(tmp_path, smtp=False, env=FAST) as stack,
    ):
        made = stack.seed(
            seed, stack.env["MUSTER_SECRET_KEY"], size=SIZE, kind="smtp", settings=smtp_settings(sink.port)
        )
        job = stack.seed(lifecycle.activate, made.org_id, made.campaign_id, window=16)
        assert job is not None
        wait_for_sent(sink.journal, SIZE // 3)
        url = stack.postgres.url.replace("+psycopg", "")
        dump = tmp_path / "muster.dump"
        subprocess.run([binaries() / "pg_dump", "--format=custom", f"--file={dump}", url], check=True)
        wait_for_sent(sink.journal, SIZE // 2)
        for process in (*stack.workers, *stack.schedulers):
            process.kill()
        sent = sink.journal.count()
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("CREATE DATABASE restored")
        restored = stack.postgres.url.rpartition("/")[0] + "/restored"
        target = restored.replace("+psycopg", "")
        subprocess.run([binaries() / "pg_restore", f"--dbname={target}", dump], check=True)
        database = Database(restored, pool_size=2)
        known = delivered(database, made.campaign_id)
        assert 0 < known < sent
        stack.env["MUSTER_DATABASE_URL"] = restored
        stack.start_worker()
        stack.start_scheduler()

        def is_finished() -> bool:
            with database.read() as session:
                return session.get_one(Job, job.id).status == JobStatus.FINISHED

        wait_until(is_finished, "the restored job is finished", deadline=90)
        found = account(database, sink.journal, campaign_id=made.campaign_id, expected=SIZE)
        database.close()
        found.assert_whole(duplicated=sent - known)


def test_a_backup_of_the_embedded_database_is_finished_elsewhere(tmp_path: Path) -> None:
    people = customers()
    before, after, backup = tmp_path / "before" / "data", tmp_path / "after" / "data", tmp_path / "backup.db"
    for folder in (before, after):
        folder.parent.mkdir()
    with SmtpSink(tmp_path, "slow", "--latency", "0.01") as sink:
        with Dev(tmp_path / "before", **FAST) as dev:
            campaign, expected = draft(dev.client, people, sink)
            dev.client.change_status(campaign, "active")
            wait_for_sent(sink.journal, len(expected) // 3)
            with (
                closing(sqlite3.connect(before / "muster.db")) as taken,
                closing(sqlite3.connect(backup)) as copy,
            ):
                taken.backup(copy)
            wait_for_sent(sink.journal, len(expected) // 2)
            dev.process.kill()
            sent = sink.journal.count()
        shutil.copytree(before, after, ignore=shutil.ignore_patterns("muster.db*"))
        shutil.copy(backup, after / "muster.db")
        with Dev(tmp_path / "after", **FAST) as dev:
            dev.client.finish(campaign)
            found = account(dev.database, sink.journal, campaign_id=UUID(campaign), expected=len(expected))
            found.assert_whole(duplicated=sent)
