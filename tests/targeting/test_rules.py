"""The rules of docs/contract/targeting.md and README.md that belong to no single operation of the other modules here,
one test each.

Set-up, matching, recipients, portals and next best actions have modules of their own, with tests named alike.
"""

from __future__ import annotations

from uuid import UUID, uuid4

import httpx
import pytest

from state.tables import Campaign, Channel, Job, Target
from tests.harness.waiting import patience
from tests.targeting.world import equals, only

FORM = {"content-type": "application/x-www-form-urlencoded"}


@pytest.fixture
def campaign_id(world):
    return world.campaign()


def status_path(campaign_id):
    return f"/v1/campaign/{campaign_id}/status"


# --- How `status` really travels ---------------------------------------------------------------------------


def test_status_without_a_place_is_read_from_the_body_then_the_query(world, campaign_id):
    """docs/contract/targeting.md."""
    path = status_path(campaign_id)
    for sent, expected in (
        ({"json": {"status": "active"}, "params": {"status": "inactive"}}, "activating"),
        ({"json": {}, "params": {"status": "inactive"}}, "inactive"),
        ({"params": {"status": "active"}}, "activating"),
        ({"json": {"status": "inactive"}}, "inactive"),
    ):
        answer = world.client.post(path, **sent)
        assert only(answer, 200, "campaign")["campaign"]["status"] == expected


def test_the_documented_call_toggles_whatever_its_content_type(world, campaign_id):
    """Empty, as a form of length 0: what the real client sends."""
    sent = {"content": b"", "headers": {**FORM, "content-length": "0"}}
    found = [
        world.client.post(status_path(campaign_id), **sent).json()["campaign"]["status"] for _ in range(3)
    ]
    assert found == ["activating", "inactive", "activating"]


def test_any_status_but_active_and_inactive_is_400(world, campaign_id):
    for word in ("draft", "activating", "paused", "Active", ""):
        for sent in ({"json": {"status": word}}, {"params": {"status": word}}):
            only(world.client.post(status_path(campaign_id), **sent), 400, "message")
    assert world.client.get(f"/v1/campaign/{campaign_id}").json()["status"] == "draft"


# --- Job and token -----------------------------------------------------------------------------------------


def test_the_check_order_is_the_contracts(world):
    """A campaign with every flaw at once, mended one by one."""
    campaign_id = world.campaign(flow=False, target=False)
    flow_id = None
    with world.api.database.read() as session:
        flow_id = session.get_one(Campaign, world.campaign()).flow_id
    job_id = world.job(campaign_id, token=None)
    target_id = world.target(entity_filters=None)
    world.set_campaign(campaign_id, status="active", next_best_action={"title": "x"})

    def code(path=None):
        answer = world.client.post(path or status_path(campaign_id), json={"status": "active"})
        return answer.json().get("code") or answer.json()["campaign"]["status"]

    def set_job(**values):
        with world.api.database.begin() as session:
            for name, value in values.items():
                setattr(session.get_one(Job, job_id), name, value)

    found = [code(status_path(uuid4())), code()]
    world.set_campaign(campaign_id, status="paused")
    found.append(code())
    world.set_campaign(campaign_id, target_ids=[str(target_id)])
    found.append(code())
    with world.api.database.begin() as session:
        session.get_one(Target, target_id).entity_filters = equals("a", "b")
    world.set_campaign(campaign_id, next_best_action=None)
    found.append(code())
    world.set_campaign(campaign_id, next_best_action={"title": "x"})
    found.append(code())
    world.set_campaign(campaign_id, next_best_action=None, flow_id=flow_id)
    found.append(code())
    set_job(held=True)
    found.append(code())
    set_job(token="t")
    found.append(code())
    assert found == [
        "CAMPAIGN_NOT_FOUND",
        "CAMPAIGN_HAS_UNEXPECTED_STATUS",
        "CAMPAIGN_HAS_NO_TARGET",
        "TARGET_WITHOUT_FILTERS",
        "CAMPAIGN_HAS_NO_DELIVERY_METHOD",
        "INVALID_NEXT_BEST_ACTION",
        "CAMPAIGN_HAS_JOB_IN_PROGRESS",
        "JOB_TOKEN_MISSING",
        "active",
    ]


def test_a_job_without_token_cannot_be_cancelled(world, campaign_id):
    world.job(campaign_id, token=None)
    world.set_campaign(campaign_id, status="active")
    answer = world.client.post(status_path(campaign_id), json={"status": "inactive"})
    assert (answer.status_code, answer.json()) == (400, {"code": "JOB_TOKEN_MISSING"})


def test_a_portal_only_campaign_has_no_job(world):
    """Draft → active directly, and an empty job."""
    campaign_id = world.campaign(flow=False)
    portal = world.client.post("/v1/portal", json={"name": "p"}).json()["_id"]
    world.client.post(f"/v1/portal/{portal}/widget", json={"campaign_id": str(campaign_id)})
    answer = world.client.post(status_path(campaign_id), json={"status": "active"})
    assert answer.json()["campaign"]["status"] == "active"
    job = world.client.get(f"/v1/campaign/{campaign_id}/job")
    assert (job.status_code, job.json()) == (200, {})


# --- Retrigger ---------------------------------------------------------------------------------------------


def retrigger(world, campaign_id, *ids):
    body = {"recipient_ids": [str(one) for one in ids]}
    return world.client.post(f"/v1/campaign/{campaign_id}/automations:retrigger", json=body)


def test_only_failed_recipients_run_again(world, campaign_id):
    statuses = ("pending", "in_progress", "success", "failed", "cancelled")
    job = world.job(campaign_id, total=5, success=1, failed=1, cancelled=1, status="finished")
    ids = world.recipients(campaign_id, *statuses, job_id=job, slice_number=0)
    results = only(retrigger(world, campaign_id, *ids, unknown := uuid4()), 200, "message", "results")[
        "results"
    ]
    assert [(one["recipient_id"], one["result"]) for one in results] == [
        *(
            (str(key), "success" if status == "failed" else "invalid_status")
            for key, status in zip(ids, statuses, strict=True)
        ),
        (str(unknown), "not_found"),
    ]
    assert [sorted(one) for one in results if one["result"] == "success"] == [
        ["execution_id", "recipient_id", "result"]
    ]
    assert all("error" in one for one in results if one["result"] != "success")
    row = world.row(campaign_id, ids[3])
    assert (row.automation_status, str(row.execution_id)) == ("pending", results[3]["execution_id"])


def test_retriggering_an_unknown_campaign_is_404_as_a_server_error(world):
    """The only 404 of that shape (docs/contract/targeting.md)."""
    body = only(retrigger(world, uuid4(), uuid4()), 404, "status", "message")
    assert body["status"] == 404


def test_retriggering_without_a_flow_is_a_code_and_nobody_is_nothing(world, campaign_id):
    answer = retrigger(world, world.campaign(flow=False), uuid4())
    assert (answer.status_code, answer.json()) == (400, {"code": "CAMPAIGN_HAS_NO_DELIVERY_METHOD"})
    assert only(retrigger(world, campaign_id), 200, "message", "results")["results"] == []


# --- Errors ------------------------------------------------------------------------------------------------


OPERATIONS = [
    ("POST", "/v1/campaign/{id}/status", None),
    ("GET", "/v1/campaign/{id}/job", None),
    ("GET", "/v1/campaign/{id}/portals", None),
    ("GET", "/v1/campaign/{id}/recipients", None),
    ("GET", "/v1/campaign/{id}/email-stats", None),
    (
        "POST",
        "/v1/campaign/{id}/recipient",
        {"entity_id": str(UUID(int=1)), "entity_schema": "c", "portal_status": "sent"},
    ),
    ("PATCH", "/v1/campaign/{id}/recipient/{id}", {}),
]


def test_an_unknown_campaign_is_400_where_no_404_is_declared(world):
    for method, path, body in OPERATIONS:
        answer = world.client.request(method, path.replace("{id}", str(uuid4())), json=body)
        assert (answer.status_code, answer.json()) == (400, {"code": "CAMPAIGN_NOT_FOUND"}), path


def test_bad_input_is_400_and_never_422(world):
    """docs/contract/README.md: a bad id, a bad body, no JSON at all."""
    for method, path, body in OPERATIONS:
        only(world.client.request(method, path.replace("{id}", "no-uuid"), json=body), 400, "message")
    for path in ("campaign:match", "campaign:setup", "campaign:discover", "target:match", "target/queries"):
        for sent in ({"content": b"{"}, {"content": b""}, {"json": 7}, {"json": [1]}, {"content": b"\xff"}):
            only(world.client.post(f"/v1/{path}", **sent), 400, "message")


def test_401_and_403_are_client_errors(world):
    for method, path, body in OPERATIONS:
        answer = httpx.request(
            method, world.api.url + path.replace("{id}", str(uuid4())), json=body, timeout=patience(60)
        )
        only(answer, 401, "message")
        with world.api.client("viewer") as viewer:
            answer = viewer.request(method, path.replace("{id}", str(uuid4())), json=body)
        assert answer.status_code == (400 if method == "GET" else 403)
        assert list(answer.json()) == (["code"] if method == "GET" else ["message"])


# --- What the seeds leave open ----------------------------------------------------------------------------


def test_automation_status_is_read_in_every_spelling(world, campaign_id):
    """docs/contract/targeting.md: repeated, with brackets as the real client sends it, and a scalar."""
    world.recipients(campaign_id, "success", "failed", "cancelled")
    for query, total in (
        ("automation_status=failed", 1),
        ("automation_status=failed&automation_status=cancelled", 2),
        ("automation_status%5B%5D=failed&automation_status%5B%5D=cancelled", 2),
        ("automation_status%5B%5D=failed&automation_status=success", 2),
    ):
        found = world.client.get(f"/v1/campaign/{campaign_id}/recipients?{query}").json()
        assert (found["total"], len(found["results"])) == (total, total), query


def test_several_statuses_page_in_one_order(world, campaign_id):
    """The ranges of several statuses are merged by key: nobody twice, nobody left out."""
    everybody = world.recipients(campaign_id, *["success", "failed", "pending", "cancelled"] * 8)
    wanted = {str(key) for i, key in enumerate(everybody) if i % 4 != 2}
    seen, cursor = [], None
    while True:
        params = {"automation_status": ["success", "failed", "cancelled"], "limit": 5}
        page = world.client.get(
            f"/v1/campaign/{campaign_id}/recipients", params=params | ({"next": cursor} if cursor else {})
        ).json()
        assert page["total"] == 24
        seen += [one["entity_id"] for one in page["results"]]
        if (cursor := page["next"]) is None:
            break
    assert seen == sorted(wanted)


def test_campaigns_and_targets_have_id_and_underscore_id(world, campaign_id):
    """docs/contract/targeting.md."""
    for path in (f"/v1/campaign/{campaign_id}", f"/v1/target/{world.target()}"):
        body = world.client.get(path).json()
        assert body["id"] == body["_id"] == path.rsplit("/", 1)[1]


def test_literal_colons_arrive_encoded_or_not(world, campaign_id):
    """docs/contract/README.md."""
    for path, body in (
        ("campaign:match", {"entity_refs": [], "campaign_ids": [str(campaign_id)]}),
        ("target:match", {"entity_refs": [], "target_ids": [str(uuid4())]}),
        (f"campaign/{campaign_id}/automations:retrigger", {"recipient_ids": []}),
        ("campaign:discover", {"entity_id": str(uuid4()), "entity_schema": "contact"}),
    ):
        for spelled in (path, path.replace(":", "%3A"), path.replace(":", "%3a")):
            assert world.client.post(f"/v1/{spelled}", json=body).status_code == 200, spelled


def test_inactive_stands_for_all_that_it_loses(world):
    """docs/contract/states.md."""
    for state in ("paused", "completed", "cancelled"):
        campaign_id = world.campaign()
        world.set_campaign(campaign_id, status=state)
        body = world.client.get(f"/v1/campaign/{campaign_id}").json()
        assert (body["status"], body["state"]) == ("inactive", state)
    assert world.client.get("/v1/campaign", params={"status": "inactive"}).json()["total"] == 3


def test_absent_is_left_out_and_never_null(world, campaign_id):
    """docs/contract/targeting.md: only `next` (and a query that failed) may be null."""
    world.recipients(campaign_id, "pending", None)
    with world.api.database.read() as session:
        assert session.query(Channel).count() == 0
    for path in ("", "/recipients", "/job", "/portals", "/email-stats"):
        answer = world.client.get(f"/v1/campaign/{campaign_id}{path}")
        assert answer.status_code == 200
        assert "null" not in answer.text.replace('"next":null', "")
