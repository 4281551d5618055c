"""Jobs of a database of before know whom stopping them left, and statistics count only who was excluded."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from alembic import command

from engine.insight.progress import campaign_progress
from engine.insight.statistics import statistics
from state import migrate
from state.database import Database
from state.types import NIL_UUID
from tests.cli.test_migrations import new_url  # noqa: F401 - a fixture
from tests.cli.test_slice_migration import fill

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.slow

AT = datetime(2026, 1, 1, 9, 41, tzinfo=UTC)


def test_who_was_left_by_a_stop_is_not_excluded(new_url: Callable[[], str]) -> None:  # noqa: F811
    url = new_url()
    org_id, campaign_id, job_id, first, second, target_id = (uuid4() for _ in range(6))
    common = {"org_id": org_id, "campaign_id": campaign_id}
    people = [
        ("JOB_CANCELLED", None, None, None),
        ("JOB_CANCELLED", None, None, None),
        ("JOB_CANCELLED", second, "a", target_id),
        ("SUPPRESSED", None, None, None),
        ("SUPPRESSED", second, "a", target_id),
    ]
    sums = [(first, "", NIL_UUID, 3), (second, "a", target_id, 2)]
    rows: dict[str, list[dict[str, object]]] = {
        "organization": [{"id": org_id, "name": "shop", "created_at": AT, "limits_epoch": 0}],
        "campaign": [{"id": campaign_id, "org_id": org_id, "name": "c"}],
        "job": [{"id": job_id, **common, "status": "cancelled", "total": 5, "cancelled": 5}],
        "recipient": [
            {
                **common,
                "entity_id": uuid4(),
                "job_id": job_id,
                "automation_status": "cancelled",
                "error_code": code,
                "touchpoint_id": touchpoint_id,
                "variant": variant,
                "target_id": target,
                "updated_at": AT,
            }
            for code, touchpoint_id, variant, target in people
        ],
        "delivery_hour": [
            {
                **common,
                "hour": AT.replace(minute=0),
                "touchpoint_id": touchpoint_id,
                "variant": variant,
                "target_id": target,
                "cancelled": count,
            }
            for touchpoint_id, variant, target, count in sums
        ],
    }
    database = Database(url, pool_size=2)
    with database.engine.begin() as connection:
        config = migrate.configuration()
        config.attributes["connection"] = connection
        command.upgrade(config, "0032")
        fill(connection, rows)
    migrate.upgrade(url)
    with database.read() as session:
        progress = campaign_progress(session, org_id, campaign_id)
        assert (progress.counts["cancelled"], progress.excluded) == (5, 2)
        counted = statistics(session, org_id, campaign_id)
        assert counted.overview.excluded == 2
        assert [part.counts.excluded for part in counted.variants] == [1]
    database.close()
