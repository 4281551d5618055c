"""What a slice is sent with: the flow's channel and template, made ready once and kept while their rows stay the same.

A template or channel that is edited applies to the next slice, also of a job that is paused. Channels live as long as
the process, because their connections do.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any

import structlog
import uvloop
from sqlalchemy import select

from engine.channels import registry
from engine.channels.secrets import Secrets
from engine.content.links import Links
from engine.content.templates import CompiledTemplate, TemplateError, compile_template
from engine.delivery.outcomes import Policy
from engine.delivery.statements import execute, statements
from state.tables import Channel as ChannelRow
from state.tables import Job, Template, Touchpoint

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from concurrent.futures import Future
    from uuid import UUID

    from sqlalchemy.orm import Session

    from config.settings import Settings
    from engine.channels.port import Channel

__all__ = ["SendLoop", "Sender", "SenderUnavailable", "Senders", "channel_of_job", "default_channel"]

log = structlog.get_logger(__name__)


class SenderUnavailable(Exception):
    """There is nothing to send with: no channel, a channel that cannot be built, or a template that is gone."""


class SendLoop:
    """One event loop on a thread of its own; every channel of the process sends on it."""

    def __init__(self) -> None:
        self._loop = uvloop.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, name="send-loop", daemon=True)
        self._thread.start()

    def submit(self, work: Coroutine[Any, Any, None]) -> Future[None]:
        """Start `work` on the loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def close(self) -> None:
        """Stop the loop. Safe to call twice."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()


@dataclass(frozen=True)
class Sender:
    """Everything that sending one slice needs."""

    channel: Channel
    channel_id: UUID
    kind: str
    policy: Policy
    template: CompiledTemplate
    links: Links | None
    """For channels whose messages carry an unsubscribe link."""
    blocked_until: datetime | None
    blocked_reason: str | None
    failures: int
    """Times in a row that the provider was down, as the row says."""


class Senders:
    """The senders of one process."""

    def __init__(self, settings: Settings, loop: SendLoop) -> None:
        self._secrets = Secrets.of(settings)
        self._links = Links(str(settings.public_url), self._secrets.signing_keys)
        self._loop = loop
        self._lock = Lock()
        self._channels: dict[UUID, tuple[datetime, Channel]] = {}
        self._templates: dict[UUID, tuple[datetime, CompiledTemplate]] = {}

    def of_job(self, session: Session, org_id: UUID, job_id: UUID) -> Sender:
        """The sender of a job's flow.

        Raises:
            SenderUnavailable: see there; the message says which.
        """
        found = execute(session, statements(session).sender, p_org_id=org_id, p_job_id=job_id).first()
        if found is None:
            raise SenderUnavailable("the campaign's flow has no message touchpoint")
        if found.template_id is None:
            raise SenderUnavailable("the touchpoint's template does not exist any more")
        if found.channel_id is None:
            raise SenderUnavailable("the organization has no default channel")
        channel = self._channel(session, found.channel_id, found.channel_updated_at)
        return Sender(
            channel=channel,
            channel_id=found.channel_id,
            kind=found.kind,
            policy=Policy(
                found.doubt_policy, found.max_attempts, timedelta(seconds=found.retry_base_seconds)
            ),
            template=self._template(session, found.template_id, found.template_updated_at),
            links=self._links if channel.links else None,
            blocked_until=found.blocked_until,
            blocked_reason=found.blocked_reason,
            failures=found.consecutive_failures,
        )

    def _channel(self, session: Session, channel_id: UUID, updated_at: datetime) -> Channel:
        with self._lock:
            known = self._channels.get(channel_id)
            if known is not None and known[0] == updated_at:
                return known[1]
            row = session.get_one(ChannelRow, channel_id)
            try:
                credentials = self._secrets.open(row.credentials) if row.credentials else {}
                channel = registry.build(row.kind, row.settings, credentials)
            except ValueError as error:
                raise SenderUnavailable(f"channel {row.name!r} cannot be used: {error}") from error
            self._channels[row.id] = (row.updated_at, channel)
        if known is not None:
            self._loop.submit(known[1].close())
        return channel

    def _template(self, session: Session, template_id: UUID, updated_at: datetime) -> CompiledTemplate:
        with self._lock:
            known = self._templates.get(template_id)
            if known is not None and known[0] == updated_at:
                return known[1]
            row = session.get_one(Template, template_id)
            try:
                compiled = compile_template(
                    subject=row.subject,
                    html=row.html,
                    text=row.text,
                    defaults=row.defaults,
                    sender=row.sender,
                )
            except TemplateError as error:
                raise SenderUnavailable(f"template {row.name!r} cannot be used: {error}") from error
            self._templates[row.id] = (row.updated_at, compiled)
            return compiled

    def close(self) -> None:
        """Close every channel. Safe to call twice."""
        with self._lock:
            channels, self._channels = self._channels, {}
        for _, channel in channels.values():
            try:
                self._loop.submit(channel.close()).result(timeout=5)
            except Exception:
                log.warning("channel.close_failed", exc_info=True)


def channel_of_job(session: Session, org_id: UUID, job_id: UUID) -> ChannelRow | None:
    """The channel a job sends through; None when there is none any more."""
    step = _step(session, org_id, job_id)
    return None if step is None else _channel_of(session, org_id, step)


def _step(session: Session, org_id: UUID, job_id: UUID) -> Touchpoint | None:
    return session.execute(
        select(Touchpoint)
        .join(Job, Job.flow_id == Touchpoint.flow_id)
        .where(Job.id == job_id, Touchpoint.org_id == org_id, Touchpoint.type == "message")
        .order_by(Touchpoint.position)
        .limit(1)
    ).scalar_one_or_none()


def _channel_of(session: Session, org_id: UUID, step: Touchpoint) -> ChannelRow | None:
    if step.channel_id is None:
        return default_channel(session, org_id)
    row = session.get(ChannelRow, step.channel_id)
    return row if row is not None and row.org_id == org_id else None


def default_channel(session: Session, org_id: UUID) -> ChannelRow | None:
    """The channel of touchpoints that name none: the organization's default, else its oldest."""
    return session.execute(
        select(ChannelRow)
        .where(ChannelRow.org_id == org_id)
        .order_by(ChannelRow.is_default.desc(), ChannelRow.created_at, ChannelRow.id)
        .limit(1)
    ).scalar_one_or_none()
