"""What a flow of several touchpoints did to whom, and whether every sum of it is right."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from engine.delivery.cancel_codes import JOB_CANCELLED
from state.tables import (
    Campaign,
    DeliveryHour,
    Execution,
    Recipient,
    Touchpoint,
)
from state.types import NIL_UUID

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from tests.delivery.kit import Bench

__all__ = ["TWO_DAYS", "check", "check_hours", "history", "sent_at"]


TWO_DAYS = {"type": "wait", "settings": {"days": 2}}


def sent_at(bench: Bench, touchpoint_id: UUID) -> Counter[UUID]:
    """Entity id → how many messages of a touchpoint were started, over all channels."""
    journals = [bench.channel, *bench.senders.others.values()]
    return Counter(
        message.entity_id
        for channel in journals
        for message in channel.journal
        if message.touchpoint_id == touchpoint_id
    )


def history(bench: Bench) -> dict[UUID | None, Counter[str]]:
    """Touchpoint → its executions in the history, by status."""
    found: dict[UUID | None, Counter[str]] = defaultdict(Counter)
    with bench.database.read() as session:
        for touchpoint_id, status in session.execute(select(Execution.touchpoint_id, Execution.status)):
            found[touchpoint_id][status] += 1
    return found


def check_hours(bench: Bench, campaign_id: UUID) -> dict[UUID, tuple[int, int, int]]:
    """The sums by the hour say what a recount of recipients and history says. Returns touchpoint → sent, failed,
    cancelled.
    """
    truth: Counter[tuple[Any, ...]] = Counter()
    with bench.database.read() as session:
        only = session.execute(
            select(Touchpoint.id)
            .join(Campaign, Campaign.flow_id == Touchpoint.flow_id)
            .where(Campaign.id == campaign_id)
            .order_by(Touchpoint.position)
            .limit(1)
        ).scalar_one()
        varied = set(session.scalars(select(Touchpoint.id).where(Touchpoint.variants.is_not(None))))
        targets = dict(session.execute(select(Recipient.entity_id, Recipient.target_id)).all())

        def note(status: str, at: UUID | None, variant: str | None, entity_id: UUID, when: datetime) -> None:
            at = at or only
            hour = when.replace(minute=0, second=0, microsecond=0)
            truth[
                status, at, (variant or "") if at in varied else "", targets[entity_id] or NIL_UUID, hour
            ] += 1

        kept = set()
        for done in session.execute(select(Execution).where(Execution.campaign_id == campaign_id)).scalars():
            kept.add(done.id)
            if done.status == "success":  # whoever failed or was cancelled, and started over, is so no more
                note(done.status, done.touchpoint_id, done.variant, done.entity_id, done.ended_at)
        for row in session.execute(select(Recipient).where(Recipient.campaign_id == campaign_id)).scalars():
            if row.error_code == JOB_CANCELLED:
                continue  # cancelled before their turn: no hour counts them
            if row.automation_status in ("failed", "cancelled") or (
                row.automation_status == "success" and row.execution_id not in kept
            ):
                note(row.automation_status, row.touchpoint_id, row.variant, row.entity_id, row.updated_at)
        counted: Counter[tuple[Any, ...]] = Counter()
        sums: dict[UUID, tuple[int, int, int]] = {}
        for hour in session.execute(
            select(DeliveryHour).where(DeliveryHour.campaign_id == campaign_id)
        ).scalars():
            key = (hour.touchpoint_id, hour.variant, hour.target_id, hour.hour)
            for status, count in (
                ("success", hour.sent),
                ("failed", hour.failed),
                ("cancelled", hour.cancelled),
            ):
                counted[(status, *key)] += count
            before = sums.get(hour.touchpoint_id, (0, 0, 0))
            sums[hour.touchpoint_id] = (
                before[0] + hour.sent,
                before[1] + hour.failed,
                before[2] + hour.cancelled,
            )
    assert +truth == +counted
    return sums


def check(bench: Bench, campaign_id: UUID) -> dict[UUID, tuple[int, int, int]]:
    """Every counter is right."""
    bench.check_counters(campaign_id)
    return check_hours(bench, campaign_id)
