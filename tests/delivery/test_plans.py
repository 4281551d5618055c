"""The statements that carry the load keep to their indexes where the statistics do not know the organization yet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from engine.delivery import slices
from engine.delivery.lease_statements import RecipientStatements, SequenceStatements
from engine.kernel.prepared import execute, execute_named
from engine.organizations import create_organization
from state.change import clock_of
from state.database import Database
from state.tables import Base, Campaign
from tests.delivery.kit import Bench

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy.orm import Session

pytestmark = pytest.mark.slow

_ENTITIES = text(
    """
    INSERT INTO entity (id, org_id, schema, title, attributes, created_at, updated_at)
    SELECT gen_random_uuid(), :org_id, 'contact', 'Person ' || i, '{}', now(), now()
      FROM generate_series(1, 3000) AS i
    """
)
_RECIPIENTS = text(
    """
    INSERT INTO recipient (org_id, campaign_id, entity_id, entity_schema, title, job_id, slice_number,
                           automation_status, attempt, created_at, updated_at)
    SELECT org_id, :job_id, id, schema, title, :job_id, (row_number() OVER (ORDER BY id) - 1) / 500,
           'pending', 0, now(), now()
      FROM entity WHERE org_id = :org_id
    """
)


@pytest.fixture
def postgresql(postgresql_url: str) -> Iterator[Database]:
    database = Database(postgresql_url)
    yield database
    with database.engine.begin() as connection:
        tables = ", ".join(table.name for table in Base.metadata.sorted_tables)
        connection.exec_driver_sql(f"TRUNCATE {tables} RESTART IDENTITY CASCADE")
    database.close()


def planned(session: Session) -> tuple[UUID, UUID]:
    """A new organization with 3,000 recipients in one job."""
    org_id, job_id = create_organization(session, f"org-{uuid4().hex[:8]}").id, uuid4()
    session.execute(_ENTITIES, {"org_id": org_id})
    session.execute(_RECIPIENTS, {"org_id": org_id, "job_id": job_id})
    return org_id, job_id


def analyzed_before(
    database: Database, make: Callable[[Session], tuple[UUID, UUID]] = planned
) -> tuple[UUID, UUID]:
    """What `make` gives, of an organization that came after the statistics, which are of another one."""
    with database.begin() as session:
        make(session)
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("ANALYZE"))
    with database.begin() as session:
        return make(session)


def load(session: Session, org_id: UUID, job_id: UUID, number: int) -> list[Any]:
    """A slice, as a worker reads it."""
    return execute_named(
        session,
        RecipientStatements.of(session).load,
        p_org_id=org_id,
        p_job_id=job_id,
        p_number=number,
        p_now=clock_of(session).now(),
    )


def watch(session: Session) -> list[str]:
    """The plans of what the session runs from now on."""
    session.execute(text("LOAD 'auto_explain'"))
    session.execute(text("SET auto_explain.log_min_duration = 0"))
    session.execute(text("SET auto_explain.log_level = 'notice'"))
    plans: list[str] = []
    driver = session.connection().connection.driver_connection
    assert driver is not None
    driver.add_notice_handler(lambda notice: plans.append(notice.message_primary or ""))
    return plans


def test_a_slice_is_loaded_by_primary_keys_in_an_organization_that_was_never_analyzed(
    postgresql: Database,
) -> None:
    org_id, job_id = analyzed_before(postgresql)
    with postgresql.read() as session:
        plans = watch(session)
        loaded = load(session, org_id, job_id, 2)
    assert len(loaded) == 500
    assert all(row.attributes is not None for row in loaded)
    [plan] = plans
    assert "using pk_entity" in plan
    assert "ix_entity_org_id" not in plan


def test_a_slice_is_loaded_by_primary_keys_where_statistics_are_of_a_plan_s_first_moments(
    postgresql: Database,
) -> None:
    """They say that one slice is all there is: a plan made for that must not read every entity for each slice."""
    with postgresql.begin() as session:
        org_id, job_id = planned(session)
        session.execute(text("UPDATE recipient SET slice_number = 0"))
    with postgresql.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("ANALYZE"))
    with postgresql.begin() as session:
        session.execute(text("SET LOCAL plan_cache_mode = force_generic_plan"))
        plans = watch(session)
        loaded = load(session, org_id, job_id, 0)
        session.execute(text("SELECT 1"))  # a statement's plan is told when the next begins
    assert 3000 == len(loaded)
    assert "using pk_entity" in plans[0]
    assert "Seq Scan on entity" not in plans[0]


def test_planning_renews_the_statistics_of_what_it_fills(postgresql: Database) -> None:
    """Nobody waits for autovacuum to learn that a campaign's recipients are there."""
    with postgresql.begin() as session:
        org_id = create_organization(session, f"org-{uuid4().hex[:8]}").id
        for _ in range(3):
            session.execute(_ENTITIES, {"org_id": org_id})
        session.execute(text('UPDATE entity SET attributes = \'{"email": "p@example.com"}\''))
    bench = Bench(postgresql, org_id)
    try:
        bench.activate(bench.campaign())
        bench.work(most=1)
    finally:
        bench.close()
    with postgresql.read() as session:
        known = session.execute(text("SELECT reltuples FROM pg_class WHERE relname = 'recipient'"))
        assert 9000 == known.scalar_one()


def test_an_entity_of_another_organization_is_none(postgresql: Database) -> None:
    """Whatever led there."""
    with postgresql.begin() as session:
        org_id, _ = planned(session)
        _, job_id = planned(session)
    with postgresql.read() as session:
        rows = load(session, org_id, job_id, 0)
    assert {row.attributes for row in rows} == {None}


_SLICES = text(
    """
    INSERT INTO slice (org_id, campaign_id, job_id, number, state, size, due_at, lease_epoch, in_progress, success,
                       failed, cancelled)
    SELECT :org_id, (SELECT id FROM campaign LIMIT 1), :job_id, i, 'ready', 500, now() + (i - 5) * interval '1 hour', 0,
           500, 0, 0, 0
      FROM generate_series(0, 4999) AS i
    """
)
_JOB = text(
    """
    INSERT INTO job (id, org_id, campaign_id, kind, status, held, "window", target_ids, planned, total, success, failed,
                     cancelled, slices_total, slices_done, touched_at, created_at, updated_at)
    SELECT :job_id, :org_id, id, 'activation', 'processing', false, 16, '[]', true, 0, 0, 0, 0, 5000, 0, now(), now(),
           now()
      FROM campaign LIMIT 1
    """
)


def test_due_steps_are_found_by_index(postgresql: Database) -> None:
    """Of thousands of slices that wait, those that are due are woken; of a slice, those who are due are read."""
    now = postgresql.clock.now()
    with postgresql.begin() as session:
        org_id, job_id = planned(session)
        session.add(Campaign(org_id=org_id, name="c", target_ids=[], created_at=now, updated_at=now))
        session.flush()
        names = {"org_id": org_id, "job_id": job_id}
        session.execute(_JOB, names)
        session.execute(_SLICES, names)
        session.execute(text("UPDATE recipient SET automation_status = 'in_progress', step = 1"))
    with postgresql.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("ANALYZE"))
    with postgresql.begin() as session:
        plans = watch(session)
        assert 6 == slices.wake_next(session, org_id, job_id)
        loaded = execute(
            session,
            SequenceStatements.of(session).load,
            p_org_id=org_id,
            p_job_id=job_id,
            p_number=2,
            p_now=now,
        ).all()
    assert 500 == len(loaded)
    assert any("ix_slice_ready" in plan for plan in plans)
    assert any("ix_recipient_job_id" in plan for plan in plans)
    assert not any("Seq Scan on slice" in plan or "Seq Scan on recipient" in plan for plan in plans)
