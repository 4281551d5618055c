"""`verify-goal` over HTTP: a target in, the same target with an analysis out, or an error that says why."""

from __future__ import annotations

from uuid import uuid4

import pytest

from config.settings import Settings
from muster_testing.channels import SECRET
from tests.servers.completions import ANALYSIS


def verify(desk, entity_id, **options):
    path = f"/campaigns/{desk.campaign_id}/targets/{desk.target(entity_id)}/verify-goal"
    return desk.client.post(path, **options)


@pytest.fixture
def with_model(desk, provider):
    """The operator has configured a language model; its server."""
    server = provider("completions")
    given = desk.api.runtime.settings.model_dump() | {
        "analyser_url": f"{server.url}/v1", "analyser_model": "m-1", "analyser_key": SECRET, "analyser_timeout": 0.4,
    }  # fmt: skip
    desk.api.runtime.settings = Settings(**given)
    return server


def test_a_target_is_verified_and_told_whole(desk):
    entity_id = desk.enrolled()
    desk.called(entity_id, "conv_1")
    answer = verify(desk, entity_id, params={"agent_id": str(uuid4())})
    assert answer.status_code == 200
    told = answer.json()
    assert (told["stage"], told["campaign_goal_result"], told["ai_label"]) == (
        "goal_met",
        "success",
        "positive",
    )
    assert (told["calls_made"], told["last_conv_id"], told["analysis_source"]) == (1, "conv_1", "rules/1")
    assert told["goal_analysis"]["verified_by"] == "admin"
    assert None not in told.values()
    timeline = desk.client.get(f"/v1/campaign/{desk.campaign_id}/recipients/{entity_id}/timeline").json()
    assert [one["what"] for one in timeline["results"]][-2:] == ["voice.call_attempt", "voice.verified"]


def test_without_a_conversation(desk):
    entity_id = desk.enrolled()
    answer = verify(desk, entity_id)
    assert answer.status_code == 400
    assert answer.json() == {"detail": "no call to this target was completed with a conversation"}


def test_who_is_nobody_of_theirs(desk, stranger, clock):
    entity_id = desk.enrolled()
    desk.called(entity_id)
    path = f"/campaigns/{desk.campaign_id}/targets/{desk.target(entity_id)}/verify-goal"
    assert stranger.post(path).status_code == 404
    assert desk.client.post(path.replace(str(desk.campaign_id), str(uuid4()))).status_code == 404
    assert verify(desk, desk.enrolled(deleted_at=clock.now())).status_code == 404
    assert verify(desk, entity_id, params={"obj_id": "x"}).status_code == 422
    assert desk.at(entity_id).campaign_goal_result is None


def test_the_same_request_is_done_once(desk):
    entity_id = desk.enrolled()
    desk.called(entity_id)
    answers = [verify(desk, entity_id, headers={"idempotency-key": "k"}) for _ in range(2)]
    assert answers[0].json() == answers[1].json()
    assert [one.kind for one in desk.attempts()] == ["call_attempt", "verified"]


def test_a_model_judges_where_the_operator_says_so(desk, with_model):
    entity_id = desk.enrolled()
    desk.called(entity_id)
    told = verify(desk, entity_id).json()
    assert (told["ai_reason"], told["analysis_source"]) == (ANALYSIS["ai_reason"], "openai/m-1")


@pytest.mark.parametrize(
    ("scenario", "status", "code"),
    [
        ("refusal", 502, "ANALYSER_REFUSED"),
        ("account", 502, "ANALYSER_401"),
        ("throttled long", 503, "ANALYSER_429"),
    ],
)
def test_a_model_in_trouble_is_told_in_the_dialects_shape(desk, with_model, scenario, status, code):
    entity_id = desk.enrolled()
    desk.called(entity_id)
    with_model.arrange(scenario)
    answer = verify(desk, entity_id)
    assert answer.status_code == status
    assert list(answer.json()) == ["detail"]
    assert answer.json()["detail"].startswith(code)
    assert SECRET not in answer.text
    assert answer.headers.get("retry-after") == ("60" if status == 503 else None)
    assert desk.at(entity_id).campaign_goal_result is None
