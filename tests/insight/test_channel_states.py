"""How a channel stands is one rule: for a row and as SQL they agree, on both databases."""

from __future__ import annotations

from datetime import timedelta
from itertools import product
from typing import TYPE_CHECKING

from sqlalchemy import select

from engine.insight.channel_states import ChannelState, channel_state, channel_state_expression
from state.tables import Channel

if TYPE_CHECKING:
    from uuid import UUID

    from state.database import Database
    from tests.conftest import ManualClock

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


def test_a_row_and_a_statement_say_the_same(database: Database, org_id: UUID, clock: ManualClock) -> None:
    now = clock.now()
    everything = product(
        (None, now - MINUTE, now + MINUTE),
        (None, "breaker", "throttled", "quota", "warm_up"),
        (None, now - MINUTE),
        ((None, None), (now - MINUTE, 5.0), (now - 2 * HOUR, 5.0), (now - MINUTE, None)),
    )
    with database.begin() as session:
        for number, (until, reason, opened, (slowed_at, rate)) in enumerate(everything):
            session.add(
                Channel(
                    org_id=org_id,
                    name=f"channel {number}",
                    kind="null",
                    doubt_policy="resend",
                    blocked_until=until,
                    blocked_for=reason,
                    breaker_opened_at=opened,
                    throttled_at=slowed_at,
                    throttled_rate=rate,
                    created_at=now,
                    updated_at=now,
                )
            )
    with database.read() as session:
        found = session.execute(select(Channel, channel_state_expression(now))).all()
    assert len(found) == 120
    for row, state in found:
        assert state == channel_state(row, now), (row.blocked_until, row.blocked_for, row.breaker_opened_at)
    assert {state for _, state in found} == set(ChannelState)
