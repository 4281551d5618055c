"""Lists of targets are read by primary key whatever PostgreSQL's statistics say."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from engine.enrolled.listing import list_targets
from engine.enrolled.searching import Search
from state.tables import Campaign
from tests.delivery.test_plans import analyzed_before, planned, postgresql, watch

if TYPE_CHECKING:
    from uuid import UUID

    from sqlalchemy.orm import Session

    from state.database import Database

__all__ = ["postgresql"]


def enrolled(session: Session) -> tuple[UUID, UUID]:
    """A new organization with 3,000 targets in one campaign."""
    org_id, campaign_id = planned(session)
    now = session.execute(text("SELECT now()")).scalar_one()
    session.add(Campaign(id=campaign_id, org_id=org_id, name="c", created_at=now, updated_at=now))
    session.execute(text("UPDATE recipient SET stage = 'new' WHERE org_id = :org_id"), {"org_id": org_id})
    return org_id, campaign_id


@pytest.mark.parametrize("offset", [0, 2500])
def test_customers_are_looked_up_by_key_in_an_organization_that_was_never_analyzed(
    postgresql: Database, offset: int
) -> None:
    """Otherwise every customer of the organization is read for every target."""
    org_id, campaign_id = analyzed_before(postgresql, enrolled)
    with postgresql.read() as session:
        plans = watch(session)
        page = list_targets(session, org_id, campaign_id, Search(), limit=200, offset=offset)
        session.execute(text("SELECT 1"))  # a statement's plan is told when the next begins
    assert (200, 3000) == (len(page.results), page.total)
    assert all(one.customer is not None for one in page.results)
    [plan] = [plan for plan in plans if "LEFT OUTER JOIN entity" in plan]
    assert "ix_entity_org_id" not in plan
