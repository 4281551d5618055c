"""Forty-five campaigns: paged, filtered, searched and sorted as the contract says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.campaigns_api.desk import Desk

TYPES = ("message", "invitation", "data_collection", "engagement", "custom")


@pytest.fixture
def many(desk: Desk) -> list[str]:
    """Forty-five, a second apart, oldest first: every third is active, every fifth cancelled."""
    ids = []
    for number in range(45):
        desk.clock.forward(seconds=1)
        given: dict[str, Any] = {"name": f"Campaign {number:02}", "type": TYPES[number % 5]}
        if number % 2:
            given["budget"] = 1000 - number
        if number % 9 == 0:
            given["description"] = "Zauberhafte ÄPFEL, 100 % süß"
        ids.append(desk.ask("POST", status=201, json=given)["id"])
        if number % 3 == 0:
            desk.ask("PUT", f"/{ids[-1]}", json={"status": "active"})
        if number % 5 == 0:
            desk.ask("PUT", f"/{ids[-1]}", json={"status": "cancelled"})
    return ids


def test_forty_five_campaigns(desk: Desk, many: list[str]) -> None:
    def ids(**parameters: Any) -> list[str]:
        return [row["id"] for row in desk.ask("GET", params=parameters)["campaigns"]]

    newest_first = many[::-1]
    assert ids() == newest_first[:20]
    assert ids(page=2) == newest_first[20:40]
    assert ids(page=3) == newest_first[40:]
    assert ids(page=4) == []
    assert desk.ask("GET")["pagination"] == {"page": 1, "limit": 20, "total": 45, "pages": 3}
    assert desk.ask("GET", params={"page": 2, "limit": 44})["pagination"] == {
        "page": 2, "limit": 44, "total": 45, "pages": 2,
    }  # fmt: skip
    assert ids(limit=100) == newest_first
    assert ids(limit=100, sort="createdAt") == ids(limit=100, sort="name") == many

    cancelled = [key for number, key in enumerate(many) if number % 5 == 0]
    active = [key for number, key in enumerate(many) if number % 3 == 0 and number % 5]
    assert ids(limit=100, status="cancelled", sort="createdAt") == cancelled
    assert ids(limit=100, status="active", sort="createdAt") == active
    both = ids(limit=100, status="active,cancelled", sort="createdAt")
    assert both == sorted(active + cancelled, key=many.index)
    assert len(ids(limit=100, status="draft")) == 45 - len(both)
    assert ids(limit=100, type="custom", sort="createdAt") == many[4::5]
    assert ids(limit=100, type="message", status="cancelled", sort="name") == cancelled
    assert desk.ask("GET", params={"type": "custom", "limit": 4})["pagination"]["total"] == 9

    assert ids(search="campaign 0", sort="name") == many[:10]
    assert ids(search="äpfel", sort="name") == many[::9]
    assert ids(search="100 %", sort="name") == many[::9]
    assert ids(search="_") == ids(search="nothing such") == []

    budgets = ids(limit=100, sort="budget")
    assert budgets[:22] == many[1::2][::-1]
    assert ids(limit=100, sort="-budget")[:22] == many[1::2]
    assert set(budgets[22:]) == set(many[::2]), "whoever has none comes last, whatever the direction"


@pytest.mark.parametrize(
    ("parameters", "field"),
    [
        ({"page": "0"}, "page"),
        ({"page": "-1"}, "page"),
        ({"page": "x"}, "page"),
        ({"page": "9" * 30}, "page"),
        ({"limit": "0"}, "limit"),
        ({"limit": "101"}, "limit"),
        ({"limit": "1.5"}, "limit"),
        ({"status": "running"}, "status"),
        ({"type": "sms"}, "type"),
        ({"sort": "updatedat"}, "sort"),
        ({"sort": "--name"}, "sort"),
        ({"search": "x" * 201}, "search"),
        ({"search": "\0"}, "search"),
    ],
)
def test_bad_parameters_are_named(desk: Desk, parameters: dict[str, str], field: str) -> None:
    desk.invalid("GET", "", field, params=parameters)


def test_another_organization_sees_nothing(desk: Desk, stranger: Any) -> None:
    campaign = desk.ask("POST", status=201, json={"name": "Ours"})["id"]
    assert stranger.get("/api/v1/campaigns").json()["data"]["campaigns"] == []
    for method, path in (("GET", ""), ("PUT", ""), ("DELETE", ""), ("POST", "/pause"), ("GET", "/progress")):
        answer = stranger.request(
            method, f"/api/v1/campaigns/{campaign}{path}", json={} if method == "PUT" else None
        )
        assert (answer.status_code, answer.json()["code"]) == (404, "CAMPAIGN_NOT_FOUND")
