"""`discoverCampaigns`, `updateRecipientEntityUiStatus`, `restoreRecipientEntityUiStatus` (docs/contract/targeting.md
"Newer
than the seeds"; the rules are those of the document in the public client).
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import date
from uuid import UUID, uuid4

import pytest

from engine.campaigns import next_best_actions
from state.tables import Campaign
from tests.targeting.test_matching import statements
from tests.targeting.world import equals, only

ACTION = {"title": "Offer the green tariff", "cta": {"type": "journey", "target": "journey-1"}}
#: What the author left out, as discovery fills it in.
SHOWN = {**ACTION, "priority": "medium", "is_dismissable": True}


@pytest.fixture
def entity_id(world):
    return world.entity(tariff="green")


@pytest.fixture
def campaign(world):
    """Makes active campaigns with an action for whoever has a tariff."""

    def make(tariff="green", state="active", **action):
        target = str(world.target(entity_filters=equals("tariff", tariff)))
        body = {"name": "c", "target_ids": [target], "next_best_action": {**ACTION, **action}}
        answer = world.client.post("/v1/campaign", json=body)
        assert answer.status_code == 201, answer.text
        world.set_campaign(UUID(answer.json()["_id"]), status=state)
        world.api.clock.forward(seconds=1)
        return answer.json()["_id"]

    return make


@pytest.fixture
def discover(world):
    def ask(entity_id, schema="contact"):
        body = {"entity_id": str(entity_id), "entity_schema": schema}
        answer = world.client.post("/v1/campaign:discover", json=body)
        found = only(answer, 200, "hits", "results", "dismissed")
        assert found["hits"] == len(found["results"])
        return found

    return ask


@pytest.fixture
def tell(world):
    def patch(campaign_id, entity_id, status, **more):
        path = f"/v1/campaign/{campaign_id}/recipient/{entity_id}/entity_ui:status"
        return world.client.patch(path, json={"status": status, **more})

    return patch


@pytest.fixture
def restore(world):
    def post(campaign_id, entity_id):
        return world.client.post(f"/v1/campaign/{campaign_id}/recipient/{entity_id}/entity_ui:restore")

    return post


def test_only_active_campaigns_that_the_entity_matches_are_found(world, campaign, discover, entity_id):
    wanted = campaign()
    for state in ("draft", "activating", "paused", "completed", "cancelled"):
        campaign(state=state)
    campaign(tariff="grey")
    over = campaign()
    world.set_campaign(UUID(over), end_date=date(2026, 3, 1))
    last_day = campaign()
    world.set_campaign(UUID(last_day), end_date=date(2026, 3, 2))
    world.set_campaign(world.campaign(), status="active")  # it has no action
    found = discover(entity_id)
    assert found["results"] == [{"campaign_id": one, "nba": SHOWN} for one in (last_day, wanted)]
    assert found["dismissed"] == []


def test_an_entity_that_matches_nothing_has_an_empty_list(world, campaign, discover, entity_id, stranger):
    campaign()
    for who, schema in ((uuid4(), "contact"), (entity_id, "contract"), (world.entity(tariff="x"), "contact")):
        assert discover(who, schema) == {"hits": 0, "results": [], "dismissed": []}
    body = {"entity_id": entity_id, "entity_schema": "contact"}
    assert stranger.post("/v1/campaign:discover", json=body).json()["hits"] == 0
    for wrong, field in (
        (body | {"more": 1}, "more"),
        ({"entity_id": entity_id}, "entity_schema"),
        ({}, "entity_id"),
    ):
        answer = world.client.post("/v1/campaign:discover", json=wrong)
        assert only(answer, 400, "message")["message"].startswith(f"{field}: ")


def test_the_highest_priority_comes_first_and_an_action_comes_back_as_written(campaign, discover, entity_id):
    low, medium, high = (campaign(priority=word) for word in ("low", "medium", "high"))
    newer = campaign(
        priority="high",
        category="Tariff",
        icon={"name": "leaf", "color": "#0a0"},
        body="Since {{contract.start}}",
        is_dismissable=False,
        cta={"type": "journey", "target": "j", "context_params": [{"key": "id", "value": "{{entity._id}}"}]},
    )
    found = discover(entity_id)["results"]
    assert [one["campaign_id"] for one in found] == [newer, high, medium, low]
    assert found[0]["nba"] == {
        "category": "Tariff",
        "icon": {"name": "leaf", "color": "#0a0"},
        "title": ACTION["title"],
        "body": "Since {{contract.start}}",
        "priority": "high",
        "is_dismissable": False,
        "cta": {
            "type": "journey",
            "target": "j",
            "context_params": [{"key": "id", "value": "{{entity._id}}"}],
        },
    }


def test_an_action_that_cannot_be_shown_is_refused_when_it_is_written(world, campaign):
    made = campaign()
    for wrong, field in (
        ({"title": "x"}, "cta"),
        ({**ACTION, "title": "x" * 61}, "title"),
        ({**ACTION, "title": " "}, "title"),
        ({**ACTION, "body": "x" * 141}, "body"),
        ({**ACTION, "category": "x" * 31}, "category"),
        ({**ACTION, "priority": "urgent"}, "priority"),
        ({**ACTION, "icon": {}}, "icon.name"),
        ({**ACTION, "icon": None}, "icon"),
        ({**ACTION, "cta": {"type": "link", "target": "x"}}, "cta.type"),
        ({**ACTION, "colour": "red"}, "colour"),
    ):
        answer = world.client.patch(f"/v1/campaign/{made}", json={"next_best_action": wrong})
        message = only(answer, 400, "message")["message"]
        assert message.startswith(f"next_best_action.{field}: "), message
    emptied = world.client.patch(f"/v1/campaign/{made}", json={"next_best_action": None})
    assert "next_best_action" not in emptied.json()


def test_an_action_alone_is_a_delivery_method_and_a_broken_one_has_its_code(
    world, campaign, discover, entity_id
):
    made = campaign(state="draft")
    path = f"/v1/campaign/{made}/status"
    with world.api.database.begin() as session:
        row = session.get_one(Campaign, UUID(made))
        whole, row.next_best_action = row.next_best_action, {"title": "of an older form"}
    answer = world.client.post(path, json={"status": "active"})
    assert (answer.status_code, answer.json()) == (400, {"code": "INVALID_NEXT_BEST_ACTION"})
    world.set_campaign(UUID(made), status="active")
    assert discover(entity_id)["hits"] == 0
    world.set_campaign(UUID(made), status="draft", next_best_action=whole)
    answer = world.client.post(path, json={"status": "active"})
    assert answer.json()["campaign"]["status"] == "active"
    assert discover(entity_id)["hits"] == 1


def test_the_first_seen_makes_the_recipient_and_later_ones_change_nothing(
    world, campaign, discover, tell, entity_id
):
    made = campaign()
    answer = tell(made, entity_id, "seen")
    assert only(answer, 400, "message")["message"].startswith("entity_schema: ")
    born = only(
        tell(made, entity_id, "seen", entity_schema="contact"),
        200, "entity_id", "entity_schema", "title", "entity_ui_status", "entity_ui_status_updated_at", "updated_at",
    )  # fmt: skip
    assert (born["entity_id"], born["entity_ui_status"]) == (entity_id, "seen")
    world.api.clock.forward(minutes=1)
    for status in ("seen", "clicked", "dismissed"):
        moved = tell(made, entity_id, status).json() if status != "seen" else born
        assert moved["entity_ui_status"] == status
        assert tell(made, entity_id, "seen", entity_schema="ignored by now").json() == moved
    assert world.log(UUID(made)) == [("entity_ui", one) for one in ("seen", "clicked", "dismissed")]


def test_seen_is_put_on_a_recipient_that_is_there_for_another_reason(world, campaign, tell):
    made = UUID(campaign())
    job = world.job(made, total=1, success=1)
    [entity_id] = world.recipients(made, "success", job_id=job, slice_number=0, portal_status="seen")
    after = tell(made, entity_id, "seen").json()
    assert (after["entity_ui_status"], after["portal_status"], after["automation_status"]) == (
        "seen", "seen", "success",
    )  # fmt: skip
    world.check_counters(made)


def test_of_many_first_views_at_once_one_makes_the_recipient(world, campaign, tell, entity_id):
    made = campaign()
    with ThreadPoolExecutor(6) as pool:
        answers = list(
            pool.map(lambda _: tell(made, entity_id, "seen", entity_schema="contact").status_code, range(6))
        )
    assert answers == [200] * 6
    assert world.log(UUID(made)) == [("entity_ui", "seen")]


def test_clicked_and_dismissed_need_somebody_who_saw_it(world, campaign, tell, restore, stranger, entity_id):
    made = campaign()
    world.recipients(UUID(made), "success")
    [known] = world.recipients(UUID(made), "success")
    for who in (entity_id, known):
        for status in ("clicked", "dismissed"):
            only(tell(made, who, status, entity_schema="contact"), 404, "message")
        only(restore(made, who), 404, "message")
    path = f"/v1/campaign/{made}/recipient/{entity_id}/entity_ui"
    for answer in (
        tell(uuid4(), entity_id, "seen", entity_schema="contact"),
        restore(uuid4(), entity_id),
        stranger.patch(f"{path}:status", json={"status": "seen", "entity_schema": "contact"}),
        stranger.post(f"{path}:restore"),
    ):
        assert (answer.status_code, answer.json()) == (404, {"code": "CAMPAIGN_NOT_FOUND"})


def test_moves_follow_the_table_and_others_are_409(world, campaign, tell, restore, entity_id):
    made = campaign()
    tell(made, entity_id, "seen", entity_schema="contact")
    only(restore(made, entity_id), 409, "message")
    for status in ("clicked", "dismissed"):
        assert tell(made, entity_id, status).status_code == 200
        only(tell(made, entity_id, status), 409, "message")
    only(tell(made, entity_id, "clicked"), 409, "message")
    for body in ({"status": "sent"}, {"status": None}, {}, {"status": "seen", "more": 1}):
        path = f"/v1/campaign/{made}/recipient/{entity_id}/entity_ui:status"
        only(world.client.patch(path, json=body), 400, "message")


def test_a_restored_action_is_what_it_was_before(world, campaign, tell, restore, entity_id):
    made = campaign()
    for path in (("seen",), ("clicked",)):
        for status in path:
            tell(made, entity_id, status, entity_schema="contact")
        dismissed = tell(made, entity_id, "dismissed").json()
        assert dismissed["entity_ui_status_before_dismiss"] == path[-1]
        world.api.clock.forward(minutes=1)
        restored = restore(made, entity_id).json()
        assert restored["entity_ui_status"] == path[-1]
        assert restored["entity_ui_status_before_dismiss"] == path[-1]  # left behind; means nothing now
        assert restored["entity_ui_status_updated_at"] > dismissed["entity_ui_status_updated_at"]
    assert [kind for _, kind in world.log(UUID(made))] == [
        "seen", "dismissed", "restored", "clicked", "dismissed", "restored",
    ]  # fmt: skip
    assert world.hours(UUID(made))["entity_ui", "dismissed"] == (1, 2)


def test_restoring_without_a_known_past_is_seen(world, campaign, restore):
    made = UUID(campaign())
    [entity_id] = world.recipients(made, None, entity_ui_status="dismissed")
    assert restore(made, entity_id).json()["entity_ui_status"] == "seen"


def test_discovery_tells_what_was_done_and_keeps_what_was_put_away(
    world, campaign, discover, tell, restore, entity_id
):
    seen, clicked, away, fresh = (campaign() for _ in range(4))
    for one in (seen, clicked, away):
        tell(one, entity_id, "seen", entity_schema="contact")
    tell(clicked, entity_id, "clicked")
    tell(away, entity_id, "dismissed")
    found = discover(entity_id)
    assert [(one["campaign_id"], one.get("status")) for one in found["results"]] == [
        (fresh, None), (clicked, "clicked"), (seen, "seen"),
    ]  # fmt: skip
    [dismissed] = found["dismissed"]
    assert (dismissed["campaign_id"], dismissed["status"]) == (away, "dismissed")
    assert dismissed["nba"] == SHOWN
    assert dismissed["status_updated_at"] == world.row(
        UUID(away), UUID(entity_id)
    ).entity_ui_status_updated_at.isoformat().replace("+00:00", "Z")
    world.set_campaign(UUID(away), status="completed")
    assert discover(entity_id)["dismissed"] == []
    world.set_campaign(UUID(away), status="active")
    assert restore(away, entity_id).status_code == 200
    assert discover(entity_id)["hits"] == 4


def test_what_was_put_away_is_shown_up_to_a_bound(world, campaign, discover, tell, entity_id, monkeypatch):
    monkeypatch.setattr(next_best_actions, "DISMISSED_SHOWN", 2)
    for _ in range(3):
        made = campaign()
        tell(made, entity_id, "seen", entity_schema="contact")
        tell(made, entity_id, "dismissed")
    assert len(discover(entity_id)["dismissed"]) == 2


def test_the_number_of_statements_hangs_not_on_the_campaigns(world, campaign, discover, entity_id):
    campaign()
    with statements(world.api.database) as few:
        discover(entity_id)
    for _ in range(8):
        campaign()
    with statements(world.api.database) as many:
        assert discover(entity_id)["hits"] == 9
    assert len(many) == len(few)
