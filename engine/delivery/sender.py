"""What a slice is sent with: the flow's channel and template, made ready once and kept while their rows stay the same.

A template or channel that is edited applies to the next wave, also of a job that is paused. Channels live as long as
the process, because their connections do.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any
from uuid import UUID

import structlog
import uvloop
from sqlalchemy import select
from sqlalchemy.orm import aliased

from engine.channels import registry
from engine.channels.port import Content, Surroundings
from engine.channels.secrets import Secrets
from engine.content.errors import TemplateError
from engine.content.links import Links
from engine.content.stored import AnyTemplate, compile_content, compile_stored
from engine.delivery.course import ACTION
from engine.delivery.default_channel import default_channel
from engine.delivery.outcomes import Policy, held, policy_of
from engine.tracking.tokens import Tokens
from engine.tracking.tracked import TrackedTemplate, Tracker, wanted_of
from state.tables import Channel as ChannelRow
from state.tables import Template, Touchpoint

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping
    from concurrent.futures import Future

    from sqlalchemy.orm import Session

    from config.settings import Settings
    from engine.channels.port import Channel
    from engine.delivery.course import Step
    from state.database import Database

__all__ = [
    "ACTION_POLICY",
    "Nothing",
    "SendLoop",
    "Sender",
    "SenderUnavailable",
    "Senders",
    "policy_at",
]

log = structlog.get_logger(__name__)


#: Requests carry an idempotency key, so that doubt is resolved by making them again.
ACTION_POLICY = Policy("resend", 5, timedelta(seconds=30), timedelta(0))
_TEMPLATES_KEPT = 128


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
    template: AnyTemplate | TrackedTemplate | Nothing
    links: Links | None
    """For channels whose messages carry an unsubscribe link."""
    blocked_until: datetime | None
    blocked_reason: str | None
    failures: int
    """Times in a row that the provider was down, as the row says."""
    is_fallback: bool = False
    """Its touchpoint's own channel is down or out of quota; whoever may have had a message over that one waits."""
    is_action: bool = False
    """It makes requests of a touchpoint's own; `channel_id` is the touchpoint's."""

    def standing_in(self) -> Sender:
        """This one as the fallback of another: what is in doubt over it is not sent again, over whichever."""
        return replace(self, is_fallback=True, policy=held(self.policy))


class Nothing:
    """The message of an action: it has none, its request says it all."""

    def render(self, attributes: Mapping[str, Any], extras: Mapping[str, Any]) -> Content:  # noqa: ARG002
        """Nothing."""
        return _EMPTY


_EMPTY = Content()
_NOTHING = Nothing()


class Senders:
    """The senders of one process."""

    def __init__(self, settings: Settings, loop: SendLoop, database: Database) -> None:
        self._surroundings = Surroundings.of(settings, database)
        self._secrets = Secrets.of(settings)
        self._links = Links(str(settings.public_url), self._secrets.signing_keys)
        self._clock = lambda: database.clock.now().timestamp()
        self._loop = loop
        self._lock = Lock()
        self._channels: dict[UUID, tuple[datetime, Channel]] = {}
        self._tokens = Tokens(str(settings.public_url), self._secrets.signing_keys)
        self._templates: dict[tuple[Any, ...], tuple[datetime, AnyTemplate | TrackedTemplate]] = {}

    def of_step(self, session: Session, org_id: UUID, step: Step, variant: str | None = None) -> Sender:
        """What a touchpoint is sent with.

        Args:
            variant: Which of its variants, if it has any.

        Raises:
            SenderUnavailable: see there; the message says which.
        """
        found = step.row
        if step.is_action:
            return self._action(step)
        if found.channel_id is None:
            raise SenderUnavailable("the organization has no default channel")
        channel = self._channel(session, found.channel_id, found.channel_updated_at)
        message = self._message(session, org_id, step, variant)
        return self._sender(channel, found.channel_id, found, message)

    def of_fallback(
        self, session: Session, org_id: UUID, step: Step, variant: str | None = None
    ) -> Sender | None:
        """What a touchpoint is sent with while its channel is down; None: the channel has no fallback.

        Raises:
            SenderUnavailable: see there.
        """
        own = aliased(ChannelRow)
        row = session.execute(
            select(ChannelRow)
            .join(own, own.fallback_channel_id == ChannelRow.id)
            .where(own.id == step.row.channel_id, own.org_id == org_id, ChannelRow.org_id == org_id)
        ).scalar_one_or_none()
        if row is None:
            return None
        channel = self._channel(session, row.id, row.updated_at)
        message = self._message(session, org_id, step, variant)
        return self._sender(channel, row.id, row, message).standing_in()

    def _sender(
        self, channel: Channel, channel_id: UUID, row: Any, message: AnyTemplate | TrackedTemplate
    ) -> Sender:
        """A channel with what its row says: of itself, or what a step read of it."""
        return Sender(
            channel=channel,
            channel_id=channel_id,
            kind=row.kind,
            policy=policy_of(row),
            template=message,
            links=self._links if channel.links else None,
            blocked_until=row.blocked_until,
            blocked_reason=row.blocked_reason,
            failures=row.consecutive_failures,
        )

    def _channel(self, session: Session, channel_id: UUID, updated_at: datetime) -> Channel:
        with self._lock:
            known = self._channels.get(channel_id)
            if known is not None and known[0] == updated_at:
                return known[1]
            row = session.get_one(ChannelRow, channel_id)
            try:
                credentials = self._secrets.open(row.credentials) if row.credentials else {}
                channel = registry.build(row.kind, row.settings, credentials, self._surroundings)
            except ValueError as error:
                raise SenderUnavailable(f"channel {row.name!r} cannot be used: {error}") from error
            self._channels[row.id] = (row.updated_at, channel)
        if known is not None:
            self._loop.submit(known[1].close())
        return channel

    def _action(self, step: Step) -> Sender:
        """What an action's requests are made with: the `http` channel's machinery, with settings of its own."""
        key, updated_at = step.touchpoint_id, step.row.touchpoint_updated_at
        with self._lock:
            known = self._channels.get(key)
            if known is None or known[0] != updated_at:
                try:
                    built = registry.build("http", step.row.settings, {}, self._surroundings)
                except ValueError as error:
                    raise SenderUnavailable(f"the action cannot be made: {error}") from error
                self._channels[key] = (updated_at, built)
                if known is not None:
                    self._loop.submit(known[1].close())
            channel = self._channels[key][1]
        return Sender(
            channel=channel,
            channel_id=key,
            kind=step.row.type,
            policy=ACTION_POLICY,
            template=_NOTHING,
            links=None,
            blocked_until=None,
            blocked_reason=None,
            failures=0,
            is_action=True,
        )

    def _message(
        self, session: Session, org_id: UUID, step: Step, variant: str | None
    ) -> AnyTemplate | TrackedTemplate:
        """The template of a touchpoint, or of one of its variants; else the content that it has of its own."""
        template_id, updated_at, content = (
            step.row.template_id,
            step.row.template_updated_at,
            step.row.content,
        )
        own = None if variant is None or step.variants is None else step.variants[variant]
        if own is not None and own.get("template_id"):
            wanted = UUID(own["template_id"])
            known = select(Template.updated_at).where(Template.id == wanted, Template.org_id == org_id)
            updated_at = session.execute(known).scalar_one_or_none()
            template_id = None if updated_at is None else wanted
            content = None
        elif own is not None and own.get("content"):
            template_id, content = None, own["content"]
        if template_id is not None:
            return self._template(session, template_id, updated_at, step)
        if content is None:
            raise SenderUnavailable("the touchpoint's template does not exist any more")
        return self._content(session, org_id, step, variant, content)

    def _content(
        self, session: Session, org_id: UUID, step: Step, variant: str | None, content: Mapping[str, Any]
    ) -> AnyTemplate | TrackedTemplate:
        def compiled(tracker: Tracker | None) -> AnyTemplate:
            try:
                return compile_content(session, org_id, content, rewrite=tracker.rewrite if tracker else None)
            except (TemplateError, TypeError, AttributeError) as error:
                raise SenderUnavailable(f"the touchpoint's content cannot be used: {error}") from error

        return self._kept((step.touchpoint_id, variant), step.row.touchpoint_updated_at, step, compiled)

    def _template(
        self, session: Session, template_id: UUID, updated_at: datetime, step: Step
    ) -> AnyTemplate | TrackedTemplate:
        def compiled(tracker: Tracker | None) -> AnyTemplate:
            row = session.get_one(Template, template_id)
            try:
                return compile_stored(session, row, rewrite=tracker.rewrite if tracker else None)
            except TemplateError as error:
                raise SenderUnavailable(f"template {row.name!r} cannot be used: {error}") from error

        return self._kept((template_id,), updated_at, step, compiled)

    def _kept(
        self,
        key: tuple[Any, ...],
        updated_at: datetime,
        step: Step,
        compiled: Callable[[Tracker | None], AnyTemplate],
    ) -> AnyTemplate | TrackedTemplate:
        """What `compiled` gives, kept while its row stays the same; with its links rewritten if they are tracked."""
        wanted = wanted_of(step.row.channel_tracking, step.row.campaign_tracking)
        campaign_id = step.row.campaign_id
        if wanted:  # a tracked one knows whose message it is
            key = (*key, step.touchpoint_id, campaign_id, wanted)
        with self._lock:
            known = self._templates.get(key)
            if known is not None and known[0] == updated_at:
                return known[1]
            _make_room(self._templates)
            template: AnyTemplate | TrackedTemplate
            if wanted:
                tracker = Tracker(wanted, self._tokens, campaign_id, step.touchpoint_id, clock=self._clock)
                template = TrackedTemplate(compiled(tracker), tracker)
            else:
                template = compiled(None)
            self._templates[key] = (updated_at, template)
            return template

    def close(self) -> None:
        """Close every channel. Safe to call twice."""
        with self._lock:
            channels, self._channels = self._channels, {}
        for _, channel in channels.values():
            try:
                self._loop.submit(channel.close()).result(timeout=5)
            except Exception:
                log.warning("channel.close_failed", exc_info=True)


def _make_room(kept: dict[Any, Any]) -> None:
    """Compiled templates hold their attachments: forget them all rather than keep every one there ever was."""
    if len(kept) >= _TEMPLATES_KEPT:
        kept.clear()


def policy_at(session: Session, org_id: UUID, touchpoint_id: UUID | None) -> Policy | None:
    """What a touchpoint's channel says about trying again; None when there is none any more."""
    step = None if touchpoint_id is None else session.get(Touchpoint, touchpoint_id)
    if step is None or step.org_id != org_id:
        return None
    if step.type == ACTION:
        return ACTION_POLICY
    row = _channel_of(session, org_id, step)
    if row is None:
        return None
    # Nobody can say over which of the two a message left that a crash cut off.
    return policy_of(row) if row.fallback_channel_id is None else held(policy_of(row))


def _channel_of(session: Session, org_id: UUID, step: Touchpoint) -> ChannelRow | None:
    if step.channel_id is None:
        return default_channel(session, org_id)
    row = session.get(ChannelRow, step.channel_id)
    return row if row is not None and row.org_id == org_id else None
