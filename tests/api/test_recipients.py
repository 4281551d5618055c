"""`getRecipients` and `retriggerCampaignAutomations` (docs/contract/targeting.md, operations 12 and 4)."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from uuid import UUID, uuid4

import pytest

from engine.kernel.commands import Retrigger
from state.tables import Execution, Job, Recipient
from tests.api.world import add_recipients, make_campaign, make_job

ALL = ["pending", "in_progress", "success", "failed", "cancelled"]


@pytest.fixture
def campaign_id(api):
    return make_campaign(api.database, api.org_id)


def pages(client, campaign_id, **params):
    """Every page, until there is no next one."""
    cursor = None
    while True:
        more: dict[str, str] = {"next": cursor} if cursor else {}
        answer = client.get(f"/v1/campaign/{campaign_id}/recipients", params={**params, **more})
        assert answer.status_code == 200, answer.text
        page = answer.json()
        assert list(page) == ["results", "next", "total"]
        yield page
        cursor = page["next"]
        if cursor is None:
            return


def ids(found):
    return [one["entity_id"] for page in found for one in page["results"]]


def test_a_recipient_has_what_it_has_and_no_nulls(api, client, campaign_id):
    [pending] = add_recipients(api.database, api.org_id, campaign_id, ["pending"])
    [failed] = add_recipients(
        api.database, api.org_id, campaign_id, ["failed"], portal_status="seen",
        portal_status_updated_at=api.database.clock.now(), portal_state={"a": None},
        error_code="SMTP_550", error_text="no such user",
    )  # fmt: skip
    [page] = pages(client, campaign_id)
    found = {one["entity_id"]: one for one in page["results"]}
    assert found[str(pending)] == {
        "entity_id": str(pending),
        "entity_schema": "contact",
        "title": "Person 0",
        "automation_status": "pending",
        "updated_at": "2026-03-02T09:00:00Z",
    }
    assert UUID(found[str(failed)].pop("automation_execution_id"))
    assert found[str(failed)] == {
        "entity_id": str(failed),
        "entity_schema": "contact",
        "title": "Person 0",
        "automation_status": "failed",
        "portal_status": "seen",
        "portal_status_updated_at": "2026-03-02T09:00:00Z",
        "portal_state": {"a": None},
        "updated_at": "2026-03-02T09:00:00Z",
        "error_code": "SMTP_550",
        "error_text": "no such user",
    }


def test_pages_of_any_size_hold_everybody_once(api, client, campaign_id):
    everybody = add_recipients(api.database, api.org_id, campaign_id, ["success"] * 23)
    for limit in (1, 7, 23, 24, 1000):
        found = list(pages(client, campaign_id, limit=limit))
        assert sorted(ids(found)) == sorted(map(str, everybody))
        assert {page["total"] for page in found} == {23}
    assert len(next(pages(client, make_campaign(api.database, api.org_id)))["results"]) == 0


def test_the_default_page_is_25(api, client, campaign_id):
    add_recipients(api.database, api.org_id, campaign_id, ["success"] * 26)
    assert [len(page["results"]) for page in pages(client, campaign_id)] == [25, 1]


def test_paging_survives_whoever_comes_and_goes_meanwhile(api, client, campaign_id):
    """Those who stay are seen exactly once, also when the cursor's own recipient is deleted."""
    everybody = {str(one) for one in add_recipients(api.database, api.org_id, campaign_id, ["failed"] * 40)}
    gone: set[str] = set()
    seen: list[str] = []
    for page in pages(client, campaign_id, limit=5, automation_status="failed"):
        seen += [one["entity_id"] for one in page["results"]]
        if not page["results"]:  # whoever the cursor promised was deleted meanwhile
            break
        last = page["results"][-1]["entity_id"]
        later = next((one for one in sorted(everybody) if one > last and one not in gone), None)
        victims = {last, *([later] if later else [])}
        add_recipients(api.database, api.org_id, campaign_id, ["failed"] * 2)
        with api.database.begin() as session:
            for victim in victims:
                session.delete(session.get_one(Recipient, (campaign_id, UUID(victim))))
        gone |= victims
    assert len(seen) == len(set(seen))
    assert everybody - gone <= set(seen)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ALL),
        ("automation_status=failed", ["failed"]),
        ("automation_status=failed&automation_status=cancelled", ["failed", "cancelled"]),
        ("automation_status%5B%5D=failed&automation_status%5B%5D=cancelled", ["failed", "cancelled"]),
        ("automation_status[]=failed&automation_status=success", ["failed", "success"]),
        ("portal_status=seen", ["success"]),
        ("portal_status=clicked", []),
        ("portal_status=seen&automation_status=failed", []),
        ("q=person 3", ["failed"]),
        ("q=Ada+%26+Co", []),
        ("q=%25", []),
        ("q=_", []),
        ("q=", ALL),
        ("next=", ALL),
        ("unknown=1", ALL),
    ],
)
def test_filters_in_every_spelling(api, client, campaign_id, query, expected):
    everybody = add_recipients(api.database, api.org_id, campaign_id, ALL)
    with api.database.begin() as session:
        session.get_one(Recipient, (campaign_id, everybody[2])).portal_status = "seen"
    answer = client.get(f"/v1/campaign/{campaign_id}/recipients?{query}")
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert sorted(one["automation_status"] for one in found["results"]) == sorted(expected)
    assert found["total"] == len(expected)
    assert found["next"] is None


def test_a_filtered_total_is_carried_by_the_cursor(api, client, campaign_id):
    add_recipients(api.database, api.org_id, campaign_id, ["failed"] * 5 + ["success"] * 5)
    totals = []
    for page in pages(client, campaign_id, limit=2, automation_status="failed"):
        totals.append(page["total"])
        add_recipients(api.database, api.org_id, campaign_id, ["success"])
    assert set(totals) == {5}


def test_the_total_counts_planned_and_portal_recipients(api, client, campaign_id):
    job_id = make_job(api.database, api.org_id, campaign_id, total=3)
    add_recipients(api.database, api.org_id, campaign_id, ["pending"] * 3, job_id=job_id, slice_number=0)
    add_recipients(api.database, api.org_id, campaign_id, ["success"] * 2)
    assert next(pages(client, campaign_id))["total"] == 5


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("limit=0", "limit"),
        ("limit=-1", "limit"),
        ("limit=1001", "limit"),
        ("limit=many", "limit"),
        ("limit=99999999999999999999999", "limit"),
        ("automation_status=done", "automation_status"),
        ("automation_status=", "automation_status"),
        ("automation_status[]=faild", "did you mean 'failed'"),
        ("portal_status=opened", "portal_status"),
        ("next=nonsense", "next"),
        ("next=W10", "next"),
        ("q=%00", "q"),
    ],
)
def test_a_bad_query_is_400_naming_it(client, campaign_id, query, names):
    answer = client.get(f"/v1/campaign/{campaign_id}/recipients?{query}")
    assert answer.status_code == 400
    assert list(answer.json()) == ["message"]
    assert names in answer.json()["message"]


def test_an_unknown_campaign_has_a_code(api, client, stranger, campaign_id):
    add_recipients(api.database, api.org_id, campaign_id, ["failed"])
    for who, campaign in ((client, uuid4()), (stranger, campaign_id)):
        answer = who.get(f"/v1/campaign/{campaign}/recipients")
        assert (answer.status_code, answer.json()) == (400, {"code": "CAMPAIGN_NOT_FOUND"})


def retrigger(client, campaign_id, given):
    return client.post(
        f"/v1/campaign/{campaign_id}/automations:retrigger",
        json={"recipient_ids": [str(one) for one in given]},
    )


def test_only_the_failed_run_again_and_each_id_is_answered_in_order(api, client, campaign_id):
    job_id = make_job(api.database, api.org_id, campaign_id, total=7, failed=3, success=1, cancelled=1)
    everybody = add_recipients(
        api.database, api.org_id, campaign_id, [*ALL, "failed", "failed"], job_id=job_id, slice_number=0
    )
    unknown = uuid4()
    asked = [*everybody[:6], unknown, everybody[3]]
    answer = retrigger(client, campaign_id, asked)
    assert answer.status_code == 200
    assert list(answer.json()) == ["message", "results"]
    results = answer.json()["results"]
    assert [one["recipient_id"] for one in results] == [str(one) for one in asked]
    assert [one["result"] for one in results] == [
        "invalid_status", "invalid_status", "invalid_status", "success", "invalid_status", "success",
        "not_found", "success",
    ]  # fmt: skip
    for one in results:
        if one["result"] == "success":
            assert set(one) == {"recipient_id", "result", "execution_id"}
        else:
            assert set(one) == {"recipient_id", "result", "error"}
    assert results[3] == results[7], "asked twice, answered twice, run once"
    with api.database.read() as session:
        again = session.get_one(Recipient, (campaign_id, everybody[3]))
        assert (again.automation_status, str(again.execution_id)) == ("pending", results[3]["execution_id"])
        untouched = session.get_one(Recipient, (campaign_id, everybody[6]))
        assert untouched.automation_status == "failed"
        assert session.query(Execution).count() == 2
        job = session.query(Job).filter_by(kind="retrigger").one()
    assert api.wakeups.take() == [Retrigger(org_id=api.org_id, job_id=job.id)]


def test_nobody_is_a_fine_answer(api, client, campaign_id):
    answer = retrigger(client, campaign_id, [])
    assert (answer.status_code, answer.json()["results"]) == (200, [])
    assert answer.json()["message"]
    assert api.wakeups.take() == []


def test_an_unknown_campaign_is_404_in_the_servers_shape(api, client, stranger, campaign_id):
    [failed] = add_recipients(api.database, api.org_id, campaign_id, ["failed"])
    for who, campaign in ((client, uuid4()), (stranger, campaign_id)):
        answer = retrigger(who, campaign, [failed])
        assert answer.status_code == 404
        assert answer.json() == {"status": 404, "message": f"campaign {campaign} does not exist"}


def test_a_campaign_without_a_flow_has_no_delivery_method(api, client):
    campaign_id = make_campaign(api.database, api.org_id, flow=False)
    answer = retrigger(client, campaign_id, [uuid4()])
    assert (answer.status_code, answer.json()) == (400, {"code": "CAMPAIGN_HAS_NO_DELIVERY_METHOD"})


@pytest.mark.parametrize(
    ("body", "names"),
    [
        (b"", "body"),
        (b"{}", "recipient_ids"),
        (b'{"recipient_ids": null}', "recipient_ids"),
        (b'{"recipient_ids": "x"}', "recipient_ids"),
        (b'{"recipient_ids": ["x"]}', "recipient_ids[0]"),
        (b'{"recipient_ids": [1]}', "recipient_ids[0]"),
        (b"[]", "body"),
        (b"{", "JSON"),
        (b"[" * 100_000, "body"),
        (b"\xff", "body"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_a_bad_body_is_400_naming_the_field(client, campaign_id, body, names):
    answer = client.post(f"/v1/campaign/{campaign_id}/automations:retrigger", content=body)
    assert answer.status_code == 400, answer.text
    assert list(answer.json()) == ["message"]
    assert names in answer.json()["message"]


def test_an_encoded_colon_and_any_content_type_are_accepted(api, client, campaign_id):
    for path in ("automations:retrigger", "automations%3Aretrigger", "automations%3aretrigger"):
        for kind in ("application/json", "text/plain", "application/x-www-form-urlencoded"):
            answer = client.post(
                f"/v1/campaign/{campaign_id}/{path}",
                content=b'{"recipient_ids": [], "ignored": 1}',
                headers={"content-type": kind},
            )
            assert answer.status_code == 200


def test_two_at_once_run_a_recipient_once(api, campaign_id):
    job_id = make_job(api.database, api.org_id, campaign_id, total=10, failed=10)
    failed = add_recipients(api.database, api.org_id, campaign_id, ["failed"] * 10, job_id=job_id)

    def send(_):
        with api.client() as client:
            return retrigger(client, campaign_id, failed).json()["results"]

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(send, range(4)))
    for one in failed:
        won = [r for results in answers for r in results if r["recipient_id"] == str(one)]
        assert sorted(r["result"] for r in won) == ["invalid_status"] * 3 + ["success"]


def test_a_body_beyond_the_limit_is_413(client, campaign_id):
    path = f"/v1/campaign/{campaign_id}/automations:retrigger"
    for content in (b" " * (8 * 1024 * 1024 + 1), iter([b" " * 1024 * 1024] * 9)):
        answer = client.post(path, content=content)
        assert answer.status_code == 413
        assert list(answer.json()) == ["message"]
