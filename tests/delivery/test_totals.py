"""Totals of lists: what the counters say is what the rows are."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING
from uuid import uuid4

from sqlalchemy import update

from engine.channels.port import Delivered, Rejected
from engine.insight.recipients import list_recipients
from state.tables import Recipient
from state.transitions import AutomationStatus

if TYPE_CHECKING:
    from tests.delivery.kit import Bench


def test_totals_by_status_are_those_of_the_rows(bench: Bench) -> None:
    """They come from counters, for every choice of statuses, while a job runs; a deleted target is none."""
    people = bench.entities(47)
    bench.channel.answer = lambda message: (
        Rejected("SMTP_550", "no such user") if message.entity_id in people[::5] else Delivered()
    )
    campaign = bench.campaign()
    bench.activate(campaign)
    bench.work(most=4)
    with bench.database.begin() as session:
        gone = {"deleted_at": bench.database.clock.now()}
        session.execute(update(Recipient).where(Recipient.entity_id.in_(people[:2])).values(**gone))
        session.add(
            Recipient(
                org_id=bench.org_id,
                campaign_id=campaign,
                entity_id=uuid4(),
                entity_schema="contact",
                title="portal only",
                **bench.times(),
            )
        )
    statuses = [status.value for status in AutomationStatus]
    totals = {}
    for chosen in itertools.chain.from_iterable(itertools.combinations(statuses, n) for n in range(4)):
        with bench.database.read() as session:
            page = list_recipients(session, bench.org_id, campaign, limit=1000, automation_status=chosen)
        assert len(page.results) == page.total
        totals[chosen] = page.total
    assert (46, 0) == (totals[()], totals[("in_progress",)])
    assert all(totals[(status,)] for status in ("pending", "success", "failed"))
