"""A campaign's messages as its author writes them: touchpoints of a flow of the campaign's own, in order (contract.md
§7.12).

A message names a template (by id or name), or brings its content; variations of it are given to recipients by weight.
A name that no template has yet leaves the touchpoint `update_needed`; executing the campaign asks again. All messages
go out over the first of the campaign's channels that is configured: by id, kind or name, in order of preference; a
campaign that names none uses the organization's default.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID, uuid4

from pydantic import Field, StringConstraints, model_validator
from sqlalchemy import select

from engine import listing
from engine.campaigns.references import as_id, resolved
from engine.content.templates import TemplateError, compile_template
from engine.inputs import Input, Invalid, Name
from state.change import clock_of
from state.tables import Campaign, Channel, Flow, Job, Template, Touchpoint
from state.transitions import OPEN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.orm import Session

__all__ = [
    "MessageInput",
    "Personalization",
    "VariationInput",
    "messages_of",
    "resolve_messages",
    "write_channels",
    "write_messages",
]

_MESSAGE = "message"
_Text = Annotated[str, StringConstraints(min_length=1, max_length=1_000_000)]
_Subject = Annotated[str, StringConstraints(max_length=998)]
_Word = Annotated[str, StringConstraints(min_length=1, max_length=150)]


class Personalization(Input):
    """Whether a message is filled with the recipient's attributes, and which it counts on."""

    enabled: bool = True
    fields: Annotated[list[_Word], Field(max_length=100)] = Field(default_factory=list)


class VariationInput(Input):
    """Another wording of a message, which some recipients get instead."""

    id: _Word | None = None
    content: _Text
    subject: _Subject | None = None
    weight: float = Field(default=50.0, gt=0, le=1_000_000)


class MessageInput(Input):
    """One message: of a template, or with content of its own. Beside a template, content is what an answer showed, and
    says nothing.
    """

    id: _Word | None = None
    """Which of the campaign's messages it is, when they are written again; absent: the one at its place."""
    name: Name | None = None
    template: _Word | None = None
    content: _Text | None = None
    subject: _Subject | None = None
    """Of content, for channels that have one."""
    variations: Annotated[list[VariationInput], Field(max_length=20)] = Field(default_factory=list)
    personalization: Personalization | None = None

    @model_validator(mode="after")
    def _says_something(self) -> MessageInput:
        if self.template is None and self.content is None:
            raise ValueError("names a template, or has content")
        return self


def write_messages(
    session: Session, campaign: Campaign, messages: Sequence[MessageInput], channels: Sequence[str]
) -> None:
    """Let these be the campaign's messages, all of them, in this order. The caller holds the campaign.

    Recipients of a held job go on with them: where a message keeps its id or its place, it is the same message.

    Raises:
        Invalid: a template or channel does not exist, or content cannot be rendered.
    """
    if not messages and campaign.flow_id is None:
        return
    flow = _own_flow(session, campaign)
    kept = _touchpoints(session, flow)
    channel = _channel(session, campaign.org_id, channels, strict=False)
    words = [message.template for message in messages if message.template is not None]
    templates = iter(_templates(session, campaign.org_id, messages, words))
    known = {str(touchpoint.id): touchpoint for touchpoint in kept}
    used: set[UUID] = set()
    for position, message in enumerate(messages):
        touchpoint = known.get(message.id or "")
        if touchpoint is None and message.id is None and position < len(kept):
            touchpoint = kept[position]
        if touchpoint is None or touchpoint.id in used:
            touchpoint = _new(session, flow)
        used.add(touchpoint.id)
        template = next(templates) if message.template is not None else None
        _fill(touchpoint, message, template, f"messages[{position}]", campaign)
        touchpoint.position, touchpoint.channel_id = position, channel
        listing.stamp(session, touchpoint)
    for touchpoint in kept:
        if touchpoint.id not in used:
            session.delete(touchpoint)
    session.flush()


def write_channels(session: Session, campaign: Campaign, channels: Sequence[str]) -> None:
    """Let the campaign's messages go out over the first of these that is configured.

    Raises:
        Invalid: a channel does not exist, or the messages are not the campaign's own.
    """
    channel = _channel(session, campaign.org_id, channels, strict=False)
    if campaign.flow_id is not None:
        for touchpoint in _touchpoints(session, _own_flow(session, campaign)):
            if touchpoint.channel_id != channel:
                touchpoint.channel_id = channel
                listing.stamp(session, touchpoint)
        session.flush()


def resolve_messages(session: Session, campaign: Campaign) -> None:
    """Find the templates and the channel that did not exist when the messages were written.

    Raises:
        Invalid: one of them still does not.
    """
    channels: list[str] = (campaign.strategy or {}).get("channels") or []
    channel = _channel(session, campaign.org_id, channels, strict=True)
    if campaign.flow_id is None:
        return
    for index, touchpoint in enumerate(_messages(session, campaign.org_id, [campaign.flow_id])):
        if channels and touchpoint.channel_id != channel:
            touchpoint.channel_id = channel
            listing.stamp(session, touchpoint)
        word = touchpoint.settings.get("template")
        if word is not None and touchpoint.template_id is None:
            path = f"messages[{index}].template".replace("{", "{{").replace("}", "}}")
            (template,) = resolved(session, Template, campaign.org_id, [word], path, strict=True)
            assert template is not None  # noqa: S101 - strict
            touchpoint.template_id, touchpoint.status = template.id, "active"
            listing.stamp(session, touchpoint)
    session.flush()


def messages_of(session: Session, campaign: Campaign) -> list[tuple[Touchpoint, Template | None]]:
    """The campaign's messages in order, each with its template."""
    if campaign.flow_id is None:
        return []
    touchpoints = _messages(session, campaign.org_id, [campaign.flow_id])
    ids = [touchpoint.template_id for touchpoint in touchpoints if touchpoint.template_id is not None]
    templates = {
        template.id: template
        for template in session.scalars(
            select(Template).where(Template.org_id == campaign.org_id, Template.id.in_(ids))
        )
    }
    return [
        (touchpoint, templates.get(touchpoint.template_id) if touchpoint.template_id is not None else None)
        for touchpoint in touchpoints
    ]


def _messages(session: Session, org_id: UUID, flow_ids: Sequence[UUID]) -> list[Touchpoint]:
    return list(
        session.scalars(
            select(Touchpoint)
            .where(Touchpoint.org_id == org_id, Touchpoint.flow_id.in_(flow_ids), Touchpoint.type == _MESSAGE)
            .order_by(Touchpoint.flow_id, Touchpoint.position)
        )
    )


def _touchpoints(session: Session, flow: Flow) -> list[Touchpoint]:
    """The messages of a flow, if there is nothing else in it."""
    found = list(
        session.scalars(
            select(Touchpoint)
            .where(Touchpoint.org_id == flow.org_id, Touchpoint.flow_id == flow.id)
            .order_by(Touchpoint.position)
        )
    )
    if any(touchpoint.type != _MESSAGE for touchpoint in found):
        raise Invalid(
            "messages", "this campaign's flow has waits or actions between them; change its touchpoints"
        )
    return found


def _own_flow(session: Session, campaign: Campaign) -> Flow:
    """The flow that only this campaign uses; made where it has none, or shares one."""
    if campaign.flow_id is not None:
        flow = listing.find(session, Flow, campaign.org_id, campaign.flow_id, lock=True)
        if flow.campaign_id == campaign.id:
            return flow
        busy = select(Job.id).where(
            Job.org_id == campaign.org_id, Job.campaign_id == campaign.id, Job.status.in_(OPEN)
        )
        if session.execute(busy.limit(1)).first() is not None:
            raise Invalid(
                "messages", f"they are those of the flow {flow.name!r}; change that, it may be shared"
            )
    now = clock_of(session).now()
    flow = Flow(
        id=uuid4(),
        org_id=campaign.org_id,
        campaign_id=campaign.id,
        name=f"{campaign.name[:140]} Workflow",
        created_at=now,
        updated_at=now,
    )
    session.add(flow)
    session.flush()
    campaign.flow_id = flow.id
    return flow


def _templates(
    session: Session, org_id: UUID, messages: Sequence[MessageInput], words: Sequence[str]
) -> list[Template | None]:
    places = [index for index, message in enumerate(messages) if message.template is not None]
    try:
        return resolved(session, Template, org_id, words, "{}")
    except Invalid as error:
        raise Invalid(f"messages[{places[int(error.field)]}].template", error.message) from None


def _channel(session: Session, org_id: UUID, words: Sequence[str], *, strict: bool) -> UUID | None:
    """The first of the channels that is configured; None for the organization's default, or for none yet.

    Raises:
        Invalid: an id does not exist; strict: none of them is configured.
    """
    if not words:
        return None
    channels = session.scalars(
        select(Channel)
        .where(Channel.org_id == org_id)
        .order_by(Channel.is_default.desc(), Channel.created_at)
    ).all()
    for index, word in enumerate(words):
        row_id = as_id(word)
        for channel in channels:
            if row_id == channel.id or word in (channel.kind, channel.name):
                return channel.id
        if row_id is not None:
            raise Invalid(f"strategy.channels[{index}]", f"channel {row_id} does not exist")
    if strict:
        raise Invalid("strategy.channels", f"none of {', '.join(words)} is configured as a channel")
    return None


def _new(session: Session, flow: Flow) -> Touchpoint:
    now = clock_of(session).now()
    touchpoint = Touchpoint(
        id=uuid4(), org_id=flow.org_id, flow_id=flow.id, position=0, created_at=now, updated_at=now
    )
    session.add(touchpoint)
    return touchpoint


def _fill(
    touchpoint: Touchpoint, message: MessageInput, template: Template | None, path: str, campaign: Campaign
) -> None:
    touchpoint.type = _MESSAGE
    touchpoint.name = message.name or ""
    touchpoint.template_id = None if template is None else template.id
    touchpoint.content = None
    if message.content is not None and message.template is None:
        touchpoint.content = _content(message.content, message.subject or campaign.name, f"{path}.content")
    variants = []
    for index, variation in enumerate(message.variations):
        subject = variation.subject or message.subject or campaign.name
        content = _content(variation.content, subject, f"{path}.variations[{index}].content")
        variants.append(
            {"id": variation.id or f"var{index + 1}", "weight": variation.weight, "content": content}
        )
    if len({variant["id"] for variant in variants}) < len(variants):
        raise Invalid(f"{path}.variations", "two of them have the same id")
    touchpoint.variants = _with_original(variants, touchpoint) if variants else None
    settings: dict[str, Any] = {}
    if message.template is not None:
        settings["template"] = message.template
    if message.personalization is not None:
        settings["personalization"] = message.personalization.model_dump()
    touchpoint.settings = settings
    unresolved = message.template is not None and template is None
    touchpoint.status = "update_needed" if unresolved else "active"


def _with_original(variants: list[dict[str, Any]], touchpoint: Touchpoint) -> list[dict[str, Any]]:
    """The variations beside the message itself, which goes to whoever is left of 100."""
    left = 100.0 - sum(variant["weight"] for variant in variants)
    if left <= 0:
        return variants
    original: dict[str, Any] = {"id": "original", "weight": left}
    if touchpoint.content is not None:
        original["content"] = touchpoint.content
    elif touchpoint.template_id is not None:
        original["template_id"] = str(touchpoint.template_id)
    else:
        return variants
    return [original, *variants]


def _content(text: str, subject: str, path: str) -> dict[str, Any]:
    """Content as a touchpoint keeps it.

    Raises:
        Invalid: it cannot be rendered.
    """
    try:
        compile_template(subject=subject, html=None, text=text, defaults={}, sender={})
    except TemplateError as error:
        field = path if error.field == "text" else path.rpartition(".")[0] + f".{error.field}"
        raise Invalid(field, f"line {error.line}: {error.message}") from None
    return {"subject": subject, "text": text}
