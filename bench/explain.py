"""The plans of the statements that carry the load, at a million recipients, as PostgreSQL chose them in use.

The engine's own functions run on connections that have auto_explain loaded, so that what is written to explain/*.txt is
the plan of the very statement that a worker runs: prepared, with statistics as they are after planning a campaign.
Reading a whole table of recipients, slices or entities is counted, and is not to happen.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy import event, select, text

from bench.ground import Ground
from bench.results import HERE, Result
from bench.seeding import seed
from config.settings import Settings
from engine.campaigns import lifecycle
from engine.delivery import enrol, plan, recover, slices, waves
from engine.delivery.execute import Executor
from engine.delivery.outcomes import Settlement
from engine.delivery.rollup import NOWHERE
from engine.delivery.sender import Senders, SendLoop
from engine.delivery.slices import Lease, Tally
from engine.insight.progress import campaign_progress
from engine.insight.recipients import list_recipients
from engine.runtime import Runtime
from engine.wakeups import MemoryWakeups
from state.database import Database
from state.tables import Entity, Job
from state.transitions import AutomationStatus

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from uuid import UUID

    from bench.scale import Scale

__all__ = ["run"]

_LARGE = re.compile(r"Seq Scan on (recipient|slice|entity)\b")
_SETTINGS = ("log_min_duration = 0", "log_analyze = on", "log_buffers = on", "log_level = 'notice'")


def run(scale: Scale, directory: Path) -> list[Result]:
    """One file a step, and how many of their statements read a whole table."""
    with Ground(directory) as ground:
        url = ground.create_seed()
        database = Database(url)
        org_id, campaign_id = seed(database, scale.entities)
        book = _Book(HERE / "explain" if scale.kept else directory)
        book.watch(database)
        settings = Settings(_env_file=None, database_url=url, data_dir=directory)
        runtime = Runtime(settings, database=database, wakeups=MemoryWakeups())
        try:
            _explain(runtime, book, org_id, campaign_id, scale.entities)
        finally:
            database.close()
    aim = {"at_most": 0} if scale.kept else {}
    case = f"explain.whole_tables_read.{scale.entities}"
    return [Result.alone(case, book.whole_tables, "statements", **aim)]


def _explain(runtime: Runtime, book: _Book, org_id: UUID, campaign_id: UUID, size: int) -> None:
    with runtime.transaction() as session:
        job = lifecycle.activate(session, org_id, campaign_id, window=16)
        assert job is not None
    with book.page("plan", "One page of the plan: the last full one", latest=12, allowed="entity"):
        plan.plan(runtime, org_id, job.id)
    _deliver(runtime, org_id, job.id, most=size // 2)
    lease = _claim(runtime, book, org_id, job.id)
    _settle(runtime, book, lease)
    with runtime.database.begin() as session:
        some = list(session.scalars(select(Entity.id).where(Entity.org_id == org_id).limit(100)))
        with book.page("matching", "Enrol a hundred entities that were just written"):
            enrol.guard(session, org_id, activates=False)
            enrol.enrol(session, org_id, "contact", some)
    with book.page("sweep", "A sweep with nothing to do"):
        recover.sweep(runtime)
    with runtime.database.read() as session, book.page("progress", "A campaign's progress"):
        campaign_progress(session, org_id, campaign_id)
    for name, statuses in (("all", []), ("success", ["success"]), ("failed", ["failed"])):
        with runtime.database.read() as session, book.page(f"list-{name}", f"The first page, {name}"):
            list_recipients(session, org_id, campaign_id, limit=100, automation_status=statuses)


def _deliver(runtime: Runtime, org_id: UUID, job_id: UUID, *, most: int) -> None:
    """Deliver a part, as a worker would, so that connections have prepared what they use and rows have versions."""
    loop = SendLoop()
    executor = Executor(runtime, Senders(runtime.settings, loop, runtime.database), loop)
    for number in range(most // runtime.settings.slice_size):
        executor.execute(org_id, job_id, number)
    loop.close()


def _claim(runtime: Runtime, book: _Book, org_id: UUID, job_id: UUID) -> Lease:
    with runtime.database.read() as session:
        ready = session.execute(select(Job.slices_total).where(Job.id == job_id)).scalar_one() - 1
    with runtime.transaction() as session, book.page("lease", "Lease a slice, find its sender"):
        lease = slices.lease(session, org_id, job_id, ready, owner="bench", lasts=runtime.settings.lease)
        assert lease is not None
    with runtime.transaction() as session, book.page("load", "Load a slice"):
        due = waves.load(session, lease)
    wave = [person.entity_id for person in due[:100]]
    now = runtime.database.clock.now()
    with runtime.transaction() as session:
        with book.page("hold", "Hold the slice: in front of every claim and settlement"):
            slices.hold(
                session,
                lease,
                lasts=runtime.settings.lease,
                expected=Tally(in_progress=len(wave)),
                cell=NOWHERE,
                now=now,
            )
        with book.page("claim", "Claim a wave of 100"):
            assert len(waves.claim(session, lease, wave, now=now)) == len(wave)
    return lease


def _settle(runtime: Runtime, book: _Book, lease: Lease) -> None:
    with runtime.database.read() as session:
        in_flight = session.execute(
            text(
                "SELECT entity_id FROM recipient WHERE job_id = :job AND slice_number = :number AND in_flight"
            ),
            {"job": lease.job_id, "number": lease.number},
        ).scalars()
        wave = list(in_flight)
    done = waves.Unsettled()
    done.delivered += wave[5:]
    done.others += [
        Settlement(key, AutomationStatus.FAILED, f"SMTP_55{number}", "no such user")
        for number, key in enumerate(wave[:5])
    ]
    now = runtime.database.clock.now()
    expected = done.tally(in_progress=0, now=now)
    lasts = runtime.settings.lease
    with runtime.transaction() as session:
        slices.hold(session, lease, lasts=lasts, expected=expected, cell=NOWHERE, now=now)
        with book.page("settle", "Settle a wave: 95 delivered, 5 failed with a reason each"):
            waves.settle(session, lease, done, expected=expected, in_progress=0, now=now)
        with book.page("close", "Close a slice: who is left, fold, close, wake the next"):
            slices.close(session, lease, due_at=waves.left(session, lease, now).due_at)


class _Book:
    """Collects plans from the server's notices and writes them down, a file a step."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.folder.mkdir(exist_ok=True)
        self.whole_tables = 0
        self._plans: list[str] = []
        self._open = False

    def watch(self, database: Database) -> None:
        """Load auto_explain in every connection from now on."""
        database.engine.dispose()

        @event.listens_for(database.engine, "connect")
        def _prepare(connection: Any, _record: object) -> None:
            connection.execute("LOAD 'auto_explain'")
            for setting in _SETTINGS:
                connection.execute(f"SET auto_explain.{setting}")
            connection.commit()
            connection.add_notice_handler(self._notice)

    def _notice(self, notice: Any) -> None:
        if self._open:
            self._plans.append(notice.message_primary or "")

    @contextmanager
    def page(self, name: str, title: str, *, latest: int | None = None, allowed: str = "") -> Iterator[None]:
        """Write what runs inside to `name`.txt.

        Args:
            latest: Only that many statements, the last ones.
            allowed: A table that may be read whole here.
        """
        self._plans.clear()
        self._open = True
        try:
            yield
        finally:
            self._open = False
        plans = self._plans[-latest:] if latest else self._plans
        for shown in plans:
            self.whole_tables += sum(found != allowed for found in _LARGE.findall(shown))
        body = "\n\n".join(_readable(shown) for shown in plans)
        (self.folder / f"{name}.txt").write_text(f"{title}\n\n{body}\n")


def _readable(plan: str) -> str:
    """A hundred keys say no more than one."""
    return re.sub(r"\{[0-9a-f\",-]{80,}\}", "{…}", plan)
