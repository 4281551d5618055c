"""A target whose statement is more than the database evaluates fails its job with the reason: nothing is tried for
ever.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from engine.delivery import plan as planning
from state.database import is_connection_loss, is_too_complex
from state.transitions import JobStatus

if TYPE_CHECKING:
    from tests.delivery.kit import Bench

#: An expression that is deeper than either database goes.
TOO_DEEP = text("SELECT " + "1 + " * 50_000 + "1")


def test_a_statement_that_is_too_deep_is_no_outage(database: Any) -> None:
    with pytest.raises(DBAPIError) as found, database.begin() as session:
        session.execute(TOO_DEEP)
    assert is_too_complex(found.value)
    assert not is_connection_loss(found.value)


def test_a_target_that_no_statement_can_ask_for_fails_its_job(bench: Bench, monkeypatch: Any) -> None:
    def too_deep(session: Any, *_: Any, **__: Any) -> Any:
        return session.execute(TOO_DEEP)

    monkeypatch.setattr(planning, "audience_page", too_deep)
    bench.entities(3)
    campaign = bench.campaign()
    job_id = bench.activate(campaign)
    bench.work(most=1)
    job = bench.job(job_id)
    assert job.status == JobStatus.FAILED
    assert job.error is not None
    assert job.error.startswith("TARGET_UNUSABLE: ")
    assert bench.campaign_status(campaign) == "paused"
