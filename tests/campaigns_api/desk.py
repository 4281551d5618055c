"""A user's desk: requests that must succeed or fail as told, what the examples name, and a worker to deliver with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from sqlalchemy import select

from actors.context import Context
from actors.registry import ACTORS
from engine.delivery.lease import Executor
from engine.events.webhook_dispatcher import WebhookDispatcher
from engine.kernel.send_loop import SendLoop
from state.tables import Channel, Entity, Event, Job, Recipient, Target, Template
from tests.delivery.kit import ScriptedChannel, ScriptedSenders
from tests.harness.processes import beat
from tests.harness.sweeping import sweep

if TYPE_CHECKING:
    from collections.abc import Sequence

    import httpx

    from tests.api.conftest import Api
    from tests.conftest import ManualClock

__all__ = ["BLACK_FRIDAY", "Desk"]

#: docs/contract/campaigns-api.md: the example of creating a campaign.
BLACK_FRIDAY: dict[str, Any] = {
    "name": "Black Friday Campaign",
    "description": "Massive discounts for Black Friday",
    "type": "message",
    "goals": {"targetAudience": 20000, "conversionRate": 10, "revenue": 100000},
    "targetAudience": {
        "segments": ["seg789"],
        "filters": {"location": ["US"], "purchaseHistory": True},
    },
    "messages": [
        {
            "templateId": "tmpl456",
            "personalization": {"enabled": True, "fields": ["firstName", "lastPurchase"]},
        }
    ],
    "budget": 10000,
    "startDate": "2024-11-24T00:00:00Z",
    "endDate": "2024-11-30T23:59:59Z",
}
BASE = "/api/v1/campaigns"


class Desk:
    """One organization's."""

    def __init__(self, api: Api, client: httpx.Client) -> None:
        self.api = api
        self.client = client
        self.org_id = api.org_id
        self.database = api.database
        self.senders = ScriptedSenders()
        self.channel: ScriptedChannel = self.senders.channel
        self.loop = SendLoop()
        self.executor = Executor(api.runtime, self.senders, self.loop)  # type: ignore[arg-type]
        self.dispatcher = WebhookDispatcher(api.runtime, self.loop)

    @property
    def clock(self) -> ManualClock:
        return self.api.clock

    def close(self) -> None:
        self.dispatcher.stop()
        self.loop.close()

    # What the examples name.

    def times(self) -> dict[str, Any]:
        now = self.database.clock.now()
        return {"created_at": now, "updated_at": now}

    def people(self, count: int, **attributes: Any) -> list[UUID]:
        ids = [uuid4() for _ in range(count)]
        with self.database.begin() as session:
            session.add_all(
                Entity(
                    id=key, org_id=self.org_id, schema="contact", title=f"Person {index}",
                    attributes={"email": f"p{index}-{key.hex[:6]}@example.com", **attributes}, **self.times(),
                )
                for index, key in enumerate(ids)
            )  # fmt: skip
        return sorted(ids)

    def segment(self, name: str, *items: dict[str, Any]) -> UUID:
        items = items or ({"key": "email", "operator": "NOT_EMPTY"},)
        with self.database.begin() as session:
            target = Target(
                id=uuid4(), org_id=self.org_id, name=name, entity_schema="contact",
                entity_filters={"filter": {"items": list(items), "combination": "AND"}}, **self.times(),
            )  # fmt: skip
            session.add(target)
            return target.id

    def template(self, name: str, **values: Any) -> UUID:
        with self.database.begin() as session:
            said = {"subject": "Hello", "text": "Hello {{ _title }}", **values}
            template = Template(id=uuid4(), org_id=self.org_id, name=name, **said, **self.times())
            session.add(template)
            return template.id

    def sender(self, kind: str = "file", **values: Any) -> UUID:
        with self.database.begin() as session:
            channel = Channel(
                id=uuid4(), org_id=self.org_id, name=kind, kind=kind, doubt_policy="resend",
                **self.times(), **values,
            )  # fmt: skip
            session.add(channel)
            return channel.id

    def furnish(self, people: int = 0) -> list[UUID]:
        """The segment and the template of the examples, a channel, and people whom the examples reach."""
        self.segment("seg789")
        self.template("tmpl456")
        self.sender()
        return self.people(people, location="US", purchaseHistory=True)

    # Asking.

    def ask(self, method: str, path: str = "", status: int | None = None, **options: Any) -> Any:
        """The data of an answer that must be a success."""
        answer = self.client.request(method, BASE + path, **options)
        wanted = status or 200
        assert answer.status_code == wanted, f"{method} {path}: {answer.status_code} {answer.text[:600]}"
        body = answer.json()
        assert body["success"] is True
        assert set(body) == {"success", "data"}
        return body["data"]

    def refused(self, method: str, path: str, status: int, code: str, **options: Any) -> dict[str, Any]:
        """The error of an answer that must be one, in its envelope."""
        answer = self.client.request(method, BASE + path, **options)
        assert answer.status_code == status, f"{method} {path}: {answer.status_code} {answer.text[:600]}"
        body: dict[str, Any] = answer.json()
        assert set(body) <= {"success", "error", "code", "details"}
        assert (body["success"], body["code"]) == (False, code), body
        assert isinstance(body["error"], str)
        return body

    def invalid(self, method: str, path: str, field: str, **options: Any) -> None:
        """A value that must be refused by the name of its field, changing nothing."""
        body = self.refused(method, path, 400, "VALIDATION_ERROR", **options)
        assert body["details"]["field"] == field, body
        assert field in body["error"]

    def create(self, **values: Any) -> str:
        """A draft; its id."""
        return str(self.ask("POST", status=201, json={**BLACK_FRIDAY, **values})["id"])

    def plain(self, **values: Any) -> str:
        """A draft without dates, for whoever the furnished segment holds."""
        given = {
            "name": "Plain",
            "targetAudience": {"segments": ["seg789"]},
            "messages": [{"templateId": "tmpl456"}],
            **values,
        }
        return str(self.ask("POST", status=201, json=given)["id"])

    def status(self, campaign: str) -> str:
        return str(self.ask("GET", f"/{campaign}")["status"])

    def progress(self, campaign: str) -> dict[str, Any]:
        return dict(self.ask("GET", f"/{campaign}/progress"))

    # Delivering.

    def work(self, *, most: int = 10_000) -> int:
        """Run every command on its way, and those that they cause, in order; returns how many."""
        beat(self.database, "worker", "scheduler")
        context = Context(self.api.runtime, self.executor, self.dispatcher)
        done = 0
        while self.api.wakeups.sent and done < most:
            command = self.api.wakeups.sent.pop(0)
            ACTORS[type(command)](context, command)
            done += 1
        return done

    def run_out(self) -> None:
        """Sweep and work, moving the clock, until every job is over."""
        for _ in range(50):
            sweep(self.api.runtime)
            self.work()
            with self.database.read() as session:
                open_ = Job.status.in_(("queued", "processing", "send_report"))
                if session.execute(select(Job.id).where(open_, Job.held.is_(False)).limit(1)).first() is None:
                    return
            self.clock.forward(seconds=60)
        raise AssertionError("the jobs did not end")

    def sent(self) -> set[UUID]:
        return set(self.channel.sent())

    def events(self, campaign: str) -> list[str]:
        """Names of the campaign's events, in order."""
        with self.database.read() as session:
            return list(
                session.scalars(
                    select(Event.name).where(Event.campaign_id == UUID(campaign)).order_by(Event.id)
                )
            )

    def recipients(self, campaign: str) -> Sequence[Recipient]:
        with self.database.read() as session:
            return session.scalars(select(Recipient).where(Recipient.campaign_id == UUID(campaign))).all()

    def job(self, execution: str) -> Job:
        with self.database.read() as session:
            return session.get_one(Job, UUID(execution))
