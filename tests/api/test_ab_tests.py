"""`/api/v1/campaigns/{id}/ab-tests`, over HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

from sqlalchemy import select

from engine.kernel.commands import Activate
from state.tables import Touchpoint
from tests.api.world import make_campaign

if TYPE_CHECKING:
    import httpx

    from tests.api.conftest import Api

VARIANTS = [{"id": "a", "weight": 1}, {"id": "b", "weight": 1}]


def test_an_ab_test_is_made_started_once_and_shown(
    api: Api, client: httpx.Client, stranger: httpx.Client
) -> None:
    path = f"/api/v1/campaigns/{make_campaign(api.database, api.org_id)}/ab-tests"
    body = {"name": "Subject lines", "metric": "clicked", "sample": 10, "holdout": 5, "decideAfterHours": 4}
    refused = client.post(path, json=body)
    assert (400, "VALIDATION_ERROR") == (refused.status_code, refused.json()["code"])
    with api.database.begin() as session:
        session.execute(select(Touchpoint)).scalar_one().variants = VARIANTS
    made = client.post(path, json=body)
    assert 201 == made.status_code, made.text
    shown = made.json()["data"]
    assert {"status": "draft", "sample": 10, "confidence": 95, "decideAfterHours": 4}.items() <= shown.items()
    assert [shown] == client.get(path).json()["data"]["abTests"]
    detail = client.get(path.removesuffix("/ab-tests")).json()["data"]
    assert [{"id": shown["id"], "name": "Subject lines", "status": "draft"}] == detail["abTests"]
    assert 404 == stranger.get(path).status_code
    assert 404 == stranger.post(f"{path}:start").status_code
    started = client.post(f"{path}:start").json()["data"]
    assert "running" == started["abTest"]["status"]
    assert [started["executionId"]] == [
        str(command.job_id) for command in api.wakeups.take() if isinstance(command, Activate)
    ]
    assert 400 == client.post(f"{path}:start").status_code
    bad = client.post(path, json={**body, "sample": 0})
    assert (400, "sample") == (bad.status_code, bad.json()["details"]["field"])
    assert 404 == client.get(f"/api/v1/campaigns/{uuid4()}/ab-tests").status_code
