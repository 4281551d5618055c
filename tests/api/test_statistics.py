"""`/api/v1/campaigns/{id}/statistics`, over HTTP: the fields and the figures of the contract's example."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.insight.test_statistics import World

if TYPE_CHECKING:
    import httpx

    from tests.api.conftest import Api


@pytest.fixture
def world(api: Api) -> World:
    world = World(api.database, api.org_id)
    now = api.database.clock.now().replace(minute=0)
    world.sent(now, 2000, target=world.first)
    world.sent(now, 6500, target=world.second, variant="b")
    for kind, count in (("delivered", 8030), ("read", 6500), ("clicked", 1200)):
        world.did(now, kind, count)
    world.did(now, "delivered", 170, target_id=world.first)
    world.did(now, "converted", 255, revenue=2_550_000, currency="EUR")
    world.did(now, "converted", 170, target_id=world.first, revenue=1_700_000, currency="EUR")
    return world


def test_the_example_of_the_contract(client: httpx.Client, world: World) -> None:
    path = f"/api/v1/campaigns/{world.campaign_id}/statistics"
    data = client.get(path).json()["data"]
    example = {"messagesSent": 8500, "delivered": 8200, "read": 6500, "clicked": 1200, "converted": 425}
    assert {**example, "revenue": 42500}.items() <= data["overview"].items()
    assert {
        "deliveryRate": 96.5,
        "readRate": 76.5,
        "clickRate": 14.1,
        "conversionRate": 5.0,
    } == data["performance"]
    [day] = data["timeline"]
    assert {"date": "2026-03-02", "sent": 8500, "delivered": 8200, "conversions": 425}.items() <= day.items()
    premium = next(one for one in data["segments"] if one["name"] == "Premium Users")
    assert str(world.first) == premium["segmentId"]
    assert {"sent": 2000, "conversionRate": 8.5}.items() <= premium["performance"].items()
    [variant] = data["variants"]
    assert {"variant": "b"}.items() <= variant.items()
    assert ["2026-03-02T09:00:00Z"] == [
        piece["date"] for piece in client.get(path, params={"period": "24h"}).json()["data"]["timeline"]
    ]


def test_metrics_choose_sections_and_figures(client: httpx.Client, world: World) -> None:
    def asked(metrics: str) -> dict[str, object]:
        path = f"/api/v1/campaigns/{world.campaign_id}/statistics"
        return client.get(path, params={"metrics": metrics}).json()["data"]

    assert {"overview", "performance", "timeline", "segments", "variants"} == set(asked("all"))
    assert {"performance"} == set(asked("performance"))
    assert {"performance": {"clickRate": 14.1}} == asked("performance,clicked")
    assert {"messagesSent": 8500} == asked("sent")["overview"]
    assert {"date", "conversions"} == set(asked("timeline,conversions")["timeline"][0])  # type: ignore[index]


def test_amounts_of_different_currencies_are_never_added(
    client: httpx.Client, world: World, api: Api
) -> None:
    path = f"/api/v1/campaigns/{world.campaign_id}/statistics"
    world.did(api.database.clock.now(), "converted", 1, revenue=4_250, currency="JPY")
    world.did(api.database.clock.now(), "converted", 1, revenue=150, currency="")
    overview = client.get(path).json()["data"]["overview"]
    assert {"EUR": 42500, "JPY": 4250, "XXX": 1.5} == overview["revenueByCurrency"]
    assert "revenue" not in overview


def test_what_cannot_be_asked_is_400_and_named(
    client: httpx.Client, stranger: httpx.Client, world: World
) -> None:
    path = f"/api/v1/campaigns/{world.campaign_id}/statistics"
    for params, field in (({"period": "1y"}, "period"), ({"metrics": "clickd"}, "metrics")):
        answer = client.get(path, params=params)
        assert (400, field) == (answer.status_code, answer.json()["details"]["field"])
    assert 404 == stranger.get(path).status_code
    assert "CAMPAIGN_NOT_FOUND" == client.get("/api/v1/campaigns/nothing/statistics").json()["code"]
