"""Whatever is written comes back as it was, and whatever is sent is not answered with a 5xx."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.harness.waiting import patience
from tests.imbrace.conftest import add_channel
from tests.imbrace.test_client import same

if TYPE_CHECKING:
    from tests.api.conftest import Api

pytestmark = pytest.mark.slow

_TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
_NUMBERS = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
_SCALARS = st.none() | st.booleans() | _NUMBERS | _TEXT
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXT, inner, max_size=4),
    max_leaves=12,
)
_KNOWN = (
    "name", "type", "campaign_id", "description", "status", "position", "message", "channel_type", "channel_id",
    "template_id", "condition", "settings", "variants", "until", "delay_days", "url", "method", "headers",
    "initial_phrase", "touchpoint_id", "_id", "created_at", "updated_at",
)  # fmt: skip
_EXTRAS = st.dictionaries(_TEXT.filter(lambda name: name not in _KNOWN), _VALUES, max_size=6)
#: JSON that no server should have to see: also what the databases cannot keep.
_WORDS = st.sampled_from(["message", "wait", "action", "\ud800"])
_NAMES = st.text(max_size=5) | st.sampled_from(_KNOWN)
_ANYTHING = st.recursive(
    _SCALARS | st.floats() | st.integers() | st.text(max_size=10) | _WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner, max_size=5),
    max_leaves=15,
)
_BODIES = st.dictionaries(st.sampled_from(_KNOWN), _ANYTHING, max_size=8) | _ANYTHING

#: The same on every run; the database is emptied after all of them.
bounded = settings(
    max_examples=25,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@bounded
@given(extras=_EXTRAS, change=_EXTRAS)
def test_extras_come_back_exactly(
    imbrace: httpx.Client, extras: dict[str, Any], change: dict[str, Any]
) -> None:
    for path in ("/campaign", "/touchpoints"):
        made = imbrace.post(path, content=json.dumps({"name": "x", **extras}))
        assert made.status_code == 200, made.text
        key = made.json()["_id"]
        known = set(made.json()) - set(extras)

        def kept(answer: Any, known: set[str] = known) -> dict[str, Any]:
            return {name: value for name, value in answer.items() if name not in known}

        assert same(kept(made.json()), extras)
        assert same(kept(imbrace.get(f"{path}/{key}").json()), extras)
        changed = imbrace.put(f"{path}/{key}", content=json.dumps(change))
        assert same(kept(changed.json()), {**extras, **change})
        assert same(kept(imbrace.get(f"{path}/{key}").json()), {**extras, **change})
        listed = imbrace.get(path, params={"limit": 1000}).json()["data"]
        assert same(kept(next(one for one in listed if one["_id"] == key)), {**extras, **change})
        assert imbrace.delete(f"{path}/{key}").status_code == 204


@pytest.fixture
def known(api: Api, imbrace: httpx.Client) -> dict[str, str]:
    """Rows to send nonsense to."""
    add_channel(api, "null")
    campaign = imbrace.post("/campaign", json={"name": "x"}).json()["_id"]
    touchpoint = imbrace.post("/touchpoints", json={"campaign_id": campaign, "message": "x"}).json()["_id"]
    return {"campaign_id": campaign, "touchpoint_id": touchpoint}


@bounded
@given(body=_BODIES, real=st.booleans())
def test_no_body_is_answered_with_a_5xx(
    imbrace: httpx.Client, known: dict[str, str], body: Any, real: bool
) -> None:
    if real and isinstance(body, dict):
        body = {**body, "campaign_id": known["campaign_id"]}
    content = json.dumps(body).encode()
    for method, path in (
        ("POST", "/campaign"),
        ("PUT", f"/campaign/{known['campaign_id']}"),
        ("POST", "/touchpoints"),
        ("PUT", f"/touchpoints/{known['touchpoint_id']}"),
        ("POST", "/touchpoints/_validate"),
    ):
        answer = imbrace.request(method, path, content=content)
        assert answer.status_code in (200, 400, 403, 404), (method, path, body, answer.text)
        if answer.status_code != 200:
            assert list(answer.json()) == ["message"]
    shown = imbrace.get("/touchpoints")
    assert shown.status_code == 200
    assert imbrace.get("/campaign").status_code == 200


@bounded
@given(
    path=st.sampled_from(["/campaign", "/touchpoints"]),
    key=st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    params=st.dictionaries(
        st.sampled_from(["campaign_id", "channel_id", "status", "is_archived", "limit", "offset", "sort"]),
        st.text(st.characters(exclude_categories=["Cs"]), max_size=10)
        | st.integers().map(str)
        | st.sampled_from(["active", "-created_at", "true", "999999999999999999999"]),
    ),
)
def test_no_address_is_answered_with_a_5xx(
    imbrace: httpx.Client, path: str, key: str, params: dict[str, str]
) -> None:
    address = f"{path}/{quote(key, safe='')}"
    for answer in (
        imbrace.get(path, params=params),
        imbrace.get(address),
        imbrace.put(address, json={}),
        imbrace.delete(address),
    ):
        assert answer.status_code < 500, (answer.request.url, answer.text)
        if answer.status_code >= 400:
            assert list(answer.json()) == ["message"]


def test_headers_that_are_none(api: Api, imbrace: httpx.Client) -> None:
    for headers in (
        {"x-api-key": ""}, {"x-api-key": "ü"}, {"authorization": "Basic x"}, {"authorization": "Bearer"},
        {"x-access-token": ""}, {"x-organization-id": "?"}, {"authorization": "x"},
    ):  # fmt: skip
        raw = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
        with httpx.Client(timeout=patience(60)) as client:
            answer = client.get(f"{imbrace.base_url}campaign", headers=raw)
        assert answer.status_code == 401
        assert list(answer.json()) == ["message"]
    assert imbrace.get("/campaign", headers={"x-organization-id": str(api.org_id)}).status_code == 200
    assert imbrace.get("/campaign", headers={"x-organization-id": "?"}).status_code == 403
    bearer = {"x-api-key": "", "authorization": f"bearer {api.keys['viewer']}"}
    assert imbrace.get("/campaign", headers=bearer).status_code == 200
    token = {"x-api-key": "", "x-access-token": api.keys["viewer"]}
    assert imbrace.get("/campaign", headers=token).status_code == 200
