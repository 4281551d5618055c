"""Our own routes (docs/contract/own-routes.md): create, get, list, change and delete, alike for every noun."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import pytest

from state.tables import Campaign
from tests.api.world import FILTERS

TEMPLATE = {"name": "t", "subject": "Hi {{ name }}", "text": "Hello", "defaults": {"name": "you", "n": None}}

#: Noun → what makes one, what changes it, what is wrong with a body and which field says so.
NOUNS: dict[str, tuple[dict[str, Any], dict[str, Any], list[tuple[Any, str]]]] = {
    "campaign": (
        {"name": "c", "goal": "sell", "start_date": "2026-03-01", "end_date": "2026-04-01"},
        {"goal": None, "description": "d"},
        [({}, "name"), ({"name": "c", "status": "active"}, "status"), ({"name": "c", "gaol": "x"}, "goal"),
         ({"name": "c", "end_date": "soon"}, "end_date"), ({"name": "c", "flow_id": str(uuid4())}, "flow_id"),
         ({"name": "c", "target_ids": [str(uuid4())]}, "target_ids[0]")],
    ),
    "template": (
        TEMPLATE,
        {"subject": "Bye", "defaults": {}},
        [({"name": "t"}, "text"), ({"name": "t", "text": "{{"}, "text"), ({"name": "t", "text": 1}, "text")],
    ),
    "portal": ({"name": "p", "domain": "shop.example"}, {"domain": None}, [({"domain": "x"}, "name")]),
    "target": (
        {"name": "t", "entity_schema": "contact", "entity_filters": FILTERS},
        {"description": "d"},
        [({"name": "t"}, "entity_schema"), ({"name": "t", "entity_schema": "1"}, "entity_schema"),
         ({"name": "t", "entity_schema": "c", "entity_filters": {"filter": {"items": [{"key": "a"}]}}},
          "entity_filters.filter.items[0]")],
    ),
    "channel": (
        {"name": "c", "kind": "null", "settings": {}, "is_default": True},
        {"max_attempts": 3},
        [({"name": "c", "kind": "smpt"}, "did you mean 'smtp'"), ({"name": "c"}, "kind"),
         ({"name": "c", "kind": "null", "settings": {"latencey": 1}}, "settings.latencey"),
         ({"name": "c", "kind": "null", "max_attempts": 0}, "max_attempts"),
         ({"name": "c", "kind": "null", "doubt_policy": "maybe"}, "doubt_policy")],
    ),
}  # fmt: skip
nouns = pytest.mark.parametrize("noun", NOUNS)


def make(client, noun):
    answer = client.post(f"/v1/{noun}", json=NOUNS[noun][0])
    assert answer.status_code == 201, answer.text
    return answer.json()


@nouns
def test_what_is_made_is_given_back_listed_changed_and_gone(api, client, noun):
    given, change, _ = NOUNS[noun]
    made = make(client, noun)
    assert made["_id"] == made["id"] == str(UUID(made["_id"]))
    assert (made["_org"], made["_schema"], made["_title"]) == (str(api.org_id), noun, given["name"])
    assert made["_created_at"] == made["_updated_at"] == "2026-03-02T09:00:00Z"
    for name, value in given.items():
        assert made[name] == value
    path = f"/v1/{noun}/{made['_id']}"
    assert client.get(path).json() == made
    assert client.get(f"/v1/{noun}").json() == {"results": [made], "next": None, "total": 1}
    changed = client.patch(path, json=change)
    assert changed.status_code == 200, changed.text
    for name, value in {**given, **change}.items():
        assert changed.json().get(name) == value
    instants = [datetime.fromisoformat(one["_updated_at"]) for one in (made, changed.json())]
    assert instants[0] < instants[1], "also within one tick of the clock: workers cache by it"
    assert client.get(path).json() == changed.json()
    gone = client.delete(path)
    assert (gone.status_code, gone.content) == (204, b"")
    for method in ("GET", "DELETE"):
        answer = client.request(method, path)
        assert answer.status_code == 404
        assert list(answer.json()) == ["message"]


@nouns
def test_nothing_absent_is_sent_as_null(client, noun):
    made = make(client, noun)
    assert [name for name, value in made.items() if value is None] == []


@nouns
def test_a_bad_body_is_400_names_the_field_and_makes_nothing(client, noun):
    for body, field in NOUNS[noun][2]:
        answer = client.post(f"/v1/{noun}", json=body)
        assert answer.status_code == 400, (body, answer.text)
        assert list(answer.json()) == ["message"]
        assert field in answer.json()["message"]
    for content in (b"", b"[]", b"null", b'"x"', b"{", b'{"name": NaN}', b'{"name": "a\\u0000"}', b"[" * 40_000,
                    b'{"name": "\\ud800"}', b'{"name": ' + b"9" * 5000 + b"}", b"\xff\xfe"):  # fmt: skip
        answer = client.post(f"/v1/{noun}", content=content)
        assert answer.status_code == 400, (content[:40], answer.text)
        assert list(answer.json()) == ["message"]
    assert client.get(f"/v1/{noun}").json()["total"] == 0


@nouns
def test_a_bad_change_changes_nothing(client, noun):
    made = make(client, noun)
    path = f"/v1/{noun}/{made['_id']}"
    bodies: list[Any] = [{"name": None}, {"name": ""}, {"nmae": "x"}, {"_id": str(uuid4())}, []]
    for body in bodies:
        assert client.patch(path, json=body).status_code == 400, body
    assert client.patch(path, json={}).json() == made
    assert client.get(path).json() == made


@nouns
def test_another_organizations_row_is_unknown(client, stranger, noun):
    made = make(client, noun)
    path = f"/v1/{noun}/{made['_id']}"
    for method, body in (("GET", None), ("PATCH", {"name": "mine"}), ("DELETE", None)):
        answer = stranger.request(method, path, json=body)
        assert answer.status_code == 404, method
        assert list(answer.json()) == ["message"]
    assert stranger.get(f"/v1/{noun}").json() == {"results": [], "next": None, "total": 0}
    assert client.get(path).json() == made


@nouns
def test_lists_are_paged_by_cursor(client, noun):
    made = [make(client, noun)["_id"] for _ in range(5)]
    seen, cursor = [], None
    while True:
        params = {"limit": 2, **({"next": cursor} if cursor else {})}
        page = client.get(f"/v1/{noun}", params=params).json()
        seen += [one["_id"] for one in page["results"]]
        assert page["total"] == 5
        if (cursor := page["next"]) is None:
            break
    assert sorted(seen) == sorted(made)
    for query in ("limit=0", "limit=1001", "limit=x", "next=x"):
        assert client.get(f"/v1/{noun}?{query}").status_code == 400


def test_a_flow_keeps_its_template(client):
    template = make(client, "template")["_id"]
    answer = client.post("/v1/flow", json={"name": "f", "touchpoints": [{"template_id": template}]})
    assert answer.status_code == 201, answer.text
    flow = answer.json()
    assert [(step["type"], step["template_id"]) for step in flow["touchpoints"]] == [("message", template)]
    assert client.get("/v1/flow").json()["results"] == [flow]
    in_use = client.delete(f"/v1/template/{template}")
    assert in_use.status_code == 409
    assert "'f'" in in_use.json()["message"]
    unknown = {"touchpoints": [{"template_id": str(uuid4())}]}
    refused = client.patch(f"/v1/flow/{flow['_id']}", json=unknown)
    assert refused.status_code == 400
    assert refused.json()["message"].startswith("touchpoints[0].template_id: ")
    assert client.get(f"/v1/flow/{flow['_id']}").json() == flow
    renamed = client.patch(f"/v1/flow/{flow['_id']}", json={"name": "g"}).json()
    assert (renamed["name"], renamed["touchpoints"]) == ("g", flow["touchpoints"])
    assert client.delete(f"/v1/flow/{flow['_id']}").status_code == 204
    assert client.delete(f"/v1/template/{template}").status_code == 204


def test_a_flow_takes_nothing_of_another_organization(client, stranger):
    template = make(client, "template")["_id"]
    answer = stranger.post("/v1/flow", json={"name": "f", "touchpoints": [{"template_id": template}]})
    assert answer.status_code == 400
    assert "touchpoints[0].template_id" in answer.json()["message"]


def test_campaigns_are_found_by_the_dialects_words(api, client):
    for state in ("draft", "activating", "active", "paused", "completed", "cancelled"):
        made = client.post("/v1/campaign", json={"name": state}).json()
        with api.database.begin() as session:
            session.get_one(Campaign, UUID(made["_id"])).status = state
    for word, states in (
        ("inactive", {"paused", "completed", "cancelled"}), ("active", {"active"}), ("draft", {"draft"}),
    ):  # fmt: skip
        found = client.get("/v1/campaign", params={"status": word}).json()
        assert {one["state"] for one in found["results"]} == states
        assert {one["status"] for one in found["results"]} == {word}
    assert client.get("/v1/campaign", params={"status": ["draft", "active"]}).json()["total"] == 2
    assert "did you mean 'inactive'" in client.get("/v1/campaign?status=inactve").json()["message"]
    assert client.get("/v1/campaign?q=COMPL").json()["total"] == 1


def test_widgets_live_on_their_portal(client):
    one, two = (make(client, "portal")["_id"] for _ in range(2))
    path = f"/v1/portal/{one}/widget"
    widget = client.post(path, json={"headline": {"en": "Hi"}}).json()
    assert (widget["type"], widget["headline"]) == ("CAMPAIGN_WIDGET", {"en": "Hi"})
    assert client.get(path).json()["results"] == [widget]
    assert client.get(f"/v1/portal/{two}/widget/{widget['_id']}").status_code == 404
    assert client.post(path, json={"headline": {"fr": "Salut"}}).status_code == 400
    assert client.post(path, json={"campaign_id": str(uuid4())}).status_code == 400
    assert client.patch(f"{path}/{widget['_id']}", json={"headline": None}).json().get("headline") is None
    assert client.delete(f"/v1/portal/{one}").status_code == 204
    assert client.get(path).status_code == 404


def test_a_target_counts_who_is_in_it_now(client, stranger):
    target = make(client, "target")["_id"]
    for path in (f"/v1/target/{target}:count", f"/v1/target/{target}%3Acount"):
        assert client.post(path).json() == {"count": 0}
    for number in range(3):
        client.post("/v1/entity/contact", json={"email": f"{number}@x.example"})
    client.post("/v1/entity/contact", json={"name": "no address"})
    client.post("/v1/entity/contract", json={"email": "x@x.example"})
    stranger.post("/v1/entity/contact", json={"email": "s@x.example"})
    assert client.post(f"/v1/target/{target}:preview").json() == {"count": 3, "notes": []}
    assert stranger.post(f"/v1/target/{target}:preview").status_code == 404
    assert client.post(f"/v1/target/{target}:count").json() == {"count": 3}
    assert stranger.post(f"/v1/target/{target}:count").status_code == 404
