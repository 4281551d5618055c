"""A campaign to deliver, a channel that does as it is told, and a worker that runs in the test's own thread."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING, Any, ClassVar
from uuid import UUID, uuid4

from sqlalchemy import and_, case, delete, func, select

from actors.context import Context
from actors.registry import ACTORS
from config.settings import Settings
from engine.campaigns import lifecycle
from engine.channels.port import Delivered, Outcome, Released
from engine.content.message import Content, Message
from engine.delivery.cancel_codes import JOB_CANCELLED
from engine.delivery.lease import Executor
from engine.delivery.outcomes import policy_of
from engine.delivery.sender import Sender, Senders
from engine.events.webhook_dispatcher import WebhookDispatcher
from engine.insight.progress import campaign_progress
from engine.kernel.runtime import Runtime
from engine.kernel.send_loop import SendLoop
from engine.kernel.triggers import arm
from engine.kernel.wakeups import MemoryWakeups
from engine.limits.context import LimitContext
from engine.limits.redis_buckets import RedisBuckets
from state.tables import (
    Campaign,
    Channel,
    DeliveryHour,
    Entity,
    Flow,
    Job,
    Recipient,
    Slice,
    Target,
    Template,
    Touchpoint,
)
from state.transitions import AutomationStatus
from tests.conftest import manual_clock
from tests.harness.account import slice_miscounts
from tests.harness.sweeping import sweep

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from threading import Event

    from pydantic import BaseModel
    from sqlalchemy.orm import Session

    from engine.channels.port import Report
    from engine.delivery.flow_plan import FlowPlan, Step
    from engine.kernel.media import AddressMedium
    from state.database import Database
    from tests.conftest import ManualClock

EVERYBODY = {"filter": {"items": [{"key": "email", "operator": "NOT_EMPTY"}], "combination": "AND"}}


class ScriptedChannel:
    """Answers each message with what `answer` says; keeps a journal of what it was asked to send."""

    kind: ClassVar[str] = "scripted"
    doubt_policy: ClassVar[str] = "resend"
    links: ClassVar[bool] = False
    medium: AddressMedium | None = None
    in_one_piece: bool = False

    def __init__(self) -> None:
        self.journal: list[Message] = []
        self.answer: Callable[[Message], Outcome | None] = lambda _: Delivered()
        """None: end without reporting an outcome, as a broken channel would."""
        self.lock = Lock()

    @classmethod
    def problems_of(cls, content: Content, settings: BaseModel | None = None) -> list[str]:
        return []

    def address_of(self, attributes: Mapping[str, Any]) -> str | None:
        return attributes.get("email") or None

    async def send(self, messages: Sequence[Message], report: Report, stop: Event) -> None:
        for message in messages:
            if stop.is_set():
                report(message, Released())
                continue
            with self.lock:
                self.journal.append(message)
            outcome = self.answer(message)
            if outcome is not None:
                report(message, outcome)

    async def check(self) -> str | None:
        return None

    async def close(self) -> None:
        pass

    def sent(self) -> Counter[UUID]:
        """Entity id → how many times a message to it was started."""
        return Counter(message.entity_id for message in self.journal)


class NameTemplate:
    """Renders the entity's title."""

    def render(self, attributes: Mapping[str, Any], extras: Mapping[str, Any]) -> Content:
        return Content(subject=f"Hello {attributes['_title']}")


@dataclass
class ScriptedSenders:
    """Hands out one scripted channel, with the policy and the health of the campaign's real channel row."""

    channel: ScriptedChannel = field(default_factory=ScriptedChannel)
    template: Any = field(default_factory=NameTemplate)
    others: dict[UUID, ScriptedChannel] = field(default_factory=dict)
    """Channels beside the first, by id."""
    real: Senders | None = None
    """What actions are made with."""

    def of_step(self, session: Any, org_id: UUID, step: Step, variant: str | None = None) -> Sender:
        if step.is_action and self.real is not None:
            return self.real.of_step(session, org_id, step)
        return self._sender(session, step.row.channel_id)

    def are_ready(self, session: Any, org_id: UUID, flow: FlowPlan) -> bool:
        return True

    def of_fallback(
        self, session: Any, org_id: UUID, step: Step, variant: str | None = None
    ) -> Sender | None:
        fallback = session.get_one(Channel, step.row.channel_id).fallback_channel_id
        return None if fallback is None else self._sender(session, fallback).standing_in()

    def _sender(self, session: Any, channel_id: UUID) -> Sender:
        row = session.execute(
            select(Channel).where(Channel.id == channel_id).execution_options(populate_existing=True)
        ).scalar_one()
        return Sender(
            channel=self.others.get(row.id, self.channel),
            channel_id=row.id,
            kind=row.kind,
            policy=policy_of(row),
            template=self.template,
            links=None,
            blocked_until=row.blocked_until,
            blocked_reason=row.blocked_reason,
            failures=row.consecutive_failures,
        )

    def close(self) -> None:
        pass


class Crash(BaseException):
    """As good as SIGKILL for the thread: nothing on the way catches it."""


class Bench:
    """One organization with one campaign on `database`, and a worker without threads or broker."""

    def __init__(self, database: Database, org_id: UUID, **settings: Any) -> None:
        self.settings = Settings(slice_size=10, wave_size=5, window=3, **settings)
        self.wakeups = MemoryWakeups()
        self.runtime = Runtime(self.settings, database=database, wakeups=self.wakeups)
        self.database = database
        self.org_id = org_id
        self.senders = ScriptedSenders()
        self.channel = self.senders.channel
        self.loop = SendLoop()
        self.executor = self.new_executor()
        self.dispatcher = WebhookDispatcher(self.runtime, self.loop)

    @property
    def clock(self) -> ManualClock:
        return manual_clock(self.database)

    def new_executor(self) -> Executor:
        """A worker as after a restart."""
        clock: Any = self.database.clock
        limit_context = LimitContext(
            self.settings,
            buckets=RedisBuckets("embedded://", now=lambda: clock.now().timestamp() * 1000),
            steady=lambda: clock.now().timestamp(),
            rest=lambda seconds, _: clock.forward(seconds=max(seconds, 0)),
        )
        return Executor(self.runtime, self.senders, self.loop, limit_context=limit_context)  # type: ignore[arg-type]

    def close(self) -> None:
        self.dispatcher.stop()
        self.loop.close()

    def times(self) -> dict[str, Any]:
        now = self.database.clock.now()
        return {"created_at": now, "updated_at": now}

    def entities(self, count: int, **attributes: Any) -> list[UUID]:
        """People with an address each."""
        ids = [uuid4() for _ in range(count)]
        with self.database.begin() as session:
            session.add_all(
                Entity(
                    id=key,
                    org_id=self.org_id,
                    schema="contact",
                    title=f"Person {i}",
                    attributes={"email": f"p{i}@example.com", **attributes},
                    **self.times(),
                )
                for i, key in enumerate(ids)
            )
        return sorted(ids)

    def campaign(self, *, doubt: str = "resend", max_attempts: int = 3, **values: Any) -> UUID:
        """A draft campaign over everybody with an address."""
        with self.database.begin() as session:
            channel = Channel(
                org_id=self.org_id,
                name="scripted",
                kind="scripted",
                doubt_policy=doubt,
                max_attempts=max_attempts,
                retry_base_seconds=30,
                **self.times(),
            )
            template = Template(org_id=self.org_id, name="t", subject="Hello", **self.times())
            flow = Flow(org_id=self.org_id, name="f", **self.times())
            target = Target(
                org_id=self.org_id,
                name="all",
                entity_schema="contact",
                entity_filters=EVERYBODY,
                **self.times(),
            )
            session.add_all([channel, template, flow, target])
            session.flush()
            session.add(
                Touchpoint(
                    org_id=self.org_id,
                    flow_id=flow.id,
                    position=0,
                    channel_id=channel.id,
                    template_id=template.id,
                    **self.times(),
                )
            )
            campaign = Campaign(
                org_id=self.org_id,
                name="c",
                target_ids=[str(target.id)],
                flow_id=flow.id,
                **{**self.times(), **values},
            )
            session.add(campaign)
            session.flush()
            return campaign.id

    def sequence(self, campaign_id: UUID, *touchpoints: Mapping[str, Any]) -> list[UUID]:
        """Make these the campaign's flow, in their order; returns their ids. Messages go over the campaign's channel
        unless they say otherwise; `id` keeps an earlier one's.
        """
        with self.database.begin() as session:
            flow_id = session.execute(select(Campaign.flow_id).where(Campaign.id == campaign_id)).scalar_one()
            first = session.execute(
                select(Touchpoint).where(Touchpoint.flow_id == flow_id).order_by(Touchpoint.position).limit(1)
            ).scalar_one()
            usual = {"template_id": first.template_id, "channel_id": first.channel_id}
            session.execute(delete(Touchpoint).where(Touchpoint.flow_id == flow_id))
            ids = []
            for position, given in enumerate(touchpoints):
                message = {} if given.get("type", "message") != "message" else usual
                row = Touchpoint(
                    org_id=self.org_id,
                    flow_id=flow_id,
                    position=position,
                    **{**self.times(), **message, "id": uuid4(), **given},
                )
                session.add(row)
                ids.append(row.id)
        return ids

    def second_channel(self, kind: str = "other", **values: Any) -> UUID:
        """Another channel, scripted as well (`senders.others`)."""
        with self.database.begin() as session:
            channel = Channel(
                org_id=self.org_id,
                name=kind,
                kind=kind,
                **{
                    "doubt_policy": "resend",
                    "max_attempts": 3,
                    "retry_base_seconds": 30,
                    **self.times(),
                    **values,
                },
            )
            session.add(channel)
            session.flush()
            self.senders.others[channel.id] = ScriptedChannel()
            return channel.id

    def activate(self, campaign_id: UUID) -> UUID:
        with self.runtime.transaction() as session:
            job = lifecycle.activate(session, self.org_id, campaign_id, window=self.settings.window)
            assert job is not None
            return job.id

    def work(self, executor: Executor | None = None, *, most: int = 10_000) -> int:
        """Run every command on its way, and those that they cause, in order; returns how many."""
        context = Context(self.runtime, executor or self.executor, self.dispatcher)
        done = 0
        while self.wakeups.sent and done < most:
            command = self.wakeups.sent.pop(0)
            ACTORS[type(command)](context, command)
            done += 1
        return done

    def crash_at(self, point: str) -> None:
        """Work until `point` is reached, and die there."""

        def crash() -> None:
            raise Crash

        with arm(point, crash), suppress(Crash):
            self.work()
            raise AssertionError(f"{point} was never reached")

    def sweep_and_work(self) -> None:
        """One sweep and everything that it wakes."""
        sweep(self.runtime)
        self.work()

    def run_out(self, *, step: float = 600, rounds: int = 100) -> None:
        """Sweep and work, moving the clock, until every job is over."""
        for _ in range(rounds):
            self.sweep_and_work()
            with self.database.read() as session:
                if not session.execute(
                    select(Job.id).where(Job.status.in_(("queued", "processing", "send_report"))).limit(1)
                ).first():
                    return
            self.clock.forward(seconds=step)
        raise AssertionError("the jobs did not end")

    def recipients(self) -> dict[UUID, Recipient]:
        with self.database.read() as session:
            return {row.entity_id: row for row in session.execute(select(Recipient)).scalars()}

    def statuses(self) -> Counter[str | None]:
        return Counter(row.status for row in self.recipients().values())

    def statuses_of(self, *campaign_ids: UUID) -> Counter[str | None]:
        """Executions by status over several campaigns."""
        with self.database.read() as session:
            found = session.execute(
                select(Recipient.automation_status, func.count())
                .where(Recipient.campaign_id.in_(campaign_ids))
                .group_by(Recipient.automation_status)
            )
            return Counter(dict(found.all()))

    def campaign_status(self, campaign_id: UUID) -> str:
        with self.database.read() as session:
            return session.execute(select(Campaign.status).where(Campaign.id == campaign_id)).scalar_one()

    def job(self, job_id: UUID) -> Job:
        with self.database.read() as session:
            return session.execute(select(Job).where(Job.id == job_id)).scalar_one()

    def report(self, job_id: UUID) -> dict[str, Any]:
        """That of a job that has ended."""
        report = self.job(job_id).report
        assert report is not None
        return report

    def check_counters(self, campaign_id: UUID) -> None:
        """The counters say what a recount of the rows says."""
        with self.database.read() as session:
            progress = campaign_progress(session, self.org_id, campaign_id)
            counted = Counter(
                session.scalars(
                    select(Recipient.status).where(
                        Recipient.campaign_id == campaign_id, Recipient.job_id.is_not(None)
                    )
                )
            )
            assert {status: counted[status] for status in progress.counts} == progress.counts
            assert counted.total() == progress.total
            self._check_sums(session, campaign_id, progress.excluded)
            for job_id in session.scalars(select(Job.id).where(Job.campaign_id == campaign_id)):
                assert slice_miscounts(session.connection(), job_id) == []

    @staticmethod
    def _check_sums(session: Session, campaign_id: UUID, excluded: int) -> None:
        """Hours' sums, with what leases have not folded, count the failed and the excluded of the rows."""
        failed = func.count(case((Recipient.automation_status == AutomationStatus.FAILED, 1)))
        left_out = and_(
            Recipient.automation_status == AutomationStatus.CANCELLED,
            Recipient.error_code.is_distinct_from(JOB_CANCELLED),
        )
        truth = session.execute(
            select(failed, func.count(case((left_out, 1)))).where(
                Recipient.campaign_id == campaign_id, Recipient.job_id.is_not(None)
            )
        ).one()
        assert excluded == truth[1]
        names = ("failed", "cancelled")
        hours, unfolded = (
            session.execute(
                select(*(func.coalesce(func.sum(column), 0) for column in columns)).where(
                    table.campaign_id == campaign_id
                )
            ).one()
            for table, columns in (
                (DeliveryHour, [getattr(DeliveryHour, name) for name in names]),
                (Slice, [getattr(Slice, name) - getattr(Slice, f"{name}_folded") for name in names]),
            )
        )
        assert tuple(truth) == tuple(a + b for a, b in zip(hours, unfolded, strict=True))

    def slices(self, job_id: UUID) -> list[Slice]:
        with self.database.read() as session:
            return list(
                session.execute(select(Slice).where(Slice.job_id == job_id).order_by(Slice.number)).scalars()
            )
