"""Requests of actions are an admin's to write; an operator uses those that an admin defined, in every dialect."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

    from tests.api.conftest import Api

REQUEST = {"url": "https://hooks.example/x", "headers": {"X-Tenant": "a"}, "body": {"who": "{{ _id }}"}}
OTHER = {"url": "https://elsewhere.example/x"}
OWN = {"type": "action", "settings": REQUEST}
TOUCHPOINTS = "/channel-service/v1/touchpoints"


@pytest.fixture
def operator(api: Api) -> Iterator[httpx.Client]:
    with api.client("operator") as operator:
        yield operator


@pytest.fixture
def channel(client: httpx.Client) -> str:
    """An http channel of an admin's."""
    given = {"name": "crm", "kind": "http", "settings": REQUEST, "credentials": {"bearer": "t0ken"}}
    return str(client.post("/v1/channel", json=given).json()["_id"])


def flow(who: httpx.Client, *steps: dict[str, Any]) -> httpx.Response:
    return who.post("/v1/flow", json={"name": "f", "touchpoints": list(steps)})


def test_an_operator_names_the_channel_of_an_admin(operator: httpx.Client, channel: str) -> None:
    made = flow(operator, {"type": "action", "channel_id": channel})
    assert made.status_code == 201, made.text
    assert made.json()["touchpoints"][0]["channel_id"] == channel
    assert "t0ken" not in made.text
    made = operator.post(TOUCHPOINTS, json={"name": "a", "type": "action", "channel_id": channel})
    assert (made.status_code, made.json()["status"]) == (200, "active"), made.text


def test_an_operator_writes_no_request(operator: httpx.Client, client: httpx.Client) -> None:
    assert flow(operator, OWN).status_code == 403
    for given in (REQUEST, {"settings": REQUEST}):
        refused = operator.post(TOUCHPOINTS, json={"name": "a", "type": "action", **given})
        assert refused.status_code == 403
        assert "admin" in refused.json()["message"]
    assert client.get("/v1/flow").json()["total"] == 0
    assert client.get(TOUCHPOINTS).json()["total"] == 0


def test_an_operator_keeps_and_moves_a_request_and_changes_none(
    operator: httpx.Client, client: httpx.Client
) -> None:
    made = flow(client, OWN).json()
    path, step = f"/v1/flow/{made['_id']}", made["touchpoints"][0]
    wait = {"type": "wait", "settings": {"days": 1}}
    for kept in (step, OWN, {**step, "name": "renamed"}):
        assert operator.patch(path, json={"touchpoints": [wait, kept]}).status_code == 200
    for given in ({**step, "settings": OTHER}, {"type": "action", "settings": OTHER}):
        refused = operator.patch(path, json={"touchpoints": [given]})
        assert refused.status_code == 403, refused.text
    assert [REQUEST] == [
        one["settings"] for one in client.get(path).json()["touchpoints"] if one["type"] == "action"
    ]


def test_nor_in_the_other_dialect_by_whatever_field(operator: httpx.Client, client: httpx.Client) -> None:
    made = client.post(TOUCHPOINTS, json={"name": "a", "type": "action", **REQUEST}).json()
    path = f"{TOUCHPOINTS}/{made['_id']}"
    assert operator.put(path, json={**made, "name": "renamed"}).status_code == 200
    changes: list[dict[str, Any]] = [
        OTHER,
        {"settings": OTHER},
        {"method": "PUT"},
        {"query": {"a": "b"}},
        {"body": {}},
    ]
    for given in changes:
        assert operator.put(path, json=given).status_code == 403, given
    # What is no action becomes none by the way.
    text = operator.post(TOUCHPOINTS, json={"name": "b", "type": "message", "message": "x", **OTHER}).json()
    assert operator.put(f"{TOUCHPOINTS}/{text['_id']}", json={"type": "action"}).status_code == 403
    assert client.get(path).json()["url"] == REQUEST["url"]


@pytest.mark.parametrize(
    ("step", "field"),
    [
        ({"type": "action"}, "settings.url"),
        ({"type": "action", "settings": REQUEST, "channel_id": "http"}, "settings"),
        ({"type": "action", "channel_id": "null"}, "channel_id"),
        ({"type": "action", "channel_id": "0b7ac4a4-7a1c-4b8c-9d5a-6a0f1c5b2f10"}, "channel_id"),
        ({"type": "wait", "settings": {"days": 1}, "channel_id": "http"}, "channel_id"),
    ],
)
def test_what_no_action_has_is_named(
    client: httpx.Client, channel: str, step: dict[str, Any], field: str
) -> None:
    null = client.post("/v1/channel", json={"name": "n", "kind": "null"}).json()["_id"]
    names = {"http": channel, "null": null}
    if "channel_id" in step:
        step = {**step, "channel_id": names.get(step["channel_id"], step["channel_id"])}
    refused = flow(client, step)
    assert refused.status_code == 400
    assert refused.json()["message"].startswith(f"touchpoints[0].{field}: "), refused.text
