"""`/v1/key`: keys are made, replaced and shut out over HTTP, within one's own role, time and networks."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import httpx
import pytest

from engine.authentication import api_keys
from engine.authentication.api_keys import (
    KeyInput,
    KeyRotation,
    RoleTooHigh,
    create_key,
    make_key,
    revoke_key,
    rotate_key,
)
from engine.kernel.inputs import InUse
from engine.kernel.principal import Role
from tests.api.world import make_campaign, make_job
from tests.harness.waiting import wait_until

if TYPE_CHECKING:
    from uuid import UUID

    from tests.api.conftest import Api


def ask(api: Api, key: str, path: str = "/v1/target", **more: Any) -> httpx.Response:
    return httpx.get(api.url + path, headers={"authorization": f"Bearer {key}"}, timeout=30, **more)


def test_a_key_is_made_listed_and_revoked(api: Api, client: httpx.Client) -> None:
    made = client.post("/v1/key", json={"name": "ci", "role": "viewer"})
    assert made.status_code == 201
    key = made.json()
    assert key["key"].startswith(key["prefix"])
    assert (key["name"], key["role"], "digest" in key) == ("ci", "viewer", False)
    assert ask(api, key["key"]).status_code == 200
    listed = client.get("/v1/key").json()
    assert len(listed["results"]) == 4
    (shown,) = [one for one in listed["results"] if one["_id"] == key["_id"]]
    assert shown["last_used_at"]
    assert "key" not in shown
    assert key["key"] not in client.get(f"/v1/key/{key['_id']}").text
    revoked = client.post(f"/v1/key/{key['_id']}:revoke")
    assert (revoked.status_code, bool(revoked.json()["revoked_at"])) == (200, True)
    assert ask(api, key["key"]).status_code == 401
    again = client.post(f"/v1/key/{key['_id']}:revoke")
    assert again.json()["revoked_at"] == revoked.json()["revoked_at"]
    operations = [one["operation"] for one in client.get("/v1/audit").json()["results"]]
    assert operations.count("revokeKey") == 1
    assert operations[-1] == "createKey"
    assert key["key"] not in client.get("/v1/audit").text


def test_a_key_is_rotated_at_once_or_with_an_overlap(api: Api, client: httpx.Client) -> None:
    given = {
        "name": "ci",
        "role": "viewer",
        "networks": ["127.0.0.0/8"],
        "expires_at": "2026-12-01T00:00:00Z",
    }
    first = client.post("/v1/key", json=given).json()
    second = client.post(f"/v1/key/{first['_id']}:rotate").json()
    assert second["_id"] != first["_id"]
    assert {name: second[name] for name in given} == {name: first[name] for name in given}
    assert (ask(api, first["key"]).status_code, ask(api, second["key"]).status_code) == (401, 200)
    assert client.post(f"/v1/key/{first['_id']}:rotate").status_code == 409, "it is over"
    third = client.post(f"/v1/key/{second['_id']}:rotate", json={"overlap_seconds": 3600}).json()
    assert (ask(api, second["key"]).status_code, ask(api, third["key"]).status_code) == (200, 200)
    api.clock.forward(seconds=3600)
    assert (ask(api, second["key"]).status_code, ask(api, third["key"]).status_code) == (401, 200)


def test_a_key_expires_and_is_good_from_its_networks_only(api: Api, client: httpx.Client) -> None:
    soon = (api.database.clock.now() + timedelta(hours=1)).isoformat()
    made = client.post("/v1/key", json={"name": "soon", "role": "viewer", "expires_at": soon}).json()
    assert ask(api, made["key"]).status_code == 200
    api.clock.forward(hours=1)
    assert ask(api, made["key"]).status_code == 401
    for networks, status in (
        (["127.0.0.1"], 200),
        (["10.0.0.0/8", "127.0.0.0/8"], 200),
        (["10.0.0.0/8"], 403),
        (["2001:db8::/32"], 403),
    ):
        made = client.post("/v1/key", json={"name": "n", "role": "viewer", "networks": networks}).json()
        answer = ask(api, made["key"])
        assert answer.status_code == status, answer.text
        used = client.get(f"/v1/key/{made['_id']}").json().get("last_used_at")
        assert (used is not None) is (status == 200)


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "k", "role": "root"}, "role"),
        ({"name": "k", "expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
        ({"name": "k", "expires_at": "2030-01-01T00:00:00"}, "expires_at"),
        ({"name": "k", "networks": ["here"]}, "networks"),
        ({"name": "k", "networks": ["10.0.0.1/8"]}, "networks"),
        ({"name": "k", "networks": []}, "networks"),
        ({"name": "k", "networks": ["10.0.0.0/8"] * 51}, "networks"),
        ({"name": "k", "plain": "mk_" + "x" * 30}, "plain"),
    ],
)
@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_what_cannot_be_is_refused_by_name(client: httpx.Client, given: dict[str, Any], field: str) -> None:
    answer = client.post("/v1/key", json=given)
    assert (answer.status_code, field in answer.json()["message"]) == (400, True), answer.text


def test_keys_are_an_admins_and_of_ones_own_organization(api: Api, stranger: httpx.Client) -> None:
    with api.database.begin() as session:
        key, plain = create_key(session, api.org_id, "mine", "viewer")
        path = f"/v1/key/{key.id}"
    for role in ("viewer", "operator"):
        with api.client(role) as client:
            assert client.get("/v1/key").status_code == 403
            assert client.get(path).status_code == 403
            assert client.post("/v1/key", json={"name": "k", "role": "viewer"}).status_code == 403
            assert client.post(f"{path}:revoke").status_code == 403
            assert client.post(f"{path}:rotate").status_code == 403
    assert stranger.get(path).status_code == 404
    assert stranger.post(f"{path}:revoke").status_code == 404
    assert stranger.post(f"{path}:rotate").status_code == 404
    assert str(key.id) not in stranger.get("/v1/key").text
    assert ask(api, plain).status_code == 200


def test_nobody_makes_or_takes_over_a_key_above_their_role(api: Api) -> None:
    with api.database.begin() as session:
        admin, _ = create_key(session, api.org_id, "admin", "admin")
        with pytest.raises(RoleTooHigh):
            make_key(session, api.org_id, KeyInput(name="k", role="admin"), within=Role.OPERATOR)
        with pytest.raises(RoleTooHigh):
            rotate_key(session, api.org_id, admin.id, KeyRotation(), within=Role.OPERATOR)
        assert make_key(session, api.org_id, KeyInput(name="k"), within=Role.OPERATOR)[0].role == "operator"


def test_an_organization_has_a_bounded_number_of_keys(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_keys, "MOST_KEYS", 4)
    with api.database.begin() as session:
        fourth, _ = create_key(session, api.org_id, "fourth", "viewer")
        with pytest.raises(InUse):
            create_key(session, api.org_id, "fifth", "viewer")
        revoke_key(session, api.org_id, fourth.id)
        create_key(session, api.org_id, "fifth", "viewer")


def test_a_repeated_request_is_not_told_the_key(client: httpx.Client) -> None:
    headers = {"idempotency-key": str(uuid4())}
    first = client.post("/v1/key", json={"name": "once", "role": "viewer"}, headers=headers)
    again = client.post("/v1/key", json={"name": "once", "role": "viewer"}, headers=headers)
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == {name: value for name, value in first.json().items() if name != "key"}


@pytest.fixture
def mine(api: Api) -> tuple[UUID, str]:
    """A key that will be revoked."""
    with api.database.begin() as session:
        key, plain = create_key(session, api.org_id, "mine", "viewer")
    return key.id, plain


def test_what_a_revoked_key_listens_to_ends(api: Api, mine: tuple[UUID, str]) -> None:
    campaign_id = make_campaign(api.database, api.org_id)
    make_job(api.database, api.org_id, campaign_id)
    key_id, plain = mine
    headers = {"authorization": f"Bearer {plain}"}

    def poll() -> httpx.Response:
        waiting = {**headers, "prefer": "wait=60"}
        return httpx.get(f"{api.url}/v1/campaign/{campaign_id}/job", headers=waiting, timeout=70)

    with (
        ThreadPoolExecutor(1) as pool,
        httpx.stream("GET", f"{api.url}/v1/events:stream", headers=headers, timeout=70) as stream,
        api.client() as client,
    ):
        lines = stream.iter_lines()
        next(lines)
        polling = pool.submit(poll)
        while api.app.state.shares.polls.taken == 0:
            assert client.get("/health/live").status_code == 200
        assert client.post(f"/v1/key/{key_id}:revoke").status_code == 200
        began = time.monotonic()
        assert polling.result(10).status_code == 401
        list(lines)  # it ends
        assert time.monotonic() - began < 5
        assert client.get("/v1/campaign").status_code == 200, "nobody else is thrown out"
    shares = api.app.state.shares
    wait_until(lambda: shares.streams.taken == shares.polls.taken == 0, "their places are free")
