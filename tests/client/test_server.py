"""Both clients against a server process, from an empty organization to the last recipient."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from muster_client import BadRequest, Conflict, NotFound, Unauthorized
from tests.client.kit import AwaitedFace, Face
from tests.harness.dev_server import dev_server

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.slow

KEY = "mk_client_tests_0123456789abcdef"


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """`muster dev`: API, worker and scheduler over SQLite, with a `file` channel."""
    folder = tmp_path_factory.mktemp("client")
    with dev_server(folder, KEY, MUSTER_SWEEP_INTERVAL="0.2") as url:
        yield url


@pytest.fixture(params=[Face, AwaitedFace], ids=["sync", "async"])
def client(request: pytest.FixtureRequest, url: str) -> Iterator[Face]:
    face = request.param(url, KEY)
    yield face
    face.close()


def test_from_contacts_to_recipients(client: Face) -> None:
    schema = f"contact{type(client).__name__.lower()}"
    people = [f"{n},Person {n},person{n}@example.com" for n in range(30)]
    csv = "\n".join(["id,name,email", *people, "bad"]).encode()
    imported = client(
        "entity.import_stream", schema, lambda: iter([csv[:100], csv[100:]]), external_id="id", title="{name}"
    )
    assert (imported["created"], imported["rejected"]) == (30, 1)
    entities = client("entity.list", schema, page_size=7)
    assert len({one["_id"] for one in entities}) == 30
    one = client("entity.get", schema, entities[0]["_id"])
    assert client("entity.update", schema, one["_id"], {"vip": True})["vip"] is True
    made = client("entity.upsert", schema, {"external_id": "x", "name": "Extra"})
    client("entity.delete", schema, made["_id"])

    filters = {"filter": {"items": [{"key": "email", "operator": "NOT_EMPTY"}], "combination": "AND"}}
    target = client("target.create", {"name": "all", "entity_schema": schema, "entity_filters": filters})
    assert client("target.count", target["_id"]) == 30
    campaign = client("campaign.create", {"name": "Q3", "channel_type": "email", "mine": {"a": 1.0}})
    message = {"subject": "Hi", "text": "Hello {{ name }}"}
    touchpoint = client(
        "campaign.create_touchpoint", {"name": "one", "campaign_id": campaign["_id"], "message": message}
    )
    assert client("campaign.validate_touchpoint", {"touchpoint_id": touchpoint["_id"]})["valid"] is True
    assert client("campaign.configure", campaign["_id"], {"target_ids": [target["_id"]]})["target_ids"] == [
        target["_id"]
    ]
    # Templates are what the engine of today sends.
    template = client("template.create", {"name": "t", "subject": "Hi", "text": "Hello {{ name }}"})
    client("campaign.update_touchpoint", touchpoint["_id"], {"template_id": template["_id"]})

    assert client("campaign.activate", campaign["_id"])["campaign"]["status"] in ("activating", "active")
    status = client("campaign.wait_for_job", campaign["_id"], seconds=60)
    assert status["status"] == "finished"
    assert status["execution_counts"]["success"] == 30
    recipients = client("campaign.recipients", campaign["_id"], page_size=11)
    assert {one["entity_id"] for one in recipients} == {one["_id"] for one in entities}
    assert client("campaign.recipients", campaign["_id"], automation_status=["failed"]) == []
    assert client("campaign.email_stats", campaign["_id"])["sent"] == 30
    again = client("campaign.retrigger", campaign["_id"], [recipients[0]["entity_id"]])
    assert again["results"][0]["result"] == "invalid_status"
    shown = client("campaign.get", campaign["_id"])
    assert (shown["status"], shown["mine"]) == ("completed", {"a": 1.0})
    with pytest.raises(BadRequest) as refused:
        client("campaign.deactivate", campaign["_id"])
    assert refused.value.code == "CAMPAIGN_HAS_UNEXPECTED_STATUS"
    client("campaign.delete", campaign["_id"])
    with pytest.raises(NotFound) as gone:
        client("campaign.get_touchpoint", touchpoint["_id"])
    assert gone.value.request_id


def test_a_paused_campaign_goes_on_where_it_stood(client: Face) -> None:
    schema = f"held{type(client).__name__.lower()}"
    people = "\n".join(["id,email", *(f"{n},person{n}@example.com" for n in range(20))]).encode()
    client("entity.import_stream", schema, people, external_id="id")
    filters = {"filter": {"items": [{"key": "email", "operator": "NOT_EMPTY"}], "combination": "AND"}}
    target = client("target.create", {"name": "all", "entity_schema": schema, "entity_filters": filters})
    campaign: Any = client("campaign.create", {"name": "held"})["_id"]
    client(
        "campaign.create_touchpoint", {"campaign_id": campaign, "message": {"subject": "Hi", "text": "Hi"}}
    )
    slow = {"rate": {"messages": 1, "per": "hour"}}
    client("campaign.configure", campaign, {"target_ids": [target["_id"]], "limits": slow})
    with pytest.raises(Conflict) as refused:
        client("campaign.pause", campaign)
    assert refused.value.code == "INVALID_STATUS"
    client("campaign.activate", campaign)

    key = f"pause-{type(client).__name__}"
    first, again = (client("campaign.pause", campaign, idempotency_key=key) for _ in range(2))
    assert first == again
    assert (first["status"], client("campaign.get", campaign)["status"]) == ("paused", "paused")
    client("campaign.configure", campaign, {"limits": None})
    assert client("campaign.resume", campaign)["status"] == "active"
    status = client("campaign.wait_for_job", campaign, seconds=60)
    assert (status["status"], status["execution_counts"]["success"]) == ("finished", 20)
    with pytest.raises(Conflict):
        client("campaign.resume", campaign)
    with pytest.raises(NotFound):
        client("campaign.pause", target["_id"])


def test_rows(client: Face) -> None:
    channel = client("channel.create", {"name": "c", "kind": "null"})
    assert client("channel.test", channel["_id"])["ok"] is True
    assert client("channel.update", channel["_id"], {"name": "d"})["name"] == "d"
    template = client("template.create", {"name": "t", "text": "x"})
    steps = [{"template_id": template["_id"], "channel_id": channel["_id"]}]
    flow = client("flow.create", {"name": "f", "touchpoints": steps})
    with pytest.raises(Conflict):
        client("template.delete", template["_id"])
    for noun, row in (("flow", flow), ("template", template), ("channel", channel)):
        assert client(f"{noun}.get", row["_id"])["_id"] == row["_id"]
        assert row["_id"] in [one["_id"] for one in client(f"{noun}.list")]
        client(f"{noun}.delete", row["_id"])
        with pytest.raises(NotFound):
            client(f"{noun}.get", row["_id"])


def test_touchpoints(client: Face) -> None:
    campaign: Any = client("campaign.create", {"name": "x"})["_id"]
    one, two = (
        client("campaign.create_touchpoint", {"campaign_id": campaign, "message": "Hi"}) for _ in range(2)
    )
    client("campaign.update_touchpoint", two["_id"], {"position": 0})
    listed = client("campaign.list_touchpoints", campaign_id=campaign, sort="position")
    assert [row["_id"] for row in listed["data"]] == [two["_id"], one["_id"]]
    client("campaign.delete_touchpoint", one["_id"])
    assert client("campaign.list_touchpoints", campaign_id=campaign)["total"] == 1
    assert client("campaign.update", campaign, {"name": "y"})["name"] == "y"
    assert client("campaign.list", page_size=1)[0]["_id"] == campaign


def test_the_same_key_works_once(client: Face) -> None:
    key = f"once-{type(client).__name__}"
    first, second = (client("campaign.create", {"name": "once"}, idempotency_key=key) for _ in range(2))
    assert first == second


def test_refusals(client: Face, url: str) -> None:
    with pytest.raises(BadRequest) as refused:
        client("campaign.create", {})
    assert (refused.value.status, refused.value.field) == (400, "name")
    other = type(client)(url, "mk_nobody")
    try:
        with pytest.raises(Unauthorized):
            other("campaign.list")
    finally:
        other.close()
