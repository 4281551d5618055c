"""Progress from outcomes: counts, the rate over a sliding minute, time left, errors by code, and why it waits."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from sqlalchemy import update

from engine.channels.port import Delivered, Rejected
from state.tables import Job
from tests.harness.sweeping import sweep

if TYPE_CHECKING:
    from tests.campaigns_api.desk import Desk


def test_a_campaign_that_never_ran_is_idle(desk: Desk) -> None:
    campaign = desk.create()
    progress = desk.progress(campaign)
    assert progress["status"] == "idle"
    assert set(progress["progress"].values()) == {0}
    assert (progress["currentRate"], progress["errors"], progress["waiting"]) == (0, [], [])
    assert "estimatedCompletion" not in progress


def test_the_rate_is_over_the_last_minute_and_the_estimate_follows_it(desk: Desk) -> None:
    """Slices of two: one every ten seconds is twelve recipients a minute, whatever came before."""
    desk.furnish(people=100)
    campaign = desk.plain()
    desk.ask("POST", f"/{campaign}/execute")
    desk.work(most=1)
    for _ in range(12):
        sweep(desk.api.runtime)
        desk.work(most=1)
        desk.clock.forward(seconds=10)
    progress = desk.progress(campaign)
    assert progress["progress"]["processed"] == 24
    assert 10 <= progress["currentRate"] <= 14
    left = datetime.fromisoformat(progress["estimatedCompletion"]) - desk.database.clock.now()
    assert abs(left.total_seconds() - 76 * 60 / progress["currentRate"]) < 1
    for _ in range(8):
        desk.clock.forward(seconds=10)
        sweep(desk.api.runtime)
    assert desk.progress(campaign)["currentRate"] == 0, "nothing came within the last minute"


def test_errors_are_grouped_by_code_and_excluded_people_are_no_part_of_the_total(desk: Desk) -> None:
    people = desk.furnish(people=20)
    nobody = desk.people(4, email="")
    desk.segment("all", {"key": "_title", "operator": "NOT_EMPTY"})
    blocked, full = set(people[:6]), set(people[6:8])
    desk.channel.answer = lambda message: (
        Rejected("USER_BLOCKED", "User has blocked the bot") if message.entity_id in blocked
        else Rejected("MAILBOX_FULL", "full") if message.entity_id in full
        else Delivered()
    )  # fmt: skip
    campaign = desk.plain(targetAudience={"segments": ["all"]})
    desk.ask("POST", f"/{campaign}/execute")
    desk.run_out()
    progress = desk.progress(campaign)
    counts = progress["progress"]
    assert (counts["total"], counts["excluded"]) == (20, len(nobody))
    assert (counts["processed"], counts["successful"], counts["failed"]) == (20, 12, 8)
    assert (counts["percentage"], progress["status"]) == (100, "completed")
    assert progress["errors"] == [
        {"code": "USER_BLOCKED", "count": 6, "message": "User has blocked the bot"},
        {"code": "MAILBOX_FULL", "count": 2, "message": "full"},
    ]
    [ran] = desk.ask("GET", f"/{campaign}/executions")["executions"]
    assert {error["code"]: error["count"] for error in ran["errors"]} == {
        "USER_BLOCKED": 6, "MAILBOX_FULL": 2, "NO_ADDRESS": 4,
    }  # fmt: skip


def test_it_says_why_it_waits(desk: Desk) -> None:
    desk.furnish(people=10)
    campaign = desk.plain()
    executed = desk.ask("POST", f"/{campaign}/execute")
    assert [reason["reason"] for reason in desk.progress(campaign)["waiting"]] == ["planning"]
    desk.work(most=1)
    until = desk.clock.forward(seconds=90)
    desk.clock.forward(seconds=-60)
    with desk.database.begin() as session:
        session.execute(
            update(Job)
            .where(Job.id == UUID(executed["executionId"]))
            .values(waits_until=until, waits_reason="SMTP_421: too fast", waits_for="throttled")
        )
    progress = desk.progress(campaign)
    reason = next(one for one in progress["waiting"] if one["message"].startswith("SMTP_421"))
    assert (reason["reason"], datetime.fromisoformat(reason["until"])) == ("throttled", until)
    assert datetime.fromisoformat(progress["estimatedCompletion"]) >= until
    desk.ask("POST", f"/{campaign}/pause")
    reason = desk.progress(campaign)["waiting"][0]
    assert (reason["reason"], reason["message"]) == ("paused", "it was paused by admin")
    assert datetime.fromisoformat(reason["since"]) == desk.database.clock.now()
