"""A campaign from its name to its plan: audience, message, steps, schedule and limits in one form that is kept."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from uuid import UUID

import pytest

from engine.campaigns.campaigns import get_campaign
from engine.campaigns.flows import touchpoints_of
from state.tables import Target
from tests.console.pages import first_in

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

    from tests.api.conftest import Api
    from tests.console.conftest import Person

    SignIn = Callable[..., Person]
NEW = "/console/campaigns/new"
PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 40
FORM = {
    "name": "north",
    "schema_name": "contact",
    "audience": "conditions",
    "combination": "AND",
    "groups.0.key": "0000000a",
    "groups.0.combination": "AND",
    "groups.0.rows.0.name": "country",
    "groups.0.rows.0.operator": "EQUALS",
    "groups.0.rows.0.value": "Norway",
    "steps.0.key": "0000000b",
    "steps.0.type": "message",
    "steps.0.subject": "Hello",
    "steps.0.markup": "html",
    "steps.0.body": "<p>Hi {{ country }}</p>",
}


def furnish(client: httpx.Client) -> None:
    client.post("/v1/channel", json={"name": "file", "kind": "file"}).raise_for_status()
    for name, country in (("Ada <i>", "Norway"), ("Bo", "Sweden"), ("Cy", "Norway")):
        body = {"title": name, "country": country, "email": f"{name[:2]}@example.com"}
        client.post("/v1/entity/contact", json=body).raise_for_status()


@pytest.fixture
def path(client: httpx.Client, sign_in: SignIn) -> str:
    """Of a draft that was just begun."""
    furnish(client)
    return sign_in("operator").submit(NEW, name="north").headers["location"]


def part(person: Person, path: str, **fields: object) -> httpx.Response:
    """What a script of the page is answered."""
    return person.post(path, data={"csrf": person.token(), **fields}, headers={"hx-request": "true"})


def id_of(path: str) -> UUID:
    return UUID(path.split("/")[3])


def test_a_campaign_is_written_counted_and_planned(
    api: Api, sign_in: SignIn, client: httpx.Client, path: str
) -> None:
    person = sign_in("operator")
    assert 'value="country"' in person.get(path).text  # offered
    seen = part(person, path, **FORM)
    assert "2 people" in seen.text
    assert "Ada &lt;i&gt;" in seen.text
    assert "<h1" not in seen.text
    plan = person.submit(path, **FORM, do="finish").headers["location"]
    page = person.get(plan)
    assert "Type 2 to confirm" in page.text
    points = json.loads(first_in(r"id=\"departure-points\" data-points='(.*?)'", page.text))
    assert (points[1][0], points[1][-1]) == (0, 2)
    assert points[0] == sorted(points[0])
    assert "Hello" in page.text
    with api.database.read() as session:
        campaign = get_campaign(session, api.org_id, id_of(path))
        target = session.get_one(Target, UUID(campaign.target_ids[0]))
        assert target.campaign_id == campaign.id
        body = {"name": "t", "entity_schema": "contact", "entity_filters": target.entity_filters}
    target_id = client.post("/v1/target", json=body).json()["_id"]
    assert client.post(f"/v1/target/{target_id}:count").json() == {"count": 2}
    assert person.submit(plan.replace("/plan", "/send"), expected="2", count="2").status_code == 303
    assert person.get(path).status_code == 404  # it is no draft any more
    assert person.submit(path, **FORM).status_code == 409


def test_what_is_typed_is_kept_however_unfinished(sign_in: SignIn, path: str) -> None:
    person = sign_in("operator")
    part(person, path, **{**FORM, "steps.0.body": "<p>{{ open", "starts": "soon"})
    page = sign_in("operator").get(path).text
    assert "&lt;p&gt;{{ open" in page
    assert "line 1" in page
    assert person.submit(path, **FORM, do="finish").status_code == 303
    assert "Hi {{ country }}" in person.get(path).text  # written further after it was planned


def test_what_is_wrong_stands_at_its_place_and_nothing_is_made(
    sign_in: SignIn, client: httpx.Client, path: str
) -> None:
    person = sign_in("operator")
    wrong = (
        {"groups.0.rows.0.name": ""},
        {"groups.0.rows.0.operator": "GREATER_THAN", "groups.0.rows.0.value": ""},
        {"name": ""},
        {"steps.0.body": "<p>\n{{ open"},
        {"steps.0.type": "wait", "steps.0.amount": "long"},
        {"starts": "soon"},
        {"rate": "many"},
        {"steps.1.type": "condition", "steps.1.where": "country = Norway"},
        {"send_from": "09:00", "send_to": "09:00"},
    )
    for change in wrong:
        answer = person.submit(path, **{**FORM, **change}, do="finish")
        assert answer.status_code == 400, change
        assert 'role="alert"' in answer.text, change
    assert client.get("/v1/campaign").json()["results"][0].get("flow_id") is None
    assert sign_in("viewer").submit(path, **FORM).status_code == 403
    assert sign_in("viewer").submit(NEW, name="x").status_code == 403


def test_steps_are_a_list_that_buttons_change(api: Api, sign_in: SignIn, path: str) -> None:
    person = sign_in("admin")
    steps = {
        "steps.1.key": "0000000c",
        "steps.1.type": "wait",
        "steps.1.amount": "2",
        "steps.1.unit": "days",
        "steps.2.key": "0000000d",
        "steps.2.type": "condition",
        "steps.2.where": "'engagement.clicked within 2 days' is empty",
        "steps.3.key": "0000000e",
        "steps.3.type": "action",
        "steps.3.url": "https://example.com/hook",
        "steps.3.method": "POST",
    }
    page = person.submit(path, **FORM, **steps, do="up:steps.1").text
    assert page.index("step-0000000c-title") < page.index("step-0000000b-title")
    page = person.submit(path, **FORM, **steps, do="remove:steps.3").text
    assert "step-0000000e-title" not in page
    page = person.submit(path, **FORM, **steps, do="add:steps:message").text
    assert page.count('class="step message"') == 2
    for odd in ("up:steps.0", "down:steps.99", "remove:x.1", "add:name", "remove:steps.0.rows.1", "nonsense"):
        assert person.submit(path, **FORM, do=odd).status_code == 200
    told = sign_in("operator").submit(path, **FORM, **steps, do="finish").text
    assert "to write; name an http channel" in told
    assert person.submit(path, **FORM, **steps, do="finish").status_code == 303
    with api.database.read() as session:
        campaign = get_campaign(session, api.org_id, id_of(path))
        assert campaign.flow_id is not None
        rows = touchpoints_of(session, api.org_id, [campaign.flow_id])[campaign.flow_id]
        assert [(row.type, row.condition is None) for row in rows] == [
            ("message", True),
            ("wait", True),
            ("action", False),
        ]


def test_groups_variants_schedule_and_limits_become_the_campaigns(
    api: Api, sign_in: SignIn, path: str
) -> None:
    person = sign_in("operator")
    more = {
        "combination": "OR",
        "groups.0.rows.1.name": "email",
        "groups.0.rows.1.operator": "NOT_EMPTY",
        "groups.1.combination": "AND",
        "groups.1.rows.0.name": "country",
        "groups.1.rows.0.operator": "IS_ONE_OF",
        "groups.1.rows.0.value": "Sweden, Denmark",
        "steps.0.variants.0.subject": "Good day",
        "steps.0.variants.0.weight": "3",
        "starts": "2026-06-01T09:30",
        "zone": "Europe/Berlin",
        "days": "mon",
        "send_from": "09:00",
        "send_to": "18:00",
        "rate": "50",
        "per": "minute",
        "cap": "2",
        "cap_hours": "168",
        "cap_over": "delay",
        "budget": "12.5",
        "one_per_address": "no",
    }
    assert "3 people" in part(person, path, **{**FORM, **more}).text
    assert person.submit(path, **{**FORM, **more}, do="finish").status_code == 303
    with api.database.read() as session:
        campaign = get_campaign(session, api.org_id, id_of(path))
        assert str(campaign.starts_at) == "2026-06-01 07:30:00+00:00"
        assert campaign.budget == 12.5
        assert campaign.one_per_address is False
        assert campaign.limits is not None
        assert campaign.limits["send_windows"] == [{"days": ["mon"], "from": "09:00", "to": "18:00"}]
        assert campaign.limits["frequency_cap"] == {"messages": 2, "hours": 168, "over": "delay"}
        assert campaign.flow_id is not None
        (row,) = touchpoints_of(session, api.org_id, [campaign.flow_id])[campaign.flow_id]
        assert row.variants is not None
        assert [(one["id"], one["weight"], one["content"]["subject"]) for one in row.variants] == [
            ("A", 1, "Hello"),
            ("B", 3, "Good day"),
        ]


def test_a_picture_is_kept_once_and_served_to_everybody(
    api: Api, sign_in: SignIn, stranger: httpx.Client
) -> None:
    person = sign_in("operator")
    token = {"x-csrf-token": person.token()}
    urls = [
        person.post("/console/pictures?name=a.png", content=PNG, headers=token).json()["url"] for _ in (1, 2)
    ]
    assert urls[0] == urls[1]
    path = urls[0].partition("/pictures/")[2]
    shown = stranger.get(f"/pictures/{path}")
    assert (shown.content, shown.headers["content-type"]) == (PNG, "image/png")
    assert shown.headers["x-content-type-options"] == "nosniff"
    assert stranger.get(f"/pictures/{path.replace('.png', '.gif')}").status_code == 404
    assert stranger.get("/pictures/x.png").status_code == 404
    assert person.post("/console/pictures?name=a.png", content=PNG).status_code == 403
    for content in (b"<svg onload=alert(1)>", b"", PNG + b"\0" * 2_000_000):
        answer = person.post("/console/pictures?name=a.png", content=content, headers=token)
        assert answer.status_code in (400, 413), len(content)
    assert path in person.get("/console/pictures").text
    picture_id = path.partition(".")[0]
    assert person.submit(f"/console/pictures/{picture_id}/delete").status_code == 303
    assert stranger.get(f"/pictures/{path}").status_code == 404


def test_people_of_a_file_become_the_audience(client: httpx.Client, sign_in: SignIn, path: str) -> None:
    person = sign_in("operator")
    query = {
        "schema": "contact",
        "mark": "spring",
        "campaign": str(id_of(path)),
        "key": "email",
        "column": ["E-Mail", "Rest", "Land"],
        "attribute": ["email", "", "country"],
    }
    done = person.post(
        "/console/audience/import",
        params=query,
        content=b"E-Mail,Rest,Land\nnew@example.com,x,Norway\nBo@example.com,y,Norway\n",
        headers={"content-type": "text/csv", "x-csrf-token": person.token(), "hx-request": "true"},
    )
    assert done.status_code == 200, done.text
    assert "/write/people" in done.text
    people = client.get("/v1/entity/contact").json()["results"]
    (body,) = [one for one in people if one["email"] == "new@example.com"]
    assert (body["email"], body["country"], body["list"]) == ("new@example.com", "Norway", "spring")
    assert "Rest" not in body
    person.submit(f"{path}/people", schema="contact", name="list", value="spring")
    assert "2 people" in person.get(path).text
