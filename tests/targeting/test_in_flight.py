"""A recipient that somebody reports on while its message is on the wire: the report stands, the sums are true."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from engine.campaigns.recipients import RecipientChange, update_recipient
from engine.channels.port import Deferred, Delivered, Rejected
from tests.delivery.conftest import bench
from tests.targeting.world import AUTOMATION

if TYPE_CHECKING:
    from tests.delivery.kit import Bench

__all__ = ["bench"]


@pytest.mark.parametrize(
    "outcome",
    [Delivered(), Rejected("SMTP_550", "no such user"), Deferred("SMTP_451", "later")],
    ids=lambda outcome: type(outcome).__name__,
)
def test_what_is_reported_meanwhile_stands(bench: Bench, outcome):
    people = bench.entities(15)
    campaign_id = bench.campaign()
    reports = dict(zip(people, AUTOMATION, strict=False))
    job_id = bench.activate(campaign_id)

    def answer(message):
        wanted = reports.get(message.entity_id)
        if wanted is None:
            return Delivered()
        with bench.database.begin() as session:
            update_recipient(
                session,
                bench.org_id,
                campaign_id,
                message.entity_id,
                RecipientChange.model_validate({"automation_status": wanted}),
            )
        return outcome

    bench.channel.answer = answer
    bench.work()
    if isinstance(outcome, Deferred):
        bench.run_out()
    rows = bench.recipients()
    stood = {key: rows[key].automation_status for key in people[:5]}
    # What was in progress already was only confirmed: the engine's outcome follows.
    confirmed = next(key for key, status in reports.items() if status == "in_progress")
    said = stood.pop(confirmed)
    expected = {key: status for key, status in reports.items() if key != confirmed}
    assert stood == expected
    assert said == ("success" if isinstance(outcome, Delivered) else "failed")
    assert not any(row.in_flight for row in rows.values())
    bench.check_counters(campaign_id)
    job = bench.job(job_id)
    counted = Counter(row.automation_status for row in rows.values() if row.job_id == job_id)
    assert (job.status, job.total) == ("finished", 14)
    assert (job.success, job.failed, job.cancelled) == (
        counted["success"], counted["failed"], counted["cancelled"],
    )  # fmt: skip
    sent = bench.channel.sent()
    assert all(sent[key] == 1 for key in people if key != confirmed)


def test_who_is_reported_before_its_turn_is_not_sent_to(bench: Bench):
    people = bench.entities(10)
    campaign_id = bench.campaign()
    bench.activate(campaign_id)
    bench.work(most=1)  # planned, nothing sent
    with bench.database.begin() as session:
        for key, wanted in zip(people, ("success", "failed", "cancelled", "in_progress"), strict=False):
            change = RecipientChange.model_validate({"automation_status": wanted})
            update_recipient(session, bench.org_id, campaign_id, key, change)
    bench.check_counters(campaign_id)
    bench.work()
    assert set(bench.channel.sent()) == set(people[4:])
    bench.check_counters(campaign_id)
    assert bench.campaign_status(campaign_id) == "completed"
