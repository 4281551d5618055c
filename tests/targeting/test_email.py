"""What came back about e-mail: `getEmailStats`, the `email_status` filter, and the recipient's own fields."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.content.links import Invitation
from engine.engagement.feedback import CLICKS_KEPT, Feedback, take_feedback
from engine.engagement.suppression import unsubscribe
from state.tables import Engagement, Recipient
from tests.targeting.test_matching import statements
from tests.targeting.world import only

FIELDS = (
    "total_emailed", "sent", "delivered", "bounced", "bounced_hard", "bounced_soft", "complained", "failed",
    "unsubscribed", "opened", "clicked", "total_opens", "total_clicks",
)  # fmt: skip
AT = datetime(2026, 3, 2, 8, 30, tzinfo=UTC)


@pytest.fixture
def mail(world):
    """A campaign that sends e-mail, and one recipient of each automation status, of a job and of none."""
    world.channel("smtp", is_default=True)
    campaign_id = world.campaign()
    job = world.job(campaign_id, total=5, success=2, failed=1, cancelled=1)
    planned = {"job_id": job, "slice_number": 0}
    ids = world.recipients(campaign_id, "success", "success", "failed", "cancelled", "pending", **planned)
    ids += world.recipients(campaign_id, "success", "failed", error_text="mailbox unknown")
    return campaign_id, ids


def take(world, campaign_id, *reports):
    with world.api.database.begin() as session:
        whole = [report(campaign_id) for report in reports]
        return len(take_feedback(session, world.api.org_id, whole))


def report(entity_id, kind, minutes=0, *, at=None, **more):
    """A report that is yet to be told its campaign."""
    at = at or AT + timedelta(minutes=minutes)
    return lambda campaign_id: Feedback(
        campaign_id=campaign_id, entity_id=entity_id, kind=kind, at=at, **more
    )


def stats(world, campaign_id):
    return only(world.client.get(f"/v1/campaign/{campaign_id}/email-stats"), 200, *FIELDS)


def counted(world, campaign_id, **wanted):
    """The stats are these and zero else, and say what the list says, status by status."""
    found = stats(world, campaign_id)
    assert {name: count for name, count in found.items() if count} == wanted
    five = ("sent", "delivered", "bounced", "complained", "failed")
    assert found["total_emailed"] == sum(found[name] for name in five)
    for name in five:
        listed = world.client.get(
            f"/v1/campaign/{campaign_id}/recipients", params={"email_status": name}
        ).json()
        assert (listed["total"], len(listed["results"])) == (found[name], found[name]), name
        assert {one["email_status"] for one in listed["results"]} <= {name}


def shown(world, campaign_id, entity_id):
    listed = world.client.get(f"/v1/campaign/{campaign_id}/recipients").json()["results"]
    return next(one for one in listed if one["entity_id"] == str(entity_id))


def test_the_automations_outcome_is_sent_or_failed_until_something_comes_back(world, mail):
    campaign_id, ids = mail
    counted(world, campaign_id, total_emailed=5, sent=3, failed=2)
    sent, failed, pending = (shown(world, campaign_id, ids[i]) for i in (0, 6, 4))
    assert (sent["email_status"], sent["message_entity_id"]) == ("sent", sent["automation_execution_id"])
    assert (failed["email_status"], failed["email_bounce_reason"]) == ("failed", "mailbox unknown")
    assert "message_entity_id" not in failed
    assert not any(name.startswith("email_") for name in pending)


def test_a_campaign_that_sends_something_else_has_no_email(world):
    world.channel("null", is_default=True)
    campaign_id = world.campaign()
    job = world.job(campaign_id, total=2, success=1, failed=1)
    world.recipients(campaign_id, "success", "failed", job_id=job, slice_number=0)
    counted(world, campaign_id)
    listed = world.client.get(f"/v1/campaign/{campaign_id}/recipients").json()["results"]
    assert not any("email_status" in one for one in listed)


def test_what_comes_back_is_on_the_recipient(world, mail):
    campaign_id, (bounced, complained, *_) = mail
    raw = {"bounce": {"bouncedRecipients": [{"status": "5.1.1"}]}}
    told = {
        "bounce_type": "permanent",
        "bounce_subtype": "NoEmail",
        "reason": "550 5.1.1 unknown",
        "raw": raw,
    }
    assert take(world, campaign_id, report(bounced, "bounced", **told)) == 1
    assert take(world, campaign_id, report(complained, "complained", complaint_type="abuse")) == 1
    found = shown(world, campaign_id, bounced)
    assert {name: value for name, value in found.items() if name.startswith("email_")} == {
        "email_status": "bounced",
        "email_status_updated_at": "2026-03-02T08:30:00Z",
        "email_bounce_type": "permanent",
        "email_bounce_subtype": "NoEmail",
        "email_bounce_reason": "550 5.1.1 unknown",
        "email_send_error": raw,
    }
    found = shown(world, campaign_id, complained)
    assert (found["email_complaint_type"], found["email_bounce_reason"]) == ("abuse", "abuse")
    counted(
        world, campaign_id, total_emailed=5, sent=1, failed=2, bounced=1, bounced_hard=1, complained=1
    )  # fmt: skip


def test_a_status_only_gets_worse_in_whatever_order_it_is_reported(world, mail):
    campaign_id, ids = mail
    for entity_id, kinds in (
        (ids[0], ("complained", "delivered", "bounced")),
        (ids[1], ("bounced", "delivered")),
        (ids[5], ("delivered", "delivered")),
    ):
        for minute, kind in enumerate(kinds):
            take(world, campaign_id, report(entity_id, kind, -minute))
        assert shown(world, campaign_id, entity_id)["email_status"] == kinds[0]
    soft = report(ids[5], "bounced", 1, bounce_type="transient")
    take(world, campaign_id, soft)
    assert stats(world, campaign_id)["bounced_soft"] == 1
    take(world, campaign_id, report(ids[5], "bounced", 2))
    assert (stats(world, campaign_id)["bounced_soft"], stats(world, campaign_id)["bounced_hard"]) == (0, 2)


def test_opens_and_clicks_are_counted_and_the_latest_links_kept(world, mail):
    campaign_id, (reader, *_) = mail
    take(world, campaign_id, report(reader, "opened", 5), report(reader, "opened", 2))
    take(
        world,
        campaign_id,
        *(report(reader, "clicked", i, url=f"https://x.example/{i}") for i in range(CLICKS_KEPT + 5)),
    )
    take(world, campaign_id, report(reader, "unsubscribed", 9), report(reader, "unsubscribed", 10))
    found = shown(world, campaign_id, reader)
    assert (found["email_open_count"], found["email_click_count"]) == (2, CLICKS_KEPT + 5)
    assert found["email_first_opened_at"] == "2026-03-02T08:32:00Z"
    assert found["email_last_opened_at"] == "2026-03-02T08:35:00Z"
    assert found["email_first_clicked_at"] == "2026-03-02T08:30:00Z"
    assert found["email_unsubscribed_at"] == "2026-03-02T08:39:00Z"
    links = found["email_clicked_links"]
    assert [one["url"] for one in links] == [f"https://x.example/{i}" for i in range(5, CLICKS_KEPT + 5)]
    assert found["email_status"] == "sent"
    counted(
        world, campaign_id, total_emailed=5, sent=3, failed=2, opened=1, total_opens=2, clicked=1,
        total_clicks=CLICKS_KEPT + 5, unsubscribed=1,
    )  # fmt: skip


def test_a_report_is_taken_once_and_only_about_a_recipient(world, mail):
    campaign_id, (reader, other, *_) = mail
    opened = report(reader, "opened", event_id="e1")
    assert take(world, campaign_id, opened, opened, report(uuid4(), "opened", event_id="e2")) == 1
    assert take(world, campaign_id, opened, report(other, "opened", event_id="e3")) == 1
    assert take(world, uuid4(), report(reader, "opened", event_id="e4")) == 0
    with ThreadPoolExecutor(4) as pool:
        same = report(reader, "clicked", event_id="e5")
        assert sorted(pool.map(lambda _: take(world, campaign_id, same), range(4))) == [0, 0, 0, 1]
    found = stats(world, campaign_id)
    assert (found["opened"], found["total_opens"], found["total_clicks"]) == (2, 2, 1)
    assert world.log(campaign_id) == [("email", "read"), ("email", "read"), ("email", "clicked")]


def test_an_unsubscribe_link_is_feedback_too(world, mail):
    campaign_id, (reader, *_) = mail
    whom = Invitation(world.api.org_id, campaign_id, reader, "smtp", "a@b.example")
    for expected in (True, False):
        with world.api.database.begin() as session:
            assert unsubscribe(session, whom) is expected
    assert shown(world, campaign_id, reader)["email_unsubscribed_at"] == "2026-03-02T09:00:00Z"
    assert stats(world, campaign_id)["unsubscribed"] == 1
    assert world.log(campaign_id) == [("email", "unsubscribed")]


def test_what_came_back_about_one_message_says_nothing_of_the_next(world, mail):
    """A failure in doubt was delivered after all, is run again, and its next message has no status yet."""
    campaign_id, ids = mail
    take(world, campaign_id, report(ids[2], "delivered"), report(ids[2], "opened"))
    assert stats(world, campaign_id)["delivered"] == 1
    path = f"/v1/campaign/{campaign_id}/automations:retrigger"
    answer = world.client.post(path, json={"recipient_ids": [str(ids[2])]})
    assert answer.json()["results"][0]["result"] == "success"
    assert not any(name.startswith("email_") for name in shown(world, campaign_id, ids[2]))
    counted(world, campaign_id, total_emailed=4, sent=3, failed=1, opened=1, total_opens=1)


def test_hours_are_those_of_utc(world, mail):
    campaign_id, (reader, *_) = mail
    kolkata = timezone(timedelta(hours=5, minutes=30))
    take(world, campaign_id, report(reader, "opened", at=AT.astimezone(kolkata)))
    take(world, campaign_id, report(reader, "opened"))
    assert world.hours(campaign_id)["email", "read"] == (1, 2)
    assert shown(world, campaign_id, reader)["email_first_opened_at"] == "2026-03-02T08:30:00Z"


def test_filters_combine_and_unknown_words_are_named(world, mail):
    campaign_id, ids = mail
    take(world, campaign_id, report(ids[0], "delivered"), report(ids[2], "delivered"))
    path = f"/v1/campaign/{campaign_id}/recipients"
    for query, expected in (
        ("email_status=delivered", {ids[0], ids[2]}),
        ("email_status=delivered&automation_status=success", {ids[0]}),
        ("email_status=delivered&automation_status=success&automation_status=failed", {ids[0], ids[2]}),
        ("email_status=sent&automation_status=failed", set()),
        ("email_status=failed", {ids[6]}),
        ("email_status=sent&q=person+1", {ids[1]}),
    ):
        page = world.client.get(f"{path}?{query}").json()
        assert {UUID(one["entity_id"]) for one in page["results"]} == expected, query
        assert page["total"] == len(expected), query
    answer = world.client.get(f"{path}?email_status=deliverd")
    assert "did you mean 'delivered'" in only(answer, 400, "message")["message"]


def test_an_unknown_campaign_has_its_code(world, mail, stranger):
    for answer in (
        world.client.get(f"/v1/campaign/{uuid4()}/email-stats"),
        stranger.get(f"/v1/campaign/{mail[0]}/email-stats"),
    ):
        assert (answer.status_code, answer.json()) == (400, {"code": "CAMPAIGN_NOT_FOUND"})
    only(world.client.get("/v1/campaign/x/email-stats"), 400, "message")


def test_the_number_of_statements_hangs_not_on_the_recipients(world, mail):
    campaign_id, ids = mail
    stats(world, campaign_id)  # the first use of a key is noted
    with statements(world.api.database) as few:
        stats(world, campaign_id)
    more = world.recipients(campaign_id, *["success"] * 60)
    take(world, campaign_id, *(report(one, "delivered") for one in more))
    with statements(world.api.database) as many:
        assert stats(world, campaign_id)["delivered"] == 60
    assert len(many) == len(few)
    with statements(world.api.database) as two:
        take(world, campaign_id, *(report(one, "opened") for one in ids[:2]))
    with statements(world.api.database) as sixty:
        take(world, campaign_id, *(report(one, "opened") for one in more))
    assert len(sixty) == len(two)


_REPORTS = st.lists(
    st.tuples(
        st.integers(0, 6),
        st.sampled_from(["delivered", "bounced", "complained", "opened", "clicked", "unsubscribed"]),
        st.sampled_from(["permanent", "transient"]),
        st.integers(0, 200),
        st.none() | st.integers(0, 5),
    ),
    max_size=25,
)


@settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(batches=st.lists(_REPORTS, min_size=1, max_size=3))
def test_stats_are_what_a_recount_of_the_rows_and_of_the_log_says(world, batches):
    world.api.clock.forward(minutes=10)
    if not getattr(world, "made", None):
        world.channel("smtp", is_default=True)
        world.made = True
    campaign_id = world.campaign()
    job = world.job(campaign_id, total=4, success=3, failed=1)
    ids = world.recipients(campaign_id, "success", "success", "success", "failed", job_id=job, slice_number=0)
    ids += world.recipients(campaign_id, "success", "failed", None)
    for batch in batches:
        reports = [
            report(
                ids[who],
                kind,
                minute,
                bounce_type=bounce,
                event_id=None if event is None else f"{campaign_id}-{event}",
            )
            for who, kind, bounce, minute, event in batch
        ]
        take(world, campaign_id, *reports)
    found = stats(world, campaign_id)
    listed = world.client.get(f"/v1/campaign/{campaign_id}/recipients").json()["results"]
    for status in ("sent", "delivered", "bounced", "complained", "failed"):
        assert found[status] == sum(one.get("email_status") == status for one in listed)
    assert found["bounced_soft"] == sum(
        one.get("email_status") == "bounced" and one["email_bounce_type"] == "transient" for one in listed
    )
    assert found["bounced_hard"] + found["bounced_soft"] == found["bounced"]
    assert found["opened"] == sum("email_open_count" in one for one in listed)
    assert found["total_opens"] == sum(one.get("email_open_count", 0) for one in listed)
    assert found["clicked"] == sum("email_click_count" in one for one in listed)
    assert found["total_clicks"] == sum(one.get("email_click_count", 0) for one in listed)
    assert found["unsubscribed"] == sum("email_unsubscribed_at" in one for one in listed)
    with world.api.database.read() as session:
        rows = session.query(Engagement).filter(Engagement.campaign_id == campaign_id).all()
        assert session.query(Recipient).filter(Recipient.campaign_id == campaign_id).count() == 7
    for (channel, kind), (people, events) in world.hours(campaign_id).items():
        its = [row.entity_id for row in rows if (row.channel, row.kind) == (channel, kind)]
        assert (people, events) == (len(set(its)), len(its))
