"""Every pair (from, to) of every state machine, against the rows of docs/contract/states.md written out by hand, and
in the
database; and fifty at once.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from state.change import change_status
from state.errors import IllegalTransition, NotFound
from state.tables import Campaign, Job, Recipient, Slice
from state.transitions import AUTOMATION, CAMPAIGN, ENTITY_UI, JOB, MACHINES, PORTAL, SLICE, STAGE, Machine

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement
    from sqlalchemy.orm import Session

    from state.database import Database

ALLOWED: dict[str, set[tuple[str, str]]] = {
    "campaign": {
        ("draft", "activating"),
        ("draft", "active"),
        ("draft", "cancelled"),
        ("activating", "active"),
        ("activating", "paused"),
        ("activating", "cancelled"),
        ("active", "paused"),
        ("active", "completed"),
        ("active", "cancelled"),
        ("paused", "activating"),
        ("paused", "active"),
        ("paused", "completed"),
        ("paused", "cancelled"),
        ("completed", "activating"),
    },
    "job": {
        ("queued", "processing"),
        ("queued", "cancelled"),
        ("queued", "failed"),
        ("processing", "send_report"),
        ("processing", "cancelled"),
        ("processing", "failed"),
        ("send_report", "finished"),
        ("send_report", "failed"),
    },
    "automation": {
        ("pending", "in_progress"),
        ("pending", "cancelled"),
        ("pending", "failed"),
        ("pending", "success"),
        ("in_progress", "success"),
        ("in_progress", "failed"),
        ("in_progress", "cancelled"),
        ("failed", "pending"),
        ("cancelled", "pending"),
    },
    "portal": {
        ("sent", "seen"),
        ("sent", "dismissed"),
        ("sent", "clicked"),
        ("seen", "dismissed"),
        ("seen", "clicked"),
    },
    "entity_ui": {
        ("seen", "clicked"),
        ("seen", "dismissed"),
        ("clicked", "dismissed"),
        ("dismissed", "seen"),
        ("dismissed", "clicked"),
    },
    "stage": {
        *(("new", later) for later in ("contacted", "unreachable", "engaged", "goal_met", "goal_missed")),
        *(("unreachable", later) for later in ("contacted", "engaged", "goal_met", "goal_missed")),
        *(("contacted", later) for later in ("engaged", "goal_met", "goal_missed")),
        *(("engaged", later) for later in ("goal_met", "goal_missed")),
        ("goal_met", "goal_missed"),
        ("goal_missed", "goal_met"),
    },
    "slice": {("ready", "leased"), ("ready", "done"), ("leased", "ready"), ("leased", "done")},
}

PAIRS = [
    (machine, current, wanted)
    for machine in MACHINES
    for current in machine.states
    for wanted in machine.states
]


def put(session: Session, org_id, machine: Machine, status: str) -> tuple[ColumnElement[bool], ...]:
    """A row of the machine's table in `status`; returns the condition that names it."""
    now = session.info["clock"].now()
    times = {"created_at": now, "updated_at": now}
    key = uuid4()
    if machine is CAMPAIGN:
        session.add(Campaign(id=key, org_id=org_id, name="c", status=status, **times))
        return (Campaign.id == key,)
    if machine in (AUTOMATION, PORTAL, ENTITY_UI, STAGE):
        column = "stage" if machine is STAGE else f"{machine.entity}_status"
        row = Recipient(org_id=org_id, campaign_id=key, entity_id=key, entity_schema="contact", **times)
        setattr(row, column, status)
        session.add(row)
        return (Recipient.campaign_id == key,)
    session.add(Campaign(id=key, org_id=org_id, name="c", **times))
    session.flush()
    job_status = status if machine is JOB else "processing"
    session.add(
        Job(
            id=key,
            org_id=org_id,
            campaign_id=key,
            kind="activation",
            status=job_status,
            window=1,
            touched_at=now,
            **times,
        )
    )
    session.flush()
    if machine is SLICE:
        session.add(
            Slice(org_id=org_id, campaign_id=key, job_id=key, number=0, state=status, size=1, due_at=now)
        )
        return (Slice.job_id == key,)
    return (Job.id == key,)


@pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: machine.entity)
def test_table_is_the_contract(machine: Machine) -> None:
    """The table allows exactly the moves of the contract."""
    moves = {(source, wanted) for source, targets in machine.moves.items() for wanted in targets}
    assert ALLOWED[machine.entity] == moves


@pytest.mark.parametrize(
    ("machine", "current", "wanted"), PAIRS, ids=lambda part: getattr(part, "entity", part)
)
def test_every_pair(database: Database, org_id, machine: Machine, current: str, wanted: str) -> None:
    """An allowed move happens; any other is refused with entity, status and wish, and changes nothing."""
    with database.begin() as session:
        where = put(session, org_id, machine, current)
    if (current, wanted) in ALLOWED[machine.entity]:
        with database.begin() as session:
            change_status(session, machine, wanted, *where, key="k")
        expected = wanted
    else:
        with database.begin() as session, pytest.raises(IllegalTransition) as refused:
            change_status(session, machine, wanted, *where, key="k")
        assert (machine.entity, current, wanted) == (
            refused.value.entity,
            refused.value.current,
            refused.value.wanted,
        )
        for word in (machine.entity, current, wanted):
            assert word in str(refused.value)
        expected = current
    with database.begin() as session, pytest.raises(IllegalTransition) as now:
        change_status(session, machine, expected, *where, key="k")
    assert expected == now.value.current


def test_unknown_row(database: Database) -> None:
    with database.begin() as session, pytest.raises(NotFound, match="campaign"):
        change_status(session, CAMPAIGN, "activating", Campaign.id == uuid4(), key="nobody")


def test_narrowed_sources(database: Database, org_id) -> None:
    """A rule that allows a move on one way only (failed → pending by retrigger) refuses the other ways."""
    with database.begin() as session:
        where = put(session, org_id, AUTOMATION, "cancelled")
    with database.begin() as session, pytest.raises(IllegalTransition):
        change_status(session, AUTOMATION, "pending", *where, key="k", only_from=["failed"])


@pytest.mark.parametrize(
    ("machine", "current", "wanted"),
    [(CAMPAIGN, "draft", "activating"), (JOB, "queued", "processing"), (SLICE, "ready", "leased")],
    ids=lambda part: getattr(part, "entity", part),
)
def test_fifty_at_once_one_wins(
    database: Database, org_id, machine: Machine, current: str, wanted: str
) -> None:
    with database.begin() as session:
        where = put(session, org_id, machine, current)
    at_once = 50
    start = Barrier(at_once)

    def attempt() -> bool:
        start.wait()
        try:
            with database.begin() as session:
                change_status(session, machine, wanted, *where, key="k")
        except IllegalTransition:
            return False
        return True

    with ThreadPoolExecutor(at_once) as pool:
        results = [future.result() for future in [pool.submit(attempt) for _ in range(at_once)]]
    assert 1 == sum(results)
