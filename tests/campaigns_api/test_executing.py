"""Percentages, priorities, filters, messages, copies: what an execution does, seen at who got what."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from sqlalchemy import select, update

from engine.delivery import jobs
from state.sampling import PLACES, place, place_of
from state.tables import Entity, Job, Target
from tests.harness.sweeping import sweep

if TYPE_CHECKING:
    from tests.campaigns_api.desk import Desk


def test_ten_percent_then_half_then_all_is_everybody_once(desk: Desk) -> None:
    """The same campaign and share are the same people; a larger share includes them; nobody gets it twice."""
    everybody = set(desk.furnish(people=200))
    campaign = desk.plain()
    reached: list[set[UUID]] = []
    for share in (10, 10, 50, 100):
        desk.ask("POST", f"/{campaign}/execute", json={"targetPercentage": share})
        desk.run_out()
        reached.append(desk.sent())
        assert desk.status(campaign) == ("completed" if share == 100 else "active")
    expected = {key for key in everybody if place(UUID(campaign).hex, key.hex) < PLACES // 10}
    assert reached[0] == reached[1] == expected
    assert reached[1] < reached[2] < reached[3] == everybody
    assert 5 <= len(reached[0]) <= 40
    assert 70 <= len(reached[2]) <= 130
    assert set(desk.channel.sent().values()) == {1}
    assert desk.progress(campaign)["progress"]["successful"] == 200


def test_both_databases_and_python_give_everybody_the_same_place(desk: Desk) -> None:
    people = desk.people(50)
    campaign = UUID(int=7)
    with desk.database.read() as session:
        found = dict(session.execute(select(Entity.id, place_of(session, campaign, Entity.id))).all())
    assert found == {key: place(campaign.hex, key.hex) for key in people}


def test_whoever_joins_a_sample_later_joins_if_they_are_in_it(desk: Desk) -> None:
    desk.furnish(people=20)
    campaign = desk.plain()
    desk.ask("POST", f"/{campaign}/execute", json={"targetPercentage": 50})
    desk.run_out()
    before = desk.sent()
    joined = []
    for number in range(30):
        given = {"email": f"late{number}@example.com"}
        joined.append(UUID(desk.client.post("/v1/entity/contact", json=given).json()["_id"]))
    desk.run_out()
    within = {key for key in joined if place(UUID(campaign).hex, key.hex) < PLACES // 2}
    assert 0 < len(within) < 30
    assert desk.sent() - before == within


def test_nobody_joins_a_campaign_that_is_active_and_was_not_executed(desk: Desk) -> None:
    desk.furnish()
    campaign = desk.plain()
    desk.ask("PUT", f"/{campaign}", json={"status": "active"})
    desk.client.post("/v1/entity/contact", json={"email": "new@example.com"})
    desk.run_out()
    assert desk.recipients(campaign) == []
    desk.ask("POST", f"/{campaign}/pause")
    desk.ask("POST", f"/{campaign}/resume")
    assert (desk.status(campaign), desk.progress(campaign)["status"]) == ("active", "idle")
    desk.ask("POST", f"/{campaign}/execute")
    desk.run_out()
    assert len(desk.sent()) == 1


def test_priorities_share_the_workers_and_starve_nobody(desk: Desk) -> None:
    """While three campaigns compete, each gets its share of the waves; the low one moves from the beginning."""
    desk.furnish(people=400)
    names = {}
    for priority in ("low", "normal", "high"):
        campaign = desk.plain(name=priority)
        executed = desk.ask("POST", f"/{campaign}/execute", json={"priority": priority})
        names[UUID(campaign)] = priority
        assert desk.job(executed["executionId"]).window == round(
            desk.api.runtime.settings.window * jobs.PRIORITIES[priority]
        )
    with desk.database.begin() as session:  # as if many more workers were busy: windows of 2, 8 and 32
        for priority, window in (("low", 2), ("normal", 8), ("high", 32)):
            session.execute(update(Job).where(Job.priority == priority).values(window=window))
    desk.work(most=3)  # three plans
    sweep(desk.api.runtime)
    while (
        not desk.channel.journal
        or Counter(names[message.campaign_id] for message in desk.channel.journal)["high"] < 400
    ):
        assert desk.work(most=20)
    counted = Counter(names[message.campaign_id] for message in desk.channel.journal)
    assert counted["high"] == 400
    assert 40 <= counted["normal"] <= 200
    assert 10 <= counted["low"] <= 60
    desk.run_out()
    assert Counter(names[message.campaign_id] for message in desk.channel.journal) == {
        "low": 400, "normal": 400, "high": 400,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("filters", "numbers"),
    [
        ({}, {0, 1, 2, 3, 4, 5}),
        ({"location": ["US", "CA"]}, {0, 1, 2, 3}),
        ({"location": "US"}, {0, 1}),
        ({"location": ["US"], "purchaseHistory": True}, {0}),
        ({"purchaseHistory": False}, {1, 3, 4, 5}),
        ({"ageRange": [18, 45]}, {0, 1, 2}),
        ({"ageRange": [45, None]}, {2, 3}),
        ({"age": {"gt": 18, "lte": 45}}, {1, 2}),
        ({"interests": ["fashion"]}, {1, 2}),
        ({"location": None}, {5}),
        ({"location": {"exists": True, "nin": ["US"]}}, {2, 3, 4}),
        ({"filter": {"items": [{"key": "age", "operator": "EMPTY"}], "combination": "AND"}}, {4, 5}),
    ],
)  # fmt: skip
def test_filters_narrow_segments_and_select_by_themselves(
    desk: Desk, filters: dict[str, Any], numbers: set[int]
) -> None:
    people: list[dict[str, Any]] = [
        {"location": "US", "age": 18, "purchaseHistory": ["a", "b"], "interests": ["shopping"]},
        {"location": "US", "age": 30, "purchaseHistory": [], "interests": ["fashion", "music"]},
        {"location": "CA", "age": 45, "purchaseHistory": True, "interests": ["fashion"]},
        {"location": "CA", "age": 60, "purchaseHistory": False},
        {"location": "NO"},
        {"location": ""},
    ]
    ids = [desk.people(1, **attributes)[0] for attributes in people]
    desk.template("tmpl456")
    desk.sender()
    outsider = desk.people(1, location="US", age=20, purchaseHistory=True, interests=["fashion"], out=True)[0]
    desk.segment("in", {"key": "out", "operator": "EMPTY"})
    beside = desk.plain(targetAudience={"segments": ["in"], "filters": filters})
    assert desk.ask("GET", f"/{beside}")["targetAudience"]["totalCount"] == len(numbers)
    desk.ask("POST", f"/{beside}/execute")
    desk.run_out()
    assert desk.sent() == {ids[number] for number in numbers}
    if filters:
        alone = desk.plain(targetAudience={"filters": filters})
        matched = desk.ask("GET", f"/{alone}")["targetAudience"]["totalCount"]
        desk.ask("POST", f"/{alone}/execute")
        desk.run_out()
        got = {message.entity_id for message in desk.channel.journal if str(message.campaign_id) == alone}
        assert got - {outsider} == {ids[number] for number in numbers}
        assert matched == len(got)


def test_own_targets_are_in_no_list_and_go_with_their_campaign(desk: Desk) -> None:
    desk.segment("seg789")
    campaign = desk.create()
    desk.ask("PUT", f"/{campaign}", json={"targetAudience": {"filters": {"location": "US"}}})
    listed = desk.client.get("/v1/target").json()
    assert [target["name"] for target in listed["results"]] == ["seg789"]
    with desk.database.read() as session:
        assert len(session.scalars(select(Target)).all()) == 2, "the same one was changed"
    copy = desk.ask("POST", f"/{campaign}/clone", status=201)["id"]
    with desk.database.read() as session:
        assert len(session.scalars(select(Target)).all()) == 3
    for key in (campaign, copy):
        desk.ask("DELETE", f"/{key}")
    with desk.database.read() as session:
        assert [target.name for target in session.scalars(select(Target))] == ["seg789"]


def test_a_segment_that_is_deleted_lets_nobody_in(desk: Desk) -> None:
    """A narrowed segment is never widened to everybody whom the filters alone would select."""
    desk.people(5, location="US")
    segment = desk.segment("seg789")
    desk.template("tmpl456")
    campaign = desk.plain(targetAudience={"segments": ["seg789"], "filters": {"location": "US"}})
    assert desk.ask("GET", f"/{campaign}")["targetAudience"]["totalCount"] == 5
    assert desk.client.delete(f"/v1/target/{segment}").status_code == 204
    assert desk.ask("GET", f"/{campaign}")["targetAudience"]["totalCount"] == 0


def test_messages_keep_their_identity_when_they_are_written_again(desk: Desk) -> None:
    desk.furnish()
    campaign = desk.plain(
        messages=[{"content": "One"}, {"content": "Two", "variations": [{"content": "Deux"}]}]
    )
    one, two = desk.ask("GET", f"/{campaign}")["messages"]
    assert (one["content"], two["variations"]) == ("One", [{"id": "var1", "content": "Deux", "weight": 50}])
    swapped = [{**two, "content": "Two again"}, {**one}, {"templateId": "tmpl456"}]
    after = desk.ask("PUT", f"/{campaign}", json={"messages": swapped})["messages"]
    assert [message["id"] for message in after][:2] == [two["id"], one["id"]]
    assert [message["content"] for message in after] == ["Two again", "One", "Hello {{ _title }}"]
    fewer = desk.ask("PUT", f"/{campaign}", json={"messages": [{"content": "Alone"}]})["messages"]
    assert [message["id"] for message in fewer] == [two["id"]]


def test_a_written_back_campaign_is_the_same_campaign(desk: Desk) -> None:
    """What GET answers may be PUT as it is: fields that only answers have are passed over."""
    desk.furnish(people=3)
    campaign = desk.create(strategy={"messaging": "m", "timing": "t", "channels": ["file"]})
    before = desk.ask("GET", f"/{campaign}")
    after = desk.ask("PUT", f"/{campaign}", json=before)
    assert {**after, "updatedAt": ""} == {**before, "updatedAt": ""}


def test_a_copy_may_carry_the_statistics_on(desk: Desk) -> None:
    desk.furnish(people=7)
    campaign = desk.plain()
    desk.ask("POST", f"/{campaign}/execute")
    desk.run_out()
    fresh = desk.ask("POST", f"/{campaign}/clone", status=201)["id"]
    carried = desk.ask("POST", f"/{campaign}/clone", status=201, json={"resetStatistics": False})["id"]
    assert desk.ask("GET", f"/{fresh}")["statistics"]["messagesSent"] == 0
    assert desk.ask("GET", f"/{carried}")["statistics"]["messagesSent"] == 7
    desk.ask("POST", f"/{carried}/execute")
    desk.run_out()
    assert desk.ask("GET", f"/{carried}")["statistics"]["messagesSent"] == 14
    assert desk.progress(carried)["progress"]["successful"] == 7


def test_a_target_that_cannot_be_used_fails_the_run_and_pauses_the_campaign(desk: Desk) -> None:
    desk.furnish(people=5)
    campaign = desk.plain()
    desk.ask("POST", f"/{campaign}/execute")
    broken = {"filter": {"items": [{"key": "a", "operator": "NO_SUCH"}], "combination": "AND"}}
    with desk.database.begin() as session:
        target = session.execute(select(Target)).scalar_one()
        whole, target.entity_filters = target.entity_filters, broken
    desk.work()
    assert desk.status(campaign) == "paused"
    progress = desk.progress(campaign)
    assert progress["status"] == "failed"
    assert "NO_SUCH" in progress["waiting"][0]["message"]
    assert desk.events(campaign)[-1] == "campaign.failed"
    with desk.database.begin() as session:
        session.execute(select(Target)).scalar_one().entity_filters = whole
    desk.ask("POST", f"/{campaign}/resume")
    desk.run_out()
    assert len(desk.sent()) == 5
    assert desk.status(campaign) == "completed"
