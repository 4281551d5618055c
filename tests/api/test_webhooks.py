"""`/api/v1/webhooks` and `/v1/events:stream`, over HTTP."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from sqlalchemy import select

from engine.events.distribute import distribute
from engine.events.outbox import record
from state.tables import IdempotencyKey, WebhookDelivery

if TYPE_CHECKING:
    import httpx

    from tests.api.conftest import Api

PATH = "/api/v1/webhooks"
URL = "https://hooks.example.com/muster"


def made(client: httpx.Client, **values: Any) -> dict[str, Any]:
    answer = client.post(PATH, json={"url": URL, "events": ["campaign.*"], **values})
    assert 201 == answer.status_code, answer.text
    body = answer.json()
    assert body["success"] is True
    return body["data"]


def test_a_webhook_is_made_shown_changed_and_deleted(client: httpx.Client) -> None:
    webhook = made(client, description="our CRM")
    assert webhook["secret"].startswith("whsec_")
    path = f"{PATH}/{webhook['id']}"
    shown = client.get(path).json()["data"]
    assert {key: value for key, value in webhook.items() if key != "secret"} == shown
    assert [shown] == client.get(PATH).json()["data"]["webhooks"]
    changed = client.put(path, json={"events": ["job.finished"], "active": False}).json()["data"]
    assert (["job.finished"], False, URL) == (changed["events"], changed["active"], changed["url"])
    assert 200 == client.delete(path).status_code
    gone = client.get(path)
    assert (404, "NOT_FOUND") == (gone.status_code, gone.json()["code"])


def test_no_answer_holds_a_secret_but_the_one_that_made_it(client: httpx.Client, api: Api) -> None:
    secret = "a secret of ours, never shown"
    webhook = made(client, secret=secret)
    path = f"{PATH}/{webhook['id']}"
    answers = [client.get(path), client.get(PATH), client.put(path, json={"secret": secret + "2"})]
    rotated = client.post(f"{path}:rotate-secret")
    assert rotated.json()["data"]["secret"].startswith("whsec_")
    assert "previousSecretUntil" in rotated.json()["data"]
    for answer in [*answers, client.post(f"{path}:rotate-secret", json={"secret": secret})]:
        assert 200 == answer.status_code
        assert "secret" not in answer.json()["data"]
        assert secret not in answer.text
    assert secret not in json.dumps(webhook)
    with api.database.read() as session:
        stored = session.connection().exec_driver_sql("SELECT secret FROM webhook").scalar_one()
    assert secret.encode() not in bytes(stored)


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"events": ["*"]}, "url"),
        ({"url": URL}, "events"),
        ({"url": URL, "events": []}, "events"),
        ({"url": URL, "events": ["campaign.begun"]}, "events[0]"),
        ({"url": "http://169.254.169.254/latest/meta-data", "events": ["*"]}, "url"),
        ({"url": "http://[::1]/", "events": ["*"]}, "url"),
        ({"url": "javascript:alert(1)", "events": ["*"]}, "url"),
        ({"url": URL, "events": ["*"], "secret": "short"}, "secret"),
        ({"url": URL, "events": ["*"], "secret": "whsec_not base 64 !!!"}, "secret"),
        ({"url": URL, "events": ["*"], "adress": 1}, "adress"),
        ({"url": URL, "events": "campaign.*"}, "events"),
    ],
)
def test_bad_input_is_400_and_names_the_field(
    client: httpx.Client, given: dict[str, Any], field: str
) -> None:
    answer = client.post(PATH, json=given)
    body = answer.json()
    assert (400, False, "VALIDATION_ERROR") == (answer.status_code, body["success"], body["code"])
    assert field == body["details"]["field"]
    assert [] == client.get(PATH).json()["data"]["webhooks"]


def test_changing_is_an_admins_and_reading_a_viewers(api: Api, client: httpx.Client) -> None:
    webhook = made(client)
    with api.client("operator") as operator, api.client("viewer") as viewer:
        refused = operator.post(PATH, json={"url": URL, "events": ["*"]})
        assert (403, "FORBIDDEN") == (refused.status_code, refused.json()["code"])
        assert 200 == viewer.get(f"{PATH}/{webhook['id']}/deliveries").status_code


def test_another_organizations_webhooks_are_not_there(
    api: Api, client: httpx.Client, stranger: httpx.Client
) -> None:
    webhook = made(client)
    path = f"{PATH}/{webhook['id']}"
    for answer in (
        stranger.get(path),
        stranger.put(path, json={"active": False}),
        stranger.delete(path),
        stranger.post(f"{path}:rotate-secret"),
        stranger.get(f"{path}/deliveries"),
        stranger.post(f"{path}/deliveries:redeliver"),
        stranger.post(f"{path}/deliveries/1:redeliver"),
    ):
        assert 404 == answer.status_code
    assert client.get(path).json()["data"]["active"]


def test_an_idempotency_key_makes_one_webhook(client: httpx.Client) -> None:
    headers = {"idempotency-key": "once"}
    answers = [
        client.post(PATH, json={"url": URL, "events": ["*"]}, headers=headers).json() for _ in range(2)
    ]
    assert answers[0]["data"].pop("secret").startswith("whsec_")
    assert answers[0] == answers[1]
    assert 1 == len(client.get(PATH).json()["data"]["webhooks"])


@pytest.mark.parametrize("rotated", [False, True])
def test_the_kept_answer_holds_no_secret(api: Api, client: httpx.Client, rotated: bool) -> None:
    headers = {"idempotency-key": "once"}
    if rotated:
        answer = client.post(f"{PATH}/{made(client)['id']}:rotate-secret", json={}, headers=headers)
    else:
        answer = client.post(PATH, json={"url": URL, "events": ["*"]}, headers=headers)
    secret = answer.json()["data"]["secret"]
    with api.database.read() as session:
        (kept,) = session.scalars(select(IdempotencyKey.answer))
    assert kept
    assert secret.encode() not in kept


def test_the_log_pages_and_repeats(api: Api, client: httpx.Client) -> None:
    webhook = made(client)
    with api.runtime.transaction() as session:
        for _ in range(5):
            record(session, api.org_id, "campaign.started", campaign_id=uuid4(), title="Spring")
    distribute(api.runtime)
    path = f"{PATH}/{webhook['id']}/deliveries"
    first = client.get(path, params={"limit": 3}).json()["data"]
    rest = client.get(path, params={"limit": 3, "next": first["next"]}).json()["data"]
    assert [3, 2] == [len(page["deliveries"]) for page in (first, rest)]
    assert "next" not in rest
    newest = first["deliveries"][0]
    assert {"status": "pending", "attempts": 0, "event": "campaign.started"}.items() <= newest.items()
    pending = client.post(f"{path}/{newest['id']}:redeliver")
    assert (400, "VALIDATION_ERROR") == (pending.status_code, pending.json()["code"])
    with api.database.begin() as session:
        session.get_one(WebhookDelivery, int(newest["id"])).state = "dead"
    again = client.post(f"{path}/{newest['id']}:redeliver")
    assert 201 == again.status_code
    assert newest["id"] == again.json()["data"]["redeliveryOf"]
    assert newest["eventId"] == again.json()["data"]["eventId"]
    assert 0 == client.post(f"{path}:redeliver").json()["data"]["redelivered"], "it was repeated already"
    for bad in ("x", "99999999999999999999", "999999"):
        assert 404 == client.get(f"{path}/{bad}").status_code
    assert 400 == client.get(path, params={"status": "lost"}).status_code
    assert 400 == client.get(path, params={"next": "x"}).status_code
    assert 400 == client.get(path, params={"limit": 0}).status_code


def events_of(lines: Any, count: int) -> list[dict[str, Any]]:
    """The first events of a stream."""
    got: list[dict[str, Any]] = []
    fields: dict[str, str] = {}
    for line in lines:
        if line == "":
            if "data" in fields:
                got.append({"id": fields["id"], "event": fields["event"], **json.loads(fields["data"])})
            fields = {}
            if len(got) == count:
                return got
        elif not line.startswith(":"):
            name, _, value = line.partition(": ")
            fields[name] = value
    raise AssertionError(f"the stream ended after {len(got)} events")


def test_the_stream_is_resumed_behind_the_last_event_that_was_seen(api: Api, client: httpx.Client) -> None:
    with api.runtime.transaction() as session:
        for name in ("created", "started", "completed"):
            record(session, api.org_id, f"campaign.{name}")
    with client.stream("GET", "/v1/events:stream", headers={"last-event-id": "0"}) as answer:
        assert "text/event-stream; charset=utf-8" == answer.headers["content-type"]
        heard = events_of(answer.iter_lines(), 3)
    assert ["campaign.created", "campaign.started", "campaign.completed"] == [one["event"] for one in heard]
    behind = {"last-event-id": "1"}
    with client.stream(
        "GET", "/v1/events:stream", headers=behind, params={"events": "campaign.completed"}
    ) as answer:
        [last] = events_of(answer.iter_lines(), 1)
    assert heard[-1]["data"] == last["data"]
    assert "campaign.completed" == last["event"]


def test_a_stream_that_cannot_be_had_says_why(api: Api, client: httpx.Client, stranger: httpx.Client) -> None:
    assert 400 == client.get("/v1/events:stream", headers={"last-event-id": "x"}).status_code
    assert 400 == client.get("/v1/events:stream", params={"events": "nothing"}).status_code
    stranger.headers.pop("authorization")
    assert 401 == stranger.get("/v1/events:stream").status_code


def test_streams_end_when_the_server_shuts_down(api: Api, client: httpx.Client) -> None:
    with client.stream("GET", "/v1/events:stream") as answer:
        api.app.state.hub.stop()
        assert "retry: 2000" == next(iter(answer.iter_lines()))
    assert 503 == client.get("/v1/events:stream").status_code


def test_a_secret_is_replaced_without_overlap_when_that_is_wished(client: httpx.Client) -> None:
    path = f"{PATH}/{made(client)['id']}:rotate-secret"
    assert 200 == client.post(path, json={"overlapSeconds": 0}).status_code
    refused = client.post(path, json={"overlapSeconds": -1})
    assert (400, "overlapSeconds") == (refused.status_code, refused.json()["details"]["field"])
