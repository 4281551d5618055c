"""`:export` and `:erase` over HTTP."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from sqlalchemy import select

from engine.people.erase import AGAIN
from state.tables import AuditRecord, IdempotencyKey
from tests.api.conftest import api, client, stranger
from tests.harness.sweeping import sweep

if TYPE_CHECKING:
    import httpx

    from tests.api.conftest import Api

__all__ = ["api", "client", "stranger"]

ADA = {"external_id": "ada", "title": "Ada Lovelace", "email": "ada@example.com"}


@pytest.fixture
def path(client: httpx.Client) -> str:
    entity_id = client.post("/v1/entity/contact", json=ADA, headers={"idempotency-key": "made"}).json()["_id"]
    return f"/v1/entity/contact/{entity_id}"


def test_a_person_is_exported_erased_and_proven(api: Api, client: httpx.Client, path: str) -> None:
    exported = client.get(f"{path}:export")
    assert (200, "application/json") == (exported.status_code, exported.headers["content-type"])
    assert {"entity", "suppressions", "topic_opt_outs", "contacts", "campaigns"} == set(exported.json())
    assert "ada@example.com" == exported.json()["entity"]["email"]

    answer = client.post(f"{path}:erase")
    assert (200, "erased") == (answer.status_code, answer.json()["status"])
    assert 404 == client.get(path).status_code
    assert 404 == client.get(f"{path}:export").status_code
    again = client.post(f"{path}:erase")
    assert answer.json() == again.json()
    with api.database.read() as session:
        records = {row.operation: row for row in session.scalars(select(AuditRecord))}
        kept = session.scalars(select(IdempotencyKey.answer)).all()
    assert {"exportEntity", "eraseEntity"} <= records.keys()
    assert path.rpartition("/")[2] == records["eraseEntity"].changes[0]["id"]
    said = re.sub(
        r"[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}",
        "",
        repr([kept, records["eraseEntity"].changes]).lower(),
    )
    assert "ada" not in said, "but in an id, by chance"

    api.clock.forward(seconds=AGAIN.total_seconds())
    sweep(api.runtime)
    assert "done" == client.post(f"{path}:erase").json()["status"]


def test_only_administrators_of_the_organization_may(
    api: Api, client: httpx.Client, stranger: httpx.Client, path: str
) -> None:
    for role in ("viewer", "operator"):
        with api.client(role) as other:
            assert 403 == other.get(f"{path}:export").status_code
            assert 403 == other.post(f"{path}:erase").status_code
    assert 404 == stranger.get(f"{path}:export").status_code
    assert 404 == stranger.post(f"{path}:erase").status_code
    assert 404 == client.post(f"/v1/entity/contact/{uuid4()}:erase").status_code
    assert 404 == client.post(path.replace("contact", "contract") + ":erase").status_code
    assert 200 == client.get(path).status_code


def test_an_erased_address_is_found_on_the_list_without_it(client: httpx.Client, path: str) -> None:
    client.post(f"{path}:erase")
    (found,) = client.get("/v1/suppression", params={"address": "Ada@Example.com"}).json()["results"]
    assert ("erased", True) == (found["reason"], found["address"].startswith("erased:"))
    barred = client.post("/v1/suppression", json={"medium": "email", "address": "ada@example.com"})
    assert (200, found["id"]) == (barred.status_code, barred.json()["id"])
    assert 204 == client.delete(f"/v1/suppression/{found['id']}").status_code
    assert [] == client.get("/v1/suppression", params={"address": "ada@example.com"}).json()["results"]
