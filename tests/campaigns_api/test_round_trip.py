"""Reading a document and writing it back changes nothing: every dialect's, for each kind of campaign.

Rows of all tables are compared; the Campaigns API leaves even `updated_at` as it was.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import select

from state.tables import Base, Campaign, Touchpoint
from tests.campaigns_api.test_scheduling import instant

if TYPE_CHECKING:
    from tests.campaigns_api.desk import Desk

#: What says who asked, and nothing about campaigns.
_APART = ("audit_record", "api_key", "idempotency_key")
RATE = {"rate": {"messages": 5, "per": "hour"}, "quiet_hours": [{"from": "21:00", "to": "08:00"}]}
WORDED = [
    {"name": "first", "content": "Hello", "subject": "Hi", "personalization": {"enabled": True, "fields": ["name"]},
     "variations": [{"content": "Hallo", "weight": 30}, {"id": "x", "content": "Salut", "subject": "S", "weight": 5}]},
    {"templateId": "tmpl456", "variations": [{"content": "Hei"}]},
    {"templateId": "not there yet"},
]  # fmt: skip


def rows(desk: Desk, *, stamps: bool = True) -> dict[str, Any]:
    """Everything that is kept."""
    found = {}
    with desk.database.read() as session:
        for table in Base.metadata.sorted_tables:
            if table.name not in _APART:
                kept = [dict(row) for row in session.execute(select(table)).mappings()]
                for row in kept:
                    if not stamps:
                        row.pop("updated_at", None)
                found[table.name] = sorted(kept, key=repr)
    return found


def post(desk: Desk, path: str, body: Any, *, method: str = "POST") -> dict[str, Any]:
    answer = desk.client.request(method, path, json=body)
    assert answer.status_code in (200, 201), f"{method} {path}: {answer.status_code} {answer.text[:500]}"
    return dict(answer.json())


def flow_campaign(desk: Desk, touchpoints: list[dict[str, Any]], **values: Any) -> str:
    flow = post(desk, "/v1/flow", {"name": "shared", "touchpoints": touchpoints})
    body = {
        "name": "of a flow",
        "flow_id": flow["_id"],
        "target_ids": [str(desk.segment("others"))],
        **values,
    }
    return str(post(desk, "/v1/campaign", body)["_id"])


def kinds(desk: Desk) -> dict[str, str]:
    """A campaign of each kind."""
    first, second = desk.sender("file", is_default=True), desk.sender("file")
    hello = {"content": {"subject": "s", "text": "Hello", "html": "<p>Hello</p>"}, "channel_id": str(second)}
    weights = {
        **hello,
        "variants": [{"id": "a", "weight": 1, "content": {"text": "a"}}, {"id": "b", "weight": 2}],
    }
    steps: list[dict[str, Any]] = [
        hello,
        {"type": "wait", "settings": {"days": 2}},
        {"type": "action", "settings": {"url": "https://hooks.example/x"}},
        {**weights, "status": "inactive"},
    ]
    found = {
        "plain": desk.plain(),
        "whole": desk.create(
            messages=WORDED, limits=RATE, misfireHours=2.5, description="d",
            strategy={"messaging": "m", "timing": "t", "channels": ["pigeon", "file"]},
        ),
        "filters": desk.plain(targetAudience={"filters": {"ageRange": [18, 45], "vip": True}, "schema": "client"}),
        "empty": str(desk.ask("POST", status=201, json={"name": "empty"})["id"]),
        "flow": flow_campaign(desk, [hello]),
        "weights": flow_campaign(desk, [weights]),
        "sequence": flow_campaign(desk, steps, limits=RATE, tracking={"opens": True}),
        "dates": flow_campaign(desk, [hello], start_date="2026-03-20", end_date="2026-04-20", goal="g"),
        "nothing sent": str(post(desk, "/v1/campaign", {"name": "shown only", "attribution_days": 3})["_id"]),
    }  # fmt: skip
    open_ = post(
        desk, "/channel-service/v1/campaign", {"name": "open", "channel_type": "file", "mine": {"a": 1}}
    )
    open_steps: list[dict[str, Any]] = [
        {"type": "message", "message": "Hi", "initial_phrase": "go"},
        {"type": "wait", "delay_days": 1},
        {"type": "message", "message": {"text": "Hi"}, "channel_id": str(second), "x": [1.5]},
    ]
    for step in open_steps:
        post(desk, "/channel-service/v1/touchpoints", {"campaign_id": open_["_id"], "name": "t", **step})
    found["open"] = str(open_["_id"])
    contact = {
        "first_contact_channel": "whatsapp",
        "whatsapp_first_message": "Hi",
        "whatsapp_channel_id": str(first),
    }
    found["first contact"] = str(post(desk, "/v1/campaign", {"name": "contact"})["_id"])
    post(desk, f"/v1/campaign/{found['first contact']}/first-contact", contact, method="PUT")
    found["clone"] = str(desk.ask("POST", f"/{found['weights']}/clone", status=201)["id"])
    found["scheduled"] = desk.plain(startDate=instant(desk, days=3))
    desk.ask("POST", f"/{found['scheduled']}/execute")
    for kind, moves in {"running": (), "paused": ("paused",), "completed": ("paused", "completed")}.items():
        found[kind] = desk.plain()
        desk.ask("POST", f"/{found[kind]}/execute")
        for status in moves:
            desk.ask("PUT", f"/{found[kind]}", json={"status": status})
    return found


def documents(desk: Desk, campaign: str) -> list[tuple[str, str]]:
    """Method and path of everything that a campaign is read and written by."""
    found = [("PATCH", f"/v1/campaign/{campaign}"), ("PUT", f"/channel-service/v1/campaign/{campaign}")]
    if desk.client.get(f"/v1/campaign/{campaign}/first-contact").status_code == 200:
        found.append(("PUT", f"/v1/campaign/{campaign}/first-contact"))
    with desk.database.read() as session:
        row = session.get_one(Campaign, UUID(campaign))
        found += [("PATCH", f"/v1/target/{target_id}") for target_id in row.target_ids]
        if row.flow_id is not None:
            found.append(("PATCH", f"/v1/flow/{row.flow_id}"))
            steps = session.scalars(select(Touchpoint).where(Touchpoint.flow_id == row.flow_id)).all()
            found += [("PUT", f"/channel-service/v1/touchpoints/{step.id}") for step in steps]
            found += [("PATCH", f"/v1/template/{step.template_id}") for step in steps if step.template_id]
    return found


def test_a_document_that_is_written_back_changes_nothing(desk: Desk) -> None:
    desk.furnish(people=3)
    for kind, campaign in kinds(desk).items():
        before = rows(desk)
        document = desk.ask("GET", f"/{campaign}")
        assert desk.ask("PUT", f"/{campaign}", json=document) == document, kind
        assert rows(desk) == before, kind
        for method, path in documents(desk, campaign):
            before = rows(desk, stamps=False)
            post(desk, path, desk.client.get(path).json(), method=method)
            assert rows(desk, stamps=False) == before, (kind, path)
    post(desk, "/v1/organization", desk.client.get("/v1/organization").json(), method="PATCH")


def channels(desk: Desk, campaign: str) -> list[UUID | None]:
    with desk.database.read() as session:
        row = session.get_one(Campaign, UUID(campaign))
        steps = select(Touchpoint).where(Touchpoint.flow_id == row.flow_id).order_by(Touchpoint.position)
        return [step.channel_id for step in session.scalars(steps)]


def test_messages_alone_keep_their_channel(desk: Desk) -> None:
    """Of two channels of one kind a document shows the kind; what is edited beside it goes where it went."""
    desk.furnish(people=2)
    second = desk.sender("file")
    campaign = flow_campaign(desk, [{"content": {"text": "Hello"}, "channel_id": str(second)}])
    other = flow_campaign(desk, [{"content": {"text": "Hello"}, "channel_id": str(second)}])
    shared = desk.client.get(f"/v1/campaign/{campaign}").json()["flow_id"]
    messages = desk.ask("GET", f"/{campaign}")["messages"]
    desk.ask(
        "PUT",
        f"/{campaign}",
        json={"messages": [{**messages[0], "content": "Hello you"}, {"content": "More"}]},
    )
    assert channels(desk, campaign) == [second, second]
    desk.ask("PUT", f"/{other}", json={"messages": [{"content": "In its place"}]})
    assert channels(desk, other) == [second]
    flow = desk.client.get(f"/v1/flow/{shared}").json()
    assert flow["touchpoints"][0]["content"] == {"text": "Hello"}, "who shares it keeps it"
    document = desk.ask("GET", f"/{campaign}")
    desk.ask("PUT", f"/{campaign}", json={**document, "name": "Renamed", "description": "d"})
    desk.ask("POST", f"/{campaign}/execute")
    desk.run_out()
    assert channels(desk, campaign) == [second, second]
    # Who names channels means them.
    desk.ask("PUT", f"/{other}", json={"strategy": {"channels": [str(second)]}})
    first = desk.sender("null")
    desk.ask("PUT", f"/{other}", json={"strategy": {"channels": ["null"]}, "messages": [{"content": "x"}]})
    assert channels(desk, other) == [first]


def test_what_is_edited_leaves_the_rest_of_a_message(desk: Desk) -> None:
    desk.furnish(people=1)
    hello = {"text": "Hello", "html": "<p>Hello</p>", "subject": "s"}
    variants = [
        {"id": "a", "weight": 1, "content": {**hello, "text": "a"}},
        {"id": "b", "weight": 2, "content": hello},
    ]
    campaign = flow_campaign(desk, [{"content": hello, "variants": variants}])
    document = desk.ask("GET", f"/{campaign}")
    document["messages"][0]["variations"][0]["content"] = "A"
    desk.ask("PUT", f"/{campaign}", json=document)
    with desk.database.read() as session:
        row = session.get_one(Campaign, UUID(campaign))
        step = session.scalars(select(Touchpoint).where(Touchpoint.flow_id == row.flow_id)).one()
        assert step.content == hello
        assert [variant["weight"] for variant in step.variants or ()] == [1, 2]
        assert [variant["content"]["text"] for variant in step.variants or ()] == ["A", "Hello"]
        assert variants[1].items() <= (step.variants or [])[1].items()
    filters = {"filters": {"location": "US"}}
    shown = desk.ask("PUT", f"/{campaign}", json={"targetAudience": filters})["targetAudience"]
    assert shown["segments"] == document["targetAudience"]["segments"], "filters narrow what it had"


def test_what_answers_alone_hold_is_not_changed_by_writing_it(desk: Desk) -> None:
    campaign = post(desk, "/v1/campaign", {"name": "c"})
    path = f"/v1/campaign/{campaign['_id']}"
    for name, value in (("status", "active"), ("state", "active"), ("_id", campaign["_org"]), ("target", {})):
        refused = desk.client.patch(path, json={**campaign, name: value})
        assert (refused.status_code, name in refused.text) == (400, True), refused.text
