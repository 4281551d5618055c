"""What belongs to one campaign is not changed by another: clones, and A/B tests that decide."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import select

from engine.campaigns.experiments import decide, find_experiment
from state.tables import Campaign, Recipient, Touchpoint
from tests.campaigns_api.test_round_trip import flow_campaign, post

if TYPE_CHECKING:
    from tests.campaigns_api.desk import Desk

VARIANTS = [{"id": name, "weight": 1, "content": {"text": name}} for name in ("a", "b")]
TEST = {"name": "t", "metric": "clicked", "sample": 100, "decideAfterHours": 1}


def steps(desk: Desk, campaign: str) -> list[Touchpoint]:
    with desk.database.read() as session:
        row = session.get_one(Campaign, UUID(campaign))
        flow = select(Touchpoint).where(Touchpoint.flow_id == row.flow_id).order_by(Touchpoint.position)
        return list(session.scalars(flow))


def weights(desk: Desk, campaign: str) -> dict[str, float]:
    return {variant["id"]: variant["weight"] for variant in steps(desk, campaign)[0].variants or ()}


def decided(desk: Desk, campaign: str, winner: str) -> None:
    """The campaign's A/B test is made, run for everybody, and decided."""
    desk.ask("POST", f"/{campaign}/ab-tests", status=201, json=TEST)
    desk.ask("POST", f"/{campaign}/ab-tests:start")
    with desk.database.begin() as session:
        row = find_experiment(session, desk.org_id, UUID(campaign))
        assert row is not None
        row.winner, row.decided_at = winner, desk.database.clock.now()
        decide(session, row, window=4)
    desk.run_out()


def given(desk: Desk, campaign: str) -> dict[str, int]:
    """How many were given each variant."""
    with desk.database.read() as session:
        names = session.scalars(select(Recipient.variant).where(Recipient.campaign_id == UUID(campaign)))
        counted: dict[str, int] = {}
        for name in names:
            counted[str(name)] = counted.get(str(name), 0) + 1
        return counted


def test_a_decided_ab_test_changes_its_own_campaign_only(desk: Desk) -> None:
    desk.furnish(people=40)
    campaign = flow_campaign(desk, [{"variants": VARIANTS}])
    shares = str(
        post(desk, "/v1/campaign", {"name": "shares", "flow_id": str(steps(desk, campaign)[0].flow_id)})[
            "_id"
        ]
    )
    clone = str(desk.ask("POST", f"/{campaign}/clone", status=201)["id"])
    decided(desk, campaign, "b")
    assert weights(desk, campaign) == {"a": 0, "b": 1}
    assert weights(desk, shares) == weights(desk, clone) == {"a": 1, "b": 1}
    desk.ask("POST", f"/{clone}/execute")
    desk.run_out()
    found = given(desk, clone)
    assert min(found["a"], found["b"]) >= 8, found
    # What was decided may be written back, and edited beside.
    document = desk.ask("GET", f"/{campaign}")
    assert [one["weight"] for one in document["messages"][0]["variations"]] == [0, 1]
    again = str(desk.ask("POST", f"/{campaign}/clone", status=201)["id"])
    message: dict[str, Any] = desk.ask("GET", f"/{again}")["messages"][0]
    message["variations"][0]["content"] = "A"
    desk.ask("PUT", f"/{again}", json={"messages": [message]})
    assert weights(desk, again) == {"a": 0, "b": 1}


def test_whoever_takes_up_a_flow_that_is_tested_has_it_as_it_is_now(desk: Desk) -> None:
    desk.furnish(people=2)
    campaign = flow_campaign(desk, [{"variants": VARIANTS}])
    desk.ask("POST", f"/{campaign}/ab-tests", status=201, json=TEST)
    flow = str(steps(desk, campaign)[0].flow_id)
    later = str(post(desk, "/v1/campaign", {"name": "later", "flow_id": flow})["_id"])
    assert str(steps(desk, later)[0].flow_id) != flow
    assert weights(desk, later) == {"a": 1, "b": 1}


def test_a_clone_and_its_original_do_not_touch_each_other(desk: Desk) -> None:
    desk.furnish(people=2)
    campaign = flow_campaign(desk, [{"content": {"text": "one"}}, {"content": {"text": "two"}}])
    first = steps(desk, campaign)[0]
    flow = f"/v1/flow/{first.flow_id}"
    clicked = {"filter": {"items": [{"key": f"engagement.clicked of {first.id}", "operator": "NOT_EMPTY"}],
                          "combination": "AND"}}  # fmt: skip
    touchpoints = desk.client.get(flow).json()["touchpoints"]
    post(
        desk,
        flow,
        {"touchpoints": [touchpoints[0], {**touchpoints[1], "condition": clicked}]},
        method="PATCH",
    )
    clone = str(desk.ask("POST", f"/{campaign}/clone", status=201)["id"])
    copied = steps(desk, clone)
    assert str(copied[0].id) in str(copied[1].condition), "it asks about its own message"
    assert str(first.id) not in str(copied[1].condition)
    post(
        desk,
        f"/v1/flow/{copied[0].flow_id}",
        {"touchpoints": [{"content": {"text": "changed"}}]},
        method="PATCH",
    )
    assert [step.content for step in steps(desk, campaign)] == [{"text": "one"}, {"text": "two"}]
    post(desk, flow, {"touchpoints": [{"content": {"text": "other"}}]}, method="PATCH")
    assert [step.content for step in steps(desk, clone)] == [{"text": "changed"}]
    plain = desk.plain()
    twin = str(desk.ask("POST", f"/{plain}/clone", status=201)["id"])
    desk.ask("PUT", f"/{plain}", json={"messages": [{"content": "edited"}]})
    assert desk.ask("GET", f"/{twin}")["messages"][0]["templateId"] == "tmpl456"
