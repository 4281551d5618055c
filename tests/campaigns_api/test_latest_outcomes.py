"""Statistics are of latest outcomes: a failure that is mended is none, and who is taken up again is not excluded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import func, select

from engine.channels.port import Delivered, Rejected
from engine.delivery.retrigger import retrigger_failed
from state.tables import DeliveryHour, Job

if TYPE_CHECKING:
    from tests.campaigns_api.desk import Desk


def overview(desk: Desk, campaign: str, period: str = "all") -> tuple[int, int, int]:
    """Sent, failed, excluded."""
    shown = desk.ask("GET", f"/{campaign}/statistics", params={"period": period})["overview"]
    return shown["messagesSent"], shown["failed"], shown["excluded"]


def status(desk: Desk, campaign: str, wanted: str) -> None:
    answer = desk.client.post(f"/v1/campaign/{campaign}/status", json={"status": wanted})
    assert answer.status_code == 200, answer.text


def test_failures_that_are_mended_are_none(desk: Desk) -> None:
    people = desk.furnish(people=6)
    bad = set(people[:4])
    desk.channel.answer = lambda message: Rejected("X", "no") if message.entity_id in bad else Delivered()
    campaign = desk.plain()
    desk.ask("POST", f"/{campaign}/execute")
    desk.run_out()
    assert overview(desk, campaign) == (2, 4, 0)
    desk.clock.forward(hours=3)
    bad -= set(people[:3])
    with desk.api.runtime.transaction() as session:
        assert retrigger_failed(session, desk.org_id, UUID(campaign), window=3, slice_size=2) == 4
    assert overview(desk, campaign)[1] == 0, "who is tried again has not failed"
    desk.run_out()
    assert overview(desk, campaign) == overview(desk, campaign, "7d") == (5, 1, 0)
    assert overview(desk, campaign, "1h") == (3, 1, 0)
    progress = desk.progress(campaign)["progress"]
    assert (progress["successful"], progress["failed"]) == (5, 1)
    with desk.database.read() as session:
        assert min(session.scalars(select(DeliveryHour.failed))) == 0, "in the hour in which it was"


def test_who_is_taken_up_again_is_not_excluded(desk: Desk) -> None:
    everybody = desk.furnish(people=12)
    campaign = desk.plain()
    desk.ask("POST", f"/{campaign}/execute")
    desk.work(most=3)
    status(desk, campaign, "inactive")
    desk.run_out()
    left = 12 - len(desk.sent())
    assert left > 0
    status(desk, campaign, "active")
    desk.run_out()
    assert desk.sent() == set(everybody)
    assert overview(desk, campaign) == (12, 0, 0)
    assert max(desk.channel.sent().values()) == 1


def test_a_finished_campaign_of_nobody_has_no_rates(desk: Desk) -> None:
    desk.furnish()
    campaign = desk.plain()
    assert desk.progress(campaign)["progress"]["percentage"] == 0, "it has not been run"
    desk.ask("POST", f"/{campaign}/execute")
    desk.run_out()
    assert desk.status(campaign) == "completed"
    ended = desk.progress(campaign)["progress"]
    assert (ended["percentage"], ended["processed"], ended["total"]) == (100, 0, 0)
    shown: dict[str, Any] = desk.ask("GET", f"/{campaign}/statistics")
    assert shown["performance"] == {}
    assert shown["overview"]["messagesSent"] == 0


def seen(desk: Desk, campaign: str) -> tuple[Any, ...]:
    """Excluded and failed by statistics and by progress; cancelled by progress; unreached by the jobs."""
    counted = desk.progress(campaign)["progress"]
    with desk.database.read() as session:
        of_campaign = Job.campaign_id == UUID(campaign)
        unreached = session.scalar(select(func.sum(Job.unreached)).where(of_campaign))
    _, failed, excluded = overview(desk, campaign)
    assert (excluded, failed) == (counted["excluded"], counted["failed"])
    return excluded, failed, counted["cancelled"], unreached


def told(desk: Desk, campaign: str, entity_id: UUID) -> list[str]:
    """What became of a recipient's messages, by its timeline."""
    answer = desk.client.get(f"/v1/campaign/{campaign}/recipients/{entity_id}/timeline")
    assert answer.status_code == 200, answer.text
    return [one["what"] for one in answer.json()["results"] if one["what"].startswith("message.")]


def test_who_was_left_by_a_stop_is_cancelled_and_not_excluded(desk: Desk) -> None:
    desk.furnish(people=9)
    suppressed = desk.people(3, email="gone@example.com")
    answer = desk.client.post("/v1/suppression", json={"channel_kind": "smtp", "address": "gone@example.com"})
    assert answer.status_code == 201, answer.text
    campaign = desk.plain()
    desk.ask("POST", f"/{campaign}/execute")
    desk.work(most=3)
    status(desk, campaign, "inactive")
    desk.run_out()
    left = {one.entity_id for one in desk.recipients(campaign) if one.error_code == "JOB_CANCELLED"}
    excluded = set(suppressed) - left
    assert left
    assert seen(desk, campaign) == (len(excluded), 0, len(left), len(left))
    assert told(desk, campaign, min(left)) == ["message.cancelled"]
    status(desk, campaign, "active")
    desk.run_out()
    assert seen(desk, campaign) == (3, 0, 0, 0)
    assert told(desk, campaign, suppressed[0])[-1] == "message.excluded"
    assert overview(desk, campaign)[0] == 9


def test_reported_outcomes_are_the_latest_too(desk: Desk) -> None:
    people = desk.furnish(people=6)
    desk.channel.answer = lambda message: (
        Rejected("X", "no") if message.entity_id in people[:4] else Delivered()
    )
    campaign = desk.plain()
    desk.ask("POST", f"/{campaign}/execute")
    desk.run_out()
    assert seen(desk, campaign) == (0, 4, 0, 0)

    def report(entity_id: UUID, automation_status: str) -> None:
        path = f"/v1/campaign/{campaign}/recipient/{entity_id}"
        answer = desk.client.patch(path, json={"automation_status": automation_status})
        assert answer.status_code == 200, answer.text

    report(people[0], "success")
    assert seen(desk, campaign) == (0, 3, 0, 0)
    report(people[1], "pending")
    assert overview(desk, campaign)[1:] == (2, 0)
    report(people[5], "failed")
    report(people[4], "cancelled")
    assert seen(desk, campaign) == (1, 3, 0, 0)
    with desk.api.runtime.transaction() as session:
        assert retrigger_failed(session, desk.org_id, UUID(campaign), window=3, slice_size=2) == 3
    assert seen(desk, campaign)[:2] == (1, 0)


def test_who_is_held_out_is_excluded(desk: Desk) -> None:
    desk.furnish(people=40)
    variations = [{"id": "a", "content": "One"}, {"id": "b", "content": "Other"}]
    campaign = desk.plain(messages=[{"templateId": "tmpl456", "variations": variations}])
    test = {"name": "t", "metric": "clicked", "sample": 20, "holdout": 30, "decideAfterHours": 1}
    desk.ask("POST", f"/{campaign}/ab-tests", 201, json=test)
    desk.ask("POST", f"/{campaign}/execute")
    desk.run_out()
    held = sum(one.error_code == "HOLDOUT" for one in desk.recipients(campaign))
    assert held
    assert seen(desk, campaign) == (held, 0, 0, 0)
