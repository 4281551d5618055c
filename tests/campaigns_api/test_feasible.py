"""A budget or hours that cannot be met are refused when they are written, naming both that forbid it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import update

from state.tables import Campaign, Channel
from tests.campaigns_api.test_round_trip import post
from tests.campaigns_api.test_scheduling import instant

if TYPE_CHECKING:
    from tests.campaigns_api.desk import Desk

NIGHT = {"quiet_hours": [{"from": "12:00", "to": "10:00"}]}
AFTERNOON = {"send_windows": [{"from": "14:00", "to": "16:00"}]}
MONDAY = {"send_windows": [{"days": ["mon"], "from": "09:00", "to": "17:00"}]}
NOT_MONDAY = {"quiet_hours": [{"days": ["sun"], "from": "20:00", "to": "08:00"}, {"days": ["mon"]}]}


def organization(desk: Desk, limits: Any) -> Any:
    return desk.client.patch("/v1/organization", json={"limits": limits})


@pytest.mark.parametrize(("general", "own"), [(NIGHT, AFTERNOON), (NOT_MONDAY, MONDAY), (AFTERNOON, NIGHT)])
def test_hours_that_leave_nothing_are_refused_when_the_second_is_written(
    desk: Desk, general: dict[str, Any], own: dict[str, Any]
) -> None:
    desk.furnish(people=2)
    field = f"limits.{next(iter(own))}"
    running = desk.plain(limits=own)
    draft = desk.plain(limits=own)
    desk.ask("POST", f"/{running}/execute")
    refused = organization(desk, general)
    assert refused.status_code == 400, refused.text
    assert all(
        word in refused.text
        for word in (next(iter(general)), "the campaign's", "the organization's", "Plain")
    )
    assert "limits" not in desk.client.get("/v1/organization").json(), "nothing was changed"

    desk.ask("PUT", f"/{running}", json={"status": "paused"})
    desk.ask("PUT", f"/{running}", json={"status": "cancelled"})
    assert organization(desk, general).status_code == 200
    desk.invalid("PUT", f"/{desk.plain()}", field, json={"limits": own})
    desk.invalid("POST", "", field, json={"name": "x", "limits": own})
    desk.invalid("POST", f"/{draft}/execute", field)
    desk.invalid("POST", f"/{draft}/execute", field, json={"scheduledAt": instant(desk, days=1)})
    for method, path in (("POST", "/v1/campaign"), ("PATCH", f"/v1/campaign/{desk.plain()}")):
        answer = desk.client.request(method, path, json={"name": "x", "limits": own})
        assert (answer.status_code, field in answer.text) == (400, True), answer.text
    assert desk.client.post(f"/v1/campaign/{draft}/status", json={"status": "active"}).status_code == 400
    # What it was before may be sent back.
    shown = desk.client.get(f"/v1/campaign/{draft}").json()
    assert post(desk, f"/v1/campaign/{draft}", shown, method="PATCH")["limits"] == own


def test_hours_that_come_after_the_end_are_refused(desk: Desk) -> None:
    """It is Monday, 9:00 in UTC: there is no Saturday before Thursday, in any zone; half an hour ends in some."""
    desk.furnish(people=1)
    saturday = {"send_windows": [{"days": ["sat"]}]}
    field = "limits.send_windows"
    desk.invalid("POST", "", field, json={"name": "x", "limits": saturday, "endDate": instant(desk, days=3)})
    campaign = desk.plain(limits=saturday)
    desk.invalid("PUT", f"/{campaign}", field, json={"endDate": instant(desk, days=3)})
    desk.ask("PUT", f"/{campaign}", json={"endDate": instant(desk, days=7)})
    noon = {"send_windows": [{"from": "12:00", "to": "12:30"}]}
    desk.plain(limits=noon, endDate=instant(desk, hours=1))


@pytest.mark.parametrize("budget", [0, 0.0, -1, -0.01])
def test_a_budget_of_nothing_is_refused(desk: Desk, budget: float) -> None:
    desk.furnish(people=1)
    desk.invalid("POST", "", "budget", json={"name": "x", "budget": budget})
    desk.invalid("PUT", f"/{desk.plain()}", "budget", json={"budget": budget})


def test_a_budget_that_is_not_enough_for_a_message_is_refused(desk: Desk) -> None:
    desk.furnish(people=2)
    with desk.database.begin() as session:
        session.execute(update(Channel).values(cost_per_message=0.1))
    campaign = desk.plain()
    desk.invalid("PUT", f"/{campaign}", "budget", json={"budget": 0.09})
    assert desk.ask("PUT", f"/{campaign}", json={"budget": 0.1})["budget"] == 0.1
    with desk.database.begin() as session:
        session.execute(update(Channel).values(cost_per_message=0.2))
    desk.invalid("POST", f"/{campaign}/execute", "budget")
    with desk.database.begin() as session:
        session.execute(update(Campaign).values(budget=0))
    desk.invalid("POST", f"/{campaign}/execute", "budget")
    answer = desk.client.put(
        f"/api/v1/campaigns/{campaign}",
        content=b'{"budget": NaN}',
        headers={"content-type": "application/json"},
    )
    assert (answer.status_code, "budget" in answer.text) == (400, True), answer.text


def test_a_plan_says_what_cannot_be_met(desk: Desk) -> None:
    desk.furnish(people=1)
    campaign = desk.plain(limits=AFTERNOON)
    assert organization(desk, NIGHT).status_code == 200, "a draft holds nothing back"
    with desk.database.begin() as session:
        session.execute(update(Campaign).values(budget=0))
    errors = post(desk, f"/v1/campaign/{campaign}:plan", {})["errors"]
    assert any("no hour to send in" in error for error in errors), errors
    assert any(error.startswith("budget: ") for error in errors), errors
