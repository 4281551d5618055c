"""A campaign that has sent e-mail, and what came back about it."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from sqlalchemy import select

from engine.content.links import message_id_of
from state.tables import (
    Campaign,
    Engagement,
    EngagementHour,
    Entity,
    Recipient,
    Suppression,
    Touchpoint,
)
from state.types import NIL_UUID
from tests.targeting.world import World

if TYPE_CHECKING:
    from datetime import datetime


class Mailing(World):
    """One organization's, with helpers for what was sent."""

    def sent(
        self, campaign_id: UUID, *addresses: str, at: datetime | None = None, **values: Any
    ) -> list[UUID]:
        """People with these addresses, who got the campaign's message."""
        now = self.api.database.clock.now()
        made = self.recipients(campaign_id, *["success"] * len(addresses), sent_at=at or now, **values)
        with self.api.database.begin() as session:
            session.add_all(
                Entity(
                    id=entity_id,
                    org_id=self.api.org_id,
                    schema="contact",
                    external_id=address,
                    title=address,
                    attributes={"email": address},
                    created_at=now,
                    updated_at=now,
                )
                for entity_id, address in zip(made, addresses, strict=True)
            )
        return made

    def touchpoint(self, campaign_id: UUID) -> UUID:
        """The campaign's only one."""
        with self.api.database.read() as session:
            return session.scalars(
                select(Touchpoint.id)
                .join(Campaign, Campaign.flow_id == Touchpoint.flow_id)
                .where(Campaign.id == campaign_id)
            ).one()

    def message_id(self, campaign_id: UUID, entity_id: UUID) -> str:
        return f"<{message_id_of(uuid4(), campaign_id, entity_id).decode()}@x.example>"

    def suppressed(self) -> list[tuple[str, str]]:
        with self.api.database.read() as session:
            found = session.execute(
                select(Suppression.address, Suppression.reason).order_by(Suppression.address)
            )
            return list(found)

    def engagements(self, campaign_id: UUID) -> list[Engagement]:
        with self.api.database.read() as session:
            return list(
                session.scalars(
                    select(Engagement).where(Engagement.campaign_id == campaign_id).order_by(Engagement.id)
                )
            )

    def status(self, campaign_id: UUID, entity_id: UUID) -> tuple[str | None, str | None]:
        with self.api.database.read() as session:
            row = session.get_one(Recipient, (campaign_id, entity_id))
            return row.email_status, row.email_bounce_type

    def check_sums(self) -> None:
        """The sums say what a recount of the log says, in every column and at every key."""
        recount: dict[tuple[Any, ...], list[int]] = defaultdict(lambda: [0, 0, 0, 0, 0])
        seen: dict[tuple[Any, ...], set[Any]] = defaultdict(set)
        with self.api.database.read() as session:
            rows = list(session.scalars(select(Engagement).order_by(Engagement.id)))
            sums = {
                (
                    row.campaign_id, row.channel, row.kind, row.hour, row.touchpoint_id, row.variant,
                    row.target_id, row.currency,
                ): [row.events, row.recipients, row.touchpoint_recipients, row.bots, row.revenue]
                for row in session.scalars(select(EngagementHour))
            }  # fmt: skip
        for row in rows:
            hour = row.happened_at.replace(minute=0, second=0, microsecond=0)
            key = (
                row.campaign_id, row.channel, row.kind, hour, row.touchpoint_id or NIL_UUID, row.variant or "",
                row.target_id or NIL_UUID, row.currency or "",
            )  # fmt: skip
            total = recount[key]
            if row.bot:
                total[3] += 1
                continue
            who = (row.campaign_id, row.entity_id, row.channel, row.kind)
            total[0] += 1
            total[1] += not seen[who]
            total[2] += row.touchpoint_id not in seen[who]
            total[4] += row.revenue or 0
            seen[who].add(row.touchpoint_id)
        # The first of its kind may be written down after a later one: which hour has it is the writer's to say.
        assert {key[:3] for key in sums} == {key[:3] for key in recount}
        for at in (0, 3, 4):
            assert {key: counts[at] for key, counts in sums.items()} == {
                key: counts[at] for key, counts in recount.items()
            }
        for at, places in ((1, (0, 1, 2)), (2, (0, 1, 2, 4))):
            assert _grouped(sums, at, places) == _grouped(recount, at, places)


def _grouped(counts: dict[tuple[Any, ...], list[int]], at: int, places: tuple[int, ...]) -> dict[Any, int]:
    total: dict[Any, int] = defaultdict(int)
    for key, values in counts.items():
        total[tuple(key[place] for place in places)] += values[at]
    return total
