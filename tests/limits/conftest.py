"""The bench for delivery tests, and a campaign whose limits are set."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from engine.campaigns.campaigns import CampaignChange, update_campaign
from engine.campaigns.channels import ChannelChange, update_channel
from engine.channels.port import Delivered
from engine.kernel.inputs import read
from engine.organization_settings import OrganizationChange, update_organization
from state.tables import Channel
from tests.delivery.kit import Bench

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from uuid import UUID

    from engine.content.message import Message
    from state.database import Database


class LimitedBench(Bench):
    """Sets limits as the API does, and writes down when each message was sent."""

    def __init__(self, database: Database, org_id: UUID) -> None:
        super().__init__(database, org_id)
        self.times_sent: list[datetime] = []
        self.channel.answer = self.deliver

    def deliver(self, _: Message) -> Delivered:
        self.times_sent.append(self.database.clock.now())
        return Delivered()

    def channel_id(self) -> UUID:
        with self.database.read() as session:
            return (
                session.query(Channel.id)
                .filter(Channel.org_id == self.org_id)
                .order_by(Channel.id)
                .limit(1)
                .scalar()
            )

    def limit_channel(self, **limits: Any) -> None:
        given = read(ChannelChange, {"limits": limits or None})
        with self.runtime.transaction() as session:
            update_channel(session, self.org_id, self.channel_id(), given, None)  # type: ignore[arg-type]

    def limit_campaign(self, campaign_id: UUID, **limits: Any) -> None:
        with self.runtime.transaction() as session:
            update_campaign(
                session, self.org_id, campaign_id, read(CampaignChange, {"limits": limits or None})
            )

    def limit_organization(self, *, time_zone: str | None = None, **limits: Any) -> None:
        given = read(OrganizationChange, {"limits": limits or None, "time_zone": time_zone})
        with self.runtime.transaction() as session:
            update_organization(session, self.org_id, given)

    def worst_second(self) -> int:
        """The most messages in any one second."""
        return max(
            sum(0 <= (at - begin).total_seconds() < 1 for at in self.times_sent) for begin in self.times_sent
        )


@pytest.fixture
def bench(database: Database, org_id: UUID) -> Iterator[LimitedBench]:
    bench = LimitedBench(database, org_id)
    yield bench
    bench.close()
