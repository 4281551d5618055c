"""Starts at a time: once, late within the campaign's misfire hours, else skipped and recorded."""

from __future__ import annotations

from datetime import timedelta
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest

from engine.campaigns.start_scheduled import start_due
from engine.kernel.triggers import arm
from tests.delivery.kit import Crash

if TYPE_CHECKING:
    from tests.campaigns_api.desk import Desk


def instant(desk: Desk, **later: float) -> str:
    return (desk.database.clock.now() + timedelta(**later)).isoformat()


def scheduled(desk: Desk, campaign: str, body: dict[str, Any]) -> str:
    answer = desk.ask("POST", f"/{campaign}/execute", json=body)
    assert answer["status"] == "scheduled"
    return str(answer["executionId"])


def execution(desk: Desk, campaign: str, key: str) -> dict[str, Any]:
    return dict(desk.ask("GET", f"/{campaign}/executions/{key}"))


def later(desk: Desk, **by: float) -> int:
    """Move the clock, and let one scheduler look."""
    desk.clock.forward(**by)
    return start_due(desk.api.runtime)


def test_it_starts_at_its_time_and_once(desk: Desk) -> None:
    everybody = desk.furnish(people=3)
    campaign = desk.plain()
    key = scheduled(desk, campaign, {"scheduledAt": instant(desk, hours=2), "priority": "low"})
    assert desk.status(campaign) == "draft"
    assert desk.progress(campaign)["status"] == "scheduled"
    assert execution(desk, campaign, key)["status"] == "scheduled"
    assert desk.ask("GET", f"/{campaign}")["workflow"]["triggers"] == ["manual", "scheduled"]
    assert later(desk, hours=1, minutes=59) == 0
    assert later(desk, minutes=1) == 1
    assert later(desk, minutes=5) == 0
    ran = execution(desk, campaign, key)
    assert (ran["kind"], ran["status"], ran["priority"]) == ("activation", "started", "low")
    assert len(desk.ask("GET", f"/{campaign}/executions")["executions"]) == 1
    desk.run_out()
    assert desk.sent() == set(everybody)
    assert desk.status(campaign) == "completed"


def test_a_missed_start_is_made_up_for_within_the_hours_and_skipped_after_them(desk: Desk) -> None:
    """Everything was down over the time: the campaign's policy decides, and what was decided is recorded."""
    desk.furnish(people=1)
    campaigns = {hours: desk.plain(misfireHours=hours) for hours in (0, 0.5, 2, 24)}
    keys = {
        hours: scheduled(desk, campaign, {"scheduledAt": instant(desk, minutes=10)})
        for hours, campaign in campaigns.items()
    }
    assert later(desk, minutes=10, hours=1) == 4
    for hours, campaign in campaigns.items():
        ran = execution(desk, campaign, keys[hours])
        if hours >= 1:
            assert ran["status"] == "started"
        else:
            assert ran["status"] == "skipped"
            assert "missed by 1.00 h" in ran["reason"]
            assert desk.events(campaign)[-1] == "campaign.start_skipped"
            assert desk.status(campaign) == "draft", "it may be executed by hand"


def test_the_time_a_scheduler_needs_is_no_lateness(desk: Desk) -> None:
    desk.furnish(people=1)
    campaign = desk.plain(misfireHours=0)
    key = scheduled(desk, campaign, {"scheduledAt": instant(desk, minutes=1)})
    later(desk, minutes=1, seconds=59)
    assert execution(desk, campaign, key)["status"] == "started"


def test_a_paused_campaign_starts_late_or_not_at_all(desk: Desk) -> None:
    desk.furnish(people=2)
    for waits, outcome in ((1, "started"), (3, "skipped")):
        campaign = desk.plain(misfireHours=2)
        desk.ask("PUT", f"/{campaign}", json={"status": "active"})
        key = scheduled(desk, campaign, {"scheduledAt": instant(desk, minutes=1)})
        desk.ask("POST", f"/{campaign}/pause")
        assert later(desk, minutes=2) == 0
        assert execution(desk, campaign, key)["status"] == "scheduled"
        later(desk, hours=waits)
        desk.ask("POST", f"/{campaign}/resume")
        start_due(desk.api.runtime)
        assert execution(desk, campaign, key)["status"] == outcome


def test_nothing_starts_behind_the_end_nor_before_the_beginning(desk: Desk) -> None:
    desk.furnish(people=1)
    begins, ends = instant(desk, days=1), instant(desk, days=2)
    campaign = desk.plain(startDate=begins, endDate=ends, misfireHours=240)
    for wrong in (instant(desk, hours=1), instant(desk, days=3)):
        desk.invalid("POST", f"/{campaign}/execute", "scheduledAt", json={"scheduledAt": wrong})
    executed = desk.ask("POST", f"/{campaign}/execute")
    assert executed["status"] == "scheduled", "executed before it begins, it waits until then"
    assert executed["scheduledAt"][:16] == begins[:16]
    later(desk, days=2, minutes=1)
    assert "ended" in execution(desk, campaign, executed["executionId"])["reason"]


def test_a_start_waits_for_the_run_before_it_and_keeps_the_campaign_open(desk: Desk) -> None:
    """Ten percent now, the rest at its time: the campaign does not complete in between."""
    desk.furnish(people=40)
    campaign = desk.plain()
    desk.ask("POST", f"/{campaign}/execute", json={"targetPercentage": 25})
    key = scheduled(desk, campaign, {"scheduledAt": instant(desk, minutes=5)})
    assert later(desk, minutes=6) == 0, "the first run is still open"
    desk.run_out()
    first = desk.sent()
    assert 0 < len(first) < 40
    assert desk.status(campaign) == "active"
    assert start_due(desk.api.runtime) == 1
    assert execution(desk, campaign, key)["kind"] == "activation"
    desk.run_out()
    assert len(desk.sent()) == 40
    assert max(desk.channel.sent().values()) == 1
    assert desk.status(campaign) == "completed"


def test_a_start_is_called_off_by_its_campaigns_end_or_by_hand(desk: Desk) -> None:
    desk.furnish(people=1)
    campaign = desk.plain()
    key = scheduled(desk, campaign, {"scheduledAt": instant(desk, hours=1)})
    desk.ask("DELETE", f"/{campaign}/executions/{key}")
    assert execution(desk, campaign, key)["status"] == "cancelled"
    desk.refused("DELETE", f"/{campaign}/executions/{key}", 409, "INVALID_STATUS")
    other = scheduled(desk, campaign, {"scheduledAt": instant(desk, hours=1)})
    desk.ask("PUT", f"/{campaign}", json={"status": "cancelled"})
    assert "cancelled" in execution(desk, campaign, other)["reason"]
    assert later(desk, hours=2) == 0


def test_a_start_that_cannot_be_made_fails_and_says_why(desk: Desk) -> None:
    desk.furnish(people=1)
    campaign = desk.plain()
    key = scheduled(desk, campaign, {"scheduledAt": instant(desk, hours=1)})
    desk.ask("PUT", f"/{campaign}", json={"targetAudience": None})
    assert later(desk, hours=1) == 1
    ran = execution(desk, campaign, key)
    assert (ran["status"], "CAMPAIGN_HAS_NO_TARGET" in ran["reason"]) == ("failed", True)
    assert desk.events(campaign)[-1] == "campaign.failed"
    assert desk.status(campaign) == "draft"


@pytest.mark.parametrize("point", ["schedule.before_commit", "schedule.committed"])
def test_a_scheduler_that_dies_at_either_edge_loses_and_doubles_nothing(desk: Desk, point: str) -> None:
    desk.furnish(people=1)
    campaigns = [desk.plain() for _ in range(4)]
    keys = [scheduled(desk, campaign, {"scheduledAt": instant(desk, hours=1)}) for campaign in campaigns]
    desk.clock.forward(hours=1)

    def die() -> None:
        raise Crash

    with arm(point, die), pytest.raises(Crash):
        start_due(desk.api.runtime)
    start_due(desk.api.runtime)
    for campaign, key in zip(campaigns, keys, strict=True):
        assert execution(desk, campaign, key)["status"] == "started"
        assert desk.events(campaign).count("campaign.started") == 1


def test_many_schedulers_at_once_start_each_once(desk: Desk) -> None:
    desk.furnish(people=1)
    campaigns = [desk.plain() for _ in range(20)]
    for campaign in campaigns:
        scheduled(desk, campaign, {"scheduledAt": instant(desk, hours=1)})
    desk.clock.forward(hours=1)
    counted: list[int] = []
    threads = [Thread(target=lambda: counted.append(start_due(desk.api.runtime))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(counted) == 20
    assert [desk.events(campaign).count("campaign.started") for campaign in campaigns] == [1] * 20
