"""Property-based: whatever is asked, no 500, and no answer outside of its schema, by the public document and ours."""

from __future__ import annotations

import json
from contextlib import suppress
from random import Random
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given, seed
from hypothesis.errors import Unsatisfiable

from engine.enrolled.analysis import analysed
from engine.enrolled.identity import entity_of
from engine.goals.calls import Attempt, take_attempt
from tests.conftest import missing_service
from tests.harness.generated import generated
from tests.harness.waiting import patience
from tests.targeting.test_contract import server
from tests.targeting.test_document import SHARED
from tests.umanize.desk import TargetDesk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.targeting.world import World

try:
    import schemathesis
    from schemathesis import GenerationMode
    from schemathesis.checks import not_a_server_error
    from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance
except ImportError:
    schemathesis = None  # type: ignore[assignment]

__all__ = ["server"]

EXAMPLES = 12
#: Ours → the public document's.
OPERATIONS = {
    "listCampaignTargets": "list_campaign_targets_campaigns__campaign_id__targets_get",
    "deleteCampaignTarget": "delete_campaign_target_campaigns__campaign_id__targets__target_id__delete",
    "restoreCampaignTarget": (
        "restore_campaign_target_campaigns__campaign_id__targets__target_id__restore_post"
    ),
    "updateCampaignTargetStage": (
        "update_campaign_target_stage_campaigns__campaign_id__targets__target_id__stage_patch"
    ),
    "verifyGoalForTarget": (
        "verify_goal_for_target_campaigns__campaign_id__targets__target_id__verify_goal_post"
    ),
    "enrollTargetsBulk": "enroll_targets_bulk_campaigns__campaign_id__targets_bulk_post",
    "createCustomerAndEnroll": (
        "create_customer_and_enroll_campaigns__campaign_id__targets_create_customer_post"
    ),
}
#: What the public document does not declare and docs/contract/enrolled-targets.md resolves: `{detail: text}`.
UNDECLARED = {400, 401, 403, 404, 409}


class Known:
    """Ids that exist, to be put in the place of made-up ones."""

    def __init__(self, desk: TargetDesk) -> None:
        self.desk = desk
        self.campaign = desk.campaign()
        self.people = desk.people(12)
        desk.bulk(self.campaign, self.people[:8])
        self.targets = desk.ids(self.campaign)
        with desk.database.begin() as session:
            for target in self.targets:
                pair = (UUID(self.campaign), entity_of(UUID(self.campaign), UUID(target)))
                said = "Agent: May I book a test drive for you?\nCustomer: Yes, please."
                at = desk.database.clock.now()
                attempt = Attempt(conversation_id=target, status="completed", at=at, conversation=said)
                take_attempt(session, desk.org_id, pair, attempt)
        for index, target in enumerate(self.targets[:3]):
            fields: dict[str, Any] = {
                "ai_label": ("positive", "negative", "neutral")[index], "ai_score": 0.5, "ai_reason": "said so",
                "goal_analysis": {"met": True}, "campaign_goal_result": "failure", "follow_up_required": True,
                "campaign_sentiment": "negative",
            }  # fmt: skip
            now = desk.database.clock.now()
            desk.set_row(self.campaign, target, **analysed(fields, now=now, goal=True))

    def put(self, case: Any, random: Random) -> None:
        """Let a case be about what exists, more often than not."""
        path = case.path_parameters or {}
        if "campaign_id" in path and random.random() < 0.9:
            path["campaign_id"] = self.campaign
        if "target_id" in path and random.random() < 0.8:
            path["target_id"] = random.choice(self.targets)
        if isinstance(case.body, dict) and "customer_id" in case.body and random.random() < 0.5:
            case.body |= {"customer_id": str(uuid4()), "email": f"{uuid4().hex}@example.com"}
            case.body.pop("phone", None)
        for item in case.body.get("items") or () if isinstance(case.body, dict) else ():
            if isinstance(item, dict) and random.random() < 0.6:
                item["customer_id"] = str(random.choice(self.people))


@pytest.fixture
def known(server: World) -> Iterator[Known]:
    """A campaign of each test's own: one of the operations deletes what it finds."""
    desk = TargetDesk(server.api, server.client)
    yield Known(desk)
    desk.close()


def hold(known: Known, document: dict[str, Any], name: str) -> None:
    """Ask one operation with valid and with broken requests, and hold each answer to the document."""
    operation = schemathesis.openapi.from_dict(document).find_operation_by_id(name)
    checks = [not_a_server_error, content_type_conformance, response_schema_conformance]
    key = {"authorization": f"Bearer {known.desk.api.keys['admin']}"}
    random = Random(name)  # noqa: S311 - the same on every run
    answered: set[int] = set()

    for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):

        @seed(1)
        @generated(EXAMPLES)
        @given(case=operation.as_strategy(generation_mode=mode))
        def ask(case: Any) -> None:
            known.put(case, random)
            others = {name: text for name, text in (case.headers or {}).items() if "auth" not in name.lower()}
            case.headers = {**others, **key}
            response = case.call(base_url=known.desk.api.url, timeout=patience(60))
            answered.add(response.status_code)
            if response.status_code in UNDECLARED:
                assert set(response.json()) == {"detail"}
                assert isinstance(response.json()["detail"], str)
                return
            assert response.status_code in (200, 204, 422), response.text
            case.validate_response(response, checks=checks)

        with suppress(Unsatisfiable):  # nothing about it can be broken
            ask()
    assert answered & {200, 204}, f"no request to {name} was answered with success"


@pytest.mark.parametrize("name", list(OPERATIONS))
def test_the_dialect_keeps_to_our_document(known: Known, name: str) -> None:
    hold(known, known.desk.told("GET", "/openapi.json"), name)


@pytest.mark.parametrize("name", list(OPERATIONS.values()))
def test_the_dialect_keeps_to_the_public_document(known: Known, name: str) -> None:
    file = SHARED / "openapi" / "campaign-targets.json"
    if not file.exists():
        missing_service("the public document of campaign targets", file)
    hold(known, json.loads(file.read_text()), name)


def test_colons_may_be_encoded(known: Known) -> None:
    """Literal colons arrive unencoded; an encoded one is the same path (docs/contract/README.md)."""
    answer = known.desk.client.post(f"/campaigns/{known.campaign}/targets%3Abulk", json={"items": []})
    assert (answer.status_code, answer.json()["total"]) == (200, 0)


def test_paths_of_two_dialects_do_not_meet(known: Known) -> None:
    """`/campaigns/…` here, `/api/v1/campaigns/…` there: each answers in its own manner (docs/contract/README.md)."""
    unknown = uuid4()
    here = known.desk.client.get(f"/campaigns/{unknown}/targets")
    there = known.desk.client.get(f"/api/v1/campaigns/{unknown}")
    assert (here.status_code, set(here.json())) == (404, {"detail"})
    assert (there.status_code, there.json()["success"]) == (404, False)
    nowhere = known.desk.client.get(f"/campaigns/{unknown}")
    assert (nowhere.status_code, set(nowhere.json())) == (404, {"detail"})
