"""The past is refused by its field, in whatever zone it is written; a start that waits follows its campaign's dates."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone
from typing import TYPE_CHECKING

import pytest

from engine.kernel.inputs import Invalid
from engine.kernel.instants import is_past, read_instant, refuse_past
from tests.campaigns_api.test_scheduling import execution, instant, later, scheduled

if TYPE_CHECKING:
    from tests.campaigns_api.desk import Desk


def zoned(desk: Desk, zone: int, **later: float) -> str:
    """An instant as it is written in a zone so many hours ahead of UTC."""
    at = desk.database.clock.now() + timedelta(**later)
    return at.astimezone(timezone(timedelta(hours=zone))).isoformat()


def test_a_schedule_in_the_past_starts_nothing(desk: Desk) -> None:
    desk.furnish(people=2)
    campaign = desk.plain()
    for zone, past in ((-12, {"days": -2200}), (0, {"hours": -1}), (14, {"minutes": -2})):
        body = {"scheduledAt": zoned(desk, zone, **past)}
        desk.invalid("POST", f"/{campaign}/execute", "scheduledAt", json=body)
        desk.invalid("POST", f"/{campaign}/execute", "scheduledAt", json={**body, "testMode": True})
    assert desk.ask("GET", f"/{campaign}/executions") == {"executions": []}
    assert desk.status(campaign) == "draft"
    # Clocks differ, and a request takes its time.
    body = {"scheduledAt": zoned(desk, 14, seconds=-50)}
    assert desk.ask("POST", f"/{campaign}/execute", json=body)["status"] == "started"


def test_a_time_without_a_zone_and_a_day_alone_are_in_utc(desk: Desk) -> None:
    desk.furnish(people=1)
    campaign = desk.plain()
    for past in ("2026-03-02T08:58:00", "2026-03-01", "2026-03-02 08:00"):
        desk.invalid("POST", f"/{campaign}/execute", "scheduledAt", json={"scheduledAt": past})
    desk.ask("PUT", f"/{campaign}", json={"startDate": "2026-03-02", "endDate": "2026-03-02"})
    detail = desk.ask("GET", f"/{campaign}")
    assert (detail["startDate"], detail["endDate"]) == ("2026-03-02T00:00:00Z", "2026-03-02T23:59:59Z")


def test_dates_are_not_moved_into_the_past(desk: Desk) -> None:
    desk.furnish(people=1)
    campaign = desk.plain()
    before = desk.ask("GET", f"/{campaign}")
    for field in ("startDate", "endDate"):
        for zone, past in ((-11, {"days": -400}), (0, {"hours": -3}), (9, {"minutes": -2})):
            desk.invalid("PUT", f"/{campaign}", field, json={field: zoned(desk, zone, **past)})
    assert desk.ask("GET", f"/{campaign}") == before
    body = {"name": "x", "endDate": zoned(desk, 9, hours=-3)}
    desk.invalid("POST", "", "endDate", json=body)


def test_dates_that_have_passed_may_be_written_back(desk: Desk) -> None:
    """The contract's own example is of 2024: it is kept, and neither of its dates holds anything back."""
    desk.furnish(people=1)
    campaign = desk.create()
    shown = desk.ask("GET", f"/{campaign}")
    same = {name: shown[name] for name in ("name", "startDate", "endDate")}
    assert desk.ask("PUT", f"/{campaign}", json=same)["startDate"] == "2024-11-24T00:00:00Z"
    assert desk.ask("POST", f"/{campaign}/execute")["status"] == "started"


def due(desk: Desk, campaign: str, key: str) -> datetime:
    return datetime.fromisoformat(execution(desk, campaign, key)["scheduledAt"])


def test_a_start_that_waits_for_its_campaign_moves_with_it(desk: Desk) -> None:
    everybody = desk.furnish(people=2)
    now = desk.database.clock.now()
    campaign = desk.plain(startDate=instant(desk, days=9))
    key = scheduled(desk, campaign, {})
    assert due(desk, campaign, key) == now + timedelta(days=9)
    for days in (12, 3):  # put off, and moved earlier
        desk.ask("PUT", f"/{campaign}", json={"startDate": instant(desk, days=days)})
        assert due(desk, campaign, key) == now + timedelta(days=days)
    desk.ask("PUT", f"/{campaign}", json={"startDate": instant(desk, seconds=2)})
    assert later(desk, seconds=2) == 1
    desk.run_out()
    assert desk.sent() == set(everybody)


def test_a_start_without_a_date_any_more_is_made_at_once(desk: Desk) -> None:
    desk.furnish(people=1)
    campaign = desk.plain(startDate=instant(desk, days=9))
    key = scheduled(desk, campaign, {})
    desk.ask("PUT", f"/{campaign}", json={"startDate": None})
    assert later(desk, seconds=0) == 1
    assert execution(desk, campaign, key)["status"] == "started"


def test_a_start_is_never_made_before_the_time_that_was_asked_for(desk: Desk) -> None:
    desk.furnish(people=1)
    now = desk.database.clock.now()
    campaign = desk.plain(startDate=instant(desk, hours=1))
    key = scheduled(desk, campaign, {"scheduledAt": instant(desk, hours=4)})
    for begins, starts in ((2, 4), (6, 6), (3, 4)):
        desk.ask("PUT", f"/{campaign}", json={"startDate": instant(desk, hours=begins)})
        assert due(desk, campaign, key) == now + timedelta(hours=starts)


def test_a_campaign_does_not_end_before_a_start_that_waits(desk: Desk) -> None:
    desk.furnish(people=1)
    campaign = desk.plain()
    scheduled(desk, campaign, {"scheduledAt": instant(desk, hours=4)})
    desk.invalid("PUT", f"/{campaign}", "endDate", json={"endDate": instant(desk, hours=3)})
    desk.ask("PUT", f"/{campaign}", json={"endDate": instant(desk, hours=5)})


def test_scheduling_again_replaces_the_start_that_waits(desk: Desk) -> None:
    everybody = desk.furnish(people=2)
    campaign = desk.plain()
    first = scheduled(desk, campaign, {"scheduledAt": instant(desk, hours=1)})
    second = scheduled(desk, campaign, {"scheduledAt": instant(desk, hours=3)})
    assert execution(desk, campaign, first)["status"] == "cancelled"
    assert "took its place" in execution(desk, campaign, first)["reason"]
    assert later(desk, hours=2) == 0
    assert later(desk, hours=1) == 1
    assert execution(desk, campaign, second)["status"] == "started"
    desk.run_out()
    assert desk.sent() == set(everybody)


def test_a_targeting_campaign_is_not_moved_into_the_past(desk: Desk) -> None:
    made = desk.client.post("/v1/campaign", json={"name": "c", "end_date": "2026-03-02"})
    assert made.status_code == 201, "today is not past"
    path = f"/v1/campaign/{made.json()['_id']}"
    for given, field in (
        ({"end_date": "2026-02-28"}, "end_date"),
        ({"start_date": "2026-02-27"}, "start_date"),
        ({"start_date": "2020-01-01", "end_date": "2020-01-02"}, "start_date"),
    ):
        refused = desk.client.patch(path, json=given)
        assert (refused.status_code, field in refused.text) == (400, True), refused.text
    assert desk.client.get(path).json() == made.json()
    refused = desk.client.post("/v1/campaign", json={"name": "c", "end_date": "2026-02-28"})
    assert (refused.status_code, "end_date" in refused.text) == (400, True), refused.text


def test_a_day_is_past_when_it_is_over_everywhere() -> None:
    noon = read_instant("2026-03-02T11:00:00Z")
    assert not is_past(date(2026, 3, 1), noon), "it is still that day in the west"
    assert is_past(date(2026, 3, 1), noon + timedelta(hours=2))
    assert not is_past(read_instant("2026-03-02"), noon)
    refuse_past("when", read_instant("2026-03-02T11:59:30+01:00"), noon)
    with pytest.raises(Invalid, match="when: 2026-03-02T10:58:00"):
        refuse_past("when", read_instant("2026-03-02T11:58:00+01:00"), noon)
    with pytest.raises(ValueError, match="range"):
        read_instant("0001-01-01T00:00:00+14:00")
