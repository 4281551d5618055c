"""`createRecipient` and `updateRecipient` (docs/contract/targeting.md, operations 9 and 10; targeting.md)."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import product
from uuid import uuid4

import pytest

from state.tables import Job
from tests.targeting.world import AUTOMATION, only

#: What a recipient of two parts is answered with.
BOTH = (
    "automation_execution_id",
    "automation_status",
    "entity_id",
    "entity_schema",
    "portal_state",
    "portal_status",
    "portal_status_updated_at",
    "title",
    "updated_at",
)


@pytest.fixture
def campaign_id(world):
    return world.campaign()


def payload(**more):
    return {"entity_id": str(uuid4()), "entity_schema": "contact", **more}


def automation(**more):
    return payload(automation_status="pending", automation_execution_id="exec-1", **more)


def create(world, campaign_id, body):
    return world.client.post(f"/v1/campaign/{campaign_id}/recipient", json=body)


def update(world, campaign_id, entity_id, **body):
    return world.client.patch(f"/v1/campaign/{campaign_id}/recipient/{entity_id}", json=body)


def test_it_has_an_automation_or_a_portal_or_both(world, campaign_id):
    """docs/contract/targeting.md: any of the branches, also the one that has both, which a strict oneOf refuses."""
    for body, fields in (
        (automation(), BOTH[:4] + BOTH[7:]),
        (payload(portal_status="sent"), (*BOTH[2:4], *BOTH[5:])),
        (automation(portal_status="clicked", portal_state={"a": [1, None]}), BOTH),
    ):
        made = only(create(world, campaign_id, body), 201, *fields)
        for name, value in body.items():
            assert made[name] == value
        assert (made["title"], made["updated_at"]) == ("", "2026-03-02T09:00:00Z")
    listed = world.client.get(f"/v1/campaign/{campaign_id}/recipients").json()
    assert (listed["total"], len(listed["results"])) == (3, 3)


def test_neither_part_is_refused_and_half_of_one_too(world, campaign_id):
    """docs/contract/targeting.md: neither → 400."""
    for body, field in (
        (payload(), "automation_status"),
        (payload(automation_status="pending"), "automation_execution_id"),
        (payload(automation_execution_id="x"), "automation_status"),
        (payload(portal_state={}), "portal_status"),
        (payload(automation_status="done", automation_execution_id="x"), "automation_status"),
        (payload(automation_status="pending", automation_execution_id=7), "automation_execution_id"),
        (payload(portal_status="opened"), "portal_status"),
        (payload(portal_status="sent", portal_state=[]), "portal_state"),
        (payload(portal_status=None), "portal_status"),
        ({**automation(), "entity_id": "7"}, "entity_id"),
        ({**automation(), "entity_schema": "no schema!"}, "entity_schema"),
        ({"entity_id": str(uuid4()), "portal_status": "sent"}, "entity_schema"),
        ({}, "entity_id"),
    ):
        message = only(create(world, campaign_id, body), 400, "message")["message"]
        assert message.startswith(f"{field}: "), message
    assert world.client.get(f"/v1/campaign/{campaign_id}/recipients").json()["total"] == 0


def test_what_upstream_leaves_open_is_passed_over(world, campaign_id):
    made = create(world, campaign_id, automation(title="x", entity_ui_status="seen", more=1))
    assert made.status_code == 201
    assert {"title": "", "automation_status": "pending"}.items() <= made.json().items()
    assert "entity_ui_status" not in made.json()


def test_an_existing_key_is_a_bad_request(world, campaign_id):
    body = automation()
    assert create(world, campaign_id, body).status_code == 201
    again = create(world, campaign_id, {**payload(portal_status="sent"), "entity_id": body["entity_id"]})
    assert body["entity_id"] in only(again, 400, "message")["message"]
    other = world.campaign()
    assert create(world, other, body).status_code == 201
    assert "portal_status" not in create(world, other, automation()).json()


def test_of_many_at_once_one_creates_it(world, campaign_id):
    body = automation(portal_status="sent")
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: create(world, campaign_id, body).status_code, range(6)))
    assert sorted(answers) == [201] + [400] * 5
    assert world.log(campaign_id) == [("portal", "sent")]


def test_it_has_the_title_of_its_entity_and_not_anothers_schema(world, campaign_id):
    entity = world.entity(title="Ada Lovelace", email="a@b.example")
    wrong = create(world, campaign_id, {**automation(), "entity_id": entity, "entity_schema": "contract"})
    assert "entity_schema" in only(wrong, 400, "message")["message"]
    assert create(world, campaign_id, {**automation(), "entity_id": entity}).json()["title"] == "Ada Lovelace"


def test_an_unknown_campaign_is_400_with_its_code(world, stranger, campaign_id):
    """docs/contract/targeting.md: operations without 404."""
    code = {"code": "CAMPAIGN_NOT_FOUND"}
    body = automation()
    for answer in (
        create(world, uuid4(), body),
        update(world, uuid4(), uuid4()),
        stranger.post(f"/v1/campaign/{campaign_id}/recipient", json=body),
        stranger.patch(f"/v1/campaign/{campaign_id}/recipient/{uuid4()}", json={}),
    ):
        assert (answer.status_code, answer.json()) == (400, code)


def test_an_unknown_recipient_is_400_with_a_message(world, campaign_id):
    """docs/contract/targeting.md: updateRecipient knows neither 404 nor 409."""
    entity_id = uuid4()
    answer = update(world, campaign_id, entity_id, automation_status="failed")
    assert str(entity_id) in only(answer, 400, "message")["message"]


def test_the_execution_id_is_any_text_and_comes_back_as_it_was(world, campaign_id):
    for text in ("string", "", "4D0C6F5E-0000-4000-8000-00000000000A", "ü/ 1"):
        body = {**automation(), "automation_execution_id": text}
        assert create(world, campaign_id, body).json()["automation_execution_id"] == text
    same = automation()
    assert create(world, campaign_id, same).status_code == 201
    changed = update(world, campaign_id, same["entity_id"], automation_execution_id="exec-2")
    assert changed.json()["automation_execution_id"] == "exec-2"


def test_a_later_execution_of_ours_is_not_called_by_the_earlier_name(world, campaign_id):
    """Two recipients of one reported execution fail, run again here, and have executions of their own."""
    bodies = [{**automation(), "automation_status": "failed"} for _ in range(2)]
    for body in bodies:
        create(world, campaign_id, body)
    ids = [body["entity_id"] for body in bodies]
    for _ in range(2):
        answer = world.client.post(
            f"/v1/campaign/{campaign_id}/automations:retrigger", json={"recipient_ids": ids}
        )
        executions = [one["execution_id"] for one in answer.json()["results"]]
        assert len(set(executions)) == 2
        listed = world.client.get(f"/v1/campaign/{campaign_id}/recipients").json()["results"]
        assert sorted(one["automation_execution_id"] for one in listed) == sorted(executions)
        for entity_id in ids:
            update(world, campaign_id, entity_id, automation_status="failed", automation_execution_id="same")
        world.check_counters(campaign_id)


def test_updating_takes_any_of_four_and_leaves_the_rest(world, campaign_id):
    body = automation(portal_status="sent", portal_state={"a": 1})
    before = create(world, campaign_id, body).json()
    nothing = update(world, campaign_id, body["entity_id"])
    assert only(nothing, 200, *BOTH) == before
    assert update(world, campaign_id, body["entity_id"], unknown=1).json() == before
    world.api.clock.forward(minutes=1)
    after = update(world, campaign_id, body["entity_id"], automation_status="success").json()
    assert after == {**before, "automation_status": "success", "updated_at": "2026-03-02T09:01:00Z"}
    answer = update(world, campaign_id, body["entity_id"], portal_status=None)
    assert "portal_status" in only(answer, 400, "message")["message"]


def test_portal_state_is_merged_by_name(world, campaign_id):
    body = payload(portal_status="sent", portal_state={"a": 1, "b": {"c": 1}})
    create(world, campaign_id, body)
    after = update(world, campaign_id, body["entity_id"], portal_state={"b": {"d": 2}, "e": None}).json()
    assert after["portal_state"] == {"a": 1, "b": {"d": 2}, "e": None}
    assert after["portal_status"] == "sent"


def test_updating_writes_any_portal_status_and_stamps_its_time(world, campaign_id):
    """docs/contract/targeting.md: an attribute write; the portal's table is not asked."""
    body = payload(portal_status="clicked")
    create(world, campaign_id, body)
    for minute, status in enumerate(("sent", "dismissed", "seen"), 1):
        world.api.clock.forward(minutes=1)
        after = only(
            update(world, campaign_id, body["entity_id"], portal_status=status), 200, *BOTH[2:4], *BOTH[5:]
        )
        assert (after["portal_status"], after["portal_status_updated_at"]) == (
            status, f"2026-03-02T09:0{minute}:00Z",
        )  # fmt: skip
    assert world.log(campaign_id) == [("portal", one) for one in ("clicked", "sent", "dismissed", "seen")]


def test_a_reported_outcome_moves_the_jobs_counters_with_it(world, campaign_id):
    """From every status to every other: the counters say what a recount says, and what goes on elsewhere has
    left the job.
    """
    pairs = [(old, new) for old, new in product(AUTOMATION, AUTOMATION) if old not in (new, "in_progress")]
    old = [pair[0] for pair in pairs]
    job = world.job(
        campaign_id,
        total=len(pairs),
        **{word: old.count(word) for word in ("success", "failed", "cancelled")},
    )
    ids = world.recipients(campaign_id, *old, job_id=job, slice_number=0)
    world.check_counters(campaign_id)
    for (_, wanted), entity_id in zip(pairs, ids, strict=True):
        answer = update(world, campaign_id, entity_id, automation_status=wanted)
        assert answer.json()["automation_status"] == wanted
        world.check_counters(campaign_id)
        left = wanted in ("pending", "in_progress")
        row = world.row(campaign_id, entity_id)
        assert (row.job_id is None, row.slice_number is None, row.in_flight) == (left, left, False)
    assert world.client.get(f"/v1/campaign/{campaign_id}/recipients").json()["total"] == len(pairs)
    with world.api.database.read() as session:
        assert session.get_one(Job, job).total == sum(
            new not in ("pending", "in_progress") for _, new in pairs
        )


def test_the_same_status_again_changes_no_counter(world, campaign_id):
    job = world.job(campaign_id, total=1, failed=1)
    [entity_id] = world.recipients(campaign_id, "failed", job_id=job, slice_number=0, error_code="SMTP_550")
    after = update(world, campaign_id, entity_id, automation_status="failed").json()
    assert after["error_code"] == "SMTP_550"
    world.check_counters(campaign_id)
    assert "error_code" not in update(world, campaign_id, entity_id, automation_status="success").json()


def test_an_operators_key_is_needed(world, campaign_id):
    with world.api.client("viewer") as viewer:
        answer = viewer.post(f"/v1/campaign/{campaign_id}/recipient", json=automation())
        assert answer.status_code == 403
        only(answer, 403, "message")
