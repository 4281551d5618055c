"""A campaign that asks for it writes to no address twice, whoever has it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from sqlalchemy import select, update

from engine.audience.suppression_list import SuppressionInput, suppress
from engine.campaigns.campaigns import delete_campaign
from engine.channels.port import Deferred, Delivered, Rejected
from engine.delivery.address_claims import DUPLICATE_ADDRESS, claim_addresses
from engine.delivery.freshness import FRESH_FOR
from engine.delivery.retrigger import retrigger_failed
from engine.kernel.inputs import read
from engine.kernel.media import AddressMedium
from state.tables import Entity, RecipientAddress
from tests.delivery.accounts import TWO_DAYS

if TYPE_CHECKING:
    from uuid import UUID

    from engine.content.message import Message
    from tests.conftest import ManualClock
    from tests.delivery.kit import Bench


def at(bench: Bench, *addresses: str) -> list[UUID]:
    """People with these addresses, in the order of their keys."""
    ids = sorted(uuid4() for _ in addresses)
    with bench.database.begin() as session:
        for key, address in zip(ids, addresses, strict=True):
            given = {"id": key, "org_id": bench.org_id, "schema": "contact", "title": ""}
            session.add(Entity(**given, attributes={"email": address}, **bench.times()))
    return ids


def run(bench: Bench, **values: Any) -> UUID:
    campaign = bench.campaign(one_per_address=True, **values)
    bench.activate(campaign)
    bench.work()
    return campaign


def duplicates(bench: Bench) -> set[UUID]:
    return {key for key, row in bench.recipients().items() if row.error_code == DUPLICATE_ADDRESS}


def test_the_first_of_those_who_share_an_address_gets_the_message(bench: Bench) -> None:
    """Within a wave, between the waves of a slice, and between slices."""
    shared = ["ada@example.com" if number % 4 == 0 else f"p{number}@example.com" for number in range(24)]
    people = at(bench, *shared)
    campaign = run(bench)
    assert set(people[4::4]) == duplicates(bench)
    assert Counter(shared).keys() == Counter(message.address for message in bench.channel.journal).keys()
    assert {1} == set(Counter(message.address for message in bench.channel.journal).values())
    assert {"success": 19, "cancelled": 5} == bench.statuses()
    bench.check_counters(campaign)


def test_off_everybody_is_written_to(bench: Bench) -> None:
    at(bench, "ada@example.com", "ada@example.com")
    bench.activate(bench.campaign())
    bench.work()
    assert {"success": 2} == bench.statuses()
    with bench.database.read() as session:
        assert not session.scalars(select(RecipientAddress)).all()


def test_an_address_is_one_however_it_is_written(bench: Bench) -> None:
    """A channel that says no medium is told it by the address's form."""
    at(bench, "ada@example.com", "Ada@Example.com", "x@xn--mller-kva.de", "x@müller.de")
    run(bench)
    assert {"success": 2, "cancelled": 2} == bench.statuses()


def test_another_campaign_s_recipients_are_no_duplicates(bench: Bench) -> None:
    at(bench, "ada@example.com", "bob@example.com")
    assert Counter(success=4) == bench.statuses_of(run(bench), run(bench))


@pytest.mark.parametrize("outcome", ["deferred", "failed"])
def test_who_is_tried_again_keeps_their_address(bench: Bench, outcome: str) -> None:
    people = at(bench, "ada@example.com", "ada@example.com")
    tries: list[Message] = []

    def answer(message: Message) -> Any:
        tries.append(message)
        if len(tries) > 1:
            return Delivered()
        return Deferred("LATER", "not now") if outcome == "deferred" else Rejected("NO", "no")

    bench.channel.answer = answer
    campaign = run(bench)
    if outcome == "failed":
        with bench.runtime.transaction() as session:
            assert 1 == retrigger_failed(session, bench.org_id, campaign, window=3, slice_size=10)
    bench.run_out()
    assert [people[0]] * 2 == [message.entity_id for message in tries]
    assert {"success": 1, "cancelled": 1} == bench.statuses()
    assert {people[1]} == duplicates(bench)


def test_the_steps_of_a_sequence_are_no_duplicates_of_each_other(bench: Bench, clock: ManualClock) -> None:
    people = at(bench, "ada@example.com", "bob@example.com", "ada@example.com")
    campaign = bench.campaign(one_per_address=True)
    bench.sequence(campaign, {}, TWO_DAYS, {})
    bench.activate(campaign)
    bench.work()
    clock.forward(days=3)
    bench.run_out()
    assert Counter({people[0]: 2, people[1]: 2}) == bench.channel.sent()
    assert {people[2]} == duplicates(bench)
    bench.check_counters(campaign)


def test_who_is_excluded_takes_no_address_from_anybody(bench: Bench) -> None:
    """A suppression of the campaign's own ends; then the next has the address."""
    people = at(bench, "ada@example.com", "ada@example.com", "bob@example.com")
    with bench.database.begin() as session:
        given = {"channel_kind": "smtp", "address": "ada@example.com"}
        suppress(session, bench.org_id, read(SuppressionInput, given))
    run(bench)
    assert {people[0], people[1]} == {
        key for key, row in bench.recipients().items() if row.error_code == "SUPPRESSED"
    }
    with bench.database.read() as session:
        assert [people[2]] == session.scalars(select(RecipientAddress.entity_id)).all()


def test_an_address_that_becomes_another_s_is_noticed(bench: Bench, clock: ManualClock) -> None:
    people = at(bench, *(f"p{number}@example.com" for number in range(10)))

    def answer(message: Message) -> Delivered:
        if message.entity_id == people[0]:
            clock.forward(seconds=2 * FRESH_FOR)
            with bench.database.begin() as session:
                values = {"attributes": {"email": "p0@example.com"}}
                session.execute(update(Entity).where(Entity.id == people[-1]).values(**values))
        return Delivered()

    bench.channel.answer = answer
    run(bench)
    assert {people[-1]} == duplicates(bench)


def test_two_workers_agree(bench: Bench) -> None:
    """Each claims all of the addresses, in another order; each address has one owner, and everybody knows whose."""
    campaign = uuid4()
    addresses = [f"p{number}@example.com" for number in range(50)]
    first = [(uuid4(), address) for address in addresses]
    second = [(uuid4(), address) for address in reversed(addresses)]
    with bench.database.begin() as session:
        assert not claim_addresses(session, campaign, AddressMedium.EMAIL, first[:25])
    with bench.database.begin() as session:
        lost = claim_addresses(session, campaign, AddressMedium.EMAIL, second)
    assert {key for key, address in second if address in addresses[:25]} == lost.keys()
    with bench.database.begin() as session:
        lost = claim_addresses(session, campaign, AddressMedium.EMAIL, first)
        assert {key for key, address in first if address in addresses[25:]} == lost.keys()
        # A phone number with the same letters is another address.
        assert not claim_addresses(session, campaign, AddressMedium.OTHER, first)


def test_deleting_a_campaign_forgets_its_addresses(bench: Bench) -> None:
    at(bench, "ada@example.com")
    campaign = run(bench)
    with bench.runtime.transaction() as session:
        delete_campaign(session, bench.org_id, campaign)
        assert not session.scalars(select(RecipientAddress)).all()
