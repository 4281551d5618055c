"""The published client of the dialect, unmodified, against a server process: all ten operations, sync and async."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.conftest import missing_service
from tests.harness.dev_server import dev_server
from tests.harness.openid import OpenIdProvider
from tests.harness.waiting import patience

pytestmark = pytest.mark.slow

try:
    from imbrace import AsyncImbraceClient, ImbraceClient
    from imbrace.exceptions import ApiError, AuthError
except ImportError:
    ImbraceClient = None

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

KEY = "mk_imbrace-client-of-the-dialect"

EXTRAS: dict[str, Any] = {
    "delay_days": 2,
    "ratio": 1.0,
    "huge": 1e16,
    "tiny": 2.5e-7,
    "url": "https://example.com/a?b=1&c=ü",
    "template": {"name": "x", "params": [1, 2.0, None, True, "ü", {"z": 1, "a": []}], "empty": {}},
    "nothing": None,
    "on": False,
    "_private": "x",
    "": "no name",
}


@dataclass
class Served:
    url: str
    org_id: str
    token: str
    """A JWT of the organization; the client sends one as `Authorization: Bearer`."""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """`muster dev` that trusts an OpenID provider, and the organization that it made."""
    if ImbraceClient is None:
        missing_service("imbrace from PyPI", "not installed")
    folder = tmp_path_factory.mktemp("imbrace")
    provider = OpenIdProvider(folder)
    trusted = {
        "MUSTER_JWT_ISSUER": provider.issuer,
        "MUSTER_JWT_AUDIENCE": "muster",
        "MUSTER_JWT_JWKS": provider.jwks,
    }
    with provider, dev_server(folder, KEY, **trusted) as url:
        headers = {"authorization": f"Bearer {KEY}"}
        target = {"name": "t", "entity_schema": "contact"}
        made = httpx.post(f"{url}/v1/target", json=target, headers=headers, timeout=patience(60)).json()
        claims = {
            "iss": provider.issuer,
            "aud": "muster",
            "sub": "client",
            "org_id": made["_org"],
            "role": "admin",
            "exp": time.time() + 3600,
        }
        yield Served(url, made["_org"], provider.sign(claims))


def same(one: Any, other: Any) -> bool:
    """Equal, and of the same types all the way down."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[name], other[name]) for name in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def holds(shown: dict[str, Any], extras: dict[str, Any]) -> bool:
    return same({name: shown.get(name, ...) for name in extras}, extras)


def _keys(served: Served) -> dict[str, dict[str, str]]:
    """The client's three ways to say who it is, with and without an organization."""
    return {
        "api key": {"api_key": KEY},
        "api key of an organization": {"api_key": KEY, "organization_id": served.org_id},
        "access token": {"access_token": KEY},
        "JWT": {"access_token": served.token, "organization_id": served.org_id},
    }


@pytest.mark.parametrize("way", ["api key", "api key of an organization", "access token", "JWT"])
def test_all_ten_operations(served: Served, way: str) -> None:
    with ImbraceClient(gateway=served.url, **_keys(served)[way]) as client:
        _ten_operations(lambda name, *args: getattr(client.campaign, name)(*args))


@pytest.mark.parametrize("way", ["api key", "access token", "JWT"])
def test_all_ten_operations_async(served: Served, way: str) -> None:
    with asyncio.Runner() as runner:
        client = AsyncImbraceClient(gateway=served.url, **_keys(served)[way])
        try:
            _ten_operations(lambda name, *args: runner.run(getattr(client.campaign, name)(*args)))
        finally:
            runner.run(client.close())


def _ten_operations(call: Callable[..., Any]) -> None:
    campaign = call("create", {"name": "Q3 Re-engagement", "channel_type": "whatsapp", **EXTRAS})
    assert (campaign["name"], campaign["status"]) == ("Q3 Re-engagement", "draft")
    assert holds(campaign, {"channel_type": "whatsapp", **EXTRAS})
    key = campaign["_id"]
    assert same(call("get", key), campaign)
    listed = call("list", {"limit": 1})
    assert listed["total"] >= 1
    assert same(listed["data"][0], campaign)
    assert key in [one["_id"] for one in call("list")["data"]]

    message = {"text": "Hi! Welcome to our service.", "buttons": [{"id": 1, "x": 2.0}]}
    welcome = {"name": "Welcome Message", "type": "message", "campaign_id": key, "message": message}
    touchpoint = call("create_touchpoint", {**welcome, **EXTRAS})
    assert holds(touchpoint, {**welcome, **EXTRAS})
    assert same(call("get_touchpoint", touchpoint["_id"]), touchpoint)
    changed = {"name": "Updated Welcome Message", "message": "Great to have you here.", "ratio": 2.0}
    updated = call("update_touchpoint", touchpoint["_id"], changed)
    assert holds(updated, {**welcome, **EXTRAS, **changed})
    second = call("create_touchpoint", {"type": "wait", "delay_days": 2, "campaign_id": key})
    listed = call("list_touchpoints", {"campaign_id": key, "sort": "created_at"})
    assert listed["total"] == 2
    assert same(listed["data"], [updated, second])
    assert same(call("list_touchpoints")["data"][0], second)

    # No WhatsApp channel is configured under `muster dev`.
    checked = call("validate_touchpoint", {"touchpoint_id": touchpoint["_id"]})
    assert (checked["valid"], checked["duplicate"]) == (False, False)
    assert checked["errors"] == ["channel_type: no channel of type 'whatsapp' is configured"]
    checked = call("validate_touchpoint", {"touchpoint_id": touchpoint["_id"], "channel_type": "email"})
    assert checked == {"valid": True, "errors": [], "duplicate": False}

    assert call("delete_touchpoint", touchpoint["_id"]) is None
    assert call("delete", key) is None
    gone = [
        ("get", key), ("delete", key), ("get_touchpoint", touchpoint["_id"]),
        ("get_touchpoint", second["_id"]), ("delete_touchpoint", second["_id"]),
        ("update_touchpoint", second["_id"], {"name": "x"}), ("validate_touchpoint", {"touchpoint_id": second["_id"]}),
    ]  # fmt: skip
    for operation in gone:
        with pytest.raises(ApiError) as caught:
            call(*operation)
        assert caught.value.status_code == 404
        assert '{"message":"' in str(caught.value)
    assert call("list_touchpoints", {"campaign_id": key}) == {"data": [], "total": 0}


@pytest.mark.parametrize(
    ("status", "who"),
    [
        (401, {"api_key": "mk_unknown"}),
        (401, {"access_token": "acc_unknown"}),
        (401, {}),
        (403, {"access_token": KEY, "organization_id": "org_somebody_else"}),
    ],
)
@pytest.mark.filterwarnings("ignore:ImbraceClient. no credentials")
def test_who_may_not(served: Served, status: int, who: dict[str, str]) -> None:
    with ImbraceClient(gateway=served.url, **who) as client, pytest.raises(AuthError) as caught:
        client.campaign.list()
    assert caught.value.status_code == status
    assert caught.value.body.startswith('{"message":"')
