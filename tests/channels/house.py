"""A worker that delivers real rows through a real channel to a server that speaks its protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from engine.delivery.lease import Executor
from engine.delivery.sender import Senders
from engine.kernel.secrets import Secrets, channel_place
from state.tables import Channel, Template
from tests.delivery.kit import Bench

if TYPE_CHECKING:
    from uuid import UUID

    from state.database import Database

__all__ = ["House"]

#: What everybody has, beside an e-mail address of their own.
PERSON = {"phone": "+4915112345678", "telegram_chat_id": 4711}


class House:
    """A worker on one organization's rows, whose only channel is a rig's."""

    def __init__(self, database: Database, org_id: Any, rig: Any, folder: Any) -> None:
        self.bench = Bench(database, org_id, data_dir=folder)
        self.rig = rig
        self.senders = Senders(self.bench.settings, self.bench.loop, database)
        self.executor = Executor(self.bench.runtime, self.senders, self.bench.loop)
        self.bench.executor = self.executor
        self.bench.entities(3, **PERSON)

    def deliver(self, scenario: str, *, doubt: str = "hold", max_attempts: int = 1, **template: Any) -> UUID:
        """A campaign to everybody while the provider is in `scenario`; returns its job.

        Args:
            template: More of what its template says.
        """
        self.rig.arrange(scenario)
        campaign_id = self.bench.campaign(doubt=doubt, max_attempts=max_attempts)
        secrets = Secrets.of(self.bench.settings)
        with self.bench.database.begin() as session:
            channel = session.scalars(select(Channel).order_by(Channel.created_at.desc())).first()
            assert channel is not None
            channel.kind, channel.settings = getattr(self.rig, "kind", "smtp"), self.rig.patient_settings()
            channel.credentials = secrets.seal(self.rig.credentials, channel_place(channel.id))
            for row in session.scalars(select(Template)):
                row.text = "Hello 0195a000-0000-7000-8000-0000000000ff"
                for name, value in template.items():
                    setattr(row, name, value)
        job_id = self.bench.activate(campaign_id)
        self.bench.work()
        return job_id

    def close(self) -> None:
        self.senders.close()
        self.bench.close()
