"""Issue 4, line 2: a sequence over ten thousand recipients, its clock in our hands, its worker killed on the way."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from sqlalchemy import func, insert, select

from engine.kernel.triggers import arm
from state.tables import DeliveryHour, Engagement, Entity, Execution
from tests.delivery.accounts import check
from tests.delivery.kit import Bench

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from uuid import UUID

    from state.database import Database

pytestmark = pytest.mark.slow

SIZE = 10_000
#: Where the worker is killed: before, between and inside the waves of each message, and while it is swept up after.
EDGES = (
    "slice.leased",
    "wave.before_claim_commit",
    "wave.claimed",
    "wave.sent",
    "slice.before_close_commit",
    "slice.closed",
    "recover.before_commit",
    "recover.committed",
)
NOT_CLICKED = {
    "filter": {"items": [{"key": "engagement.clicked", "operator": "EMPTY"}], "combination": "AND"}
}


class Killed(BaseException):
    """Nothing on the way catches it, as nothing catches SIGKILL."""


@pytest.fixture
def bench(database: Database, org_id: UUID) -> Iterator[Bench]:
    bench = Bench(database, org_id)
    sizes = {"slice_size": 500, "wave_size": 100, "window": 8}
    bench.settings = bench.runtime.settings = bench.settings.model_copy(update=sizes)
    bench.executor = bench.new_executor()
    yield bench
    bench.close()


def contacts(bench: Bench) -> list[UUID]:
    ids = sorted(uuid4() for _ in range(SIZE))
    rows = [
        {
            "id": key,
            "org_id": bench.org_id,
            "schema": "contact",
            "title": f"Person {number}",
            "attributes": {"email": f"p{number}@example.com"},
            **bench.times(),
        }
        for number, key in enumerate(ids)
    ]
    with bench.database.begin() as session:
        session.execute(insert(Entity), rows)
    return ids


def click(bench: Bench, campaign_id: UUID, people: Sequence[UUID]) -> None:
    now = bench.database.clock.now()
    row: dict[str, Any] = {
        "org_id": bench.org_id,
        "campaign_id": campaign_id,
        "channel": "email",
        "kind": "clicked",
    }
    with bench.database.begin() as session:
        session.execute(
            insert(Engagement),
            [
                {**row, "entity_id": key, "happened_at": now, "created_at": now, "bot": False}
                for key in people
            ],
        )


def deliver(bench: Bench, *, kills: bool) -> int:
    """Let a worker run until nothing is due; if `kills`, kill one at each edge. Returns how many were killed."""
    killed = 0
    for edge in EDGES if kills else ():
        seen = 0

        def die(point: str = edge) -> None:
            nonlocal seen
            seen += 1
            if seen == (1 if point.startswith("recover") else 2):
                raise Killed(point)

        with arm(edge, die):
            try:
                bench.sweep_and_work()
            except Killed:
                killed += 1
                bench.executor = bench.new_executor()
        bench.clock.forward(seconds=31)  # the lease it died with is over
    for _ in range(20):
        bench.sweep_and_work()
        bench.clock.forward(seconds=31)
    return killed


@pytest.mark.parametrize("kills", [False, True], ids=["undisturbed", "killed"])
def test_four_steps_over_ten_thousand_recipients(bench: Bench, clock: Any, kills: bool) -> None:
    """E-mail; two days; e-mail to those who did not click; WhatsApp to those who still did not."""
    people = contacts(bench)
    campaign = bench.campaign(max_attempts=10)
    other = bench.second_channel("whatsapp", max_attempts=10)
    email, _, reminder, _, message = bench.sequence(
        campaign,
        {"name": "e-mail"},
        {"type": "wait", "settings": {"days": 2}},
        {"name": "reminder", "condition": NOT_CLICKED},
        {"type": "wait", "settings": {"hours": 12}},
        {"name": "WhatsApp", "condition": NOT_CLICKED, "channel_id": other},
    )
    journal, chat = bench.channel.journal, bench.senders.others[other].journal
    bench.activate(campaign)

    killed = deliver(bench, kills=kills)
    assert {"in_progress": SIZE} == bench.statuses()
    assert set(people) == {sent.entity_id for sent in journal}
    click(bench, campaign, people[:3_000])
    clock.forward(days=1)
    assert 0 == deliver(bench, kills=False)
    assert {email} == {sent.touchpoint_id for sent in journal}

    clock.forward(days=1)
    killed += deliver(bench, kills=kills)
    reminded = {sent.entity_id for sent in journal if sent.touchpoint_id == reminder}
    assert set(people[3_000:]) == reminded
    click(bench, campaign, people[3_000:5_000])
    assert not chat

    clock.forward(days=1)
    killed += deliver(bench, kills=kills)
    assert set(people[5_000:]) == {sent.entity_id for sent in chat}
    assert {"success": SIZE} == bench.statuses()
    assert "completed" == bench.campaign_status(campaign)

    with bench.database.read() as session:
        found = session.execute(
            select(Execution.touchpoint_id, Execution.status, func.count()).group_by(
                Execution.touchpoint_id, Execution.status
            )
        )
        told = {(touchpoint, status): count for touchpoint, status, count in found}
        hours = session.execute(
            select(DeliveryHour.touchpoint_id, func.sum(DeliveryHour.sent)).group_by(
                DeliveryHour.touchpoint_id
            )
        )
        assert {email: SIZE, reminder: 7_000, message: 5_000} == dict(hours.all())
    assert {
        (email, "success"): SIZE,
        (reminder, "success"): 7_000,
        (reminder, "skipped"): 3_000,
        (message, "success"): 5_000,
        (message, "skipped"): 5_000,
    } == told
    assert {email: (SIZE, 0, 0), reminder: (7_000, 0, 0), message: (5_000, 0, 0)} == check(bench, campaign)
    # Whoever recognises a repeat by its key got everything once; what was repeated was in doubt, a wave a kill at most.
    keys = Counter((sent.touchpoint_id, sent.entity_id, sent.execution_id) for sent in [*journal, *chat])
    assert SIZE + 7_000 + 5_000 == len(keys)
    assert keys.total() - len(keys) <= killed * bench.settings.wave_size
    assert killed == (3 * len(EDGES) if kills else 0)
