"""What a campaign would do is told before, and its counts are what the delivery then records."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select

from engine.delivery.lease import Executor
from engine.delivery.sender import Senders
from engine.filters.filters import parse_filters
from state.tables import Campaign, Channel, Entity, Experiment, Recipient, Suppression, Target

if TYPE_CHECKING:
    from tests.campaigns_api.desk import Desk

EXCLUDED = ("cancelled", "failed")


@pytest.fixture
def real(desk: Desk) -> Desk:
    """A desk whose worker sends with the real channels and templates."""
    senders = Senders(desk.api.runtime.settings, desk.loop, desk.database)
    desk.executor = Executor(desk.api.runtime, senders, desk.loop)
    return desk


def planned(desk: Desk, campaign: str, **options: Any) -> dict[str, Any]:
    answer = desk.client.post(f"/v1/campaign/{campaign}:plan", params=options)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def recorded(desk: Desk, campaign: str) -> Counter[str]:
    """Recipients by error code; `sent` for those without one."""
    return Counter(row.error_code or "sent" for row in desk.recipients(campaign))


def crowd(desk: Desk) -> dict[str, list[UUID]]:
    """People of every kind that a plan tells apart."""
    desk.sender("file", settings={"address": "email", "medium": "email"}, cost_per_message=0.02)
    desk.template("greeting", text="Dear {{ name | upcase }}, {{ 10 | divided_by: visits }}")
    desk.segment("all", {"key": "visits", "operator": "NOT_EMPTY"})
    desk.segment("again", {"key": "visits", "operator": "EQUALS", "value": "2"})
    usual = {"visits": 2, "name": "n", "country": "Norway"}
    people = {
        "usual": desk.people(12, **usual),
        "unreachable": desk.people(3, **usual | {"email": ""}),
        "odd": desk.people(1, **usual | {"email": "no address"}),
        "broken": desk.people(2, **usual | {"visits": 0}),
        "suppressed": desk.people(2, **usual),
        "left": desk.people(1, **usual),
        "zoneless": desk.people(4, visits=2, name="z"),
        "twins": desk.people(3, **usual | {"email": " Ada@Example.COM "}),
    }
    people["twins"] += desk.people(1, **usual | {"email": "ada@example.com"})
    desk.people(5, name="without visits")
    return people


def bar(desk: Desk, entity_id: UUID, **values: Any) -> None:
    with desk.database.begin() as session:
        address = session.get_one(Entity, entity_id).attributes["email"]
        session.add(
            Suppression(
                id=uuid4(), org_id=desk.org_id, medium="email", address=address, reason="unsubscribe",
                created_at=desk.database.clock.now(), **values,
            )
        )  # fmt: skip


@pytest.mark.parametrize("once", [True, False])
def test_counts_equal_what_the_delivery_then_records(real: Desk, once: bool) -> None:
    people = crowd(real)
    campaign = real.plain(
        targetAudience={"segments": ["all", "again"]},
        messages=[{"templateId": "greeting"}],
        strategy={"channels": ["file"]},
        onePerAddress=once,
    )
    for entity_id in people["suppressed"]:
        bar(real, entity_id)
    bar(real, people["left"][0], campaign_id=UUID(campaign))
    plan = planned(real, campaign)
    assert real.recipients(campaign) == []
    excluded = {one["code"]: one["count"] for one in plan["excluded"]}
    duplicates, messages = ({"DUPLICATE_ADDRESS": 3}, 17) if once else ({}, 20)
    assert excluded == {"NO_ADDRESS": 4, "SUPPRESSED": 3, "TEMPLATE_ERROR": 2, **duplicates}
    assert (plan["matched"], plan["recipients"], plan["looked_at"], plan["sampled"]) == (29, 29, 29, False)
    assert plan["without_zone"] == 4
    assert (plan["shared_addresses"], plan["repeated_messages"]) == ((0, 0) if once else (1, 3))
    if not once:
        assert {one["address"] for one in plan["shared"]} == {"ada@example.com"}
        assert set(plan["shared"][0]["entity_ids"]) == set(map(str, people["twins"]))
    [channel] = plan["channels"]
    assert (channel["messages"], channel["domains"]) == (messages, {"example.com": messages})
    assert plan["cost"] == pytest.approx(messages * 0.02)
    assert [one["messages"] for one in (plan["departures"][0], plan["departures"][-1])] == [0, messages]
    assert plan["fails"]

    real.ask("POST", f"/{campaign}/execute", json={})
    real.run_out()
    found = recorded(real, campaign)
    assert found.pop("sent") == plan["written_to"] == messages
    assert found == Counter(excluded)
    by_status = Counter(
        (row.error_code, row.automation_status) for row in real.recipients(campaign) if row.error_code
    )
    assert by_status == {(one["code"], one["status"]): one["count"] for one in plan["excluded"]}
    again = planned(real, campaign)
    reached = sum(row.automation_status != "cancelled" for row in real.recipients(campaign))
    assert (again["already_reached"], again["recipients"]) == (reached, 29 - reached)


def test_a_part_of_the_audience_and_who_is_held_out_are_told_apart(real: Desk) -> None:
    real.furnish(people=60)
    campaign = real.plain()
    with real.database.begin() as session:
        now = real.times()
        session.add(
            Experiment(
                id=uuid4(), org_id=real.org_id, campaign_id=UUID(campaign), touchpoint_id=uuid4(), name="x",
                metric="clicked", sample=50.0, holdout=40.0, decide_after_seconds=60, **now,
            )
        )  # fmt: skip
    plan = planned(real, campaign)
    [held] = plan["excluded"]
    assert (held["code"], held["status"], held["count"] + plan["written_to"]) == ("HOLDOUT", "cancelled", 60)
    part = planned(real, campaign, reach=50)
    assert part["beyond_reach"] + part["recipients"] == 60
    real.ask("POST", f"/{campaign}/execute", json={})
    real.run_out()
    assert recorded(real, campaign) == {"HOLDOUT": held["count"], "sent": plan["written_to"]}


def test_three_messages_are_shown_as_they_would_be_read(real: Desk) -> None:
    real.furnish(people=5)
    real.template(
        "hello", subject="Hi {{ _title }}", text="To {{ location }}", sender={"email": "news@example.com"}
    )
    plan = planned(real, real.plain(messages=[{"templateId": "hello"}]))
    assert len(plan["samples"]) == 3
    sample = plan["samples"][0]
    assert (sample["subject"], sample["text"]) == (f"Hi {sample['title']}", "To US")
    assert (sample["sender"], sample["channel"]) == ("news@example.com", "file")
    assert not plan["fails"]
    assert plan["seconds"] > 0


def test_of_more_people_than_are_looked_at_a_sample_is_scaled_up(real: Desk) -> None:
    real.furnish(people=1200)
    with real.database.begin() as session:
        for row in session.scalars(select(Entity).order_by(Entity.id).limit(600)):
            row.attributes = {**row.attributes, "email": "none"}
        for channel in session.scalars(select(Channel)):
            channel.settings = {"address": "email", "medium": "email"}
    plan = planned(real, real.plain(), people=300)
    assert plan["sampled"]
    assert 200 < plan["looked_at"] < 400
    assert 400 < plan["written_to"] < 800
    [excluded] = plan["excluded"]
    assert abs(excluded["count"] + plan["written_to"] - 1200) <= 1
    assert plan == planned(real, plan["campaign_id"], people=300) | {
        name: plan[name] for name in ("begins_at", "ends_at", "seconds")
    }


def test_limits_make_it_longer_and_a_budget_warns(real: Desk) -> None:
    real.furnish(people=40)
    campaign = real.plain()
    with real.database.begin() as session:
        session.get_one(Campaign, UUID(campaign)).budget = 1.0
        for channel in session.scalars(select(Channel)):
            channel.limits, channel.cost_per_message = {"rate": {"messages": 1, "per": "minute"}}, 0.5
    plan = planned(real, campaign)
    assert plan["seconds"] > 30 * 60
    assert plan["cost"] == 20.0
    assert any("budget" in warning for warning in plan["warnings"])


def test_what_cannot_be_activated_is_told_and_is_a_failure(real: Desk) -> None:
    real.furnish(people=2)
    campaign = real.plain()
    with real.database.begin() as session:
        session.get_one(Campaign, UUID(campaign)).target_ids = []
    plan = planned(real, campaign)
    assert plan["fails"]
    assert plan["errors"][0].startswith("CAMPAIGN_HAS_NO_TARGET")
    assert real.client.post(f"/v1/campaign/{uuid4()}:plan").status_code == 404
    assert real.client.post(f"/v1/campaign/{campaign}:plan?reach=0").status_code == 400


def test_a_target_without_filters_takes_in_nobody(real: Desk) -> None:
    real.furnish(people=3)
    campaign = real.plain()
    with real.database.begin() as session:
        for target in session.scalars(select(Target)):
            target.entity_filters = None
            assert parse_filters(target.entity_filters) is None
    plan = planned(real, campaign)
    assert (plan["matched"], plan["errors"][0].partition(":")[0]) == (0, "TARGET_WITHOUT_FILTERS")
    with real.database.read() as session:
        assert session.scalars(select(Recipient)).all() == []
