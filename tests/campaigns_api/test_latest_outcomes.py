"""Statistics are of latest outcomes: a failure that is mended is none, and who is taken up again is not excluded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import select

from engine.channels.port import Delivered, Rejected
from engine.delivery.retrigger import retrigger_failed
from state.tables import DeliveryHour

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
    desk.database.clock.forward(hours=3)  # type: ignore[attr-defined]
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
