"""One organization with webhooks, and a worker for them that runs when it is told to."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from sqlalchemy import func, select

from config.settings import Settings
from engine.events import distribute, webhooks
from engine.events.outbox import record
from engine.events.webhook_dispatcher import WebhookDispatcher
from engine.kernel.commands import Distribute, Notify
from engine.kernel.inputs import read
from engine.kernel.outbound import Guard
from engine.kernel.runtime import Runtime
from engine.kernel.secrets import Secrets
from engine.kernel.send_loop import SendLoop
from engine.kernel.wakeups import MemoryWakeups
from state.tables import Event, Webhook, WebhookDelivery
from tests.conftest import manual_clock
from tests.harness.sweeping import sweep

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from state.database import Database
    from tests.conftest import ManualClock

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


class Desk:
    """Writes events, and tells webhooks of them."""

    def __init__(self, database: Database, org_id: UUID, folder: Path, **settings: Any) -> None:
        values = {"webhook_allowed_networks": "127.0.0.1/32", "webhook_timeout": 5, "data_dir": folder}
        self.settings = Settings(**{**values, **settings})
        self.wakeups = MemoryWakeups()
        self.database = database
        self.runtime = Runtime(self.settings, database=database, wakeups=self.wakeups)
        self.org_id = org_id
        self.secrets = Secrets.of(self.settings)
        self.guard = Guard(self.settings.webhook_networks)
        self.loop = SendLoop()
        self.dispatcher = WebhookDispatcher(self.runtime, self.loop)

    @property
    def clock(self) -> ManualClock:
        return manual_clock(self.database)

    def close(self) -> None:
        self.dispatcher.stop()
        self.loop.close()

    def new_dispatcher(self, **settings: Any) -> WebhookDispatcher:
        """A worker as after a restart."""
        self.dispatcher.stop()
        self.runtime.settings = self.settings.model_copy(update=settings)
        self.dispatcher = WebhookDispatcher(self.runtime, self.loop)
        return self.dispatcher

    def webhook(self, url: str, *events: str, **values: Any) -> UUID:
        given = {"url": url, "events": list(events or ["*"]), "secret": SECRET, **values}
        with self.runtime.transaction() as session:
            created, _ = webhooks.create_webhook(
                session, self.org_id, read(webhooks.WebhookInput, given), self.secrets, self.guard
            )
            return created.id

    def happen(self, name: str, campaign_id: UUID | None = None, **data: Any) -> None:
        with self.runtime.transaction() as session:
            record(session, self.org_id, name, campaign_id=campaign_id, **data)

    def campaigns(self, count: int) -> list[UUID]:
        """Ids, in the order in which databases sort them."""
        return sorted(uuid4() for _ in range(count))

    def work(self, *, most: int = 10_000) -> int:
        """Run every command on its way, and those that they cause; returns how many."""
        done = 0
        while self.wakeups.sent and done < most:
            command = self.wakeups.sent.pop(0)
            if isinstance(command, Distribute):
                distribute.distribute(self.runtime)
            elif isinstance(command, Notify):
                self.dispatcher.work(command)
            done += 1
        return done

    def sweep(self) -> int:
        sweep(self.runtime)
        return self.work()

    def forward(self, **by: float) -> None:
        """Time passes, and the sweeper looks."""
        self.clock.forward(**by)
        self.sweep()

    def deliveries(self, webhook_id: UUID) -> list[WebhookDelivery]:
        with self.database.read() as session:
            return list(
                session.execute(
                    select(WebhookDelivery)
                    .where(WebhookDelivery.webhook_id == webhook_id)
                    .order_by(WebhookDelivery.id)
                ).scalars()
            )

    def row(self, webhook_id: UUID) -> Webhook:
        with self.database.read() as session:
            return session.get_one(Webhook, webhook_id)

    def events(self) -> list[Event]:
        with self.database.read() as session:
            return list(session.execute(select(Event).order_by(Event.position)).scalars())

    def count(self, table: Any) -> int:
        with self.database.read() as session:
            return session.execute(select(func.count()).select_from(table)).scalar_one()

    @contextmanager
    def changing(self) -> Iterator[Any]:
        with self.runtime.transaction() as session:
            yield session
