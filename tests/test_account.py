"""The oracle sees every way in which a campaign can be untrue, on both databases; results keep it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import pytest
from rich.console import Console
from sqlalchemy import update

from engine.delivery.outcomes import OUTCOME_UNKNOWN
from state.tables import Campaign, Execution, Job, Recipient, Slice
from tests.harness.account import account
from tests.harness.journal import Journal
from tests.harness.results import Bound, Result, load, record, table

if TYPE_CHECKING:
    from pathlib import Path

    from state.database import Database


class World:
    """A campaign of ten that went well: eight successes, one refused, one cancelled."""

    def __init__(self, database: Database, org_id: UUID, directory: Path) -> None:
        self.database = database
        self.org_id = org_id
        self.journal = Journal(directory / "journal")
        self.campaign_id = uuid4()
        self.job_id = uuid4()
        self.entities = [uuid4() for _ in range(10)]
        self.executions = [uuid4() for _ in range(10)]
        self.now = database.clock.now()
        stamps = {"org_id": org_id, "created_at": self.now, "updated_at": self.now}
        statuses = ["success"] * 8 + ["failed", "cancelled"]
        with database.begin() as session:
            session.add(Campaign(id=self.campaign_id, name="ten", **stamps))
            session.flush()
            session.add(
                Job(
                    id=self.job_id,
                    campaign_id=self.campaign_id,
                    kind="activation",
                    status="finished",
                    window=4,
                    touched_at=self.now,
                    total=10,
                    success=5,
                    failed=1,
                    cancelled=1,
                    unreached=1,
                    slices_total=2,
                    slices_done=2,
                    **stamps,
                )
            )
            session.flush()
            common = {
                "org_id": org_id,
                "campaign_id": self.campaign_id,
                "job_id": self.job_id,
                "due_at": self.now,
                "state": "done",
                "size": 5,
            }
            session.add(Slice(number=0, success=5, success_folded=2, **common))  # three not in the job yet
            session.add(
                Slice(
                    number=1,
                    success=3,
                    failed=1,
                    cancelled=1,
                    success_folded=3,
                    failed_folded=1,
                    cancelled_folded=1,
                    **common,
                )
            )
            session.add_all(
                Recipient(
                    campaign_id=self.campaign_id,
                    entity_id=entity_id,
                    entity_schema="contact",
                    job_id=self.job_id,
                    slice_number=number // 5,
                    automation_status=status,
                    execution_id=execution_id,
                    error_code={"failed": "SMTP_550", "cancelled": "JOB_CANCELLED"}.get(status),
                    **stamps,
                )
                for number, (entity_id, execution_id, status) in enumerate(
                    zip(self.entities, self.executions, statuses, strict=True)
                )
            )
        for execution_id in self.executions[:8]:
            self.deliver(execution_id)

    def deliver(self, execution_id: UUID, **more: object) -> None:
        with self.journal.path.open("a") as lines:
            lines.write(json.dumps({"key": f"<{execution_id}@muster>", "at": 1.5, **more}) + "\n")

    def change(self, number: int, **values: object) -> None:
        with self.database.begin() as session:
            session.execute(
                update(Recipient).where(Recipient.entity_id == self.entities[number]).values(**values)
            )

    def claim(self, number: int) -> None:
        """A lease has the recipient on the wire."""
        with self.database.begin() as session:
            session.execute(update(Slice).where(Slice.number == 0).values(claimed=[self.entities[number]]))

    def faults(self, **options: int) -> list[str]:
        found = account(self.database, self.journal, campaign_id=self.campaign_id, expected=10)
        return found.faults(**options)


@pytest.fixture
def world(database: Database, org_id: UUID, tmp_path: Path) -> World:
    return World(database, org_id, tmp_path)


def test_all_is_well(world: World) -> None:
    for key in ({"campaign_id": world.campaign_id}, {"job_id": world.job_id}):
        found = account(world.database, world.journal, expected=10, **key)
        found.assert_whole()
        assert found.statuses == {"success": 8, "failed": 1, "cancelled": 1}
        assert found.errors == {"SMTP_550": 1, "JOB_CANCELLED": 1}
        assert found.received == {1: 8, 0: 2}
        assert (found.lost, found.duplicated) == (0, 0)


def test_without_journals_only_the_database_is_examined(world: World) -> None:
    account(world.database, campaign_id=world.campaign_id).assert_whole()


def test_what_is_asked_about_is_named(world: World) -> None:
    with pytest.raises(ValueError, match="name a campaign_id or a job_id"):
        account(world.database)


def test_a_recipient_without_a_row_is_lost(world: World) -> None:
    found = account(world.database, world.journal, campaign_id=world.campaign_id, expected=12)
    assert found.lost == 2
    with pytest.raises(AssertionError, match=r"- 2 expected recipients have no row \(allowed: 0\)"):
        found.assert_whole()


def test_an_open_recipient_is_lost_and_miscounted(world: World) -> None:
    world.change(0, automation_status="pending")
    world.claim(0)
    assert world.faults() == [
        f"1 recipients have no outcome (allowed: 0): {world.entities[0]}",
        f"1 recipients are still in flight (allowed: 0): {world.entities[0]}",
        f"job {world.job_id} counts 8 success, there are 7",
        f"job {world.job_id} counts 0 in_progress, there are 1",
        f"slice 0 of job {world.job_id} counts 5 success, there are 4",
        f"slice 0 of job {world.job_id} counts 0 in_progress, there are 1",
    ]


def test_a_success_that_never_left_is_lost(world: World) -> None:
    lines = world.journal.path.read_text().splitlines(keepends=True)
    world.journal.path.write_text("".join(lines[:-1]) + lines[-1].rstrip("\n"))  # the last one is torn
    assert world.faults() == [
        f"1 recipients are a success and in no journal (allowed: 0): {world.entities[7]}"
    ]


def test_duplicates_are_counted_and_bounded(world: World) -> None:
    world.deliver(world.executions[0])
    world.deliver(world.executions[0])
    world.deliver(world.executions[1])
    world.deliver(world.executions[2], repeat=True)  # recognised by the provider: nobody got it twice
    found = account(world.database, world.journal, campaign_id=world.campaign_id)
    assert found.duplicated == 3
    assert found.received == {3: 1, 2: 1, 1: 6, 0: 2}
    assert len(found.faults(duplicated=2)) == 1
    found.assert_whole(duplicated=3)


def test_doubt_is_told_from_a_false_report(world: World) -> None:
    world.deliver(world.executions[8])
    assert world.faults() == [
        f"1 recipients failed or were cancelled, yet got it (allowed: 0): {world.entities[8]}"
    ]
    world.change(8, error_code=OUTCOME_UNKNOWN)
    assert world.faults() == [f"1 recipients are in doubt (allowed: 0): {world.entities[8]}"]
    assert world.faults(in_doubt=1) == []


def test_deliveries_nobody_asked_for(world: World) -> None:
    world.deliver(uuid4())
    assert world.faults() == ["1 deliveries under unknown keys (allowed: 0)"]


def test_an_earlier_execution_is_no_duplicate_of_the_present_one(world: World) -> None:
    earlier = Execution(
        id=uuid4(),
        org_id=world.org_id,
        campaign_id=world.campaign_id,
        entity_id=world.entities[0],
        job_id=world.job_id,
        status="failed",
        attempt=1,
        error_code=OUTCOME_UNKNOWN,
        ended_at=world.now,
    )
    with world.database.begin() as session:
        session.add(earlier)
    world.deliver(earlier.id)
    found = account(world.database, world.journal, campaign_id=world.campaign_id, expected=10)
    found.assert_whole()
    assert found.received == {2: 1, 1: 7, 0: 2}


def test_another_campaigns_deliveries_are_not_strange(world: World, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = World(world.database, world.org_id, tmp_path / "other")
    for execution_id in other.executions[:8]:
        world.deliver(execution_id)
    assert world.faults() == []


def test_counters_and_slices_are_recounted(world: World) -> None:
    with world.database.begin() as session:
        session.execute(update(Job).where(Job.id == world.job_id).values(total=9, slices_done=1))
        session.execute(
            update(Slice).where(Slice.job_id == world.job_id, Slice.number == 0).values(success=4)
        )
        session.execute(
            update(Slice).where(Slice.job_id == world.job_id, Slice.number == 1).values(state="leased")
        )
    assert world.faults() == [
        "1 slices are leased",
        f"job {world.job_id} counts 9 total, there are 10",
        f"job {world.job_id} counts 7 success, there are 8",
        f"slice 0 of job {world.job_id} counts 4 success, there are 5",
    ]
    found = account(world.database, campaign_id=world.campaign_id)
    with pytest.raises(AssertionError, match="counts 9 total, there are 10"):
        found.assert_counted()


def test_the_peak_of_a_journal_is_found_wherever_it_begins(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    assert journal.peak(1.0) == 0
    instants = [0.0, 0.9, 1.0, 1.1, 1.2, 1.9, 5.0]
    journal.path.write_text("".join(json.dumps({"key": "k", "at": at}) + "\n" for at in instants))
    assert journal.peak(1.0) == 5
    assert journal.peak(0.05) == 1


def test_results_are_kept_by_fault_and_shown_beside_their_bounds(world: World, tmp_path: Path) -> None:
    path = tmp_path / "chaos" / "results.json"
    world.deliver(world.executions[0])
    found = account(world.database, world.journal, campaign_id=world.campaign_id, expected=10)
    record(Result.of("worker killed", 3, found, Bound(duplicated=0)), path)
    record(Result.of("redis wiped", 1, found, Bound(duplicated=1, recovery_s=5), recovery_s=5.5), path)
    record(Result.of("worker killed", 4, found, Bound(duplicated=1, recovery_s=5), recovery_s=4.321), path)
    assert [(result.fault, result.met) for result in load(path)] == [
        ("worker killed", True),
        ("redis wiped", False),
    ]
    assert json.loads(path.read_text())[0] == {
        "fault": "worker killed",
        "injected": 4,
        "lost": 0,
        "duplicated": 1,
        "in_doubt": 0,
        "recovery_s": 4.32,
        "bound": {"lost": 0, "duplicated": 1, "in_doubt": 0, "recovery_s": 5},
        "met": True,
    }
    console = Console(width=100)
    with console.capture() as capture:
        console.print(table(load(path)))
    assert "1 ≤ 1" in capture.get()
    assert "5.5 ≤ 5" in capture.get()
    assert "NO" in capture.get()
