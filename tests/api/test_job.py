"""`getCampaignJobStatus`: the summary, its ETag, and long polls that hold no thread (docs/contract/targeting.md and
own-routes.md).
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest
from sqlalchemy import update

from state.tables import Job, Recipient, Slice
from tests.api.world import add_recipients, make_campaign, make_job


@pytest.fixture
def campaign_id(api):
    return make_campaign(api.database, api.org_id)


@pytest.fixture
def path(campaign_id):
    return f"/v1/campaign/{campaign_id}/job"


def delivered(api, campaign_id, *, status="finished", slices=3):
    """A job whose slices, of two recipients each, have all been leased once."""
    job_id = make_job(
        api.database, api.org_id, campaign_id, status=status, total=slices * 2, success=slices * 2
    )
    people = []
    for number in range(slices):
        with api.database.begin() as session:
            session.add(
                Slice(
                    org_id=api.org_id, campaign_id=campaign_id, job_id=job_id, number=number, size=2, state="done",
                    lease_epoch=1, due_at=api.database.clock.now(),
                )
            )  # fmt: skip
        people += add_recipients(
            api.database, api.org_id, campaign_id, ["success"] * 2, job_id=job_id, slice_number=number
        )
    return job_id, people


def change(api, job_id, **values):
    with api.database.begin() as session:
        session.execute(update(Job).where(Job.id == job_id).values(**values))


def test_a_campaign_without_a_job_has_nothing_to_say(client, path):
    answer = client.get(path)
    assert (answer.status_code, answer.json()) == (200, {})


def test_the_summary_names_executions_and_counts_everybody(api, client, campaign_id, path):
    _, people = delivered(api, campaign_id)
    answer = client.get(path).json()
    assert answer["status"] == "finished"
    assert answer["execution_counts"] == {
        "pending": 0, "in_progress": 0, "success": 6, "failed": 0, "cancelled": 0,
    }  # fmt: skip
    with api.database.read() as session:
        executions = {
            str(session.get_one(Recipient, (campaign_id, one)).execution_id): "success" for one in people
        }
    summary = answer["execution_summary"]
    assert {one["execution_id"]: one["execution_status"] for one in summary} == executions
    assert all(set(one) == {"execution_id", "execution_status"} for one in summary)


def test_slices_nobody_has_started_have_no_executions(api, client, campaign_id, path):
    job_id = make_job(api.database, api.org_id, campaign_id, total=2)
    with api.database.begin() as session:
        session.add(
            Slice(
                org_id=api.org_id,
                campaign_id=campaign_id,
                job_id=job_id,
                number=0,
                size=2,
                due_at=api.database.clock.now(),
            )
        )
    add_recipients(api.database, api.org_id, campaign_id, ["pending"] * 2, job_id=job_id, slice_number=0)
    answer = client.get(path).json()
    assert (answer["status"], answer["execution_summary"]) == ("processing", [])
    assert answer["execution_counts"]["pending"] == 2


def test_the_summary_is_bounded_and_the_counts_are_not(api, client, campaign_id, path):
    job_id = make_job(api.database, api.org_id, campaign_id, total=2_600, success=2_600)
    with api.database.begin() as session:
        now = api.database.clock.now()
        session.add_all(
            Slice(
                org_id=api.org_id,
                campaign_id=campaign_id,
                job_id=job_id,
                number=number,
                size=500,
                state="done",
                lease_epoch=1,
                due_at=now,
            )
            for number in range(5)
        )
    for number in range(5):
        add_recipients(
            api.database, api.org_id, campaign_id, ["success"] * 520, job_id=job_id, slice_number=number
        )
    answer = client.get(path).json()
    assert len(answer["execution_summary"]) == 1_000
    assert answer["execution_counts"]["success"] == 2_600
    with api.database.read() as session:
        shown = {one["execution_id"] for one in answer["execution_summary"]}
        latest = {
            str(row.execution_id) for row in session.query(Recipient).filter(Recipient.slice_number == 4)
        }
    assert latest <= shown, "the slices that were started last come first"


def test_a_job_that_runs_is_shown_before_one_that_is_over(api, client, clock, campaign_id, path):
    running = make_job(api.database, api.org_id, campaign_id, status="processing")
    clock.forward(seconds=1)
    make_job(api.database, api.org_id, campaign_id, status="finished")
    assert client.get(path).json()["status"] == "processing"
    change(api, running, status="cancelled")
    assert client.get(path).json()["status"] == "finished"


def test_an_unknown_campaign_has_a_code(client, stranger, campaign_id):
    for who, campaign in ((client, uuid4()), (stranger, campaign_id)):
        for headers in ({}, {"prefer": "wait=5"}, {"prefer": "wait=5", "if-none-match": '"x"'}):
            answer = who.get(f"/v1/campaign/{campaign}/job", headers=headers)
            assert (answer.status_code, answer.json()) == (400, {"code": "CAMPAIGN_NOT_FOUND"})


def test_nothing_new_is_304_and_something_new_is_not(api, client, campaign_id, path):
    job_id, _ = delivered(api, campaign_id, status="processing")
    first = client.get(path)
    etag = first.headers["etag"]
    for known in (etag, etag.removeprefix("W/"), f'"other", {etag}', "*"):
        answer = client.get(path, headers={"if-none-match": known})
        assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", etag)
    change(api, job_id, status="send_report")
    answer = client.get(path, headers={"if-none-match": etag})
    assert (answer.status_code, answer.json()["status"]) == (200, "send_report")
    assert answer.headers["etag"] != etag


def test_campaigns_do_not_share_etags(api, client, path):
    other = make_campaign(api.database, api.org_id)
    etag = client.get(path).headers["etag"]
    assert client.get(f"/v1/campaign/{other}/job", headers={"if-none-match": etag}).status_code == 200


@pytest.mark.parametrize(
    "prefer", ["wait=60", "respond-async, wait=60", 'wait="60"', "WAIT = 60", "wait=9999"]
)
def test_waiting_for_a_job_that_is_over_answers_at_once(api, client, campaign_id, path, prefer):
    delivered(api, campaign_id)
    started = time.monotonic()
    answer = client.get(path, headers={"prefer": prefer})
    assert answer.json()["status"] == "finished"
    assert answer.headers["preference-applied"] == "wait=60"
    assert time.monotonic() - started < 10


@pytest.mark.parametrize("prefer", ["wait=soon", "wait=-1", "wait", "handling=lenient", "", "await=5"])
def test_a_preference_that_cannot_be_read_is_ignored(api, client, campaign_id, path, prefer):
    make_job(api.database, api.org_id, campaign_id)
    answer = client.get(path, headers={"prefer": prefer})
    assert answer.json()["status"] == "processing"
    assert "preference-applied" not in answer.headers


def test_when_the_time_is_up_the_answer_is_what_there_is(api, client, campaign_id, path):
    make_job(api.database, api.org_id, campaign_id)
    started = time.monotonic()
    answer = client.get(path, headers={"prefer": "wait=1"})
    assert (answer.status_code, answer.json()["status"]) == (200, "processing")
    assert 0.9 < time.monotonic() - started < 10
    unchanged = {"prefer": "wait=1", "if-none-match": answer.headers["etag"]}
    assert client.get(path, headers=unchanged).status_code == 304


def test_a_waiter_is_answered_when_it_happens(api, campaign_id, path):
    job_id, _ = delivered(api, campaign_id, status="processing")
    with api.client() as client, ThreadPoolExecutor(2) as pool:
        etag = client.get(path).headers["etag"]

        def wait(headers):
            with api.client() as own:
                return own.get(path, headers={"prefer": "wait=30", **headers})

        until_changed, until_over = pool.submit(wait, {"if-none-match": etag}), pool.submit(wait, {})
        while (
            len(api.app.state.watch._polls) == 0
            or next(iter(api.app.state.watch._polls.values())).waiters < 2
        ):
            client.get("/health/live")
        change(api, job_id, status="send_report")
        assert until_changed.result(20).json()["status"] == "send_report"
        assert not until_over.done()
        change(api, job_id, status="finished")
        assert until_over.result(20).json()["status"] == "finished"
    assert api.app.state.watch._polls == {}, "nobody waits, nothing polls"


def test_a_hundred_waiters_hold_no_thread_of_the_others(api, campaign_id, path):
    """There are four threads for endpoints here; all the others still get their answers."""
    job_id = make_job(api.database, api.org_id, campaign_id)

    def wait(_):
        with api.client() as own:
            return own.get(path, headers={"prefer": "wait=60"}).json()["status"]

    with ThreadPoolExecutor(100) as pool, api.client() as client:
        waiting = [pool.submit(wait, number) for number in range(100)]
        while not api.app.state.watch._polls or next(iter(api.app.state.watch._polls.values())).waiters < 100:
            assert client.get("/v1/campaign").status_code == 200
        assert len(api.app.state.watch._polls) == 1, "one poll for all of them"
        change(api, job_id, status="failed")
        assert {one.result(30) for one in waiting} == {"failed"}


def test_a_campaign_that_is_deleted_meanwhile_ends_the_wait(api, campaign_id, path):
    make_job(api.database, api.org_id, campaign_id, status="finished", planned=True)
    with api.client() as client, ThreadPoolExecutor(1) as pool:
        etag = client.get(path).headers["etag"]
        headers = {"prefer": "wait=30", "if-none-match": etag}

        def wait():
            with api.client() as own:
                return own.get(path, headers=headers)

        waiting = pool.submit(wait)
        while not api.app.state.watch._polls:
            client.get("/health/live")
        assert client.delete(f"/v1/campaign/{campaign_id}").status_code == 204
        answer = waiting.result(20)
    assert (answer.status_code, answer.json()) == (400, {"code": "CAMPAIGN_NOT_FOUND"})
