"""Cursors that no list gave out are refused, however they are made up."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from tests.api.world import make_campaign

if TYPE_CHECKING:
    import httpx

    from tests.api.conftest import Api

ID = str(uuid4())
HUGE = 10**400
POSITIONS: list[Any] = [
    [], [None], [[]], {}, 1, "x", [1, 2, 3, 4, 5],
    ["0001-01-01T00:00:00+14:00", ID], ["9999-12-31T23:59:59-14:00", ID], ["2026-02-30T00:00:00+00:00", ID],
    [ID, HUGE], [ID, -1], [ID, 10**18, ID, 10**18], [ID, 1, ID, -1], [ID, 1, None, None], [HUGE], [-HUGE], [1e400],
    ["created_at", "9999-12-31T23:59:59-14:00", ID, 1], ["created_at", HUGE, ID, 1], ["\u0000", ID],
]  # fmt: skip


def cursor(position: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(position).encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "path",
    [
        "/v1/template", "/v1/target", "/v1/entity/contact", "/v1/suppression", "/v1/audit", "/v1/flow",
        "/v1/campaign/{id}/recipients", "/v1/campaign/{id}/recipients?automation_status=pending",
    ],
)  # fmt: skip
def test_a_cursor_that_is_made_up_is_never_a_fault_of_ours(api: Api, client: httpx.Client, path: str) -> None:
    path = path.replace("{id}", str(make_campaign(api.database, api.org_id)))
    if "recipients" in path and client.get(path).status_code == 404:
        path = path.replace("/recipients", "/recipient")
    assert 200 == client.get(path).status_code, path
    for position in POSITIONS:
        answer = client.get(
            path, params={**dict(client.build_request("GET", path).url.params), "next": cursor(position)}
        )
        assert answer.status_code in (200, 400), (position, answer.text)
        if answer.status_code == 400:
            assert "next" in answer.text
