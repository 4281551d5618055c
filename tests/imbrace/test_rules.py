"""The rules of the dialect (docs/contract/imbrace.md and states.md): one model behind two dialects, statuses, filters,
refusals.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import pytest

from state.change import change_status
from state.tables import Campaign, Flow, Job, Touchpoint
from state.transitions import CAMPAIGN, CampaignStatus
from tests.api.world import make_job, make_target
from tests.imbrace.conftest import add_channel

if TYPE_CHECKING:
    import httpx

    from tests.api.conftest import Api


def make(imbrace: httpx.Client, **values: Any) -> dict[str, Any]:
    made = imbrace.post("/campaign", json={"name": "spring", **values})
    assert made.status_code == 200, made.text
    return made.json()


def write(imbrace: httpx.Client, **values: Any) -> dict[str, Any]:
    made = imbrace.post("/touchpoints", json={"name": "hello", "type": "message", "message": "Hi", **values})
    assert made.status_code == 200, made.text
    return made.json()


def row_of(api: Api, touchpoint: dict[str, Any]) -> Touchpoint:
    with api.database.read() as session:
        return session.get_one(Touchpoint, UUID(touchpoint["_id"]))


def errors(imbrace: httpx.Client, **values: Any) -> list[str]:
    checked = imbrace.post("/touchpoints/_validate", json=values)
    assert checked.status_code == 200, checked.text
    answer = checked.json()
    assert answer["valid"] is not bool(answer["errors"])
    return answer["errors"]


def test_both_dialects_show_the_same_campaign(imbrace: httpx.Client, client: httpx.Client) -> None:
    campaign = make(imbrace, description="d", mood={"a": 1})
    ours = client.get(f"/v1/campaign/{campaign['_id']}").json()
    assert (ours["name"], ours["description"], ours["state"]) == ("spring", "d", "draft")
    assert "mood" not in ours
    assert client.patch(f"/v1/campaign/{campaign['_id']}", json={"name": "summer"}).status_code == 200
    shown = imbrace.get(f"/campaign/{campaign['_id']}").json()
    assert shown["name"] == "summer"
    assert shown["mood"] == {"a": 1}
    made = client.post("/v1/campaign", json={"name": "ours"}).json()
    assert imbrace.get(f"/campaign/{made['_id']}").json()["name"] == "ours"


def test_put_merges_and_ignores_what_is_ours(imbrace: httpx.Client) -> None:
    campaign = make(imbrace, a=1, b={"c": 1})
    changed = imbrace.put(f"/campaign/{campaign['_id']}", json={**campaign, "name": "new", "b": {}}).json()
    assert changed == {**campaign, "name": "new", "b": {}, "updated_at": changed["updated_at"]}
    touchpoint = write(imbrace, campaign_id=campaign["_id"], a=1, description="d")
    sent = {**touchpoint, "a": None, "description": None}
    changed = imbrace.put(f"/touchpoints/{touchpoint['_id']}", json=sent).json()
    del sent["description"]
    assert changed == {**sent, "updated_at": changed["updated_at"]}


def test_touchpoints_are_the_steps_of_the_campaigns_own_flow(
    api: Api, imbrace: httpx.Client, client: httpx.Client
) -> None:
    add_channel(api, "null")
    campaign = make(imbrace)
    key = campaign["_id"]
    first = write(imbrace, campaign_id=key)
    wait = write(imbrace, campaign_id=key, type="wait", delay_days=2, delay_hours=1.5)
    given = {
        "name": "t",
        "type": "action",
        "campaign_id": key,
        "url": "https://example.com/x",
        "headers": {"a": "b"},
    }
    call = client.post("/channel-service/v1/touchpoints", json=given).json()
    begin = write(imbrace, campaign_id=key, position=0, name="begin")
    assert [one["status"] for one in (first, wait, call, begin)] == ["active"] * 4
    listed = imbrace.get("/touchpoints", params={"campaign_id": key, "sort": "position"}).json()["data"]
    assert [one["_id"] for one in listed] == [one["_id"] for one in (begin, first, wait, call)]
    flow_id = client.get(f"/v1/campaign/{key}").json()["flow_id"]
    steps = client.get(f"/v1/flow/{flow_id}").json()["touchpoints"]
    assert [step["id"] for step in steps] == [one["_id"] for one in listed]
    rows = [row_of(api, one) for one in listed]
    assert [row.position for row in rows] == [0, 1, 2, 3]
    assert rows[1].content == {"text": "Hi"}
    assert rows[2].settings == {"days": 2, "hours": 1.5}
    assert rows[3].settings == {"url": "https://example.com/x", "headers": {"a": "b"}}
    moved = imbrace.put(f"/touchpoints/{call['_id']}", json={"position": 1}).json()
    assert moved["position"] == 1
    assert imbrace.delete(f"/touchpoints/{first['_id']}").status_code == 204
    listed = imbrace.get("/touchpoints", params={"campaign_id": key, "sort": "position"}).json()["data"]
    assert [one["_id"] for one in listed] == [one["_id"] for one in (begin, call, wait)]


def test_drafts_join_and_leave_campaigns(api: Api, imbrace: httpx.Client) -> None:
    draft = write(imbrace)
    assert "campaign_id" not in draft
    one, other = make(imbrace)["_id"], make(imbrace)["_id"]
    write(imbrace, campaign_id=other)
    path = f"/touchpoints/{draft['_id']}"
    assert imbrace.put(path, json={"campaign_id": one}).json()["campaign_id"] == one
    moved = imbrace.put(path, json={"campaign_id": other}).json()
    assert (moved["campaign_id"], moved["position"]) == (other, 1)
    assert imbrace.get("/touchpoints", params={"campaign_id": one}).json()["total"] == 0
    assert "campaign_id" not in imbrace.put(path, json={"campaign_id": None}).json()
    assert row_of(api, draft).flow_id is None


def test_the_channel_type_chooses_the_channel(api: Api, imbrace: httpx.Client) -> None:
    add_channel(api, "null", is_default=True)
    mail = add_channel(api, "smtp")
    campaign = make(imbrace, channel_type="email")
    touchpoint = write(imbrace, campaign_id=campaign["_id"])
    assert str(row_of(api, touchpoint).channel_id) == mail
    null = write(imbrace, campaign_id=campaign["_id"], channel_type="null")
    assert str(row_of(api, null).channel_id) != mail
    # Fields of other systems are kept, and said to be unknown here.
    other = write(imbrace, campaign_id=campaign["_id"], channel_id="ch_1", template_id="tpl_1")
    assert (other["channel_id"], other["template_id"]) == ("ch_1", "tpl_1")
    assert other["status"] == "update_needed"
    assert errors(imbrace, touchpoint_id=other["_id"]) == [
        "template_id: template 'tpl_1' does not exist",
        "channel_id: channel 'ch_1' does not exist",
    ]
    found = imbrace.get("/touchpoints", params={"channel_id": "ch_1"}).json()["data"]
    assert [one["_id"] for one in found] == [other["_id"]]
    found = imbrace.get("/touchpoints", params={"channel_id": mail}).json()["data"]
    assert [one["_id"] for one in found] == [touchpoint["_id"]]
    # Another type takes those along that follow the campaign's.
    assert imbrace.put(f"/campaign/{campaign['_id']}", json={"channel_type": "whatsapp"}).status_code == 200
    assert imbrace.get(f"/touchpoints/{touchpoint['_id']}").json()["status"] == "update_needed"
    assert imbrace.get(f"/touchpoints/{null['_id']}").json()["status"] == "active"
    assert imbrace.put(f"/campaign/{campaign['_id']}", json={"channel_type": None}).status_code == 200
    assert imbrace.get(f"/touchpoints/{touchpoint['_id']}").json()["status"] == "active"
    assert row_of(api, touchpoint).channel_id is None


def test_what_cannot_be_run_is_not_activated_until_it_can(
    api: Api, imbrace: httpx.Client, client: httpx.Client
) -> None:
    campaign = make(imbrace, channel_type="email")["_id"]
    with api.database.begin() as session:
        target = make_target(session, api.org_id)
    client.patch(f"/v1/campaign/{campaign}", json={"target_ids": [str(target)]}).raise_for_status()
    path = f"/v1/campaign/{campaign}/status"
    refused = {"code": "CAMPAIGN_HAS_NO_DELIVERY_METHOD"}
    assert client.post(path, json={"status": "active"}).json() == refused
    touchpoint = write(imbrace, campaign_id=campaign)
    assert touchpoint["status"] == "update_needed"
    assert client.post(path, json={"status": "active"}).json() == refused
    mail = add_channel(api, "smtp")
    assert client.post(path, json={"status": "active"}).status_code == 200
    row = row_of(api, touchpoint)
    assert (row.status, str(row.channel_id)) == ("active", mail)
    assert imbrace.get(f"/campaign/{campaign}").json()["status"] == "active"
    # Nor is a flow of which nothing is active.
    other = make(imbrace)["_id"]
    client.patch(f"/v1/campaign/{other}", json={"target_ids": [str(target)]}).raise_for_status()
    idle = write(imbrace, campaign_id=other, status="inactive")
    path = f"/v1/campaign/{other}/status"
    assert client.post(path, json={"status": "active"}).json() == refused
    assert imbrace.put(f"/touchpoints/{idle['_id']}", json={"status": "active"}).json()["status"] == "active"
    assert client.post(path, json={"status": "active"}).status_code == 200


@pytest.mark.parametrize(
    ("moves", "word"),
    [
        ([], "draft"),
        (["activating"], "active"),
        (["activating", "active"], "active"),
        (["activating", "paused"], "paused"),
        (["activating", "active", "completed"], "completed"),
        (["cancelled"], "cancelled"),
    ],
)
def test_status_words(api: Api, imbrace: httpx.Client, moves: list[str], word: str) -> None:
    campaign = make(imbrace)["_id"]
    for state in moves:
        with api.database.begin() as session:
            where = Campaign.id == UUID(campaign)
            change_status(session, CAMPAIGN, CampaignStatus(state), where, key=campaign)
    assert imbrace.get(f"/campaign/{campaign}").json()["status"] == word
    for status in ("draft", "active", "paused", "completed", "cancelled"):
        found = imbrace.get("/campaign", params={"status": status}).json()
        assert found["total"] == (status == word)
    # It may be sent back, and is not written.
    assert imbrace.put(f"/campaign/{campaign}", json={"status": word}).status_code == 200
    other = "paused" if word == "draft" else "draft"
    refused = imbrace.put(f"/campaign/{campaign}", json={"status": other})
    assert refused.status_code == 400
    assert refused.json()["message"].startswith("status: ")


def test_lists(api: Api, imbrace: httpx.Client, clock: Any) -> None:
    campaign = make(imbrace)["_id"]
    made = []
    for name in "cab":
        clock.forward(seconds=1)
        made.append(write(imbrace, campaign_id=campaign, name=name)["_id"])
    imbrace.put(f"/touchpoints/{made[0]}", json={"status": "archived"}).raise_for_status()

    def listed(**params: Any) -> list[str]:
        answer = imbrace.get("/touchpoints", params=params).json()
        return [one["name"] for one in answer["data"]]

    assert listed() == ["b", "a", "c"]
    assert listed(sort="created_at") == ["c", "a", "b"]
    assert listed(sort="-name") == ["c", "b", "a"]
    assert listed(sort="name", limit=1, offset=1) == ["b"]
    assert imbrace.get("/touchpoints", params={"limit": 1, "offset": 9}).json() == {"data": [], "total": 3}
    assert listed(is_archived=True) == listed(status="archived") == ["c"]
    assert listed(is_archived="false") == ["b", "a"]
    assert listed(campaign_id="nothing") == listed(campaign_id=str(uuid4())) == []
    names = [make(imbrace, name=name)["name"] for name in "zx"]
    answer = imbrace.get("/campaign", params={"sort": "name", "limit": 2}).json()
    assert (answer["total"], [one["name"] for one in answer["data"]]) == (3, ["spring", "x"])
    assert sorted(names) == ["x", "z"]


@pytest.mark.parametrize(
    ("method", "path", "body", "field"),
    [
        ("POST", "/campaign", {}, "name"),
        ("POST", "/campaign", {"name": ""}, "name"),
        ("POST", "/campaign", {"name": "x" * 151}, "name"),
        ("POST", "/campaign", {"name": "x", "channel_type": 5}, "channel_type"),
        ("POST", "/campaign", {"name": "x", "status": "active"}, "status"),
        ("POST", "/campaign", {"name": "x", "extra": {"a": ["\0"]}}, "extra.a[0]"),
        ("POST", "/campaign", [], "body"),
        ("POST", "/touchpoints", {"name": 5}, "name"),
        ("POST", "/touchpoints", {"type": "massage"}, "type"),
        ("POST", "/touchpoints", {"message": 5}, "message"),
        ("POST", "/touchpoints", {"campaign_id": "nobody"}, "campaign_id"),
        ("POST", "/touchpoints", {"status": "running"}, "status"),
        ("POST", "/touchpoints", {"position": -1}, "position"),
        ("POST", "/touchpoints", {"a": 2**70}, "a"),
        ("POST", "/touchpoints/_validate", [], "body"),
        ("GET", "/touchpoints?sort=colour", None, "sort"),
        ("GET", "/touchpoints?limit=0", None, "limit"),
        ("GET", "/touchpoints?limit=x", None, "limit"),
        ("GET", "/touchpoints?offset=-1", None, "offset"),
        ("GET", "/touchpoints?status=running", None, "status"),
        ("GET", "/touchpoints?is_archived=perhaps", None, "is_archived"),
        ("GET", "/campaign?status=running", None, "status"),
        ("GET", "/campaign?sort=-colour", None, "sort"),
    ],
)
def test_bad_input_is_400_and_names_the_field(
    imbrace: httpx.Client, method: str, path: str, body: Any, field: str
) -> None:
    answer = imbrace.request(method, path, json=body)
    assert answer.status_code == 400, answer.text
    assert list(answer.json()) == ["message"]
    assert field in answer.json()["message"].split(": ")[0]
    assert imbrace.get("/touchpoints").json()["total"] == 0


def test_not_json(imbrace: httpx.Client) -> None:
    for body in (b"{", b"\xff", b"", b'{"name": NaN}', b'{"name": "\\ud800"}'):
        assert imbrace.post("/campaign", content=body).status_code == 400


def test_deleting_a_campaign_takes_its_touchpoints(api: Api, imbrace: httpx.Client) -> None:
    campaign = make(imbrace)["_id"]
    touchpoints = [write(imbrace, campaign_id=campaign)["_id"] for _ in range(2)]
    job = make_job(api.database, api.org_id, UUID(campaign))
    refused = imbrace.delete(f"/campaign/{campaign}")
    assert refused.status_code == 409
    assert str(job) in refused.json()["message"]
    assert imbrace.get(f"/touchpoints/{touchpoints[0]}").status_code == 200
    with api.database.begin() as session:
        session.get_one(Job, job).status = "finished"
    assert imbrace.delete(f"/campaign/{campaign}").status_code == 204
    for path in (f"/campaign/{campaign}", *(f"/touchpoints/{one}" for one in touchpoints)):
        gone = imbrace.get(path)
        assert gone.status_code == 404
        assert gone.json() == {
            "message": f"{path.split('/')[1].rstrip('s')} {path.split('/')[2]} does not exist"
        }
    with api.database.read() as session:
        assert session.query(Flow).count() == session.query(Touchpoint).count() == 0


def test_a_flow_that_others_took_up_stays(api: Api, imbrace: httpx.Client, client: httpx.Client) -> None:
    one = make(imbrace)["_id"]
    touchpoint = write(imbrace, campaign_id=one)
    flow_id = client.get(f"/v1/campaign/{one}").json()["flow_id"]
    other = client.post("/v1/campaign", json={"name": "other", "flow_id": flow_id}).json()["_id"]
    assert imbrace.get(f"/touchpoints/{touchpoint['_id']}").json()["campaign_id"] == one
    assert (
        imbrace.get("/touchpoints", params={"campaign_id": other}).json()["data"][0]["campaign_id"] == other
    )
    assert client.delete(f"/v1/campaign/{one}").status_code == 204
    assert imbrace.get(f"/touchpoints/{touchpoint['_id']}").json()["campaign_id"] == other
    assert imbrace.delete(f"/campaign/{other}").status_code == 204
    assert client.get(f"/v1/flow/{flow_id}").status_code == 200
    assert "campaign_id" not in imbrace.get(f"/touchpoints/{touchpoint['_id']}").json()


def test_what_a_touchpoint_names_cannot_be_deleted(
    api: Api, imbrace: httpx.Client, client: httpx.Client
) -> None:
    channel = add_channel(api, "null")
    template = client.post("/v1/template", json={"name": "t", "text": "x"}).json()["_id"]
    touchpoint = write(imbrace, name="greeting", channel_id=channel, template_id=template, message=None)
    assert touchpoint["status"] == "active"
    for path in (f"/v1/channel/{channel}", f"/v1/template/{template}"):
        refused = client.delete(path)
        assert refused.status_code == 409
        assert "greeting" in refused.json()["message"]
    assert imbrace.delete(f"/touchpoints/{touchpoint['_id']}").status_code == 204
    for path in (f"/v1/channel/{channel}", f"/v1/template/{template}"):
        assert client.delete(path).status_code == 204


def test_validation(api: Api, imbrace: httpx.Client) -> None:
    add_channel(api, "null")
    campaign = make(imbrace)["_id"]
    good = {"name": "n", "type": "message", "campaign_id": campaign, "message": {"text": "Hi {{ name }}"}}
    assert errors(imbrace, **good) == []
    assert errors(imbrace) == [
        "name: is required", "type: is required", "campaign_id: is required",
        "message: a message needs a text or a template",
    ]  # fmt: skip
    changes: list[tuple[dict[str, Any], str]] = [
        ({"name": ""}, "name"),
        ({"campaign_id": str(uuid4())}, "campaign_id"),
        ({"campaign_id": 5}, "campaign_id"),
        ({"type": "massage"}, "type"),
        ({"message": ""}, "message.text"),
        ({"message": {"text": "  "}}, "message.text"),
        ({"message": {"text": "{{ oops"}}, "message.text"),
        ({"message": {"html": 5}}, "message.html"),
        ({"condition": {"filter": {"items": [{"key": "a", "operator": "LIKES"}]}}}, "condition"),
        ({"condition": "x"}, "condition"),
        ({"variants": []}, "variants"),
        ({"variants": [{"id": "a", "weight": -1, "message": "x"}]}, "variants[0].weight"),
        ({"variants": [{"id": "a", "message": "x"}, {"id": "a", "message": "x"}]}, "variants[1].id"),
        ({"variants": [{"id": "a"}]}, "variants[0]"),
        ({"type": "wait"}, "delay_days"),
        ({"type": "wait", "delay_days": "two"}, "delay_days"),
        ({"type": "wait", "delay_days": 9999}, "delay_days"),
        ({"type": "wait", "until": "tomorrow"}, "until"),
        ({"type": "action"}, "url"),
        ({"type": "action", "url": "ftp://x"}, "url"),
        ({"type": "action", "url": "http://169.254.169.254/latest"}, "url"),
        ({"type": "action", "url": "https://x", "method": "STEAL"}, "method"),
        ({"type": "action", "url": "https://x", "headers": []}, "headers"),
        ({"channel_type": "pigeon"}, "channel_type"),
    ]
    for change, field in changes:
        found = errors(imbrace, **{**good, **change})
        assert [error.split(": ")[0].partition(".filter")[0] for error in found] == [field], (change, found)
        # What is wrong is kept all the same, unless it is no touchpoint at all or an admin's to write.
        made = imbrace.post("/touchpoints", json={**good, **change})
        assert made.status_code in (400, 403) or (made.json()["status"] == "update_needed") == (
            field != "name"
        )


def test_initial_phrases_are_unique_in_a_channel(api: Api, imbrace: httpx.Client) -> None:
    first = write(imbrace, initial_phrase="Hello", channel_id="ch_1")
    path = "/touchpoints/_validate"

    def duplicate(**values: Any) -> bool:
        return imbrace.post(path, json=values).json()["duplicate"]

    assert duplicate(channel_id="ch_1", initial_phrase=" hello ")
    assert not duplicate(channel_id="ch_2", initial_phrase="Hello")
    assert not duplicate(channel_id="ch_1", initial_phrase="Hello!")
    assert not duplicate(touchpoint_id=first["_id"])
    imbrace.put(f"/touchpoints/{first['_id']}", json={"status": "archived"}).raise_for_status()
    assert not duplicate(channel_id="ch_1", initial_phrase="Hello")


def test_a_viewer_reads_and_asks(api: Api, imbrace: httpx.Client) -> None:
    touchpoint = write(imbrace)
    imbrace.headers["x-api-key"] = api.keys["viewer"]
    assert imbrace.get("/touchpoints").status_code == 200
    body = {"touchpoint_id": touchpoint["_id"]}
    assert imbrace.post("/touchpoints/_validate", json=body).status_code == 200
    assert imbrace.post("/campaign", json={"name": "x"}).status_code == 403
    assert imbrace.delete(f"/touchpoints/{touchpoint['_id']}").status_code == 403


def test_organizations_keep_to_themselves(imbrace: httpx.Client, stranger: httpx.Client) -> None:
    campaign = make(imbrace)["_id"]
    touchpoint = write(imbrace, campaign_id=campaign, channel_id="ch_1", initial_phrase="a")["_id"]
    base = "/channel-service/v1"
    for path in (f"/campaign/{campaign}", f"/touchpoints/{touchpoint}"):
        assert stranger.get(base + path).status_code == 404
        assert stranger.put(base + path, json={"name": "x"}).status_code == 404
        assert stranger.delete(base + path).status_code == 404
    assert stranger.get(f"{base}/touchpoints", params={"campaign_id": campaign}).json()["total"] == 0
    assert stranger.get(f"{base}/campaign").json()["total"] == 0
    joined = stranger.post(f"{base}/touchpoints", json={"campaign_id": campaign})
    assert joined.status_code == 400
    asked = stranger.post(f"{base}/touchpoints/_validate", json={"channel_id": "ch_1", "initial_phrase": "a"})
    assert asked.json()["duplicate"] is False


def test_idempotency_key(imbrace: httpx.Client) -> None:
    headers = {"idempotency-key": "k"}
    first, second = (imbrace.post("/campaign", json={"name": "x"}, headers=headers) for _ in range(2))
    assert first.json() == second.json()
    assert imbrace.get("/campaign").json()["total"] == 1
    assert imbrace.post("/campaign", json={"name": "y"}, headers=headers).status_code == 409


def test_many_at_once_make_one_flow_in_one_order(api: Api, imbrace: httpx.Client) -> None:
    add_channel(api, "null")
    campaign = make(imbrace)["_id"]
    with ThreadPoolExecutor(6) as pool:
        made = list(pool.map(lambda n: write(imbrace, campaign_id=campaign, name=str(n)), range(12)))
        paths = [f"/touchpoints/{one['_id']}" for one in made]
        moves = list(pool.map(lambda path: imbrace.put(path, json={"position": 3}).status_code, paths * 2))
    assert set(moves) == {200}
    listed = imbrace.get("/touchpoints", params={"campaign_id": campaign, "sort": "position"}).json()
    assert [one["position"] for one in listed["data"]] == list(range(12))
    with api.database.read() as session:
        assert session.query(Flow).count() == 1


def test_what_other_doors_change_is_shown_and_stays(api: Api, imbrace: httpx.Client) -> None:
    first, second = add_channel(api, "null"), add_channel(api, "null")
    written = {
        "message": {"text": "Hi", "mine": 1.0},
        "channel_id": first,
        "url": "https://x",
        "until": "never",
    }
    touchpoint = write(imbrace, **written)
    with api.database.begin() as session:
        row = session.get_one(Touchpoint, UUID(touchpoint["_id"]))
        row.channel_id = UUID(second)
    path = f"/touchpoints/{touchpoint['_id']}"
    changed = {**touchpoint, "channel_id": second}
    assert imbrace.get(path).json() == changed
    with api.database.begin() as session:
        row = session.get_one(Touchpoint, UUID(touchpoint["_id"]))
        row.content, row.variants = {"text": "Ho"}, [{"id": "a", "weight": 1, "content": {"text": "Hu"}}]
    changed |= {"message": {"text": "Ho"}, "variants": [{"id": "a", "weight": 1, "content": {"text": "Hu"}}]}
    assert imbrace.get(path).json() == changed
    again = imbrace.put(path, json={"more": True}).json()
    assert again == {**changed, "more": True, "updated_at": again["updated_at"]}
    row = row_of(api, touchpoint)
    assert (str(row.channel_id), row.content) == (second, {"text": "Ho"})
