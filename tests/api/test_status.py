"""`changeCampaignStatus`: three ways to say it, and toggling when nobody does (docs/contract/targeting.md)."""

from __future__ import annotations

from uuid import uuid4

import pytest

from engine.kernel.commands import Activate, Cancel
from state.tables import Campaign, Job, Target
from tests.api.world import make_campaign, make_job

FORM = {"content-type": "application/x-www-form-urlencoded"}


def status_of(api, campaign_id):
    with api.database.read() as session:
        return session.get_one(Campaign, campaign_id).status


@pytest.mark.parametrize(
    "sent",
    [
        {"json": {"status": "active"}},
        {"content": b'{"status":"active"}', "headers": FORM},
        {"content": b'{"status":"active"}'},
        {"content": b"status=active", "headers": FORM},
        {"params": {"status": "active"}},
        {"params": {"status": "active"}, "content": b"", "headers": FORM},
        {"params": {"status": "active"}, "json": {}},
        {"params": {"status": "active"}, "json": None},
        {"params": {"status": "inactive"}, "json": {"status": "active"}},
        {},
        {"content": b"", "headers": FORM | {"content-length": "0"}},
        {"content": b"  "},
        {"json": {}},
        {"json": {"status": None}},
        {"content": b"null"},
    ],
    ids=repr,
)
def test_each_way_activates_a_draft_and_wakes_the_planner(api, client, sent):
    campaign_id = make_campaign(api.database, api.org_id)
    answer = client.post(f"/v1/campaign/{campaign_id}/status", **sent)
    assert answer.status_code == 200, answer.text
    campaign = answer.json()["campaign"]
    assert list(answer.json()) == ["campaign"]
    assert (campaign["_id"], campaign["id"], campaign["status"]) == (
        str(campaign_id), str(campaign_id), "activating",
    )  # fmt: skip
    [command] = api.wakeups.take()
    assert isinstance(command, Activate)
    assert str(command.job_id) == campaign["job_id"]


@pytest.mark.parametrize("sent", [{"json": {"status": "inactive"}}, {"params": {"status": "inactive"}}, {}])
@pytest.mark.parametrize("status", ["active", "activating"])
def test_each_way_deactivates_and_cancels_the_job(api, client, sent, status):
    campaign_id = make_campaign(api.database, api.org_id)
    job_id = make_job(api.database, api.org_id, campaign_id)
    with api.database.begin() as session:
        session.get_one(Campaign, campaign_id).status = status
    answer = client.post(f"/v1/campaign/{campaign_id}/status", **sent)
    assert answer.status_code == 200
    assert answer.json()["campaign"]["status"] == "inactive"
    assert answer.json()["campaign"]["state"] == "paused"
    assert api.wakeups.take() == [Cancel(org_id=api.org_id, job_id=job_id)]


def test_toggling_goes_back_and_forth(api, client):
    campaign_id = make_campaign(api.database, api.org_id)
    seen = [client.post(f"/v1/campaign/{campaign_id}/status").json()["campaign"]["status"] for _ in range(4)]
    assert seen == ["activating", "inactive", "activating", "inactive"]


@pytest.mark.parametrize(
    "sent",
    [
        {"json": {"status": "paused"}},
        {"json": {"status": "ACTIVE"}},
        {"json": {"status": ""}},
        {"json": {"status": 1}},
        {"json": {"status": ["active"]}},
        {"json": ["active"]},
        {"json": "active"},
        {"content": b'{"status":'},
        {"content": b"[" * 40_000},
        {"content": b"\xff\xfe"},
        {"content": b"active"},
        {"params": {"status": "draft"}},
        {"params": {"status": ""}},
        {"params": {"status": "act\0ive"}},
    ],
    ids=lambda sent: repr(sent)[:60],
)
def test_any_other_word_is_400_and_changes_nothing(api, client, sent):
    campaign_id = make_campaign(api.database, api.org_id)
    answer = client.post(f"/v1/campaign/{campaign_id}/status", **sent)
    assert answer.status_code == 400
    assert list(answer.json()) == ["message"]
    assert status_of(api, campaign_id) == "draft"
    assert api.wakeups.take() == []


def refusals(api):
    """Campaigns that must not be activated, by the code that says why."""
    database, org_id = api.database, api.org_id
    yield "CAMPAIGN_NOT_FOUND", uuid4(), "active"
    active = make_campaign(database, org_id)
    with database.begin() as session:
        session.get_one(Campaign, active).status = "active"
    yield "CAMPAIGN_HAS_UNEXPECTED_STATUS", active, "active"
    yield "CAMPAIGN_HAS_UNEXPECTED_STATUS", make_campaign(database, org_id), "inactive"
    yield "CAMPAIGN_HAS_NO_TARGET", make_campaign(database, org_id, target=False), "active"
    bare = make_campaign(database, org_id)
    with database.begin() as session:
        target_id = session.get_one(Campaign, bare).target_ids[0]
        for target in session.query(Target):
            if str(target.id) == target_id:
                target.entity_filters = {"filter": {"items": [], "combination": "AND"}}
    yield "TARGET_WITHOUT_FILTERS", bare, "active"
    yield "CAMPAIGN_HAS_NO_DELIVERY_METHOD", make_campaign(database, org_id, flow=False), "active"
    busy = make_campaign(database, org_id)
    make_job(database, org_id, busy)
    yield "CAMPAIGN_HAS_JOB_IN_PROGRESS", busy, "active"
    tokenless = make_campaign(database, org_id)
    make_job(database, org_id, tokenless, token=None)
    with database.begin() as session:
        session.get_one(Campaign, tokenless).status = "active"
    yield "JOB_TOKEN_MISSING", tokenless, "inactive"


def test_every_rule_is_answered_by_its_code_alone(api, client):
    seen = set()
    for code, campaign_id, wanted in refusals(api):
        answer = client.post(f"/v1/campaign/{campaign_id}/status", json={"status": wanted})
        assert (answer.status_code, answer.json()) == (400, {"code": code})
        seen.add(code)
    assert len(seen) == 7
    assert api.wakeups.take() == []


def test_a_portal_only_campaign_is_active_at_once(api, client):
    campaign_id = make_campaign(api.database, api.org_id, flow=False)
    portal = client.post("/v1/portal", json={"name": "p"}).json()
    widget = {"campaign_id": str(campaign_id)}
    assert client.post(f"/v1/portal/{portal['_id']}/widget", json=widget).status_code == 201
    answer = client.post(f"/v1/campaign/{campaign_id}/status", json={"status": "active"})
    assert answer.json()["campaign"]["status"] == "active"
    assert "job_id" not in answer.json()["campaign"]
    assert api.wakeups.take() == []


def test_another_organizations_campaign_is_unknown(api, stranger):
    campaign_id = make_campaign(api.database, api.org_id)
    answer = stranger.post(f"/v1/campaign/{campaign_id}/status")
    assert (answer.status_code, answer.json()) == (400, {"code": "CAMPAIGN_NOT_FOUND"})
    assert status_of(api, campaign_id) == "draft"


def test_nothing_is_woken_for_what_was_rolled_back(api, client):
    campaign_id = make_campaign(api.database, api.org_id)
    make_job(api.database, api.org_id, campaign_id)
    assert client.post(f"/v1/campaign/{campaign_id}/status").status_code == 400
    with api.database.read() as session:
        assert session.query(Job).count() == 1
    assert api.wakeups.take() == []
