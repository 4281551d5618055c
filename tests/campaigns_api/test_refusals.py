"""Every illegal move is 409 INVALID_STATUS, every bad field 400 VALIDATION_ERROR by its name; both change nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from tests.campaigns_api.desk import BLACK_FRIDAY

if TYPE_CHECKING:
    import httpx

    from tests.campaigns_api.desk import Desk

#: docs/contract/states.md, in the words of the dialect: from where a PUT of the status may go.
MOVES = {
    "draft": {"active", "cancelled"},
    "active": {"paused", "completed", "cancelled"},
    "paused": {"active", "completed", "cancelled"},
    "completed": set(),
    "cancelled": set(),
}


def in_status(desk: Desk, status: str) -> str:
    campaign = str(desk.ask("POST", status=201, json={"name": status})["id"])
    ways = {"draft": (), "active": ("active",), "paused": ("active", "paused")}
    for step in ways.get(status, ("active", status)):
        desk.ask("PUT", f"/{campaign}", json={"status": step})
    assert desk.status(campaign) == status
    return campaign


def test_every_move(desk: Desk) -> None:
    """All twenty-five pairs; a status that is written back as it is changes nothing."""
    for source, allowed in MOVES.items():
        for wanted in MOVES:
            campaign = in_status(desk, source)
            if wanted in allowed or wanted == source:
                assert desk.ask("PUT", f"/{campaign}", json={"status": wanted})["status"] == wanted
            else:
                body = {"status": wanted, "description": "never kept"}
                desk.refused("PUT", f"/{campaign}", 409, "INVALID_STATUS", json=body)
                assert desk.status(campaign) == source
                assert desk.ask("GET", f"/{campaign}").get("description") is None


def test_every_operation_in_every_status(desk: Desk) -> None:
    """pause: active only; resume: paused only; delete: draft or cancelled only; execute: draft or active only."""
    desk.furnish(people=1)
    legal = {
        "pause": {"active"},
        "resume": {"paused"},
        "execute": {"draft", "active"},
        "delete": {"draft", "cancelled"},
    }
    made = {
        "targetAudience": {"segments": ["seg789"]},
        "messages": [{"templateId": "tmpl456"}],
    }
    for operation, allowed in legal.items():
        for status in MOVES:
            campaign = desk.ask("POST", status=201, json={"name": "x", **made})["id"]
            for step in {"draft": (), "active": ("active",)}.get(status, ("active", status)):
                desk.ask("PUT", f"/{campaign}", json={"status": step})
            method, path = (
                ("DELETE", f"/{campaign}") if operation == "delete" else ("POST", f"/{campaign}/{operation}")
            )
            if status in allowed:
                desk.ask(method, path)
            else:
                desk.refused(method, path, 409, "INVALID_STATUS")
                assert desk.status(campaign) == status


def test_what_runs_is_not_executed_again_nor_edited(desk: Desk) -> None:
    """One run at a time; content of what delivers is edited while it is paused, its audience not at all."""
    desk.furnish(people=30)
    campaign = desk.plain()
    desk.ask("POST", f"/{campaign}/execute")
    desk.work(most=2)
    desk.refused("POST", f"/{campaign}/execute", 409, "INVALID_STATUS")
    edits: list[dict[str, Any]] = [
        {"messages": [{"content": "x"}]},
        {"strategy": {"channels": ["file"]}},
        {"targetAudience": {}},
    ]
    for edit in edits:
        desk.refused("PUT", f"/{campaign}", 409, "INVALID_STATUS", json=edit)
    desk.ask("PUT", f"/{campaign}", json={"description": "yes", "budget": 5})
    desk.ask("POST", f"/{campaign}/pause")
    limits = {"rate": {"messages": 100, "per": "minute"}}
    edited = desk.ask("PUT", f"/{campaign}", json={"messages": [{"content": "x"}], "limits": limits})
    assert edited["limits"] == limits
    desk.refused("PUT", f"/{campaign}", 409, "INVALID_STATUS", json={"targetAudience": {"filters": {"a": 1}}})
    desk.refused("DELETE", f"/{campaign}", 409, "INVALID_STATUS")
    desk.ask("PUT", f"/{campaign}", json={"status": "cancelled"})
    desk.refused("PUT", f"/{campaign}", 409, "INVALID_STATUS", json={"budget": 1})
    desk.ask("PUT", f"/{campaign}", json={"name": "Over"})
    desk.work()
    desk.ask("DELETE", f"/{campaign}")


def test_a_pause_and_an_edit_in_one_request(desk: Desk) -> None:
    desk.furnish(people=30)
    campaign = desk.plain()
    desk.ask("POST", f"/{campaign}/execute")
    desk.work(most=1)
    both = {"status": "paused", "messages": [{"content": "Changed"}]}
    assert desk.ask("PUT", f"/{campaign}", json=both)["messages"][0]["content"] == "Changed"
    back = {"status": "active", "messages": [{"content": "Again"}]}
    assert desk.ask("PUT", f"/{campaign}", json=back)["status"] == "active"
    desk.run_out()
    assert len(desk.sent()) == 30


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "x" * 151}, "name"),
        ({"name": None}, "name"),
        ({"name": 7}, "name"),
        ({"nmae": "x"}, "nmae"),
        ({"description": 1}, "description"),
        ({"type": "sms"}, "type"),
        ({"status": "active"}, "status"),
        ({"goals": {"targetAudience": -1}}, "goals.targetAudience"),
        ({"goals": {"targetAudience": 1.5}}, "goals.targetAudience"),
        ({"goals": {"conversionRate": 101}}, "goals.conversionRate"),
        ({"goals": {"revenue": "much"}}, "goals.revenue"),
        ({"goals": {"profit": 1}}, "goals.profit"),
        ({"goals": []}, "goals"),
        ({"targetAudience": {"segments": "seg"}}, "targetAudience.segments"),
        ({"targetAudience": {"segments": [1]}}, "targetAudience.segments[0]"),
        ({"targetAudience": {"segments": [""]}}, "targetAudience.segments[0]"),
        ({"targetAudience": {"segments": [str(uuid4())]}}, "targetAudience.segments[0]"),
        ({"targetAudience": {"filters": []}}, "targetAudience.filters"),
        ({"targetAudience": {"filters": {"a": []}}}, "targetAudience.filters.a"),
        ({"targetAudience": {"filters": {"a": {"like": 1}}}}, "targetAudience.filters.a.like"),
        ({"targetAudience": {"filters": {"a": [{}]}}}, "targetAudience.filters.a[0]"),
        ({"targetAudience": {"schema": "Not A Schema!"}}, "targetAudience.schema"),
        ({"messages": {}}, "messages"),
        ({"messages": [{}]}, "messages[0]"),
        ({"messages": [{"templateId": str(uuid4())}]}, "messages[0].templateId"),
        ({"messages": [{"content": "x"}, {"templateId": str(uuid4())}]}, "messages[1].templateId"),
        ({"messages": [{"content": "{{ x"}]}, "messages[0].content"),
        ({"messages": [{"content": "a", "variations": [{"content": "b", "weight": 0}]}]},
         "messages[0].variations[0].weight"),
        ({"messages": [{"content": "a", "personalization": {"enabled": "yes"}}]},
         "messages[0].personalization.enabled"),
        ({"strategy": {"channels": [str(uuid4())]}}, "strategy.channels[0]"),
        ({"strategy": {"channels": "telegram"}}, "strategy.channels"),
        ({"budget": -1}, "budget"),
        ({"budget": True}, "budget"),
        ({"startDate": "soon"}, "startDate"),
        ({"startDate": 5}, "startDate"),
        ({"endDate": "2024-13-01T00:00:00Z"}, "endDate"),
        ({"startDate": "2024-12-01T00:00:00Z", "endDate": "2024-11-30T00:00:00Z"}, "endDate"),
        ({"misfireHours": -1}, "misfireHours"),
        ({"limits": {"rate": {"messages": 0}}}, "limits.rate.messages"),
        ({"limits": {"speed": 1}}, "limits.speed"),
        ({"description": "\0"}, "description"),
    ],
)  # fmt: skip
def test_bad_fields_are_named_and_nothing_is_kept(desk: Desk, body: dict[str, Any], field: str) -> None:
    desk.invalid("POST", "", field, json={**BLACK_FRIDAY, **body})
    assert desk.ask("GET")["pagination"]["total"] == 0
    if "status" in body:
        return
    campaign = desk.ask("POST", status=201, json={"name": "Kept", "description": "as it was"})["id"]
    before = desk.ask("GET", f"/{campaign}")
    desk.invalid("PUT", f"/{campaign}", field, json=body)
    assert desk.ask("GET", f"/{campaign}") == before


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"testMode": 1}, "testMode"),
        ({"targetPercentage": 0}, "targetPercentage"),
        ({"targetPercentage": 101}, "targetPercentage"),
        ({"targetPercentage": "50"}, "targetPercentage"),
        ({"priority": "urgent"}, "priority"),
        ({"scheduledAt": "tomorrow"}, "scheduledAt"),
        ({"sheduledAt": "2024-11-24T10:00:00Z"}, "sheduledAt"),
        ({"scheduledAt": "2099-01-01T00:00:00Z"}, "scheduledAt"),
        ({"scheduledAt": "2099-01-01T00:00:00Z", "testMode": True}, "scheduledAt"),
        ([], "body"),
    ],
)
def test_bad_executions_are_named_and_start_nothing(desk: Desk, body: Any, field: str) -> None:
    desk.furnish(people=1)
    campaign = desk.create(endDate="2098-12-31T00:00:00Z")
    desk.invalid("POST", f"/{campaign}/execute", field, json=body)
    assert desk.status(campaign) == "draft"
    assert desk.ask("GET", f"/{campaign}/executions") == {"executions": []}


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"targetAudience": None}, "targetAudience"),
        ({"messages": []}, "messages"),
        ({"targetAudience": {"segments": ["nobody knows"]}}, "targetAudience.segments[0]"),
        ({"messages": [{"content": "x"}, {"templateId": "nobody knows"}]}, "messages[1].templateId"),
        ({"strategy": {"channels": ["carrier pigeon"]}}, "strategy.channels"),
    ],
)
def test_what_a_draft_left_open_must_exist_when_it_is_executed(
    desk: Desk, given: dict[str, Any], field: str
) -> None:
    """A name may come later than the draft that names it; executing asks for it."""
    desk.furnish(people=2)
    campaign = desk.plain(**given)
    later = {"scheduledAt": "2099-01-01T00:00:00Z"}
    for body in (None, later, {"testMode": True}):
        if not (body and "testMode" in body and field in ("targetAudience", "messages")):
            desk.invalid("POST", f"/{campaign}/execute", field, json=body)
    desk.segment("nobody knows")
    desk.template("nobody knows")
    desk.sender("carrier pigeon")
    if field not in ("targetAudience", "messages"):
        desk.ask("POST", f"/{campaign}/execute")
        desk.run_out()
        assert len(desk.sent()) == 2


def test_doors_and_paths(desk: Desk, client: httpx.Client) -> None:
    """No key, a key that may only look, paths and methods that nothing has: all in the envelope."""
    bare = client.get("/api/v1/campaigns", headers={"authorization": ""})
    assert (bare.status_code, bare.json()["code"]) == (401, "UNAUTHORIZED")
    with desk.api.client("viewer") as viewer:
        assert viewer.get("/api/v1/campaigns").status_code == 200
        told = viewer.post("/api/v1/campaigns", json={"name": "x"})
        assert (told.status_code, told.json()["code"]) == (403, "FORBIDDEN")
    desk.refused("GET", "/camp123", 404, "CAMPAIGN_NOT_FOUND")
    desk.refused("GET", f"/{uuid4()}/progress", 404, "CAMPAIGN_NOT_FOUND")
    desk.refused("POST", f"/{uuid4()}/execute", 404, "CAMPAIGN_NOT_FOUND")
    campaign = desk.ask("POST", status=201, json={"name": "x"})["id"]
    desk.refused("GET", f"/{campaign}/executions/exec123", 404, "NOT_FOUND")
    desk.refused("GET", f"/{campaign}/nothing", 404, "NOT_FOUND")
    desk.refused("PATCH", f"/{campaign}", 405, "METHOD_NOT_ALLOWED")
    desk.refused(
        "POST", "", 400, "VALIDATION_ERROR", content=b"{", headers={"content-type": "application/json"}
    )


def test_an_idempotency_key_executes_once(desk: Desk) -> None:
    desk.furnish(people=2)
    campaign = desk.plain()
    key = {"idempotency-key": "execute-once"}
    first = desk.ask("POST", f"/{campaign}/execute", headers=key)
    assert desk.ask("POST", f"/{campaign}/execute", headers=key) == first
    desk.refused(
        "POST", f"/{campaign}/execute", 409, "IDEMPOTENCY_CONFLICT", headers=key, json={"priority": "low"}
    )
    assert len(desk.ask("GET", f"/{campaign}/executions")["executions"]) == 1
