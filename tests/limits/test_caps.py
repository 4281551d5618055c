"""Frequency caps when several transactions reach for the same people."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from threading import Barrier
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

from engine.limits import caps
from engine.limits.config import MAX_CAP_HOURS, FrequencyCap
from engine.limits.effective import Cap, EffectiveLimits
from state.tables import Contact

if TYPE_CHECKING:
    from state.database import Database
    from tests.conftest import ManualClock


def effective(org_id: UUID, *found: Cap) -> EffectiveLimits:
    return EffectiveLimits(org_id=org_id, campaign_id=uuid4(), channel_id=uuid4(), caps=found)


def cap(messages: int, hours: int, of: str = "organization", over: str = "exclude") -> Cap:
    return Cap(of, FrequencyCap.model_validate({"messages": messages, "hours": hours, "over": over}))


def test_of_campaigns_that_reach_for_the_same_people_at_once_one_gets_them(
    database: Database, org_id: UUID
) -> None:
    people = [uuid4() for _ in range(50)]
    together = Barrier(4)
    now = database.clock.now()

    def reach(number: int) -> int:
        found = effective(org_id, cap(1, 24))
        together.wait()
        with database.begin() as session:
            order = people if number % 2 else people[::-1]
            return len(people) - len(caps.count(session, found, order, now + timedelta(seconds=number)))

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(reach, range(4))) == [0, 0, 0, 50]


def test_each_cap_counts_its_own(database: Database, org_id: UUID) -> None:
    (person,) = people = [uuid4()]
    at = database.clock.now()
    mine = effective(org_id, cap(1, 24, "campaign"))
    other = replace(mine, campaign_id=uuid4(), channel_id=uuid4())
    with database.begin() as session:
        assert not caps.count(session, other, people, at)
        at += timedelta(seconds=1)
        assert not caps.count(session, mine, people, at), "another campaign's message is not counted"
        at += timedelta(seconds=1)
        (hit,) = caps.count(session, mine, people, at).values()
        assert hit.delayed_until is None
        channel = replace(mine, campaign_id=uuid4(), caps=(cap(1, 24, "channel", "delay"),))
        delayed = caps.count(session, channel, people, at)[person].delayed_until
        assert delayed == at - timedelta(seconds=1) + timedelta(hours=24)
        at += timedelta(hours=24)
        assert not caps.count(session, mine, people, at)


def test_a_transaction_that_is_tried_again_counts_once(database: Database, org_id: UUID) -> None:
    people = [uuid4() for _ in range(3)]
    at = database.clock.now()
    mine = effective(org_id, cap(1, 24))
    for _ in range(2):
        with database.begin() as session:
            assert not caps.count(session, mine, people, at)
    with database.begin() as session:
        assert session.query(Contact).count() == 3
        caps.take_back(session, mine, {people[0]: at, people[1]: at})
        assert [row.entity_id for row in session.query(Contact)] == people[2:]


def test_what_no_cap_can_count_is_forgotten(database: Database, org_id: UUID, clock: ManualClock) -> None:
    mine = effective(org_id, cap(1, 24))
    with database.begin() as session:
        caps.count(session, mine, [uuid4()], clock.now())
        clock.forward(hours=MAX_CAP_HOURS - 1)
        assert caps.forget(session) == 0
        clock.forward(hours=2)
        assert caps.forget(session) == 1
