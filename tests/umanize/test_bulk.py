"""Bulk enrolment: exact answers, set operations, flat memory. `MUSTER_SCALE=full`: a hundred thousand, else a tenth."""

from __future__ import annotations

import gc
import json
import os
import tracemalloc
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, insert, select

from engine.enrolled.enrolling import MOST, Wish, enrol_customers
from state.tables import Entity, Recipient, TargetKey
from tests.targeting.test_matching import statements

if TYPE_CHECKING:
    from tests.umanize.desk import TargetDesk

MANY = 100_000 if os.environ.get("MUSTER_SCALE") == "full" else 10_000
FEW = MANY // 100
#: Bytes of an item that may be held at once while it is enrolled: its id, keys and agent, and what is sent of them.
AN_ITEM = 2_500
#: Bytes that stay, however many there were: caches of a fixed size.
WHAT_STAYS = 8_000_000


def crowd(desk: TargetDesk, count: int) -> list[UUID]:
    """Customers with an address and a number each."""
    ids = [uuid4() for _ in range(count)]
    times = desk.times()
    with desk.database.begin() as session:
        session.execute(
            insert(Entity),
            [
                {
                    "id": key, "org_id": desk.org_id, "schema": "customer", "title": f"Customer {index}",
                    "attributes": {"email": f"c{index}@example.com", "phone": f"+4930{index:07d}"}, **times,
                }
                for index, key in enumerate(ids)
            ],
        )  # fmt: skip
    return ids


def count(desk: TargetDesk, table: Any, *where: Any) -> int:
    with desk.database.read() as session:
        return session.scalar(select(func.count()).select_from(table).where(*where)) or 0


def test_many_with_one_percent_unknown(desk: TargetDesk) -> None:
    """The answer is exact, and as many statements are sent for many as for a hundredth of them."""
    campaign = desk.campaign()
    known = crowd(desk, MANY)
    unknown = [uuid4() for _ in range(MANY // 100)]
    wanted = [*known[: MANY - len(unknown)], *unknown]
    few = [*wanted[: FEW - FEW // 100], *unknown[: FEW // 100]]
    body = json.dumps({"items": [{"customer_id": str(key)} for key in wanted]})
    with statements(desk.database) as of_few:
        told = desk.bulk(campaign, few)
    assert (FEW, FEW - FEW // 100, 0) == (told["total"], told["created"], told["skipped"])
    with statements(desk.database) as of_many:
        told = desk.told("POST", f"/campaigns/{campaign}/targets:bulk", content=body)
    assert len(of_few) == len(of_many)
    already = FEW - FEW // 100
    assert (MANY, MANY - len(unknown) - already, already) == (told["total"], told["created"], told["skipped"])
    assert told["errors"] == [
        {"customer_id": str(key), "message": "customer does not exist"} for key in unknown
    ]
    enrolled = MANY - len(unknown)
    assert enrolled == count(desk, Recipient, Recipient.stage == "new")
    assert 2 * enrolled == count(desk, TargetKey)
    again = desk.told("POST", f"/campaigns/{campaign}/targets:bulk", content=body)
    assert (0, enrolled, len(unknown)) == (again["created"], again["skipped"], len(again["errors"]))
    assert 2 * enrolled == count(desk, TargetKey)


def test_memory_stays_flat(desk: TargetDesk) -> None:
    """A fixed number of bytes an item at most, and nothing of it stays."""
    campaign, warm_up = desk.campaign(), desk.campaign()
    items = [Wish(key) for key in crowd(desk, MANY)]
    with desk.api.runtime.transaction() as session:  # what is compiled once is not counted
        enrol_customers(session, desk.org_id, UUID(warm_up), items[:10])
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        with desk.api.runtime.transaction() as session:
            result = enrol_customers(session, desk.org_id, UUID(campaign), items)
        created = result.created
        del result
        gc.collect()
        after, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert created == MANY
    assert peak - before < MANY * AN_ITEM
    assert after - before < WHAT_STAYS


def test_many_join_a_campaign_that_runs(desk: TargetDesk) -> None:
    """They are contacted at once, in as many statements as a few are."""
    campaign = desk.campaign(ends="when_told")
    people = desk.people(30)
    desk.bulk(campaign, people[:1])
    desk.set_status(campaign, "active")
    desk.work()
    assert desk.sent() == set(people[:1])
    with statements(desk.database) as of_few:
        desk.bulk(campaign, people[1:3])
    desk.work()
    with statements(desk.database) as of_many:
        desk.bulk(campaign, people[3:])
    assert abs(len(of_many) - len(of_few)) <= 2  # a job that is open is joined, else there is a new one
    desk.run_out()
    assert desk.sent() == set(people)
    assert all(one["stage"] == "contacted" for one in desk.listing(campaign, limit=200)["data"])


def test_who_is_named_twice_is_enrolled_once(desk: TargetDesk) -> None:
    campaign = desk.campaign()
    (person,) = desk.people(1)
    agent = str(uuid4())
    items = [{"customer_id": str(person), "assigned_agent_id": agent}, {"customer_id": str(person)}]
    told = desk.told("POST", f"/campaigns/{campaign}/targets:bulk", json={"items": items})
    assert told == {"total": 2, "created": 1, "skipped": 1, "errors": []}
    assert desk.listing(campaign)["data"][0]["assigned_agent_id"] == agent


def test_a_soft_deleted_one_comes_back_as_it_was(desk: TargetDesk) -> None:
    campaign = desk.campaign()
    people = desk.people(2)
    desk.bulk(campaign, people)
    target = desk.ids(campaign)[0]
    desk.on(campaign, target, "PATCH", "/stage", json={"stage": "hot"})
    desk.on(campaign, target, "DELETE", status=204)
    assert desk.bulk(campaign, people) == {"total": 2, "created": 1, "skipped": 1, "errors": []}
    assert desk.target(campaign, target)["stage"] == "hot"


def test_a_recipient_of_the_audience_becomes_a_target(desk: TargetDesk) -> None:
    people = desk.people(2)
    campaign = desk.campaign(target_ids=[str(desk.segment("all"))])
    desk.set_status(campaign, "active")
    desk.run_out()
    assert desk.listing(campaign)["data"] == []
    assert desk.bulk(campaign, people)["created"] == 2
    found = desk.listing(campaign)["data"]
    assert {one["stage"] for one in found} == {"contacted"}
    assert all(one["last_contacted_at"] for one in found)
    desk.work()
    assert all(times == 1 for times in desk.channel.sent().values())


def test_nothing_to_enrol(desk: TargetDesk) -> None:
    assert desk.bulk(desk.campaign(), []) == {"total": 0, "created": 0, "skipped": 0, "errors": []}


@pytest.mark.parametrize(
    ("body", "loc"),
    [
        (b"", ["body"]),
        (b"[1", ["body"]),
        (b"{}", ["body", "items"]),
        (b'{"items": null}', ["body", "items"]),
        (b'{"items": [{}]}', ["body", "items", 0, "customer_id"]),
        (b'{"items": [{"customer_id": "x"}]}', ["body", "items", 0, "customer_id"]),
    ],
)
def test_a_body_that_cannot_be_read(desk: TargetDesk, body: bytes, loc: list[Any]) -> None:
    path = f"/campaigns/{desk.campaign()}/targets:bulk"
    told = desk.told("POST", path, 422, content=body)
    assert loc == told["detail"][0]["loc"]


def test_more_than_the_most(desk: TargetDesk) -> None:
    items = [{"customer_id": "00000000-0000-4000-8000-000000000000"}] * (MOST + 1)
    path = f"/campaigns/{desk.campaign()}/targets:bulk"
    told = desk.told("POST", path, 422, content=json.dumps({"items": items}))
    assert told["detail"][0]["loc"] == ["body", "items"]


def test_another_organizations(desk: TargetDesk, stranger: Any) -> None:
    campaign = desk.campaign()
    (person,) = desk.people(1)
    body = {"items": [{"customer_id": str(person)}]}
    assert stranger.post(f"/campaigns/{campaign}/targets:bulk", json=body).status_code == 404
    theirs = stranger.post("/v1/campaign", json={"name": "x"}).json()["_id"]
    told = stranger.post(f"/campaigns/{theirs}/targets:bulk", json=body).json()
    assert (told["created"], len(told["errors"])) == (0, 1)
    for path in (f"/campaigns/{campaign}/targets", f"/campaigns/{theirs}/targets/{uuid4()}/restore"):
        method = "POST" if path.endswith("restore") else "GET"
        assert stranger.request(method, path).status_code == 404
