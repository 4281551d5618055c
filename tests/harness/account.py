"""The oracle: whether every recipient has exactly one recorded outcome, and whether it is the true one.

It reads the database in one snapshot and compares it with the journals of what really left. Its counter
checks hold at every instant, so they may be asked while work goes on; the others are for when it is over.

| word | who is meant |
|---|---|
| lost | expected but without a row; still open; or recorded as a success and in no journal |
| duplicated | deliveries of an execution beyond the first |
| in doubt | recorded as failed with OUTCOME_UNKNOWN |
| misreported | recorded as failed or cancelled for another reason, yet in a journal |
| strangers | deliveries under a key that no recipient and no earlier execution has |
"""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sqlalchemy import ColumnElement, Connection, case, func, select

from engine.delivery.cancel_codes import JOB_CANCELLED
from engine.delivery.outcomes import OUTCOME_UNKNOWN
from state.tables import Execution, Job, Recipient, Slice
from state.transitions import AutomationStatus, SliceState

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from uuid import UUID

    from state.database import Database
    from tests.harness.journal import Journal

__all__ = ["Account", "account", "slice_miscounts"]

_OVER = (AutomationStatus.SUCCESS, AutomationStatus.FAILED, AutomationStatus.CANCELLED)
_COUNTED = ("total", *_OVER, AutomationStatus.IN_PROGRESS)
_SHOWN = 5


@dataclass
class Account:
    """What the oracle found. Ids are entity ids."""

    expected: int
    """Recipients there should be."""
    statuses: Counter[str]
    """Recipients by automation status."""
    errors: Counter[str]
    """Failed and cancelled recipients by error code."""
    missing: int = 0
    """Expected recipients without a row."""
    open: list[UUID] = field(default_factory=list)
    """Recipients that are neither success, failed nor cancelled."""
    unsent: list[UUID] = field(default_factory=list)
    """Recorded as a success, in no journal."""
    in_doubt: list[UUID] = field(default_factory=list)
    misreported: list[UUID] = field(default_factory=list)
    in_flight: list[UUID] = field(default_factory=list)
    """Claimed and not settled."""
    received: Counter[int] = field(default_factory=Counter)
    """How often a recipient got something → how many recipients (all executions together)."""
    duplicates: dict[UUID, int] = field(default_factory=dict)
    """Execution id → deliveries beyond the first."""
    strangers: int = 0
    miscounts: list[str] = field(default_factory=list)
    """Counters that disagree with the rows they count, in words."""
    open_slices: Counter[str] = field(default_factory=Counter)
    """Slices that are not done, by state."""

    @property
    def lost(self) -> int:
        """Recipients without a true outcome."""
        return self.missing + len(self.open) + len(self.unsent)

    @property
    def duplicated(self) -> int:
        """Deliveries too many."""
        return sum(self.duplicates.values())

    def faults(self, *, duplicated: int = 0, in_doubt: int = 0, misreported: int = 0) -> list[str]:
        """Everything that is wrong, in sentences; at most so many of each are allowed."""
        found = [
            (self.missing, 0, "expected recipients have no row", ()),
            (len(self.open), 0, "recipients have no outcome", self.open),
            (len(self.unsent), 0, "recipients are a success and in no journal", self.unsent),
            (len(self.in_flight), 0, "recipients are still in flight", self.in_flight),
            (self.duplicated, duplicated, "deliveries too many, of executions", tuple(self.duplicates)),
            (len(self.in_doubt), in_doubt, "recipients are in doubt", self.in_doubt),
            (
                len(self.misreported),
                misreported,
                "recipients failed or were cancelled, yet got it",
                self.misreported,
            ),
            (self.strangers, 0, "deliveries under unknown keys", ()),
        ]
        told = []
        for count, allowed, what, ids in found:
            if count > allowed:
                some = ", ".join(map(str, ids[:_SHOWN])) + (", …" if len(ids) > _SHOWN else "")
                told.append(f"{count} {what} (allowed: {allowed}){': ' + some if some else ''}")
        told += [f"{count} slices are {state}" for state, count in sorted(self.open_slices.items())]
        return told + self.miscounts

    def assert_whole(self, *, duplicated: int = 0, in_doubt: int = 0, misreported: int = 0) -> None:
        """Nobody lost, nothing unfinished, every counter true, and no more wrong than is allowed.

        Raises:
            AssertionError: everything that is wrong, and the whole account.
        """
        wrong = self.faults(duplicated=duplicated, in_doubt=in_doubt, misreported=misreported)
        assert not wrong, "the account is not whole:\n- " + "\n- ".join(wrong) + f"\n{self}"

    def assert_counted(self) -> None:
        """Every counter equals the rows it counts. Holds at any instant, also while work goes on."""
        assert not self.miscounts, "counters are wrong:\n- " + "\n- ".join(self.miscounts)

    def __str__(self) -> str:
        def told(counts: Mapping[str, int] | Mapping[int, int]) -> str:
            return ", ".join(f"{key} {count}" for key, count in sorted(counts.items())) or "none"

        return (
            f"{self.expected} expected; statuses: {told(self.statuses)}; errors: {told(self.errors)}; "
            f"received n times: {told(self.received)}; lost {self.lost}, duplicated {self.duplicated}, "
            f"in doubt {len(self.in_doubt)}, misreported {len(self.misreported)}, strangers {self.strangers}"
        )


def account(
    database: Database,
    *journals: Journal,
    campaign_id: UUID | None = None,
    job_id: UUID | None = None,
    expected: int | None = None,
) -> Account:
    """Take account of a campaign (all its jobs) or of one job.

    Args:
        journals: Of every server the campaign sent to. None at all: only the database is examined.
        expected: How many recipients there should be; absent: those that have rows.

    Raises:
        ValueError: neither or both of `campaign_id` and `job_id` were given.
    """
    if (campaign_id is None) == (job_id is None):
        raise ValueError("name a campaign_id or a job_id")
    delivered: Counter[UUID | None] = Counter()
    for journal in journals:
        delivered.update(journal.deliveries())
    with _snapshot(database) as connection:
        if campaign_id is not None:
            mine, my_jobs = Recipient.campaign_id == campaign_id, Job.campaign_id == campaign_id
            earlier = _earlier(connection, Execution.campaign_id == campaign_id, delivered)
        else:
            mine, my_jobs = Recipient.job_id == job_id, Job.id == job_id
            earlier = _earlier(connection, Execution.job_id == job_id, delivered)
        found = _recipients(connection, mine, delivered, earlier, examine=bool(journals))
        found.strangers = _strangers(connection, delivered)
        found.miscounts += _miscounts(connection, my_jobs, found.open_slices)
    rows = found.statuses.total()
    found.expected = rows if expected is None else expected
    found.missing = max(0, found.expected - rows)
    if rows > found.expected:
        found.miscounts.append(f"{rows} recipients have rows, {found.expected} were expected")
    return found


@contextmanager
def _snapshot(database: Database) -> Iterator[Connection]:
    """A connection all of whose statements see the same instant."""
    level = (
        {"isolation_level": "REPEATABLE READ"}
        if database.dialect.name == "postgresql"
        else {"muster_reads": True}
    )
    with database.engine.connect().execution_options(**level) as connection, connection.begin():
        yield connection


@dataclass
class _Earlier:
    """Deliveries of executions that were retriggered or activated again since, or that are behind a recipient who is
    run through several touchpoints.
    """

    known: set[UUID] = field(default_factory=set)
    unsent: list[UUID] = field(default_factory=list)
    """Kept as a success, in no journal."""
    by_entity: Counter[UUID] = field(default_factory=Counter)
    duplicates: dict[UUID, int] = field(default_factory=dict)


def _earlier(connection: Connection, mine: ColumnElement[bool], delivered: Counter[UUID | None]) -> _Earlier:
    """Take them out of `delivered`."""
    found = _Earlier()
    rows = connection.execute(select(Execution.id, Execution.entity_id, Execution.status).where(mine))
    for execution_id, entity_id, status in rows:
        times = delivered.pop(execution_id, 0)
        found.known.add(execution_id)
        if status == AutomationStatus.SUCCESS and not times:
            found.unsent.append(entity_id)
        found.by_entity[entity_id] += times
        if times > 1:
            found.duplicates[execution_id] = times - 1
    return found


def _recipients(
    connection: Connection,
    mine: ColumnElement[bool],
    delivered: Counter[UUID | None],
    earlier: _Earlier,
    *,
    examine: bool,
) -> Account:
    """The rows, each compared with the journals. Takes their executions out of `delivered`."""
    found = Account(expected=0, statuses=Counter(), errors=Counter(), duplicates=earlier.duplicates)
    if examine:
        found.unsent += earlier.unsent
    rows = connection.execution_options(yield_per=10_000).execute(
        select(
            Recipient.entity_id,
            Recipient.automation_status,
            Recipient.execution_id,
            Recipient.in_flight,
            Recipient.error_code,
        ).where(mine, Recipient.automation_status.is_not(None))
    )
    for entity_id, status, execution_id, in_flight, code in rows:
        assert status is not None  # as the condition says
        found.statuses[status] += 1
        times = delivered.pop(execution_id, 0) if execution_id else 0
        if execution_id and times > 1:
            found.duplicates[execution_id] = times - 1
        if examine:
            found.received[times + earlier.by_entity[entity_id]] += 1
            if status == AutomationStatus.SUCCESS and not times and execution_id not in earlier.known:
                found.unsent.append(entity_id)
        if in_flight:
            found.in_flight.append(entity_id)
        if status not in _OVER:
            found.open.append(entity_id)
        elif status != AutomationStatus.SUCCESS:
            _unsuccessful(found, entity_id, str(code), times)
    return found


def _unsuccessful(found: Account, entity_id: UUID, code: str, times: int) -> None:
    found.errors[code] += 1
    if code == OUTCOME_UNKNOWN:
        found.in_doubt.append(entity_id)
    elif times:
        found.misreported.append(entity_id)


def _strangers(connection: Connection, delivered: Counter[UUID | None]) -> int:
    """How many of the deliveries that are left belong to no other campaign or job either."""
    for known in (
        select(Execution.id),
        select(Recipient.execution_id).where(Recipient.execution_id.is_not(None)),
    ):
        if delivered:
            for (execution_id,) in connection.execute(known):
                delivered.pop(execution_id, None)
    return delivered.total()


def _miscounts(connection: Connection, my_jobs: ColumnElement[bool], open_slices: Counter[str]) -> list[str]:
    """Compare job counters, with what slices hold unfolded, with a recount (state/tables/delivery.py)."""

    def is_status(status: str) -> ColumnElement[int]:
        return func.coalesce(func.sum(case((Recipient.status == status, 1), else_=0)), 0)

    wrong = []
    jobs = connection.execute(
        select(
            Job.id,
            Job.total,
            Job.success,
            Job.failed,
            Job.cancelled,
            Job.in_progress,
            Job.unreached,
            Job.slices_total,
            Job.slices_done,
        ).where(my_jobs)
    ).all()
    for job in jobs:
        rows = connection.execute(
            select(
                func.count().label("total"),
                *(is_status(status).label(status) for status in (*_OVER, AutomationStatus.IN_PROGRESS)),
                func.count(case((Recipient.error_code == JOB_CANCELLED, 1))).label("unreached"),
            ).where(Recipient.job_id == job.id)
        ).one()
        unfolded: Counter[str] = Counter()
        states: Counter[str] = Counter()
        for part in connection.execute(
            select(
                Slice.state,
                func.count().label("slices"),
                *(
                    func.sum(getattr(Slice, name) - getattr(Slice, f"{name}_folded")).label(name)
                    for name in (*_OVER, AutomationStatus.IN_PROGRESS)
                ),
            )
            .where(Slice.job_id == job.id)
            .group_by(Slice.state)
        ):
            states[part.state] += part.slices
            unfolded.update(
                {str(name): int(getattr(part, name)) for name in (*_OVER, AutomationStatus.IN_PROGRESS)}
            )
        counters = {name: getattr(job, name) + unfolded[name] for name in _COUNTED}
        counters |= {
            "unreached": job.unreached,
            "slices_total": job.slices_total,
            "slices_done": job.slices_done,
        }
        truth = {name: int(getattr(rows, name)) for name in _COUNTED}
        truth |= {
            "unreached": int(rows.unreached),
            "slices_total": states.total(),
            "slices_done": states[SliceState.DONE],
        }
        wrong += [
            f"job {job.id} counts {counters[name]} {name}, there are {truth[name]}"
            for name in truth
            if counters[name] != truth[name]
        ]
        open_slices.update({state: count for state, count in states.items() if state != SliceState.DONE})
        wrong += slice_miscounts(connection, job.id)
    return wrong


def slice_miscounts(connection: Connection, job_id: UUID) -> list[str]:
    """Compare what the slices of a job count with their recipients."""
    statuses = [*_OVER, AutomationStatus.IN_PROGRESS]
    truth = {
        number: dict(zip(("size", *statuses), counts, strict=True))
        for number, *counts in connection.execute(
            select(
                Recipient.slice_number,
                func.count(),
                *(func.count(case((Recipient.status == status, 1))) for status in statuses),
            )
            .where(Recipient.job_id == job_id)
            .group_by(Recipient.slice_number)
        )
    }
    columns = [Slice.number, Slice.size, *(getattr(Slice, status) for status in statuses)]
    return [
        f"slice {number} of job {job_id} counts {count} {name}, there are {truth.get(number, {}).get(name, 0)}"
        for number, *counts in connection.execute(select(*columns).where(Slice.job_id == job_id))
        for name, count in zip(("size", *statuses), counts, strict=True)
        if count != truth.get(number, {}).get(name, 0)
    ]
