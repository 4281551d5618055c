"""A campaign's messages as its author writes them: touchpoints of a flow of the campaign's own, in order
(docs/contract/campaigns-api.md).

A message names a template (by id or name), or brings its content; variations of it are given to recipients by weight.
A name that no template has yet leaves the touchpoint `update_needed`; executing the campaign asks again. All messages
go out over the first of the campaign's channels that is configured: by id, kind or name, in order of preference; a
campaign that names none uses the organization's default.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID, uuid4

from pydantic import Field, StringConstraints, model_validator
from sqlalchemy import select

from engine.campaigns.copying import copy_touchpoints
from engine.campaigns.references import as_id, resolved
from engine.content.templates import TemplateError, compile_template
from engine.kernel import listing
from engine.kernel.inputs import Input, Invalid, Name
from state.change import clock_of
from state.tables import Campaign, Channel, Flow, Job, Template, Touchpoint
from state.transitions import OPEN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.orm import Session

__all__ = [
    "MessageInput",
    "Part",
    "Personalization",
    "VariationInput",
    "messages_of",
    "resolve_messages",
    "write_channels",
    "write_messages",
]

_MESSAGE = "message"
#: What the message itself is called among its variants.
_ORIGINAL = "original"
#: What weights are parts of.
_WHOLE = 100.0
_Text = Annotated[str, StringConstraints(min_length=1, max_length=1_000_000)]
_Subject = Annotated[str, StringConstraints(max_length=998)]
_Word = Annotated[str, StringConstraints(min_length=1, max_length=150)]


class Personalization(Input):
    """Whether a message is filled with the recipient's attributes, and which it counts on."""

    enabled: bool = True
    fields: Annotated[list[_Word], Field(max_length=100)] = Field(default_factory=list)


class Part(StrEnum):
    """What a message is made of."""

    NAME = "name"
    TEXT = "text"
    """Its template, or its content and subject."""
    VARIATIONS = "variations"
    PERSONALIZATION = "personalization"


class VariationInput(Input):
    """Another wording of a message, which some recipients get instead."""

    id: _Word | None = None
    content: str = Field(max_length=1_000_000)
    subject: _Subject | None = None
    weight: float = Field(default=50.0, ge=0, le=1_000_000)
    """Of 100; 0, which one that was decided against keeps: nobody is given it."""
    same: bool = False
    """It stays as the message has it."""

    @model_validator(mode="after")
    def _says_something(self) -> VariationInput:
        if not self.content and not self.same:
            raise ValueError("has no content")
        return self


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
    same: frozenset[Part] = frozenset()
    """Which parts stay as they are; of the message that `id` names."""

    @model_validator(mode="after")
    def _says_something(self) -> MessageInput:
        if self.template is None and self.content is None and Part.TEXT not in self.same:
            raise ValueError("names a template, or has content")
        return self


def write_messages(
    session: Session, campaign: Campaign, messages: Sequence[MessageInput], channels: Sequence[str]
) -> None:
    """Let these be the campaign's messages, all of them, in this order. The caller holds the campaign.

    Recipients of a held job go on with them: where a message keeps its id or its place, it is the same message, and
    keeps its channel. A new one goes out over the first of `channels` that is configured, else as those before it.

    Raises:
        Invalid: a template or channel does not exist, or content cannot be rendered.
    """
    if not messages and campaign.flow_id is None:
        return
    flow, kept, known = _own_messages(session, campaign)
    channel = _channel(session, campaign.org_id, channels, strict=False)
    if not channels and kept:
        channel = kept[0].channel_id
    words = [message.template for message in messages if message.template is not None]
    templates = iter(_templates(session, campaign.org_id, messages, words))
    used: set[UUID] = set()
    for position, message in enumerate(messages):
        touchpoint = known.get(message.id or "")
        if touchpoint is None and message.id is None and position < len(kept):
            touchpoint = kept[position]
        if touchpoint is None or touchpoint.id in used:
            touchpoint = _new(session, flow)
            touchpoint.channel_id = channel
        used.add(touchpoint.id)
        template = next(templates) if message.template is not None else None
        _fill(touchpoint, message, template, f"messages[{position}]", campaign)
        touchpoint.position = position
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
        for touchpoint in _own_messages(session, campaign)[1]:
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
    wanted = _configured(session, campaign.org_id, channels, strict=True)
    if campaign.flow_id is None:
        return
    for index, touchpoint in enumerate(_messages(session, campaign.org_id, [campaign.flow_id])):
        # One that names another channel of the same kind was given that by hand.
        if wanted and touchpoint.channel_id not in wanted:
            touchpoint.channel_id = wanted[0]
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


def _own_messages(
    session: Session, campaign: Campaign
) -> tuple[Flow, list[Touchpoint], dict[str, Touchpoint]]:
    """The flow that only this campaign uses, its messages in order, and each by the ids that answers show.

    It is made where the campaign has none. One that it shares is copied, so that campaigns that share it keep it.

    Raises:
        Invalid: there is more than messages in it; or it is shared, and the campaign delivers by it.
    """
    shared = None
    if campaign.flow_id is not None:
        flow = listing.find(session, Flow, campaign.org_id, campaign.flow_id, lock=True)
        kept = _touchpoints(session, flow)
        if flow.campaign_id == campaign.id:
            return flow, kept, {str(touchpoint.id): touchpoint for touchpoint in kept}
        busy = select(Job.id).where(
            Job.org_id == campaign.org_id, Job.campaign_id == campaign.id, Job.status.in_(OPEN)
        )
        if session.execute(busy.limit(1)).first() is not None:
            raise Invalid(
                "messages", f"they are those of the flow {flow.name!r}; change that, it may be shared"
            )
        shared = flow
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
    copies = {} if shared is None else copy_touchpoints(session, shared, flow)
    kept = sorted(copies.values(), key=lambda touchpoint: touchpoint.position)
    return flow, kept, {str(touchpoint_id): copy for touchpoint_id, copy in copies.items()}


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
        Invalid: see `_configured`.
    """
    return next(iter(_configured(session, org_id, words, strict=strict)), None)


def _configured(session: Session, org_id: UUID, words: Sequence[str], *, strict: bool) -> list[UUID]:
    """What the first word that a channel is configured for stands for: one channel, or several of a kind or name.

    Raises:
        Invalid: an id does not exist; strict: none of them is configured.
    """
    if not words:
        return []
    channels = session.scalars(
        select(Channel)
        .where(Channel.org_id == org_id)
        .order_by(Channel.is_default.desc(), Channel.created_at)
    ).all()
    for index, word in enumerate(words):
        row_id = as_id(word)
        found = [
            channel.id for channel in channels if row_id == channel.id or word in (channel.kind, channel.name)
        ]
        if found:
            return found
        if row_id is not None:
            raise Invalid(f"strategy.channels[{index}]", f"channel {row_id} does not exist")
    if strict:
        raise Invalid("strategy.channels", f"none of {', '.join(words)} is configured as a channel")
    return []


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
    settings: dict[str, Any] = {}
    kept = touchpoint.settings or {}
    touchpoint.type = _MESSAGE
    if Part.NAME not in message.same:
        touchpoint.name = message.name or ""
    if Part.TEXT in message.same:
        settings |= {name: kept[name] for name in ("template",) if name in kept}
    else:
        touchpoint.template_id = None if template is None else template.id
        touchpoint.content = None
        if message.content is not None and message.template is None:
            subject = message.subject or campaign.name
            touchpoint.content = _content(message.content, subject, f"{path}.content")
        if message.template is not None:
            settings["template"] = message.template
        unresolved = message.template is not None and template is None
        touchpoint.status = "update_needed" if unresolved else "active"
    if Part.VARIATIONS not in message.same or (Part.TEXT not in message.same and touchpoint.variants):
        touchpoint.variants = _variants(touchpoint, message, path, campaign)
    if Part.PERSONALIZATION in message.same:
        settings |= {name: kept[name] for name in ("personalization",) if name in kept}
    elif message.personalization is not None:
        settings["personalization"] = message.personalization.model_dump()
    touchpoint.settings = settings


def _variants(
    touchpoint: Touchpoint, message: MessageInput, path: str, campaign: Campaign
) -> list[dict[str, Any]] | None:
    """The variations, beside the message itself, which goes to the rest of 100.

    Weights that were not written here, or decided by an A/B test, are parts of another sum: there the message itself
    keeps the weight that it had.
    """
    stored = list(touchpoint.variants or ())
    known = {str(variant["id"]): variant for variant in stored}
    if Part.VARIATIONS in message.same:
        variants = [variant for variant in stored if variant["id"] != _ORIGINAL]
    else:
        variants = []
        for index, variation in enumerate(message.variations):
            if variation.same and variation.id in known:
                variants.append(known[variation.id])
                continue
            if not variation.weight and known.get(variation.id or "", {"weight": 1}).get("weight", 1):
                raise Invalid(f"{path}.variations[{index}].weight", "must be above 0, or be 0 as it is")
            subject = variation.subject or message.subject or campaign.name
            content = _content(variation.content, subject, f"{path}.variations[{index}].content")
            name = variation.id or f"var{index + 1}"
            variants.append({"id": name, "weight": variation.weight, "content": content})
    if not variants:
        return None
    if len({variant["id"] for variant in variants}) < len(variants):
        raise Invalid(f"{path}.variations", "two of them have the same id")
    whole = sum(float(variant.get("weight", 1)) for variant in stored) >= _WHOLE
    if whole or not any(variant["id"] in known for variant in variants):
        left = _WHOLE - sum(float(variant.get("weight", 1)) for variant in variants)
    else:
        left = float(known.get(_ORIGINAL, {"weight": 0}).get("weight", 1))
    if left > 0 or _ORIGINAL in known:
        variants = _with_original(variants, touchpoint, max(0.0, left))
    if not sum(float(variant.get("weight", 1)) for variant in variants):
        raise Invalid(f"{path}.variations", "one of them must have a weight")
    return variants


def _with_original(
    variants: list[dict[str, Any]], touchpoint: Touchpoint, weight: float
) -> list[dict[str, Any]]:
    """The variations beside the message itself."""
    original: dict[str, Any] = {"id": _ORIGINAL, "weight": weight}
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
