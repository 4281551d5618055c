"""Who is deleted and comes back with the same external id is the same person to every campaign."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select

from engine.audience.entities import delete_entity, upsert_entity
from engine.audience.store import Row, store
from engine.channels.port import Delivered
from engine.delivery.freshness import FRESH_FOR
from state.tables import Entity, FormerEntity

if TYPE_CHECKING:
    from uuid import UUID

    from engine.content.message import Message
    from tests.conftest import ManualClock
    from tests.delivery.kit import Bench

_PEOPLE = 10


def create(bench: Bench, external_id: str, **attributes: Any) -> UUID:
    with bench.runtime.transaction() as session:
        body = {"external_id": external_id, "email": f"{external_id}@example.com", **attributes}
        return upsert_entity(session, bench.org_id, "contact", body)[0].id


def upload(bench: Bench, external_id: str) -> UUID:
    """As an import does."""
    with bench.runtime.transaction() as session:
        text = f'{{"email":"{external_id}@example.com"}}'
        store(session, bench.org_id, "contact", [Row(external_id, "", text), Row(None, "", "{}")])
        wanted = Entity.external_id == external_id
        return session.execute(select(Entity.id).where(wanted)).scalar_one()


def remove(bench: Bench, entity_id: UUID) -> None:
    with bench.runtime.transaction() as session:
        delete_entity(session, bench.org_id, "contact", entity_id)


def people(bench: Bench) -> list[UUID]:
    return sorted(create(bench, f"p{number}") for number in range(_PEOPLE))


def external_id_of(bench: Bench, entity_id: UUID) -> str:
    with bench.database.read() as session:
        found = session.get_one(Entity, entity_id).external_id
    assert found is not None
    return found


def addresses(bench: Bench) -> list[str]:
    return [message.address for message in bench.channel.journal]


@pytest.mark.parametrize("bring_back", [create, upload])
def test_who_had_the_message_is_not_written_to_again(bench: Bench, bring_back: Any) -> None:
    everybody = people(bench)
    campaign = bench.campaign(ends="when_told")
    bench.activate(campaign)
    bench.work()
    name = external_id_of(bench, everybody[3])
    remove(bench, everybody[3])
    assert everybody[3] == bring_back(bench, name)
    bench.work()
    assert 1 == addresses(bench).count(f"{name}@example.com")
    bench.check_counters(campaign)
    with bench.database.read() as session:
        assert not session.scalars(select(FormerEntity)).all()


@pytest.mark.parametrize("ends", ["when_told", "when_delivered"])
def test_who_comes_back_before_their_turn_keeps_it(bench: Bench, clock: ManualClock, ends: str) -> None:
    everybody = people(bench)
    campaign = bench.campaign(ends=ends)
    name = external_id_of(bench, everybody[-1])

    def answer(_: Message) -> Delivered:
        if len(bench.channel.journal) == 1:
            clock.forward(seconds=2 * FRESH_FOR)
            remove(bench, everybody[-1])
            create(bench, name, email="new@example.com")
        return Delivered()

    bench.channel.answer = answer
    bench.activate(campaign)
    bench.work()
    assert {"success": _PEOPLE} == bench.statuses()
    assert 1 == addresses(bench).count("new@example.com")
    assert f"{name}@example.com" not in addresses(bench)
    bench.check_counters(campaign)


def test_whose_turn_came_while_they_were_gone_is_enrolled_when_they_are_back(
    bench: Bench, clock: ManualClock
) -> None:
    everybody = people(bench)
    campaign = bench.campaign(ends="when_told")
    name = external_id_of(bench, everybody[-1])

    def answer(_: Message) -> Delivered:
        if len(bench.channel.journal) == 1:
            clock.forward(seconds=2 * FRESH_FOR)
            remove(bench, everybody[-1])
        return Delivered()

    bench.channel.answer = answer
    bench.activate(campaign)
    bench.work()
    assert "ENTITY_DELETED" == bench.recipients()[everybody[-1]].error_code
    for _ in range(2):
        assert everybody[-1] == create(bench, name)
        bench.work()
    assert {"success": _PEOPLE} == bench.statuses()
    assert [1] == [*{addresses(bench).count(address) for address in addresses(bench)}]
    bench.check_counters(campaign)


def test_an_import_under_way_changes_where_a_message_goes(bench: Bench, clock: ManualClock) -> None:
    everybody = people(bench)
    name = external_id_of(bench, everybody[-1])

    def answer(_: Message) -> Delivered:
        if len(bench.channel.journal) == 1:
            clock.forward(seconds=2 * FRESH_FOR)
            with bench.runtime.transaction() as session:
                store(session, bench.org_id, "contact", [Row(name, "", '{"email":"merged@example.com"}')])
        return Delivered()

    bench.channel.answer = answer
    bench.activate(bench.campaign())
    bench.work()
    assert {"success": _PEOPLE} == bench.statuses()
    assert "merged@example.com" in addresses(bench)
    assert f"{name}@example.com" not in addresses(bench)


def test_of_whom_no_campaign_knows_nothing_is_kept(bench: Bench) -> None:
    first = create(bench, "p1")
    remove(bench, first)
    with bench.database.read() as session:
        assert not session.scalars(select(FormerEntity)).all()
    assert first != create(bench, "p1")


def test_another_schema_s_external_id_is_another_person(bench: Bench) -> None:
    everybody = people(bench)
    bench.activate(bench.campaign())
    bench.work()
    name = external_id_of(bench, everybody[0])
    remove(bench, everybody[0])
    with bench.runtime.transaction() as session:
        other, _ = upsert_entity(session, bench.org_id, "company", {"external_id": name})
        assert other.id != everybody[0]
    assert everybody[0] == create(bench, name)
