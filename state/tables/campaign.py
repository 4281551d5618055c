"""Campaigns, and what they are made of: a flow of touchpoints, templates and channels."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, Index, LargeBinary, String, Text, UniqueConstraint, false
from sqlalchemy.orm import Mapped, mapped_column

from state.tables.base import Base, Identified, JsonObject, Owned, Timestamped
from state.types import ExactJson

__all__ = ["Campaign", "Channel", "Flow", "Picture", "Template", "TemplateAttachment", "Touchpoint"]


class Channel(Identified, Owned, Timestamped, Base):
    """A configured sender: its kind, its settings, its credentials, and how it is doing."""

    __tablename__ = "channel"
    __table_args__ = (Index(None, "org_id", "id"),)

    name: Mapped[str] = mapped_column(String(150))
    kind: Mapped[str] = mapped_column(String(32))
    settings: Mapped[JsonObject] = mapped_column(default=dict)
    """What the kind's settings model accepts: host, port, concurrency …"""
    credentials: Mapped[bytes | None] = mapped_column(LargeBinary)
    """Encrypted JSON; written, never read back by any API."""
    is_default: Mapped[bool] = mapped_column(default=False)
    tracking: Mapped[JsonObject | None]
    """`{"opens", "clicks", "text"}`, each true or false, for campaigns that do not say; absent: nothing is tracked."""
    doubt_policy: Mapped[str] = mapped_column(String(8))
    """resend or hold: what becomes of a recipient whose outcome a crash left unknown."""
    max_attempts: Mapped[int] = mapped_column(default=5)
    retry_base_seconds: Mapped[float] = mapped_column(default=30.0)
    retry_span_seconds: Mapped[float] = mapped_column(default=3600.0, server_default="3600")
    """What the waits after transient refusals of mail cover together, at least."""
    cost_per_message: Mapped[float] = mapped_column(default=0.0, server_default="0")
    """Of a message that the provider took, in the organization's currency."""
    blocked_until: Mapped[datetime | None]
    """Throttled, or its provider is down: no claims before then."""
    blocked_reason: Mapped[str | None] = mapped_column(Text)
    blocked_for: Mapped[str | None] = mapped_column(String(16))
    """breaker, throttled or quota: what `blocked_until` waits for."""
    consecutive_failures: Mapped[int] = mapped_column(default=0)
    """Times in a row that the provider was down; the breaker's back-off grows with it."""
    breaker_opened_at: Mapped[datetime | None]
    """Since when the breaker is open (or half open); absent: it is closed."""
    limits: Mapped[JsonObject | None]
    """Rates and a frequency cap (engine.limits.config); absent: none."""
    fallback_channel_id: Mapped[UUID | None]
    """Another channel of the same medium, which sends while this one is down or out of quota; absent: it waits. (No
    foreign key: it points into its own table.)"""
    throttled_at: Mapped[datetime | None]
    """When the provider last asked the whole channel to slow down."""
    throttled_rate: Mapped[float | None]
    """Messages a second that it was slowed down to then; it grows with time by itself."""
    returns_to_rate: Mapped[float | None]
    """What that rate comes back to soon: just below the one at which the provider refused; absent: not known."""


class Template(Identified, Owned, Timestamped, Base):
    """A message with holes: Liquid over the entity's attributes."""

    __tablename__ = "template"
    __table_args__ = (Index(None, "org_id", "id"),)

    name: Mapped[str] = mapped_column(String(150))
    subject: Mapped[str] = mapped_column(Text, default="")
    html: Mapped[str | None] = mapped_column(Text)
    text: Mapped[str | None] = mapped_column(Text)
    sender: Mapped[JsonObject] = mapped_column(default=dict)
    """`{"email", "name"}` of the From header; absent: the channel's."""
    defaults: Mapped[JsonObject] = mapped_column(default=dict)
    """Values for variables that an entity lacks."""
    mjml: Mapped[str | None] = mapped_column(Text)
    """What `html` was made from; absent: it was written as HTML."""
    inline_css: Mapped[bool] = mapped_column(default=False, server_default=false())
    """What `<style>` says is written into the elements' own `style` when it is compiled."""
    headers: Mapped[JsonObject | None]
    """More headers of the message, name to value; values may hold variables."""
    data: Mapped[JsonObject | None]
    """What a channel kind takes beside text, under its name; texts in it may hold variables."""
    language: Mapped[str | None] = mapped_column(String(35))
    """Of subject, html and text (BCP 47); absent: English, and how dates and numbers are written."""
    translations: Mapped[JsonObject | None]
    """Language to `{"subject", "html", "mjml", "text"}`; what a translation lacks is the template's own."""
    language_attribute: Mapped[str | None] = mapped_column(String(255))
    """Where an entity keeps its language; absent: any usual name of it."""
    time_zone: Mapped[str | None] = mapped_column(String(64))
    """Of dates, for entities that keep none; absent: the organization's."""
    extras: Mapped[JsonObject] = mapped_column(default=dict)


class TemplateAttachment(Identified, Owned, Timestamped, Base):
    """A file that goes with every message of a template: attached, or an image inside its HTML."""

    __tablename__ = "template_attachment"
    __table_args__ = (
        UniqueConstraint("template_id", "filename"),
        UniqueConstraint("template_id", "content_id"),
    )

    template_id: Mapped[UUID] = mapped_column(ForeignKey("template.id", ondelete="CASCADE"))
    filename: Mapped[str] = mapped_column(String(255))
    content_type: Mapped[str] = mapped_column(String(127))
    content_id: Mapped[str | None] = mapped_column(String(127))
    """The HTML shows it as `cid:` and this; NULLs do not collide. Absent: it is attached."""
    size: Mapped[int]
    """Bytes of `content`."""
    content: Mapped[bytes] = mapped_column(LargeBinary, deferred=True)


class Picture(Identified, Owned, Base):
    """A picture that messages show from Muster's own address. Its id is all that who loads it must know."""

    __tablename__ = "picture"
    __table_args__ = (UniqueConstraint("org_id", "digest"), Index(None, "org_id", "created_at"))

    digest: Mapped[bytes] = mapped_column(LargeBinary(32))
    """SHA-256 of `content`: the same picture is kept once."""
    name: Mapped[str] = mapped_column(String(255), default="")
    """Of the file that it came in."""
    content_type: Mapped[str] = mapped_column(String(32))
    size: Mapped[int]
    """Bytes of `content`."""
    content: Mapped[bytes] = mapped_column(LargeBinary, deferred=True)
    created_at: Mapped[datetime]


class Flow(Identified, Owned, Timestamped, Base):
    """An automation flow: ordered touchpoints that a campaign runs each recipient through."""

    __tablename__ = "flow"
    __table_args__ = (Index(None, "org_id", "id"),)

    name: Mapped[str] = mapped_column(String(150))
    campaign_id: Mapped[UUID | None]
    """The campaign that it was made for and goes with (no foreign key: campaign points here); absent: it stands by
    itself."""


class Touchpoint(Identified, Owned, Timestamped, Base):
    """One step of a flow."""

    __tablename__ = "touchpoint"
    __table_args__ = (Index(None, "org_id", "flow_id", "position"),)

    flow_id: Mapped[UUID | None] = mapped_column(ForeignKey("flow.id", ondelete="CASCADE"))
    """Absent: written, and not part of any campaign yet."""
    position: Mapped[int]
    type: Mapped[str] = mapped_column(String(32), default="message")
    """message, wait or action."""
    name: Mapped[str] = mapped_column(String(150), default="")
    description: Mapped[str | None] = mapped_column(Text)
    status: Mapped[str] = mapped_column(String(16), default="active", server_default="active")
    """active, inactive, archived or update_needed; only active ones are run."""
    condition: Mapped[JsonObject | None]
    """A filter tree over entity, recipient and engagement; whom it does not let through skips this step."""
    settings: Mapped[JsonObject] = mapped_column(default=dict, server_default="{}")
    """Of a wait: how long or until when. Of an action: the request."""
    content: Mapped[JsonObject | None]
    """A message of its own, shaped like a template; used when `template_id` is absent."""
    variants: Mapped[list[Any] | None]
    """`[{"id", "weight", "template_id" or "content"}]`; each recipient is given one of them."""
    channel_id: Mapped[UUID | None] = mapped_column(ForeignKey("channel.id"))
    """Absent: the organization's default channel."""
    template_id: Mapped[UUID | None] = mapped_column(ForeignKey("template.id"))
    extras: Mapped[JsonObject] = mapped_column(ExactJson, default=dict)


class Campaign(Identified, Owned, Timestamped, Base):
    """What is to be said, to whom, by which flow, and how far that is."""

    __tablename__ = "campaign"
    __table_args__ = (
        Index(None, "org_id", "created_at", "id"),
        Index(None, "status", "end_date"),
    )

    name: Mapped[str] = mapped_column(String(150))
    description: Mapped[str | None] = mapped_column(Text)
    goal: Mapped[str | None] = mapped_column(Text)
    status: Mapped[str] = mapped_column(String(16), default="draft")
    ends: Mapped[str] = mapped_column(String(16), default="when_delivered")
    """when_delivered: completes with its job; when_told: stays active until deactivated or past `end_date`."""
    start_date: Mapped[date | None]
    end_date: Mapped[date | None]
    target_ids: Mapped[list[Any]] = mapped_column(default=list)
    """Ids of targets, as strings. An entity that several let through is one recipient."""
    flow_id: Mapped[UUID | None] = mapped_column(ForeignKey("flow.id"))
    job_id: Mapped[UUID | None]
    """The latest activation's job (no foreign key: job points here)."""
    activated_at: Mapped[datetime | None]
    limits: Mapped[JsonObject | None]
    """A rate, a frequency cap, send windows and quiet hours (engine.limits.config); absent: none."""
    type: Mapped[str] = mapped_column(String(32), default="message", server_default="message")
    """message, invitation, data_collection, engagement or custom; says what it is for, changes nothing."""
    goals: Mapped[JsonObject | None]
    """`{"targetAudience", "conversionRate", "revenue"}`: what is hoped for."""
    strategy: Mapped[JsonObject | None]
    """`{"messaging", "timing"}`, for people to read. Channels are the touchpoints'."""
    budget: Mapped[float | None]
    """What it may cost at most, in the organization's currency."""
    starts_at: Mapped[datetime | None]
    """Nothing leaves before then; absent: `start_date` says which day it is meant for."""
    ends_at: Mapped[datetime | None]
    """The instant it ends, on the day `end_date`; absent: the end of that day."""
    misfire_hours: Mapped[float] = mapped_column(default=6.0, server_default="6")
    """How late a scheduled start may be, after which it is skipped (engine.campaigns.start_scheduled)."""
    reach: Mapped[float] = mapped_column(default=100.0, server_default="100")
    """Percent of the audience that it has been told to reach; nobody else joins, and below 100 it does not
    complete by itself."""
    paused_at: Mapped[datetime | None]
    paused_by: Mapped[str | None] = mapped_column(String(150))
    """Who or what paused it: a key's name, `budget`; means nothing while it is not paused."""
    returns_seen: Mapped[JsonObject | None]
    """`{"outcomes", "bounced", "complained"}` when it was last paused for them (engine.delivery.return_breaker)."""
    created_by: Mapped[str | None] = mapped_column(String(150))
    audience: Mapped[JsonObject | None]
    """`{"segments", "filters", "schema"}` as somebody wrote them, of which `target_ids` are made."""
    carried: Mapped[JsonObject | None]
    """Statistics that it was given at its beginning, as a copy of another campaign; absent: none."""
    tracking: Mapped[JsonObject | None]
    """As a channel's, which it takes the place of, name by name."""
    attribution_days: Mapped[int] = mapped_column(default=7, server_default="7")
    """How long after its latest message a recipient's conversion is put down to it."""
    one_per_address: Mapped[bool] = mapped_column(default=False, server_default=false())
    """Of recipients who share an address the first alone is written to (engine.delivery.address_claims)."""
    topic_id: Mapped[UUID | None]
    """What it is about: who opted out of that is not written to. No foreign key: the topic is locked while this is
    written, and while it is deleted (engine.engagement.topics)."""
    next_best_action: Mapped[JsonObject | None]
    """What agents see beside an entity of the audience (engine.campaigns.next_best_actions)."""
    first_contact: Mapped[JsonObject | None]
    """How enrolled targets are contacted (engine.enrolled.first_contact), of which its own flow is made."""
    texts_kept_from: Mapped[datetime | None]
    """Recipients' texts (engine.people.recipient_texts) are gone of what ended until then; absent: all are kept."""
    extras: Mapped[JsonObject] = mapped_column(ExactJson, default=dict)
