"""Channels as rows: a kind, its settings, and credentials that go in and never come out.

Settings and credentials are checked by the kind's own models (engine.channels.registry) and by building the
channel, so that what is kept can be used. Whatever an operator changes takes effect at the next wave, also
for jobs that wait for this channel's provider: they are let go on at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal
from uuid import UUID, uuid4

from pydantic import Field
from sqlalchemy import select, update

from engine.channels import registry
from engine.channels.port import ChannelContext
from engine.channels.registry import InvalidChannel, UnknownKind
from engine.delivery.health import resume_waiting_jobs
from engine.delivery.limit_changes import limits_changed
from engine.kernel import listing
from engine.kernel.inputs import Input, InUse, Invalid, Name, Rewritable
from engine.kernel.outbound import guard_of
from engine.kernel.secrets import SecretsError, channel_place
from engine.limits.config import ChannelLimits, stored
from engine.tracking.config import Tracking, kept
from state.change import clock_of
from state.tables import Channel, Flow, Organization, Touchpoint

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from engine.channels.port import Channel as Sender
    from engine.kernel.secrets import Secrets

__all__ = [
    "ChannelChange",
    "ChannelInput",
    "build_channel",
    "create_channel",
    "delete_channel",
    "ensure_file_channel",
    "get_channel",
    "list_channels",
    "update_channel",
]


#: Fields that are kept as they are given.
_PLAIN = (
    "name",
    "is_default",
    "max_attempts",
    "retry_base_seconds",
    "retry_span_seconds",
    "cost_per_message",
    "fallback_channel_id",
)


class ChannelInput(Input):
    """A new channel. What it takes as settings and credentials is its kind's to say."""

    name: Name
    kind: str = Field(max_length=32)
    settings: dict[str, Any] = Field(default_factory=dict)
    credentials: dict[str, Any] | None = Field(default=None, repr=False)
    """Written only: encrypted at once, never read back."""
    is_default: bool = False
    """Of the organization; there is one at most."""
    doubt_policy: Literal["resend", "hold"] | None = None
    """What becomes of a recipient whose outcome a crash left unknown; absent: as the kind has it."""
    max_attempts: int = Field(default=5, ge=1, le=100)
    retry_base_seconds: float = Field(default=30.0, gt=0, le=86_400)
    retry_span_seconds: float = Field(default=3600.0, ge=0, le=604_800)
    """What the waits after transient refusals of mail cover together, at least (greylisting, RFC 6647 §5)."""
    cost_per_message: float = Field(default=0.0, ge=0, le=1_000_000)
    """In the organization's currency; a campaign's budget is spent by it."""
    fallback_channel_id: UUID | None = None
    """A channel of the same medium, which sends while this one is down or out of quota."""
    limits: ChannelLimits | None = None
    """Rates, for the channel and for mail domains, and a frequency cap; replaced whole."""
    tracking: Tracking | None = None
    """Of opens and clicks, for campaigns that do not say; absent: nothing is tracked."""


class ChannelChange(Rewritable, ChannelInput):
    """What is to be different. `settings` and `credentials` are each replaced whole; the kind stays."""

    answered = frozenset(("has_credentials", "blocked_until", "blocked_reason", "breaker_opened_at"))

    name: Name = ""
    kind: str = Field(default="", max_length=32)


def create_channel(session: Session, org_id: UUID, given: ChannelInput, secrets: Secrets) -> Channel:
    """Keep a channel.

    Raises:
        Invalid: the kind is unknown, or does not take these settings or credentials; names the field.
    """
    now = clock_of(session).now()
    _build(given.kind, given.settings, given.credentials or {}, _looking(session))
    if given.is_default:
        _take_default(session, org_id)
    channel_id = uuid4()
    channel = Channel(
        id=channel_id,
        org_id=org_id,
        name=given.name,
        kind=given.kind,
        settings=given.settings,
        credentials=secrets.seal(given.credentials, channel_place(channel_id)) if given.credentials else None,
        is_default=given.is_default,
        doubt_policy=given.doubt_policy or registry.doubt_policy(given.kind),
        max_attempts=given.max_attempts,
        retry_base_seconds=given.retry_base_seconds,
        retry_span_seconds=given.retry_span_seconds,
        cost_per_message=given.cost_per_message,
        limits=stored(given.limits),
        tracking=kept(given.tracking),
        created_at=now,
        updated_at=now,
    )
    _check_fallback(session, channel, given.fallback_channel_id, secrets)
    channel.fallback_channel_id = given.fallback_channel_id
    session.add(channel)
    session.flush()
    return channel


def get_channel(session: Session, org_id: UUID, channel_id: UUID) -> Channel:
    """Raises NotFound."""
    return listing.find(session, Channel, org_id, channel_id)


def list_channels(
    session: Session,
    org_id: UUID,
    *,
    limit: int = 25,
    next: str | None = None,  # noqa: A002
) -> listing.Page[Channel]:
    """Newest first; see `listing.page`."""
    return listing.page(session, Channel, org_id, limit=limit, next=next)


def update_channel(
    session: Session, org_id: UUID, channel_id: UUID, given: ChannelChange, secrets: Secrets
) -> Channel:
    """Change a channel. Other settings or credentials let the jobs that wait for it try again.

    Raises:
        NotFound: there is none.
        Invalid: as `create_channel`, or the kind would change. Nothing was changed.
    """
    if given.model_fields_set & {"is_default", "limits"}:
        _lock_organization(session, org_id)
    channel = listing.find(session, Channel, org_id, channel_id, lock=True)
    fields = given.model_fields_set
    if not fields:
        return channel
    if "kind" in fields and given.kind != channel.kind:
        raise Invalid("kind", f"stays {channel.kind!r}; make another channel")
    if fields & {"settings", "credentials"}:
        _set_connection(session, channel, given, secrets)
    if "fallback_channel_id" in fields:
        _check_fallback(session, channel, given.fallback_channel_id, secrets)
    if "limits" in fields and stored(given.limits) != channel.limits:
        channel.limits = stored(given.limits)
        session.flush()
        limits_changed(session, org_id)
    if "is_default" in fields and given.is_default:
        _take_default(session, org_id)
    for name, value in _plain_values(channel.kind, given).items():
        setattr(channel, name, value)
    listing.stamp(session, channel)
    session.flush()
    return channel


def _plain_values(kind: str, given: ChannelChange) -> dict[str, Any]:
    """What is given and kept as it is, or in a form of its own."""
    values = {name: getattr(given, name) for name in given.model_fields_set.intersection(_PLAIN)}
    if "tracking" in given.model_fields_set:
        values["tracking"] = kept(given.tracking)
    if "doubt_policy" in given.model_fields_set:
        values["doubt_policy"] = given.doubt_policy or registry.doubt_policy(kind)
    return values


def ensure_file_channel(session: Session, org_id: UUID, secrets: Secrets) -> UUID:
    """The organization's channel of kind `file`; made if there is none, as default if it has no other."""
    ours = select(Channel.id).where(Channel.org_id == org_id)
    found = session.scalar(ours.where(Channel.kind == "file").order_by(Channel.created_at).limit(1))
    if found is not None:
        return found
    has_default = session.scalar(ours.where(Channel.is_default.is_(True)).limit(1)) is not None
    given = ChannelInput(name="file", kind="file", is_default=not has_default)
    return create_channel(session, org_id, given, secrets).id


def delete_channel(session: Session, org_id: UUID, channel_id: UUID) -> None:
    """Remove a channel that no touchpoint names. It is no fallback of others from then on.

    Raises:
        NotFound: there is none.
        InUse: a touchpoint names it; says which.
    """
    channel = listing.find(session, Channel, org_id, channel_id, lock=True)
    user = session.execute(
        select(Touchpoint.name, Flow.name)
        .outerjoin(Flow, Touchpoint.flow_id == Flow.id)
        .where(Touchpoint.channel_id == channel_id, Touchpoint.org_id == org_id)
        .limit(1)
    ).first()
    if user is not None:
        touchpoint, flow = user
        where = f"the touchpoint {touchpoint!r}" if flow is None else f"the flow {flow!r}"
        raise InUse(f"{where} uses this channel")
    session.execute(
        update(Channel)
        .where(Channel.org_id == org_id, Channel.fallback_channel_id == channel_id)
        .values(fallback_channel_id=None)
    )
    session.delete(channel)
    session.flush()


def build_channel(
    session: Session, org_id: UUID, channel_id: UUID, secrets: Secrets, channel_context: ChannelContext
) -> Sender:
    """The channel itself, to ask it whether its provider answers. Close it afterwards.

    Raises:
        NotFound: there is none.
        Invalid: it cannot be built any more, or its credentials cannot be opened.
    """
    channel = get_channel(session, org_id, channel_id)
    lent = channel_context.of_channel(org_id, channel_id, secrets)
    return _build(channel.kind, channel.settings, _opened(channel, secrets), lent)


def _check_fallback(session: Session, channel: Channel, fallback_id: UUID | None, secrets: Secrets) -> None:
    """Raises Invalid: the fallback is not there, is the channel itself, or writes to another medium."""
    if fallback_id is None:
        return
    field = "fallback_channel_id"
    if fallback_id == channel.id:
        raise Invalid(field, "is the channel itself")
    fallback = session.execute(
        select(Channel).where(Channel.id == fallback_id, Channel.org_id == channel.org_id)
    ).scalar_one_or_none()
    if fallback is None:
        raise Invalid(field, f"there is no channel {fallback_id}")
    built = [
        _build(row.kind, row.settings, _opened(row, secrets), _looking(session))
        for row in (channel, fallback)
    ]
    if built[0].medium != built[1].medium or built[0].medium is None:
        media = [one.medium.value if one.medium else "any" for one in built]
        raise Invalid(field, f"writes to another medium: {media[1]}, and this channel to {media[0]}")


def _looking(session: Session) -> ChannelContext:
    """For a channel that is built to see whether it can be, and where it would connect to."""
    return ChannelContext(guard=guard_of(session))


def _build(
    kind: str, settings: dict[str, Any], credentials: dict[str, Any], channel_context: ChannelContext
) -> Sender:
    try:
        return registry.build(kind, settings, credentials, channel_context)
    except UnknownKind as error:
        raise Invalid("kind", str(error)) from None
    except InvalidChannel as error:
        # Not chained: what pydantic was given may be a password.
        field, message = error.errors[0]
        raise Invalid(field, message) from None


def _opened(channel: Channel, secrets: Secrets) -> dict[str, Any]:
    if channel.credentials is None:
        return {}
    try:
        return secrets.open(channel.credentials, channel_place(channel.id))
    except SecretsError as error:
        raise Invalid("credentials", f"{error}; give them again") from None


def _lock_organization(session: Session, org_id: UUID) -> None:
    """One at a time decides which channel is the default."""
    session.execute(select(Organization.id).where(Organization.id == org_id).with_for_update(key_share=True))


def _take_default(session: Session, org_id: UUID) -> None:
    _lock_organization(session, org_id)
    session.execute(
        update(Channel)
        .where(Channel.org_id == org_id, Channel.is_default.is_(True))
        .values(is_default=False, updated_at=clock_of(session).now())
    )


def _set_connection(session: Session, channel: Channel, given: ChannelChange, secrets: Secrets) -> None:
    """Set how the channel reaches its provider; those who wait for it try again, unless a document was sent back that
    says what it is.
    """
    fields = given.model_fields_set
    settings = given.settings if "settings" in fields else channel.settings
    credentials = given.credentials or {} if "credentials" in fields else _opened(channel, secrets)
    _build(channel.kind, settings, credentials, _looking(session))
    changed = "credentials" in fields or settings != channel.settings or not given.is_document
    channel.settings = settings
    if "credentials" in fields:
        channel.credentials = secrets.seal(credentials, channel_place(channel.id)) if credentials else None
    if changed:
        _unblock(session, channel)


def _unblock(session: Session, channel: Channel) -> None:
    """Forget that the provider was down or throttled: that was with other settings.

    Jobs that wait for it are due now; the sweeper opens their windows.
    """
    channel.blocked_until = None
    channel.blocked_reason = None
    channel.consecutive_failures = 0
    channel.breaker_opened_at = None
    resume_waiting_jobs(session, channel.org_id, channel.id)
