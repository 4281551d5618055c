"""What webhooks are told of single recipients: everybody's outcome once, and nothing while nobody asks."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from sqlalchemy import event as hooks
from sqlalchemy import select

from engine.channels.port import Delivered, Rejected
from engine.engagement.engagement import Engaged, Kind, Medium, note
from state.tables import Event, Webhook
from tests.delivery.kit import Bench

if TYPE_CHECKING:
    from collections.abc import Iterator
    from uuid import UUID

    from state.database import Database

import pytest


@pytest.fixture
def bench(database: Database, org_id: UUID) -> Iterator[Bench]:
    bench = Bench(database, org_id)
    yield bench
    bench.close()


def subscribe(bench: Bench, *events: str) -> None:
    with bench.database.begin() as session:
        session.add(
            Webhook(
                org_id=bench.org_id,
                url="https://hooks.example.com",
                events=list(events),
                recipients=True,
                secret=b"x",
                **bench.times(),
            )
        )


def said(bench: Bench) -> dict[str, Counter[str]]:
    """Event → how often each recipient is in it."""
    with bench.database.read() as session:
        rows = session.execute(select(Event).where(Event.name.like("recipient.%"))).scalars().all()
    told: dict[str, Counter[str]] = {}
    for row in rows:
        assert len(row.data["recipients"]) <= 100
        told.setdefault(row.name, Counter()).update(one["recipient_id"] for one in row.data["recipients"])
    return told


def test_everybodys_outcome_is_told_once(bench: Bench) -> None:
    people = bench.entities(60)
    bad = set(people[:7])
    bench.channel.answer = lambda message: (
        Rejected("SMTP_550", "no such mailbox") if message.entity_id in bad else Delivered()
    )
    campaign = bench.campaign()
    subscribe(bench, "recipient.*")
    bench.activate(campaign)
    bench.run_out()
    told = said(bench)
    assert {str(key): 1 for key in people if key not in bad} == told["recipient.sent"]
    assert {str(key): 1 for key in bad} == told["recipient.failed"]
    with bench.database.read() as session:
        failed = session.execute(select(Event.data).where(Event.name == "recipient.failed")).scalars().all()
    assert {"SMTP_550"} == {one["error_code"] for data in failed for one in data["recipients"]}
    bench.check_counters(campaign)


def test_who_is_left_in_doubt_is_told_of(bench: Bench) -> None:
    bench.entities(10)
    bench.channel.answer = lambda _: None
    subscribe(bench, "recipient.failed")
    bench.activate(bench.campaign(doubt="hold"))
    bench.run_out()
    assert 10 == len(said(bench)["recipient.failed"])


def test_nobody_asks_nothing_is_written_and_no_statement_more_is_run(bench: Bench) -> None:
    def statements(*, asked: bool) -> int:
        bench.entities(20)
        campaign = bench.campaign()
        if asked:
            subscribe(bench, "recipient.*")
        seen: list[str] = []
        listen = lambda *given: seen.append(given[2])  # noqa: E731
        hooks.listen(bench.database.engine, "before_cursor_execute", listen)
        bench.activate(campaign)
        bench.work()
        hooks.remove(bench.database.engine, "before_cursor_execute", listen)
        return sum("INTO event" in statement for statement in seen)

    quiet = statements(asked=False)
    assert {} == said(bench)
    assert quiet < 8, "the campaign's own events and no others"
    assert statements(asked=True) > quiet


def test_what_recipients_do_is_told_by_kind(bench: Bench) -> None:
    people = bench.entities(3)
    campaign = bench.campaign()
    bench.activate(campaign)
    bench.run_out()
    now = bench.database.clock.now()
    happened = [Engaged(campaign, key, Medium.EMAIL, Kind.READ, now) for key in people]
    clicked = Engaged(
        campaign, people[0], Medium.EMAIL, Kind.CLICKED, now, data={"url": "https://example.com"}
    )
    scanned = clicked._replace(entity_id=people[1], bot=True)
    happened += [clicked, scanned]
    with bench.database.begin() as session:
        note(session, bench.org_id, happened)
    assert {} == said(bench), "nobody asks"
    subscribe(bench, "recipient.read", "recipient.clicked")
    with bench.database.begin() as session:
        note(session, bench.org_id, happened)
    told = said(bench)
    assert {str(key): 1 for key in people} == told["recipient.read"]
    assert {str(people[0]): 1} == told["recipient.clicked"]
