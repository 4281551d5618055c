"""People and what they are sent are as of the wave that sends, however long ago their slice was loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import delete, event, update

from engine.audience.suppression_list import SuppressionInput, suppress
from engine.channels.port import Delivered
from engine.content.message import Content
from engine.delivery.freshness import FRESH_FOR
from engine.kernel.inputs import read
from state.tables import Entity, Template, Touchpoint

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from uuid import UUID

    from engine.content.message import Message
    from tests.conftest import ManualClock
    from tests.delivery.kit import Bench

_SLICE = 10
_WAVE = 5


class Fixed:
    """A template that says the same to everybody."""

    def __init__(self, subject: str) -> None:
        self.subject = subject

    def render(self, _: Mapping[str, Any], __: Mapping[str, Any]) -> Content:
        return Content(subject=self.subject)


def slow_first_wave(
    bench: Bench, clock: ManualClock, meanwhile: Callable[[], None], *, takes: float = 2 * FRESH_FOR
) -> None:
    """The first wave lasts `takes` seconds, within which something happens."""

    def answer(_: Message) -> Delivered:
        if len(bench.channel.journal) == _WAVE:
            clock.forward(seconds=takes)
            meanwhile()
        return Delivered()

    bench.channel.answer = answer


def change(bench: Bench, entity_id: UUID, **attributes: Any) -> None:
    with bench.database.begin() as session:
        values = {"attributes": attributes, "updated_at": bench.database.clock.now()}
        session.execute(update(Entity).where(Entity.id == entity_id).values(**values))


def remove(bench: Bench, *entity_ids: UUID) -> None:
    with bench.database.begin() as session:
        session.execute(delete(Entity).where(Entity.id.in_(entity_ids)))


def addresses(bench: Bench) -> list[str]:
    return [message.address for message in bench.channel.journal]


@pytest.mark.parametrize("steps", [1, 2])
def test_people_are_as_they_are_when_their_wave_is_sent(bench: Bench, clock: ManualClock, steps: int) -> None:
    people = bench.entities(_SLICE)
    campaign = bench.campaign()
    if steps > 1:
        bench.sequence(campaign, *[{}] * steps)
    deleted, moved, emptied, barred, untouched = people[_WAVE:]

    def meanwhile() -> None:
        remove(bench, deleted)
        change(bench, moved, email="new@example.com")
        change(bench, emptied, email="")
        change(bench, barred, email="barred@example.com")
        with bench.database.begin() as session:
            given = {"channel_kind": "smtp", "address": "barred@example.com"}
            suppress(session, bench.org_id, read(SuppressionInput, given))

    slow_first_wave(bench, clock, meanwhile)
    bench.activate(campaign)
    bench.work()
    rows = bench.recipients()
    wanted = {deleted: "ENTITY_DELETED", emptied: "NO_ADDRESS", barred: "SUPPRESSED"}
    assert wanted == {
        key: row.error_code for key, row in rows.items() if row.automation_status == "cancelled"
    }
    sent = {message.entity_id: message.address for message in bench.channel.journal}
    assert "new@example.com" == sent[moved]
    assert {*people[:_WAVE], moved, untouched} == sent.keys()
    assert {"success": 7, "cancelled": 3} == bench.statuses()
    bench.check_counters(campaign)


def test_nobody_who_was_deleted_before_their_wave_is_written_to(bench: Bench, clock: ManualClock) -> None:
    """With every fourth message one is deleted whose turn is a wave later."""
    people = bench.entities(4 * _SLICE)
    campaign = bench.campaign()
    gone: list[UUID] = []

    def answer(message: Message) -> Delivered:
        if len(bench.channel.journal) % 4 == 0:
            clock.forward(seconds=FRESH_FOR)
            later = people[people.index(message.entity_id) + _WAVE :]
            behind = [key for key in later if key not in gone]
            remove(bench, *behind[:1])
            gone.extend(behind[:1])
        return Delivered()

    bench.channel.answer = answer
    bench.activate(campaign)
    bench.work()
    assert len(gone) > 5
    assert not {message.entity_id for message in bench.channel.journal}.intersection(gone)
    assert {"success": len(people) - len(gone), "cancelled": len(gone)} == bench.statuses()
    bench.check_counters(campaign)


def _correct_template(bench: Bench) -> None:
    bench.senders.template = Fixed("corrected")
    with bench.database.begin() as session:
        session.execute(update(Template).values(updated_at=bench.database.clock.now()))


def _another_template(bench: Bench) -> None:
    """The touchpoint names another template, as a PUT of it does."""
    bench.senders.template = Fixed("corrected")
    now = bench.database.clock.now()
    with bench.database.begin() as session:
        other = Template(org_id=bench.org_id, name="other", subject="x", created_at=now, updated_at=now)
        session.add(other)
        session.flush()
        session.execute(update(Touchpoint).values(template_id=other.id, updated_at=now))


def _variants_template(bench: Bench) -> None:
    """A template that variants name stands in no row of the flow."""
    bench.senders.template = Fixed("corrected")


@pytest.mark.parametrize("correct", [_correct_template, _another_template, _variants_template])
def test_a_correction_reaches_the_next_wave(
    bench: Bench, clock: ManualClock, correct: Callable[[Bench], None]
) -> None:
    bench.entities(2 * _SLICE)
    campaign = bench.campaign()
    if correct is _variants_template:
        bench.sequence(campaign, {"variants": [{"id": "a", "weight": 1}]})
    bench.senders.template = Fixed("wrong")
    slow_first_wave(bench, clock, lambda: correct(bench))
    bench.activate(campaign)
    bench.work()
    said = [message.content.subject for message in bench.channel.journal]
    assert ["wrong"] * _WAVE + ["corrected"] * (2 * _SLICE - _WAVE) == said
    assert {"success": 2 * _SLICE} == bench.statuses()
    assert {1} == {row.attempt for row in bench.recipients().values()}
    bench.check_counters(campaign)


def test_a_touchpoint_that_is_switched_off_is_sent_to_nobody_more(bench: Bench, clock: ManualClock) -> None:
    bench.entities(_SLICE)
    campaign = bench.campaign()
    first, _ = bench.sequence(campaign, {}, {})

    def switch_off() -> None:
        with bench.database.begin() as session:
            values = {"status": "inactive", "updated_at": clock.now()}
            session.execute(update(Touchpoint).where(Touchpoint.id == first).values(**values))

    slow_first_wave(bench, clock, switch_off)
    bench.activate(campaign)
    bench.run_out()
    assert _WAVE == sum(message.touchpoint_id == first for message in bench.channel.journal)
    assert {"success": _SLICE} == bench.statuses()
    bench.check_counters(campaign)


def test_a_fast_slice_reads_nothing_twice(bench: Bench, clock: ManualClock) -> None:
    bench.entities(_SLICE)
    campaign = bench.campaign()
    slow_first_wave(bench, clock, lambda: None, takes=FRESH_FOR / 2)
    bench.activate(campaign)
    reads: list[str] = []
    event.listen(bench.database.engine, "before_cursor_execute", lambda *given: reads.append(given[2]))
    bench.work()
    assert not [
        text for text in reads if "entity.title, entity.external_id" in text and "recipient" not in text
    ]
    assert {"success": _SLICE} == bench.statuses()
