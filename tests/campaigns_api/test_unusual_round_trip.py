"""The same of campaigns that are seldom made, and of everything beside campaigns that is read and written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import select

from state.tables import Campaign, Touchpoint
from tests.campaigns_api.test_own_flow import decided
from tests.campaigns_api.test_round_trip import documents, flow_campaign, post, rows
from tests.campaigns_api.test_scheduling import instant

if TYPE_CHECKING:
    from tests.campaigns_api.desk import Desk

LIMITS = {
    "rate": {"messages": 7, "per": "minute"},
    "frequency_cap": {"messages": 2, "hours": 100, "over": "delay"},
    "breaker": None,
    "send_windows": [
        {"days": ["mon", "fri"], "from": "22:00", "to": "06:30"},
        {"from": "09:00", "to": "10:00"},
    ],
    "quiet_hours": [{"from": "12:00", "to": "12:30"}],
}
FILTERS: dict[str, Any] = {
    "filter": {
        "combination": "OR",
        "items": [
            {"key": "joined", "operator": "LESS_THAN", "value": "TODAY", "data_type": "date"},
            {"key": "score", "operator": "GREATER_THAN_OR_EQUAL", "value": 12.50},
            {"items": [{"key": "plan", "operator": "IS_NONE_OF", "value": ["Gold", "", "ſ é"]},
                       {"key": "news", "operator": "EQUALS", "value": True}], "combination": "AND"},
            {"key": "a.b", "operator": "EMPTY"},
        ],
    }
}  # fmt: skip
ODD = {
    "location": ["US", "Norway"], "ageRange": [None, 45], "sinceRange": ["01.01.2026", "TODAY"], "vip": False,
    "nick": None, "score": {"gte": 1, "lt": 10.5}, "city": {"in": ["Oslo", ""]}, "mail": {"exists": True},
}  # fmt: skip
VARIANTS = [
    {"id": "a", "weight": 0, "content": {"text": "a", "subject": ""}},
    {"id": "b", "weight": 0.5, "content": {"html": "<p>b</p>", "subject": "s"}},
]


def unusual(desk: Desk) -> dict[str, str]:
    """A campaign of each kind that is seldom made."""
    out = desk.sender("file", is_default=True)
    hook = desk.sender("http", settings={"url": "https://hooks.example/x"})
    clicked = {
        "filter": {"items": [{"key": "engagement.clicked", "operator": "NOT_EMPTY"}], "combination": "AND"}
    }
    young = {"filter": {"items": [{"key": "age", "operator": "LESS_THAN", "value": "18", "data_type": "number"}],
                        "combination": "OR"}}  # fmt: skip
    steps: list[dict[str, Any]] = [
        {"content": {"subject": "s", "text": "Hello"}, "channel_id": str(out), "condition": young, "name": " first "},
        {"type": "wait", "settings": {"hours": 1.5, "days": 1}, "description": "a while"},
        {"type": "wait", "settings": {"until": instant(desk, days=9)}, "condition": clicked},
        {"type": "action", "channel_id": str(hook), "name": "hook"},
        {"type": "action", "settings": {"url": "https://x.example/{{ id }}", "method": "PUT", "headers": {"X-A": "1"},
                                        "body": {"a": ["{{ name }}", 1, None]}}},
        {"variants": VARIANTS, "condition": clicked},
    ]  # fmt: skip
    zoned = instant(desk, days=4).replace("Z", "+00:00").replace("+00:00", "+05:30")
    found = {
        "steps": flow_campaign(desk, steps, limits=LIMITS, one_per_address=False, tracking={"clicks": False}),
        "zone": desk.plain(startDate=zoned, endDate=instant(desk, days=30)[:10], limits=LIMITS, onePerAddress=False),
        "odd filters": desk.plain(targetAudience={"filters": ODD, "segments": []}),
        "narrowed": desk.plain(targetAudience={"segments": ["seg789", "seg789"], "filters": ODD}),
        "unknown segment": desk.plain(targetAudience={"segments": ["not there yet"]}),
        "words": desk.plain(
            name="  Ünï\u200b ", description="", goals={"targetAudience": 0, "conversionRate": 0, "revenue": 1e9},
            strategy={"messaging": "", "timing": None, "channels": []}, budget=10000.01, misfireHours=0,
        ),
        "variations": desk.create(
            messages=[{"content": "x", "variations": [{"content": "y", "weight": 0.5}, {"content": "z", "weight": 7}]}]
        ),
        "no filters": str(post(desk, "/v1/campaign", {
            "name": "two", "target_ids": [str(desk.segment("a")), str(desk.segment("b", *FILTERS["filter"]["items"]))],
            "next_best_action": {"title": "Call", "cta": {"type": "flow", "target": "f-1"}}, "ends": "when_told",
        })["_id"]),
    }  # fmt: skip
    found["tested"] = flow_campaign(desk, [{"variants": [{**one, "weight": 1} for one in VARIANTS]}])
    found["clone of tested"] = str(desk.ask("POST", f"/{found['tested']}/clone", status=201)["id"])
    decided(desk, found["tested"], "b")
    found["clone of decided"] = str(desk.ask("POST", f"/{found['tested']}/clone", status=201)["id"])
    found["executed in a zone"] = desk.plain()
    desk.ask(
        "POST",
        f"/{found['executed in a zone']}/execute",
        json={"scheduledAt": zoned, "targetPercentage": 12.5},
    )
    return found


def test_a_campaign_that_is_seldom_made_is_written_back_as_it_was(desk: Desk) -> None:
    desk.furnish(people=3)
    for kind, campaign in unusual(desk).items():
        before = rows(desk)
        document = desk.ask("GET", f"/{campaign}")
        assert document == desk.ask("PUT", f"/{campaign}", json=document), kind
        assert before == rows(desk), kind
        for name, value in document.items():  # and part by part
            if name in ("id", "createdAt", "updatedAt", "createdBy", "statistics"):
                continue
            assert document == desk.ask("PUT", f"/{campaign}", json={name: value}), (kind, name)
            assert before == rows(desk), (kind, name)
        for method, path in documents(desk, campaign):
            before = rows(desk, stamps=False)
            post(desk, path, desk.client.get(path).json(), method=method)
            assert before == rows(desk, stamps=False), (kind, path)


def test_what_stands_beside_campaigns_is_written_back_as_it_was(desk: Desk) -> None:
    people = desk.furnish(people=1)
    made = {
        "/v1/channel": {"name": "c", "kind": "sms", "settings": {
            "provider": "gateway", "region": "DE", "request": {"url": "https://gateway.example/x"}},
            "credentials": {"bearer": "secret"}, "limits": {
                "rate": {"messages": 7, "per": "minute"},
                "warm_up": {"start": "2026-03-01", "messages": 10, "growth": 1.25}}, "cost_per_message": 0.07},
        "/v1/target": {"name": "t", "entity_schema": "contact", "entity_filters": FILTERS},
        "/v1/template": {"name": "m", "subject": "Hi {{ name }}", "html": "<p>x</p>", "text": "",
            "sender": {"email": "a@example.com", "name": "A"}, "translations": {"de": {"subject": "Hallo"}}},
        "/v1/flow": {"name": "f", "touchpoints": [{"variants": VARIANTS}, {"type": "wait", "settings": {"weeks": 1}}]},
        "/v1/entity/contact": {"external_id": "x1", "title": "X", "a": 1.0, "b": [1, {"c": None}], "phone": "0151"},
    }  # fmt: skip
    paths = [f"{path}/{post(desk, path, body)['_id']}" for path, body in made.items()]
    paths += ["/v1/organization", f"/v1/entity/contact/{people[0]}"]
    hook = {"url": "https://hooks.example/x", "events": ["campaign.started"]}
    answer = post(desk, "/api/v1/webhooks", hook)
    hook_id = answer.get("data", answer)["id"]
    for method, path in [*(("PATCH", path) for path in paths), ("PUT", f"/api/v1/webhooks/{hook_id}")]:
        before = rows(desk, stamps=False)
        shown = desk.client.get(path).json()
        written = desk.client.request(method, path, json=shown.get("data", shown))
        assert 200 == written.status_code, (path, written.text)
        assert before == rows(desk, stamps=False), path


def test_a_weight_of_0_can_be_written_back_and_stays(desk: Desk) -> None:
    desk.furnish(people=1)
    campaign = flow_campaign(desk, [{"variants": VARIANTS}])
    document = desk.ask("GET", f"/{campaign}")
    assert [0, 0.5] == [one["weight"] for one in document["messages"][0]["variations"]]
    document["messages"][0]["variations"][1]["content"] = "B"
    desk.ask("PUT", f"/{campaign}", json=document)
    with desk.database.read() as session:
        row = session.get_one(Campaign, UUID(campaign))
        step = session.scalars(select(Touchpoint).where(Touchpoint.flow_id == row.flow_id)).one()
        assert [0, 0.5] == [variant["weight"] for variant in step.variants or ()]
