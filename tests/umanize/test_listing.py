"""Listing targets: filters, search, orders, pages, aggregations."""

from __future__ import annotations

import os
from itertools import product
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import pytest

from engine.enrolled.analysis import analysed
from engine.enrolled.identity import entity_of, target_id
from engine.enrolled.listing import MAX_OFFSET
from engine.enrolled.orders import SORTABLE
from tests.targeting.test_matching import statements
from tests.umanize.test_bulk import crowd

if TYPE_CHECKING:
    from tests.umanize.desk import TargetDesk

MANY = 100_000 if os.environ.get("MUSTER_SCALE") == "full" else 12_000


def analyse(desk: TargetDesk, campaign: str, target: str, **fields: Any) -> None:
    now = desk.database.clock.now()
    desk.set_row(campaign, target, **analysed(fields, now=now, goal=True))


@pytest.fixture
def campaign(desk: TargetDesk) -> str:
    """Six people: Ada, Bob, Cleo, Dora, Emil, Fritz, enrolled an hour after each other."""
    campaign = desk.campaign()
    for index, name in enumerate(("Ada", "Bob", "Cleo", "Dora", "Emil", "Fritz")):
        desk.create_one(
            campaign, customer_id=f"crm-{index}", name=name, surname=f"von {name}stein",
            email=f"{name}@example.com", phone=f"+4930123450{index}",
        )  # fmt: skip
        desk.clock.forward(seconds=3600)
    ada, bob, cleo, dora, *_ = desk.ids(campaign, sort_dir="asc")
    analyse(
        desk,
        campaign,
        ada,
        ai_label="positive",
        ai_score=0.9,
        campaign_goal_result="success",
        ai_reason="yes",
    )
    analyse(
        desk, campaign, bob, ai_label="negative", ai_score=0.1, campaign_goal_result="failure",
        campaign_sentiment="negative", escalation_required=True,
    )  # fmt: skip
    analyse(desk, campaign, cleo, ai_label="neutral", follow_up_required=True, customer_sentiment="negative")
    analyse(
        desk, campaign, dora, ai_label="positive", callback_requested=True, customer_sentiment="negative",
        campaign_sentiment="positive",
    )  # fmt: skip
    desk.on(campaign, dora, "PATCH", "/stage", json={"stage": "hot"})
    return campaign


QUERIES: list[tuple[dict[str, Any], str]] = [
    ({}, "Fritz Emil Dora Cleo Bob Ada"),
    ({"sort_dir": "asc"}, "Ada Bob Cleo Dora Emil Fritz"),
    ({"stage": "hot"}, "Dora"),
    ({"stage": "cold"}, ""),
    ({"ai_label": "positive"}, "Dora Ada"),
    ({"ai_label": "unknown"}, "Fritz Emil"),
    ({"ai_label": "whatever"}, ""),
    ({"action_required": "follow_up"}, "Cleo"),
    ({"action_required": "callback"}, "Dora"),
    ({"action_required": "escalation"}, "Bob"),
    ({"action_required": "missed_goal"}, "Bob"),
    ({"action_required": "negative_sentiment"}, "Cleo Bob"),
    ({"action_required": "missed_goal", "ai_label": "positive"}, ""),
    ({"q": "aDa"}, "Ada"),
    ({"q": "von emil"}, "Emil"),
    ({"q": "BOB@example"}, "Bob"),
    ({"q": "0049 30 1234-504"}, "Emil"),
    ({"q": "030 1234504"}, "Emil"),
    ({"q": "crm-2"}, "Cleo"),
    ({"q": "%"}, ""),
    ({"date_from": "2026-03-02T11:00:00Z"}, "Fritz Emil Dora Cleo"),
    ({"date_to": "2026-03-02T11:00:00Z"}, "Cleo Bob Ada"),
    ({"date_from": "2026-03-02T12:00:00+02:00", "date_to": "2026-03-02T11:59:59"}, "Cleo Bob"),
    ({"date_from": "2026-03-02", "date_to": "2026-03-02"}, "Fritz Emil Dora Cleo Bob Ada"),
    ({"date_to": "2026-03-01"}, ""),
    ({"sort_field": "ai_score"}, "Ada Bob"),
    ({"sort_field": "ai_score", "sort_dir": "asc"}, "Bob Ada"),
    ({"sort_field": "customer.surname", "sort_dir": "asc"}, "Ada Bob Cleo Dora Emil Fritz"),
    ({"sort_field": "ai_reason"}, "Ada"),
]


def test_what_is_looked_for_is_found(desk: TargetDesk, campaign: str) -> None:
    for query, names in QUERIES:
        found = desk.names(campaign, **query)
        if "sort_field" in query:  # who has no value comes last
            assert len(found) == 6
            found = found[: len(names.split())]
        assert found == names.split(), query
        total = desk.listing(campaign, limit=1, **query)["meta"]["total"]
        assert total == (6 if "sort_field" in query else len(names.split())), query


def test_every_order_pages_through_everybody_once(desk: TargetDesk, campaign: str) -> None:
    for field, direction in product(SORTABLE, ("asc", "desc")):
        pages_through_everybody_once(desk, campaign, field, direction)


def pages_through_everybody_once(desk: TargetDesk, campaign: str, field: str, direction: str) -> None:
    whole = desk.ids(campaign, sort_field=field, sort_dir=direction)
    assert len(whole) == 6
    paged: list[str] = []
    query: dict[str, Any] = {"sort_field": field, "sort_dir": direction, "limit": 2}
    cursor = None
    while True:
        page = desk.listing(campaign, **query, **({"cursor": cursor} if cursor else {}))
        paged += [one["id"] for one in page["data"]]
        assert page["meta"]["total"] == 6
        cursor = page["meta"].get("next")
        if cursor is None:
            break
    assert paged == whole, (field, direction)
    assert whole[2:4] == [one["id"] for one in desk.listing(campaign, **query, offset=2)["data"]]


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"limit": 0}, "limit"),
    ({"limit": 201}, "limit"),
    ({"offset": -1}, "offset"),
    ({"offset": MAX_OFFSET + 1}, "offset"),
    ({"sort_field": "goal_analysis"}, "sort_field"),
    ({"sort_dir": "up"}, "sort_dir"),
    ({"action_required": "nothing"}, "action_required"),
    ({"assigned_agent_id": "me"}, "assigned_agent_id"),
    ({"include_deleted": "perhaps"}, "include_deleted"),
    ({"date_from": "yesterday"}, "date_from"),
    ({"date_to": "2026-13-01"}, "date_to"),
    ({"cursor": "x"}, "cursor"),
    ({"q": "\0"}, "q"),
]


def test_what_cannot_be_asked_is_said(desk: TargetDesk) -> None:
    campaign = desk.campaign()
    for query, field in REFUSED:
        told = desk.listing(campaign, 422, **query)
        assert told["detail"][0]["loc"] == ["query", field], query


def test_a_cursor_is_of_its_order(desk: TargetDesk, campaign: str) -> None:
    cursor = desk.listing(campaign, limit=1)["meta"]["next"]
    told = desk.listing(campaign, 422, limit=1, sort_dir="asc", cursor=cursor)
    assert told["detail"][0]["loc"] == ["query", "cursor"]


def test_aggregations(desk: TargetDesk, campaign: str) -> None:
    assert "aggregations" not in desk.listing(campaign)
    found = desk.listing(campaign, include_aggregations=True, limit=1)["aggregations"]
    assert found["quick_filters"] == {
        "all": 6, "follow_up": 1, "callback": 1, "escalation": 1, "missed_goal": 1, "negative_sentiment": 2,
    }  # fmt: skip
    assert found["extra"] == {
        "by_stage": {"hot": 1, "new": 5},
        "by_ai_label": {"negative": 1, "neutral": 1, "positive": 2, "unknown": 2},
    }
    # They offer filters, so those do not narrow them; what is looked for does.
    query: dict[str, Any] = {"include_aggregations": True, "stage": "hot", "action_required": "callback"}
    assert found == desk.listing(campaign, **query)["aggregations"]
    found = desk.listing(campaign, include_aggregations=True, q="bob")["aggregations"]
    assert found["quick_filters"]["all"] == found["quick_filters"]["escalation"] == 1


def test_what_was_asked_is_told(desk: TargetDesk, campaign: str) -> None:
    agent = str(uuid4())
    told = desk.listing(
        campaign, q="x", stage="hot", assigned_agent_id=agent, only_deleted=True, date_from="2026-03-02"
    )
    order = {"field": "created_at", "direction": "desc"}
    assert told["meta"] == {"total": 0, "limit": 10, "offset": 0, "sort": order}
    assert told["query"] == {
        "q": "x", "filters": {"stage": "hot", "assigned_agent_id": agent, "only_deleted": True},
        "date_from": "2026-03-02T00:00:00Z", "sort": order,
    }  # fmt: skip


def test_deleted_ones(desk: TargetDesk, campaign: str) -> None:
    ada = desk.ids(campaign, sort_dir="asc")[0]
    desk.on(campaign, ada, "DELETE", status=204)
    assert "Ada" not in desk.names(campaign)
    assert desk.names(campaign, include_deleted=True)[-1] == "Ada"
    assert desk.names(campaign, only_deleted=True) == ["Ada"]
    assert desk.names(campaign, only_deleted=True, include_deleted=True) == ["Ada"]
    assert desk.listing(campaign, include_aggregations=True)["aggregations"]["quick_filters"]["all"] == 5


def test_nothing_is_null(desk: TargetDesk, campaign: str) -> None:
    def nulls(value: Any) -> bool:
        if isinstance(value, dict):
            return any(inner is None or nulls(inner) for inner in value.values())
        return isinstance(value, list) and any(nulls(inner) for inner in value)

    assert not nulls(desk.listing(campaign, include_aggregations=True))


@pytest.mark.slow
def test_many_page_in_as_many_statements(desk: TargetDesk) -> None:
    """A page costs the same statements near the beginning, at the largest offset and behind a cursor."""
    campaign = desk.campaign()
    everybody = crowd(desk, MANY)
    desk.bulk(campaign, everybody[:300])
    with statements(desk.database) as of_few:
        desk.listing(campaign, limit=200, include_aggregations=True)
    desk.bulk(campaign, everybody[300:])
    with statements(desk.database) as of_many:
        told = desk.listing(campaign, limit=200, include_aggregations=True)
    assert len(of_few) == len(of_many)
    assert told["aggregations"]["quick_filters"]["all"] == MANY
    with statements(desk.database) as far:
        page = desk.listing(campaign, limit=200, offset=MAX_OFFSET)
    assert len(far) == len(of_many) - 1
    with statements(desk.database) as beyond:
        after = desk.listing(campaign, limit=200, cursor=page["meta"]["next"])
    assert len(beyond) == len(far) - 1  # the total comes with the cursor
    assert after["meta"]["total"] == MANY
    assert not {one["id"] for one in page["data"]} & {one["id"] for one in after["data"]}


def test_ids_say_whose_they_are() -> None:
    campaign, other, customer = uuid4(), uuid4(), uuid4()
    mine = target_id(campaign, customer)
    assert entity_of(campaign, mine) == customer
    assert mine not in (customer, target_id(other, customer))
    assert (mine.version, mine.variant) == (customer.version, customer.variant)
    assert target_id(campaign, UUID(int=0)) != UUID(int=0)
