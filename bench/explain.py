"""The plans of the statements that carry the load, at a million recipients, as PostgreSQL chose them in use.

The engine's own functions run on connections that have auto_explain loaded, so that what is written to explain/*.txt is
the plan of the very statement that a worker runs: prepared, with statistics as they are after planning a campaign.
A statement that reads a whole table of more than a hundred rows is counted, and is not to happen.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy import event, select, text

from actors import sweeper
from bench.ground import Ground
from bench.results import HERE, Aim, Result
from bench.seeding import seed
from config.settings import Settings
from engine.campaigns import lifecycle
from engine.delivery import enrol, lease_writes, plan, slices
from engine.delivery.lease import Executor
from engine.delivery.lease_writes import KeyRange, PendingOutcomes
from engine.delivery.outcomes import Settlement
from engine.delivery.rollup import NO_KEY
from engine.delivery.sender import NO_CONTACT, Senders
from engine.delivery.slices import NOBODY, Claims, Lease, Tally
from engine.delivery.work_plan import StepGroup, load
from engine.insight.progress import campaign_progress
from engine.insight.recipients import list_recipients
from engine.kernel.runtime import Runtime
from engine.kernel.send_loop import SendLoop
from engine.kernel.wakeups import MemoryWakeups
from state.database import Database
from state.tables import Entity, Job, Recipient
from state.transitions import AutomationStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from uuid import UUID

    from bench.scale import Scale

__all__ = ["run"]

_WHOLE = re.compile(r"Seq Scan on (\w+)")
#: Rows of a table that may be read as a whole: whatever else PostgreSQL did with it would be more work.
_SMALL = 100
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
            whole_tables = book.whole_tables(database)
        finally:
            database.close()
    aim: Aim = {"at_most": 0} if scale.kept else {}
    case = f"explain.whole_tables_read.{scale.entities}"
    return [Result.alone(case, whole_tables, "statements", **aim)]


def _explain(runtime: Runtime, book: _Book, org_id: UUID, campaign_id: UUID, size: int) -> None:
    with runtime.transaction() as session:
        job = lifecycle.activate(session, org_id, campaign_id, window=16)
        assert job is not None
    with book.page("plan", "One page of the plan: the last full one", choose=_full_page):
        plan.plan(runtime, org_id, job.id)
    _deliver(runtime, org_id, job.id, most=size // 2)
    lease = _claim(runtime, book, org_id, job.id)
    _settle(runtime, book, lease)
    with runtime.database.read() as session:
        some = list(session.scalars(select(Entity.id).where(Entity.org_id == org_id).limit(100)))
    with (
        book.page("matching", "Enrol a hundred entities that were just written"),
        runtime.transaction() as session,
    ):
        enrol.guard(session, org_id, activates=False)
        enrol.enrol(session, org_id, "contact", some)
    with book.page("sweep", "A sweep with nothing to do"):
        sweeper.sweep(runtime)
    with book.page("progress", "A campaign's progress"), runtime.database.read() as session:
        campaign_progress(session, org_id, campaign_id)
    for name, statuses in (("all", []), ("success", ["success"]), ("failed", ["failed"])):
        with book.page(f"list-{name}", f"The first page, {name}"), runtime.database.read() as session:
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
        last = session.execute(select(Job.slices_total).where(Job.id == job_id)).scalar_one() - 1
    lasts = runtime.settings.lease
    with book.page("lease", "Lease a slice"), runtime.transaction() as session:
        lease = slices.lease(session, org_id, job_id, last, owner="bench", lasts=lasts)
    assert lease is not None
    with book.page("load", "Load a slice"), runtime.transaction() as session:
        due = load(session, lease, runtime.database.clock.now())
    first, second = ([person.entity_id for person in due[at : at + 100]] for at in (0, 100))
    now = runtime.database.clock.now()
    expected = Tally(claims=Claims(first))
    with (
        book.page("renew", "Renew the lease: in front of every claim and completion that is not as usual"),
        runtime.transaction() as session,
    ):
        slices.renew(session, lease, lasts=lasts, expected=expected, key=NO_KEY, now=now)
    with book.page("claim", "Claim a wave of 100"), runtime.transaction() as session:
        group = StepGroup(due, None)
        assert len(lease_writes.claim(session, lease, group, first, now=now).claims) == len(first)
    with (
        book.page("wave", "As usual: settle a wave of 100 and claim the next, in one statement"),
        runtime.database.autocommit() as connection,
    ):
        wave = lease_writes.complete_and_claim(
            connection,
            lease,
            delivered=KeyRange(first[0], first[-1]),
            contact=NO_CONTACT,
            wanted=KeyRange(second[0], second[-1]),
            limits_epoch=lease.limits_epoch,
            lasts=lasts,
            key=NO_KEY,
            now=now,
        )
    assert (wave.completed, len(wave.claims)) == (len(first), len(second))
    return lease


def _settle(runtime: Runtime, book: _Book, lease: Lease) -> None:
    in_flight = (
        Recipient.job_id == lease.job_id,
        Recipient.slice_number == lease.number,
        Recipient.in_flight.is_(True),
    )
    with runtime.database.read() as session:
        wave = list(session.scalars(select(Recipient.entity_id).where(*in_flight)))
    done = PendingOutcomes()
    done.delivered += wave[5:]
    done.others += [
        Settlement(key, AutomationStatus.FAILED, f"SMTP_55{number}", "no such user")
        for number, key in enumerate(wave[:5])
    ]
    now = runtime.database.clock.now()
    expected = done.tally(between_steps=0, claims=NOBODY, now=now)
    with (
        book.page("settle", "Settle a wave: 95 delivered, 5 failed with a reason each"),
        runtime.transaction() as session,
    ):
        slices.renew(session, lease, lasts=runtime.settings.lease, expected=expected, key=NO_KEY, now=now)
        lease_writes.complete(
            session, lease, done, expected=expected, between_steps=0, claims=NOBODY, now=now
        )
    with (
        book.page("close", "Close a slice: who is left, fold, close, wake the next"),
        runtime.transaction() as session,
    ):
        slices.close(session, lease, due_at=lease_writes.remaining(session, lease, now).due_at)


class _Book:
    """Collects plans from the server's notices and writes them down, a file a step.

    PostgreSQL tells a statement's plan when the next begins, or when its transaction ends: a page holds whole ones.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.folder.mkdir(exist_ok=True)
        self._read: list[tuple[str, str]] = []
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
    def page(
        self, name: str, title: str, *, choose: Callable[[list[str]], list[str]] = list
    ) -> Iterator[None]:
        """Write what runs inside to `name`.txt.

        Args:
            choose: Which of the plans; all of them are looked at for tables that are read whole.
        """
        self._plans.clear()
        self._open = True
        try:
            yield
        finally:
            self._open = False
        self._read += [(name, table) for shown in self._plans for table in _WHOLE.findall(shown)]
        body = "\n\n".join(_readable(shown) for shown in choose(self._plans))
        (self.folder / f"{name}.txt").write_text(f"{title}\n\n{body}\n")

    def whole_tables(self, database: Database) -> int:
        """How many times a table that is not small was read as a whole."""
        with database.read() as session:
            sizes = session.execute(text("SELECT relname, n_live_tup FROM pg_stat_user_tables"))
            small = {name for name, rows in sizes if rows <= _SMALL}
        found = [(page, table) for page, table in self._read if table not in small]
        for page, table in found:
            print(f"  {page}: reads the whole of {table}")
        return len(found)


def _full_page(plans: list[str]) -> list[str]:
    """Of all pages of a plan the last full one: behind it come who is left over, and nobody."""
    pages: list[list[str]] = []
    for shown in plans:
        if "pg_advisory_xact_lock" in shown:
            pages.append([])
        if pages:
            pages[-1].append(shown)
    return [page for page in pages if any("INSERT INTO recipient" in shown for shown in page)][-3]


def _readable(plan: str) -> str:
    """A hundred keys say no more than one."""
    return re.sub(r"\{[0-9a-f\",-]{80,}\}", "{…}", plan)
