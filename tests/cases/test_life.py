"""A date, a budget or a limit does what it says also where it is past, 0, changed, or cannot be met; figures are of
outcomes.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest

if TYPE_CHECKING:
    from tests.cases.house import House

TEN = "id,name,email\n" + "".join(f"{i},P{i},p{i}@example.com\n" for i in range(10))
PATH = "/api/v1/campaigns"


def at(house: House, zone: str = "UTC", **later: float) -> str:
    return (house.database.clock.now() + timedelta(**later)).astimezone(ZoneInfo(zone)).isoformat()


def ready(house: House, text: str = TEN, **values: Any) -> str:
    house.connect()
    house.load(text)
    return house.campaign(**values)


@pytest.mark.parametrize(
    "past", ["2020-01-01T09:00:00Z", "2020-01-01T09:00:00+14:00", "2026-03-02T03:00:00-05:00"]
)
def test_14_nobody_schedules_into_the_past(house: House, past: str) -> None:
    campaign = ready(house)
    answer = house.client.post(f"{PATH}/{campaign}/execute", json={"scheduledAt": past})
    assert (400, "scheduledAt") == (answer.status_code, answer.json()["details"]["field"])
    house.work()
    assert [] == list(house.recipients(campaign))


@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo"])
def test_15_a_start_moves_with_its_date_earlier_as_well(house: House, zone: str) -> None:
    campaign = ready(house)
    house.ask("PUT", f"/{campaign}", json={"startDate": at(house, days=9)})
    assert "scheduled" == house.execute(campaign)["status"]
    house.ask("PUT", f"/{campaign}", json={"startDate": at(house, zone, seconds=2)})
    (waiting,) = house.ask("GET", f"/{campaign}/executions")["executions"]
    starts = datetime.fromisoformat(waiting["scheduledAt"])
    assert starts - house.database.clock.now() <= timedelta(seconds=2)


@pytest.mark.parametrize("sent_back", ["whole", "messages", "name and messages"])
def test_16_what_is_read_and_written_back_keeps_its_channel(house: House, sent_back: str) -> None:
    first = house.connect("file")
    body = {"name": "second", "kind": "file", "settings": {"address": "email", "medium": "email"}}
    second = house.request("POST", "/v1/channel", 201, json=body)["_id"]
    house.load(TEN)
    campaign = house.campaign(strategy={"channels": [second]})
    document = house.ask("GET", f"/{campaign}")
    names = document if sent_back == "whole" else sent_back.split(" and ")
    given = {name: document[name] for name in names}
    house.ask("PUT", f"/{campaign}", json=given)
    told = house.request("POST", f"/v1/campaign/{campaign}:plan")
    assert [second] == [channel["id"] for channel in told["channels"]] != [first]


def test_17_a_decided_test_is_of_its_own_campaign(house: House) -> None:
    messages = [{"content": "a", "variations": [{"content": "b", "weight": 50}]}]
    campaign = ready(house, messages=messages)
    clone = house.ask("POST", f"/{campaign}/clone", status=201)["id"]
    before = house.ask("GET", f"/{clone}")["messages"]
    document = house.ask("GET", f"/{campaign}")["messages"]
    document[0]["variations"][0]["weight"] = 100
    house.ask("PUT", f"/{campaign}", json={"messages": document})
    assert before == house.ask("GET", f"/{clone}")["messages"]
    assert before != house.ask("GET", f"/{campaign}")["messages"]


@pytest.mark.parametrize("budget", [0, 0.05, -1])
def test_20_a_budget_of_nothing_is_refused_or_stops(house: House, budget: float) -> None:
    house.connect(cost_per_message=0.1)
    house.load(TEN)
    answer = house.client.post(PATH, json=house.document({"name": {"exists": True}}, budget=budget))
    assert (400, "budget") == (answer.status_code, answer.json()["details"]["field"])


QUIET = [{"from": "12:00", "to": "10:00"}]


@pytest.mark.parametrize(
    ("quiet", "window", "left"),
    [
        (QUIET, {"from": "14:00", "to": "16:00"}, False),
        (QUIET, {"from": "10:00", "to": "11:00"}, True),
        ([{"from": "12:00", "to": "12:00"}], {"from": "09:00", "to": "10:00"}, False),
        (
            [{"from": "00:00", "to": "12:00"}, {"from": "12:00", "to": "00:00"}],
            {"from": "09:00", "to": "10:00"},
            False,
        ),
        (QUIET, {"days": ["sat"], "from": "13:00", "to": "14:00"}, False),
    ],
)
def test_21_hours_that_leave_nothing_are_refused(
    house: House, quiet: list[dict[str, str]], window: dict[str, Any], left: bool
) -> None:
    campaign = ready(house)
    answer = house.client.patch("/v1/organization", json={"limits": {"quiet_hours": quiet}})
    if not answer.is_success:
        assert (400, False) == (answer.status_code, left)
        return
    answer = house.client.put(f"{PATH}/{campaign}", json={"limits": {"send_windows": [window]}})
    assert left is answer.is_success, answer.text
    if not left:
        assert 400 == answer.status_code
        assert "quiet" in answer.text


@pytest.mark.parametrize(
    ("zone", "day"),
    [("America/New_York", "2026-03-01"), ("Pacific/Auckland", "2026-03-02"), ("UTC", "2026-03-02")],
)
def test_22_today_is_the_organizations(house: House, zone: str, day: str) -> None:
    house.clock.instant = datetime(2026, 3, 2, 3, tzinfo=ZoneInfo("UTC"))
    house.organization(time_zone=zone)
    house.load("id,name,birthday\n1,A,2026-03-01\n2,B,2026-03-02\n")
    other = "2026-03-02" if day == "2026-03-01" else "2026-03-01"
    assert 1 == house.count("birthday", "EQUALS", "TODAY") == house.count("birthday", "EQUALS", day, "date")
    assert (day < other) is (1 == house.count("birthday", "GREATER_THAN", "TODAY"))


def figures(house: House, campaign: str) -> tuple[int, int, int]:
    overview = house.ask("GET", f"/{campaign}/statistics", params={"period": "all"})["overview"]
    return overview["messagesSent"], overview["failed"], overview["excluded"]


def test_18_what_is_mended_has_not_failed(house: House) -> None:
    campaign = ready(house, TEN, messages=[{"content": "{{ 1 | divided_by: n }}"}])
    house.load("id,n\n" + "".join(f"{i},{int(i > 3)}\n" for i in range(10)))
    house.execute(campaign)
    house.run_out()
    assert (6, 4, 0) == figures(house, campaign)
    house.load("id,n\n" + "".join(f"{i},1\n" for i in range(10)))
    failed = [str(row.entity_id) for row in house.recipients(campaign) if row.automation_status == "failed"]
    house.request("POST", f"/v1/campaign/{campaign}/automations:retrigger", json={"recipient_ids": failed})
    house.run_out()
    assert (10, 0, 0) == figures(house, campaign)


def test_18_who_is_taken_up_again_is_not_excluded(house: House) -> None:
    campaign = ready(house, limits={"rate": {"messages": 2, "per": "minute"}})
    house.execute(campaign)
    house.work(most=3)
    house.request("POST", f"/v1/campaign/{campaign}/status", json={"status": "inactive"})
    house.run_out()
    assert 0 < figures(house, campaign)[0] < 10
    house.request("POST", f"/v1/campaign/{campaign}/status", json={"status": "active"})
    house.run_out()
    assert (10, 0, 0) == figures(house, campaign)
    assert 0 == house.progress(campaign)["progress"]["excluded"]


@pytest.mark.parametrize(("per", "days"), [("day", 4), ("hour", 4 / 24)])
def test_23_time_left_goes_by_the_limit(house: House, per: str, days: float) -> None:
    campaign = ready(house, limits={"rate": {"messages": 1, "per": per}})
    house.execute(campaign)
    house.work()
    told = house.progress(campaign)
    left = told["progress"]["pending"] + told["progress"]["inProgress"]
    assert left
    done = datetime.fromisoformat(told["estimatedCompletion"]) - house.database.clock.now()
    assert left - 1.5 <= done / timedelta(days=days / 4) <= left + 1


@pytest.mark.parametrize(
    ("when", "status"),
    [
        ("1970-01-01T00:00:00Z", "rejected"),
        ("2026-03-02T08:00:00Z", "rejected"),
        ("2027-01-01T00:00:00Z", "rejected"),
    ],
)
@pytest.mark.parametrize("kind", ["clicked", "replied"])
def test_29_no_engagement_before_its_message_or_in_the_future(
    house: House, when: str, status: str, kind: str
) -> None:
    campaign = ready(house)
    house.execute(campaign)
    house.run_out()
    event = {
        "id": "e", "type": f"message.{kind}", "campaign_id": campaign, "at": when,
        "recipient_id": str(house.entity_id("1")),
    }  # fmt: skip
    (told,) = house.request("POST", "/v1/events", 200, json=[event])["results"]
    assert status == told["status"], told
    assert "at: " in told["message"]
