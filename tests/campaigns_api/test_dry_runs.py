"""Test mode: everybody is rendered and checked, nobody is sent to, and who would have failed is told by code."""

from __future__ import annotations

from datetime import timedelta
from itertools import count
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import select

from engine.campaigns.dry_runs import restart_silent
from engine.campaigns.execute_dry_run import run_dry
from engine.kernel.commands import RunDry
from state.tables import DryRun, Entity, Recipient, Suppression, Template
from tests.harness.seeds import smtp_settings
from tests.targeting.world import equals

if TYPE_CHECKING:
    from tests.campaigns_api.desk import Desk


def begun(desk: Desk, campaign: str, **body: Any) -> str:
    answer = desk.ask("POST", f"/{campaign}/execute", json={"testMode": True, **body})
    assert answer["status"] == "started"
    return str(answer["executionId"])


def found(desk: Desk, campaign: str, key: str) -> dict[str, Any]:
    return dict(desk.ask("GET", f"/{campaign}/executions/{key}"))


def test_it_says_who_would_fail_and_why_and_sends_nothing(desk: Desk) -> None:
    desk.furnish(people=20)
    desk.sender("smtp", settings=smtp_settings(25))  # nobody is asked there
    desk.template("strict", text="Dear {{ name | upcase }}, {{ 10 | divided_by: visits }}")
    desk.segment("all", {"key": "_title", "operator": "NOT_EMPTY"})
    nobody = desk.people(3, email="")
    zero = desk.people(2, visits=0, name="x")
    [gone] = desk.people(1, visits=1, name="y")
    with desk.database.begin() as session:
        address = session.get_one(Entity, gone).attributes["email"]
        session.add(
            Suppression(
                org_id=desk.org_id, medium="email", address=address, reason="unsubscribe",
                created_at=desk.database.clock.now(),
            )
        )  # fmt: skip
        for row in session.scalars(select(Entity)):
            if row.id not in {*nobody, *zero, gone}:
                row.attributes = {**row.attributes, "visits": 2, "name": "z"}
    campaign = desk.plain(
        targetAudience={"segments": ["all"]},
        messages=[{"templateId": "strict"}],
        strategy={"channels": ["smtp"]},
    )
    key = begun(desk, campaign)
    desk.work()
    told = found(desk, campaign, key)
    assert (told["kind"], told["status"]) == ("test", "completed")
    assert (told["total"], told["successful"], told["failed"]) == (26, 20, 6)
    errors = {error["code"]: error for error in told["errors"]}
    assert {code: error["count"] for code, error in errors.items()} == {
        "NO_ADDRESS": 3, "TEMPLATE_ERROR": 2, "SUPPRESSED": 1,
    }  # fmt: skip
    assert set(errors["TEMPLATE_ERROR"]["recipients"]) == set(map(str, zero))
    assert errors["SUPPRESSED"]["recipients"] == [str(gone)]
    assert desk.sent() == set()
    assert desk.status(campaign) == "draft"
    with desk.database.read() as session:
        assert session.scalars(select(Recipient)).all() == []
    assert desk.progress(campaign)["status"] == "idle"


def test_it_looks_at_each_once_and_at_the_share_that_is_asked_for(desk: Desk) -> None:
    desk.furnish(people=40)
    desk.segment("again", equals("location", "US")["filter"]["items"][0])
    campaign = desk.plain(targetAudience={"segments": ["seg789", "again"]})
    whole = begun(desk, campaign)
    desk.refused("POST", f"/{campaign}/execute", 409, "INVALID_STATUS", json={"testMode": True})
    desk.work()
    part = begun(desk, campaign, targetPercentage=50)
    desk.work()
    assert found(desk, campaign, whole)["total"] == 40
    assert 5 <= found(desk, campaign, part)["total"] <= 35
    desk.ask("POST", f"/{campaign}/execute", json={"targetPercentage": 50})
    desk.run_out()
    assert len(desk.sent()) == found(desk, campaign, part)["total"]


def test_a_message_that_cannot_be_sent_at_all_fails_the_run(desk: Desk) -> None:
    desk.furnish(people=2)
    campaign = desk.plain()
    key = begun(desk, campaign)
    with desk.database.begin() as session:
        session.execute(select(Template)).scalar_one().text = "{{ broken"
    desk.work()
    told = found(desk, campaign, key)
    assert told["status"] == "failed"
    assert "text" in told["reason"]


def test_it_lets_others_to_the_worker_and_goes_on_where_it_stood(desk: Desk) -> None:
    """A run that has worked long enough wakes itself; one that fell silent is woken by the sweeper."""
    desk.furnish(people=1200)
    campaign = desk.plain()
    key = UUID(begun(desk, campaign))
    desk.api.wakeups.take()
    clock = count(step=10)
    stints = 1
    while not run_dry(desk.api.runtime, desk.org_id, key, ticks=lambda: next(clock)):
        assert desk.api.wakeups.take() == [RunDry(org_id=desk.org_id, run_id=key)]
        with desk.database.read() as session:
            assert session.get_one(DryRun, key).total == min(1200, 500 * stints)
        stints += 1
        if stints == 2:
            desk.clock.forward(minutes=5)
            with desk.api.runtime.transaction() as session:
                assert restart_silent(session, silence=timedelta(minutes=1)) == 1
            assert desk.api.wakeups.take() == [RunDry(org_id=desk.org_id, run_id=key)]
    assert found(desk, campaign, str(key))["total"] == 1200
    assert run_dry(desk.api.runtime, desk.org_id, key), "a repeated wake-up changes nothing"
    assert found(desk, campaign, str(key))["total"] == 1200
