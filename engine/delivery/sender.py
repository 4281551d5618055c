"""What a slice is sent with: the flow's channel and template, made ready once and kept while their rows stay the same.

A template or channel that is edited applies to the next wave, also of a job that is paused. Channels live as long as
the process, because their connections do.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

import structlog
from sqlalchemy import select
from sqlalchemy.orm import aliased

from config.errors import MusterError
from engine.channels import registry
from engine.channels.default_channel import default_channel
from engine.channels.port import Channel, ChannelContext
from engine.content.errors import TemplateError
from engine.content.links import Links
from engine.content.message import Content
from engine.content.stored import AnyTemplate, compile_content, compile_stored
from engine.delivery.flow_plan import ACTION
from engine.delivery.outcomes import Policy, held, policy_of
from engine.delivery.single_flight import Made, SingleFlight
from engine.engagement.email import medium_of
from engine.engagement.engagement import Medium
from engine.kernel.secrets import Secrets, channel_place
from engine.tracking.tokens import Tokens
from engine.tracking.tracked import TrackedTemplate, Tracker, wanted_of
from state.tables import Channel as ChannelRow
from state.tables import Template, Touchpoint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from sqlalchemy.orm import Session

    from config.settings import Settings
    from engine.content.stored import Rewrite
    from engine.delivery.flow_plan import FlowPlan, Step
    from engine.kernel.send_loop import SendLoop
    from engine.tracking.rewrite import Wanted
    from state.database import Database

__all__ = [
    "ACTION_POLICY",
    "NO_CONTACT",
    "Contact",
    "Nothing",
    "Sender",
    "SenderUnavailable",
    "Senders",
    "policy_at",
]

log = structlog.get_logger(__name__)


#: Requests carry an idempotency key, so that doubt is resolved by making them again.
ACTION_POLICY = Policy("resend", 5, timedelta(seconds=30), timedelta(0))
_TEMPLATES_KEPT = 128


class SenderUnavailable(MusterError):
    """There is nothing to send with: no channel, a channel that cannot be built, or a template that is gone."""


class Contact(NamedTuple):
    """What a message that a provider took means for an enrolled target (state.tables.enrolment)."""

    made: bool = False
    email: int = 0
    whatsapp: int = 0

    def parameters(self, now: datetime) -> dict[str, Any]:
        """As the statements that complete recipients take it."""
        at = now if self.made else None
        return {"p_contacted_at": at, "p_email": self.email, "p_whatsapp": self.whatsapp}


#: A request of an action, which nobody receives.
NO_CONTACT = Contact()


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
    """Its touchpoint's own channel is down or out of quota; a recipient that may have had a message over that one
    waits."""
    is_action: bool = False
    """It makes requests of a touchpoint's own; `channel_id` is the touchpoint's."""

    @property
    def contact(self) -> Contact:
        """How what is sent counts."""
        if self.is_action:
            return NO_CONTACT
        medium = medium_of(self.kind)
        return Contact(made=True, email=medium is Medium.EMAIL, whatsapp=medium is Medium.WHATSAPP)

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


class _Source(NamedTuple):
    """What a message is compiled from."""

    key: tuple[Any, ...]
    updated_at: datetime
    build: Callable[[Session, Rewrite | None], AnyTemplate]


class Senders:
    """The senders of one process. Threads that want different ones do not wait for each other."""

    def __init__(self, settings: Settings, loop: SendLoop, database: Database) -> None:
        self._channel_context = ChannelContext.of(settings, database)
        self._secrets = Secrets.of(settings)
        self._links = Links(str(settings.public_url), self._secrets.signing_keys)
        self._clock = lambda: database.clock.now().timestamp()
        self._loop = loop
        self._channels = SingleFlight[Channel](dispose=lambda channel: loop.submit(channel.close()))
        self._tokens = Tokens(str(settings.public_url), self._secrets.signing_keys)
        # Compiled templates hold their attachments.
        self._templates = SingleFlight[AnyTemplate | TrackedTemplate](most=_TEMPLATES_KEPT)

    def are_ready(self, session: Session, org_id: UUID, flow: FlowPlan) -> bool:
        """Whether `of_step` returns at once for all of a flow: every template is compiled."""
        return all(
            self._templates.has(self._key(source, step), source.updated_at)
            for step, source in self._sources(session, org_id, flow)
        )

    def make_ready(self, session: Session, org_id: UUID, flow: FlowPlan) -> None:
        """Compile what a flow is sent with. It may take long: be in no transaction that others wait for. What cannot be
        compiled is left for `of_step` to refuse.
        """
        for step, source in self._sources(session, org_id, flow):
            with suppress(SenderUnavailable):
                self._compiled(session, source, step)

    def _sources(self, session: Session, org_id: UUID, flow: FlowPlan) -> Iterator[tuple[Step, _Source]]:
        for step in flow.steps:
            if step.is_active and not step.is_wait and not step.is_action:
                for variant in (None,) if step.variants is None else step.variants.names:
                    with suppress(SenderUnavailable):
                        yield step, self._source(session, org_id, step, variant)

    def of_step(self, session: Session, org_id: UUID, step: Step, variant: str | None = None) -> Sender:
        """What a touchpoint is sent with.

        Args:
            variant: Which of its variants, if it has any.

        Raises:
            SenderUnavailable: see there; the message says which.
        """
        found = step.row
        if step.is_action:
            return self._action(session, step)
        if found.channel_id is None:
            raise SenderUnavailable("the organization has no default channel")
        channel = self._channel(session, found.channel_id, found.channel_updated_at)
        message = self._compiled(session, self._source(session, org_id, step, variant), step)
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
        message = self._compiled(session, self._source(session, org_id, step, variant), step)
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
        def build() -> Made[Channel]:
            row = session.get_one(ChannelRow, channel_id)
            try:
                place = channel_place(channel_id)
                credentials = self._secrets.open(row.credentials, place) if row.credentials else {}
                lent = self._channel_context.of_channel(row.org_id, channel_id, self._secrets)
                channel = registry.build(row.kind, row.settings, credentials, lent)
            except ValueError as error:
                raise SenderUnavailable(f"channel {row.name!r} cannot be used: {error}") from error
            return Made(row.updated_at, channel)

        return self._channels.of(channel_id, updated_at, build)

    def _action(self, session: Session, step: Step) -> Sender:
        """What an action's requests are made with: an `http` channel of an admin's, else that channel's machinery with
        settings of its own.
        """
        key, updated_at = step.touchpoint_id, step.row.touchpoint_updated_at

        def build() -> Made[Channel]:
            try:
                channel = registry.build(registry.REQUEST_KIND, step.row.settings, {}, self._channel_context)
            except ValueError as error:
                raise SenderUnavailable(f"the action cannot be made: {error}") from error
            return Made(updated_at, channel)

        found = step.row
        if found.settings:
            channel = self._channels.of(key, updated_at, build)
        elif found.kind == registry.REQUEST_KIND:
            channel = self._channel(session, found.channel_id, found.channel_updated_at)
        else:
            raise SenderUnavailable("the action has neither a request nor an http channel")
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

    def _source(self, session: Session, org_id: UUID, step: Step, variant: str | None) -> _Source:
        """The template of a touchpoint, or of one of its variants; else the content that it has of its own.

        Raises:
            SenderUnavailable: it has neither any more.
        """
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
            return _Source((template_id,), updated_at, partial(_compile_template, template_id))
        if content is None:
            raise SenderUnavailable("the touchpoint's template does not exist any more")
        key = (step.touchpoint_id, variant)
        return _Source(key, step.row.touchpoint_updated_at, partial(_compile_content, org_id, content))

    def _compiled(self, session: Session, source: _Source, step: Step) -> AnyTemplate | TrackedTemplate:
        """What a source compiles to, kept while its row stays the same; with its links rewritten if they are
        tracked.
        """

        def build() -> Made[AnyTemplate | TrackedTemplate]:
            wanted = _tracking_of(step)
            if not wanted:
                return Made(source.updated_at, source.build(session, None))
            tracker = Tracker(
                wanted, self._tokens, step.row.campaign_id, step.touchpoint_id, clock=self._clock
            )
            template = TrackedTemplate(source.build(session, tracker.rewrite), tracker)
            return Made(source.updated_at, template)

        return self._templates.of(self._key(source, step), source.updated_at, build)

    def _key(self, source: _Source, step: Step) -> tuple[Any, ...]:
        """By what its template is kept; a tracked one knows whose message it is."""
        wanted = _tracking_of(step)
        if not wanted:
            return source.key
        return (*source.key, step.touchpoint_id, step.row.campaign_id, wanted)

    def close(self) -> None:
        """Close every channel. Safe to call twice."""
        for channel in self._channels.take_all():
            try:
                self._loop.submit(channel.close()).result(timeout=5)
            except Exception:
                log.warning("channel.close_failed", exc_info=True)


def _tracking_of(step: Step) -> Wanted:
    return wanted_of(step.row.channel_tracking, step.row.campaign_tracking)


def _compile_template(template_id: UUID, session: Session, rewrite: Rewrite | None) -> AnyTemplate:
    row = session.get_one(Template, template_id)
    try:
        return compile_stored(session, row, rewrite=rewrite)
    except TemplateError as error:
        raise SenderUnavailable(f"template {row.name!r} cannot be used: {error}") from error


def _compile_content(
    org_id: UUID, content: Mapping[str, Any], session: Session, rewrite: Rewrite | None
) -> AnyTemplate:
    try:
        return compile_content(session, org_id, content, rewrite=rewrite)
    except (TemplateError, TypeError, AttributeError) as error:
        raise SenderUnavailable(f"the touchpoint's content cannot be used: {error}") from error


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
