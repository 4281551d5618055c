"""A campaign says when no worker, or no scheduler, is there for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from engine.insight.outlook import outlook
from state.tables import Campaign
from tests.api.world import make_campaign, make_job
from tests.harness.processes import beat

if TYPE_CHECKING:
    from uuid import UUID

    from state.database import Database
    from tests.conftest import ManualClock

pytestmark = pytest.mark.slow


@pytest.fixture
def campaign_id(database: Database, org_id: UUID) -> UUID:
    """One that delivers."""
    campaign_id = make_campaign(database, org_id)
    make_job(database, org_id, campaign_id, total=5)
    return campaign_id


def waits(database: Database, campaign_id: UUID) -> dict[str, tuple[str, bool]]:
    with database.read() as session:
        seen = outlook(session, session.get_one(Campaign, campaign_id))
    return {one.code: (one.reason, one.stops) for one in seen.waiting if one.scope == "processes"}


def test_a_campaign_without_a_worker_says_so(
    database: Database, clock: ManualClock, campaign_id: UUID
) -> None:
    clock.forward(minutes=10)
    assert waits(database, campaign_id) == {
        "no_worker": ("no worker has ever been seen", True),
        "no_scheduler": ("no scheduler has ever been seen", False),
    }
    beat(database, "api", "scheduler")
    assert waits(database, campaign_id) == {"no_worker": ("no worker has ever been seen", True)}
    beat(database, "api", "worker", "scheduler")
    assert waits(database, campaign_id) == {}
    clock.forward(minutes=2)
    assert waits(database, campaign_id) == {
        "no_worker": ("no worker has been seen for 2 minutes", True),
        "no_scheduler": ("no scheduler has been seen for 2 minutes", False),
    }


def test_what_has_just_begun_is_not_missed_yet(
    database: Database, clock: ManualClock, campaign_id: UUID
) -> None:
    beat(database, "api")
    clock.forward(minutes=1)
    assert waits(database, campaign_id) == {}
