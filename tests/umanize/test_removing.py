"""Soft delete, restore and purge: what is gone is gone everywhere, and counters stay true."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, select

from engine.enrolled.identity import entity_of
from engine.insight.progress import campaign_progress
from state.tables import Engagement, Execution, Recipient, TargetKey

if TYPE_CHECKING:
    from tests.umanize.desk import TargetDesk


def counts(desk: TargetDesk, campaign: str) -> dict[str, int]:
    with desk.database.read() as session:
        progress = campaign_progress(session, desk.org_id, UUID(campaign))
        return {name: count for name, count in progress.counts.items() if count}


def by_rows(desk: TargetDesk, campaign: str) -> dict[str, int]:
    """The same counts, of the rows that jobs count."""
    with desk.database.read() as session:
        found = session.execute(
            select(Recipient.automation_status, func.count())
            .where(Recipient.campaign_id == UUID(campaign), Recipient.job_id.is_not(None))
            .group_by(Recipient.automation_status)
        )
        return {str(status): count for status, count in found}


def test_a_deleted_one_is_nobodys(desk: TargetDesk) -> None:
    """No dialect lists or finds it; what is asked of it is 404, but for restoring and purging."""
    campaign = desk.campaign()
    desk.bulk(campaign, desk.people(3))
    gone = desk.ids(campaign)[0]
    entity = str(entity_of(UUID(campaign), UUID(gone)))
    listed = f"/v1/campaign/{campaign}/recipients"
    assert desk.told("GET", listed)["total"] == 3
    desk.on(campaign, gone, "DELETE", status=204)
    assert len(desk.ids(campaign)) == 2
    page = desk.told("GET", listed)
    assert page["total"] == 2
    assert entity not in {one["entity_id"] for one in page["results"]}
    desk.on(campaign, gone, "DELETE", status=404)
    desk.on(campaign, gone, "PATCH", "/stage", 404, json={"stage": "x"})
    path = f"/v1/campaign/{campaign}/recipient/{entity}"
    assert desk.client.patch(path, json={"portal_status": "sent"}).status_code == 400
    assert desk.client.patch(f"{path}/portal:status", json={"status": "sent"}).status_code == 404
    desk.on(campaign, gone, "POST", "/restore")
    assert desk.told("GET", listed)["total"] == 3
    desk.on(campaign, gone, "POST", "/restore")  # a live one stays as it is


def test_a_deleted_one_is_set_aside_and_comes_back(desk: TargetDesk) -> None:
    campaign = desk.campaign()
    people = desk.people(5)
    desk.bulk(campaign, people)
    before, after = desk.ids(campaign)[:2]
    desk.on(campaign, before, "DELETE", status=204)  # before its campaign runs
    desk.set_status(campaign, "active")
    command = desk.api.wakeups.sent
    while type(command[0]).__name__ != "Execute":
        desk.work(most=1)
    desk.on(campaign, after, "DELETE", status=204)  # planned, not claimed yet
    desk.run_out()
    assert len(desk.sent()) == 3
    row = desk.row(campaign, after)
    assert row is not None
    assert (row.automation_status, row.error_code) == ("cancelled", "TARGET_DELETED")
    assert counts(desk, campaign) == by_rows(desk, campaign) == {"success": 3, "cancelled": 1}
    desk.set_status(campaign, "active")
    for target in (before, after):
        restored = desk.on(campaign, target, "POST", "/restore")
        assert restored["stage"] == "new"
    desk.run_out()
    assert set(people) == desk.sent()
    assert all(times == 1 for times in desk.channel.sent().values())
    assert counts(desk, campaign) == by_rows(desk, campaign) == {"success": 5}
    assert {one["stage"] for one in desk.listing(campaign)["data"]} == {"contacted"}


def test_whoever_is_restored_before_their_turn_goes_on_as_if_nothing_had_happened(desk: TargetDesk) -> None:
    campaign = desk.campaign("file", "file")
    people = desk.people(2)
    desk.bulk(campaign, people)
    desk.set_status(campaign, "active")
    desk.work()
    target = desk.ids(campaign)[0]
    desk.on(campaign, target, "DELETE", status=204)
    desk.on(campaign, target, "POST", "/restore")
    desk.run_out_of_waits()
    assert {2} == set(desk.channel.sent().values())


def test_whoever_is_deleted_between_two_messages_gets_one(desk: TargetDesk) -> None:
    campaign = desk.campaign("file", "file")
    people = desk.people(3)
    desk.bulk(campaign, people)
    desk.set_status(campaign, "active")
    desk.work()
    target = desk.ids(campaign)[0]
    gone = entity_of(UUID(campaign), UUID(target))
    desk.on(campaign, target, "DELETE", status=204)
    desk.run_out_of_waits()
    assert {key: 1 if key == gone else 2 for key in people} == dict(desk.channel.sent())
    assert counts(desk, campaign) == by_rows(desk, campaign) == {"success": 2, "cancelled": 1}


@pytest.mark.parametrize("when", ["draft", "planned", "between", "done"])
def test_purging_keeps_counters_true(desk: TargetDesk, when: str) -> None:
    campaign = desk.campaign("file", "file")
    people = desk.people(4)
    desk.bulk(campaign, people)
    target = desk.ids(campaign)[0]
    gone = entity_of(UUID(campaign), UUID(target))
    if when != "draft":
        desk.set_status(campaign, "active")
        while when == "planned" and type(desk.api.wakeups.sent[0]).__name__ != "Execute":
            desk.work(most=1)
        if when != "planned":
            desk.work()
        if when == "done":
            desk.run_out_of_waits()
    desk.on(campaign, target, "DELETE", status=204, params={"purge": "true"})
    assert desk.row(campaign, target) is None
    assert counts(desk, campaign) == by_rows(desk, campaign)
    if when == "draft":
        desk.set_status(campaign, "active")
    desk.run_out_of_waits()
    assert counts(desk, campaign) == by_rows(desk, campaign) == {"success": 3}
    assert desk.channel.sent()[gone] == {"draft": 0, "planned": 0, "between": 1, "done": 2}[when]
    with desk.database.read() as session:
        for table in (Execution, Engagement):
            assert session.scalar(select(func.count()).where(table.entity_id == gone)) == 0
        assert session.scalar(select(func.count()).select_from(TargetKey)) == 3
    desk.on(campaign, target, "POST", "/restore", 404)
    desk.on(campaign, target, "DELETE", status=404, params={"purge": "true"})
    assert desk.bulk(campaign, [gone])["created"] == 1


def test_a_soft_deleted_one_can_be_purged(desk: TargetDesk) -> None:
    campaign = desk.campaign()
    desk.create_one(campaign, email="a@b.example")
    (target,) = desk.ids(campaign)
    desk.on(campaign, target, "DELETE", status=204)
    desk.on(campaign, target, "DELETE", status=204, params={"purge": "true"})
    assert desk.ids(campaign, include_deleted=True) == []


def test_a_failed_one_that_was_deleted_is_not_retriggered(desk: TargetDesk) -> None:
    campaign = desk.campaign()
    (person,) = desk.people(1)
    desk.bulk(campaign, [person])
    (target,) = desk.ids(campaign)
    desk.set_row(campaign, target, automation_status="failed", deleted_at=desk.database.clock.now())
    told = desk.told(
        "POST", f"/v1/campaign/{campaign}/automations:retrigger", json={"recipient_ids": [str(person)]}
    )
    assert told["results"][0]["result"] == "not_found"


@pytest.mark.parametrize("junk", ["obj_id", "agent_id", "customer_id", "knowledge_base_id", "id"])
def test_junk_parameters_are_checked_and_passed_over(desk: TargetDesk, junk: str) -> None:
    campaign = desk.campaign()
    desk.bulk(campaign, desk.people(1))
    (target,) = desk.ids(campaign)
    body: dict[str, Any] = {"json": {"stage": "hot"}}
    wrong = desk.on(campaign, target, "PATCH", "/stage", 422, params={junk: "x"}, **body)
    assert wrong["detail"][0]["loc"] == ["query", junk]
    assert desk.target(campaign, target)["stage"] == "new"
    moved = desk.on(campaign, target, "PATCH", "/stage", params={junk: str(uuid4())}, **body)
    assert (moved["id"], moved["stage"]) == (target, "hot")


@pytest.mark.parametrize("stage", ["", "x" * 65, None, 5, "a\0b"])
def test_a_stage_is_a_short_text(desk: TargetDesk, stage: Any) -> None:
    campaign = desk.campaign()
    desk.bulk(campaign, desk.people(1))
    (target,) = desk.ids(campaign)
    told = desk.on(campaign, target, "PATCH", "/stage", 422, json={"stage": stage})
    assert told["detail"][0]["loc"] == ["body", "stage"]
