"""The statements that carry the load keep to their indexes where the statistics do not know the organization yet."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from engine.delivery.statements import execute, statements
from engine.organizations import create_organization
from state.database import Database
from state.tables import Base

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.orm import Session

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
                           automation_status, attempt, in_flight, created_at, updated_at)
    SELECT org_id, :job_id, id, schema, title, :job_id, (row_number() OVER (ORDER BY id) - 1) / 500,
           'pending', 0, false, now(), now()
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


def test_a_slice_is_loaded_by_primary_keys_in_an_organization_that_was_never_analyzed(
    postgresql: Database,
) -> None:
    with postgresql.begin() as session:
        planned(session)
    with postgresql.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("ANALYZE"))
    with postgresql.begin() as session:
        org_id, job_id = planned(session)
    now = postgresql.clock.now()
    with postgresql.read() as session:
        session.execute(text("LOAD 'auto_explain'"))
        session.execute(text("SET auto_explain.log_min_duration = 0"))
        session.execute(text("SET auto_explain.log_level = 'notice'"))
        plans: list[str] = []
        driver = session.connection().connection.driver_connection
        assert driver is not None
        driver.add_notice_handler(lambda notice: plans.append(notice.message_primary or ""))
        loaded = execute(
            session,
            statements(session).load,
            p_org_id=org_id,
            p_job_id=job_id,
            p_number=2,
            p_now=now,
        ).all()
    assert len(loaded) == 500
    assert all(row.attributes is not None for row in loaded)
    [plan] = plans
    assert "using pk_entity" in plan
    assert "ix_entity_org_id" not in plan


def test_an_entity_of_another_organization_is_none(postgresql: Database) -> None:
    """Whatever led there."""
    with postgresql.begin() as session:
        org_id, _ = planned(session)
        _, job_id = planned(session)
    with postgresql.read() as session:
        ours = statements(session)
        rows = execute(
            session,
            ours.load,
            p_org_id=org_id,
            p_job_id=job_id,
            p_number=0,
            p_now=postgresql.clock.now(),
        ).all()
    assert {row.attributes for row in rows} == {None}
