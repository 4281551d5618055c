"""CloudEvents on `POST /v1/events`: structured, batched and binary."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from uuid import UUID

    import httpx

    from tests.tracking.world import Mailing

ADA = "ada@x.example"


@pytest.fixture
def ada(world: Mailing, campaign_id: UUID) -> UUID:
    [sent] = world.sent(campaign_id, ADA)
    world.api.clock.forward(hours=1)
    return sent


def delivered(campaign_id: UUID, ada: UUID, **more: Any) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": "1",
        "source": "/mailer",
        "type": "com.example.message.delivered",
        "data": {"campaign_id": str(campaign_id), "recipient_id": str(ada)},
        **more,
    }


def ask(client: httpx.Client, body: Any, **headers: str) -> dict[str, Any]:
    kind = "application/cloudevents-batch+json" if isinstance(body, list) else "application/cloudevents+json"
    answer = client.post("/v1/events", json=body, headers={"content-type": kind, **headers})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_an_event_is_taken_once_by_source_and_id(world: Mailing, campaign_id: UUID, ada: UUID) -> None:
    event = delivered(campaign_id, ada, time="2026-03-02T09:10:00Z")
    first = ask(world.client, event)["results"][0]
    assert (first["status"], first["id"], first["recipient_id"]) == ("accepted", "/mailer 1", str(ada))
    batch = [event, {**event, "source": "/other"}, {**event, "id": "2", "type": "message.read"}]
    assert [one["status"] for one in ask(world.client, batch)["results"]] == [
        "duplicate",
        "accepted",
        "accepted",
    ]


def test_binary_mode_has_its_attributes_in_headers(world: Mailing, campaign_id: UUID, ada: UUID) -> None:
    event = delivered(campaign_id, ada)
    attributes = {f"ce-{name}": value for name, value in event.items() if name != "data"}
    found = ask(world.client, event["data"], **{"content-type": "application/json", **attributes})
    assert (found["accepted"], found["results"][0]["id"]) == (1, "/mailer 1")
    assert ask(world.client, event)["duplicate"] == 1


def test_data_may_be_in_base64_and_a_long_id_is_kept_apart(
    world: Mailing, campaign_id: UUID, ada: UUID
) -> None:
    event = delivered(campaign_id, ada, source="/" + "x" * 300)
    event["data_base64"] = base64.b64encode(
        f'{{"campaign_id": "{campaign_id}", "recipient_id": "{ada}"}}'.encode()
    ).decode()
    del event["data"]
    assert ask(world.client, event)["accepted"] == 1
    assert ask(world.client, {**event, "source": event["source"] + "y"})["accepted"] == 1
    assert ask(world.client, event)["duplicate"] == 1


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"specversion": "0.3"}, "specversion"),
        ({"specversion": None}, "specversion"),
        ({"id": ""}, "id"),
        ({"source": 7}, "source"),
        ({"type": None}, "type"),
        ({"type": "com.example.shipped"}, "type"),
        ({"data": "text"}, "data"),
        ({"data": None}, "data"),
        ({"data": None, "data_base64": "!"}, "data_base64"),
        ({"time": "tomorrow"}, "at"),
    ],
)
def test_what_is_wrong_is_named_and_stops_no_other(
    world: Mailing, campaign_id: UUID, ada: UUID, change: dict[str, Any], field: str
) -> None:
    good = delivered(campaign_id, ada)
    wrong, right = ask(world.client, [{**good, **change}, {**good, "id": "2"}])["results"]
    assert (wrong["status"], right["status"]) == ("rejected", "accepted")
    assert wrong["message"].startswith(f"{field}: ")
    alone = world.client.post("/v1/events", json={**good, **change})
    assert (alone.status_code, alone.json()["message"]) == (400, wrong["message"])
