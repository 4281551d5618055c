"""Would a message do what it is to do? Found out by doing all of it but the sending.

A message (a template, or content of a touchpoint's own, in each of its variants and languages) is compiled, rendered
for a sample recipient and shown to the channel's own rules (segments of an SMS, parameters of a WhatsApp template,
4,096 characters of Telegram). Every variable must be an attribute of the audience's entities or have a default. The
channel must be configured, buildable and, when it is asked, reachable.

`examine` answers for one message, `Rehearsal` for a page of recipients at a time: who would fail, and by which code.
Nothing is written, nothing is sent.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

from sqlalchemy import select

from engine.campaigns.channels import build_channel
from engine.channels import registry
from engine.channels.asking import ask
from engine.channels.default_channel import default_channel
from engine.content.stored import compile_content, compile_stored
from engine.content.templates import RenderError, TemplateError
from engine.delivery.address_claims import DUPLICATE_ADDRESS, SHARED
from engine.delivery.conditions import check_condition
from engine.delivery.variants import Variants
from engine.engagement.suppression import suppressed
from engine.filters.targets import audience_page, bases
from engine.kernel.addresses import address_trouble, no_address
from engine.kernel.inputs import Invalid
from state.change import clock_of
from state.errors import NotFound
from state.sets import among
from state.tables import Channel, Entity, Target, Template, Touchpoint

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from pydantic import BaseModel
    from sqlalchemy.orm import Session

    from engine.campaigns.rehearsed_addresses import Addresses
    from engine.channels.port import Channel as Sender
    from engine.channels.port import ChannelContext
    from engine.content.message import Content
    from engine.content.stored import AnyTemplate
    from engine.kernel.secrets import Secrets
    from state.tables import Campaign

__all__ = [
    "EXTRAS",
    "Examination",
    "Finding",
    "Rehearsal",
    "Rehearsed",
    "RehearsedStep",
    "Said",
    "Sample",
    "attributes_of",
    "examine",
    "sample_of",
]

#: Names that delivery adds to an entity's attributes.
EXTRAS = {"unsubscribe_url": "https://example.com/u/0000000000000000"}
#: Entities whose attributes say which names there are.
_SAMPLED = 200


@dataclass(frozen=True, slots=True)
class Said:
    """What a message touchpoint says, to whom, and over which channel (absent: the organization's default)."""

    template_id: UUID | None = None
    content: Mapping[str, Any] | None = None
    variants: Sequence[dict[str, Any]] | None = None
    channel_id: UUID | None = None
    condition: Any = None

    @classmethod
    def of(cls, touchpoint: Touchpoint) -> Said:
        """A touchpoint's."""
        return cls(
            touchpoint.template_id,
            touchpoint.content,
            touchpoint.variants,
            touchpoint.channel_id,
            touchpoint.condition,
        )


@dataclass(frozen=True, slots=True)
class Sample:
    """Somebody the message may be for, and which attributes such entities have."""

    attributes: Mapping[str, Any]
    known: tuple[str, ...] | None
    """None: there is no audience yet, or nobody in it, so nobody can say what they will have."""
    schema: str


@dataclass(frozen=True, slots=True)
class Examination:
    """What is wrong with a message; each sentence begins with what it is about."""

    errors: list[str]
    channel: Sender | None
    """To be asked whether its provider answers (`reached`), which closes it."""


class Finding(NamedTuple):
    """Why a recipient would not be sent to."""

    entity_id: UUID
    touchpoint_id: UUID
    code: str
    message: str


class RehearsedStep(NamedTuple):
    """A message touchpoint, ready."""

    touchpoint_id: UUID
    row: Channel
    channel: Sender
    settings: BaseModel
    """The channel's, checked."""
    variants: Variants | None
    templates: dict[str | None, AnyTemplate]
    """By variant; those that can be compiled."""

    def trouble_of(
        self, one: Entity, variant: str | None, address: str | None, barred: Mapping[str, str]
    ) -> tuple[str, str] | None:
        """Code and message of why it would not be sent; the codes are those that delivery records."""
        if address is None:
            trouble = address_trouble(self.channel.address_of, attributes_of(one))
            return "NO_ADDRESS", no_address(self.row.kind, trouble)
        if address in barred:
            return "SUPPRESSED", barred[address]
        template = self.templates.get(variant)
        if template is None:
            return "TEMPLATE_ERROR", "the message cannot be compiled"
        try:
            content = template.render(attributes_of(one), EXTRAS)
        except RenderError as error:
            return "TEMPLATE_ERROR", str(error)
        problems = self.channel.problems_of(content, self.settings)
        return ("CONTENT_INVALID", problems[0]) if problems else None


class Rehearsed(NamedTuple):
    """One recipient at one message."""

    entity: Entity
    step: RehearsedStep
    variant: str | None
    address: str | None
    trouble: tuple[str, str] | None
    """Code and message of why it would not be sent; None: it would."""


class _Whose(NamedTuple):
    """For whom suppressions are asked."""

    org_id: UUID
    campaign_id: UUID
    topic_id: UUID | None


def examine(
    session: Session,
    org_id: UUID,
    said: Said,
    sample: Sample,
    *,
    secrets: Secrets,
    channel_context: ChannelContext,
) -> Examination:
    """Find out everything that is wrong with a message, except whether its provider answers."""
    errors: list[str] = []
    channel: Sender | None = None
    if said.condition is not None:
        try:
            check_condition(said.condition)
        except Invalid as error:
            errors.append(str(error))
    row = _channel_of(session, org_id, said.channel_id)
    if row is None:
        missing = "the organization has no channel" if said.channel_id is None else "does not exist"
        errors.append(f"channel_id: {missing}")
    else:
        try:
            channel = build_channel(session, org_id, row.id, secrets, channel_context)
        except Invalid as error:
            errors.append(f"channel {row.name!r}: {error}")
    for _, where, message in _messages(session, org_id, said):
        if isinstance(message, str):
            errors.append(f"{where}{message}")
            continue
        built = None if channel is None else row  # one that cannot be built has nothing to say of the content
        errors += [f"{where}{trouble}" for trouble in _wrong_with(message, built, sample)]
    return Examination(errors, channel)


def sample_of(session: Session, org_id: UUID, target_ids: Sequence[UUID]) -> Sample:
    """The first of an audience; else an entity of its schema; without an audience anybody; at last nobody.

    Walks the index on (org_id, schema, id) twice, a page each.
    """
    targets = list(
        session.scalars(
            select(Target).where(Target.org_id == org_id, among(session, Target.id, list(target_ids)))
        )
    )
    narrowed = bases(session, org_id, targets)
    first: Entity | None = None
    for target in targets:
        page = audience_page(
            session, org_id, narrowed.get(target.id, target), after=None, limit=1, now=clock_of(session).now()
        )
        found = session.execute(page).first()
        if found is not None:
            first = session.get_one(Entity, found[0])
            break
    schemas = {target.entity_schema for target in targets}
    statement = select(Entity).where(Entity.org_id == org_id)
    if schemas:
        statement = statement.where(Entity.schema.in_(schemas))
    others = list(session.scalars(statement.order_by(Entity.schema, Entity.id).limit(_SAMPLED)))
    schema = ", ".join(sorted(schemas)) or "entity"
    people = [first, *others] if first is not None else others
    if not people:
        return Sample({}, None, schema)
    known = tuple(dict.fromkeys(name for one in people for name in attributes_of(one)))
    return Sample(attributes_of(people[0]), known if schemas else None, schema)


def attributes_of(entity: Entity) -> dict[str, Any]:
    """What a template may say of an entity, as delivery gives it."""
    return {
        **entity.attributes,
        "_id": str(entity.id),
        "_title": entity.title,
        "external_id": entity.external_id,
    }


class Rehearsal:
    """A campaign's messages, ready to be rendered for everybody; for one run of one process. Everybody is given the
    variant that they would be sent; conditions, which depend on what will have happened by then, let everybody through.

    What it holds are the compiled messages and the channels, however many recipients are looked at.
    """

    def __init__(
        self,
        session: Session,
        campaign: Campaign,
        secrets: Secrets,
        channel_context: ChannelContext,
        addresses: Addresses,
    ) -> None:
        """Make ready what can be; `errors` says what cannot, which nobody could be sent.

        Args:
            addresses: Gives each address to one recipient, if the campaign writes to each once.
        """
        self.errors: list[str] = []
        self._org_id = org_id = campaign.org_id
        self._whose = _Whose(org_id, campaign.id, campaign.topic_id)
        self._addresses = addresses if campaign.one_per_address else None
        self._steps: list[RehearsedStep] = []
        touchpoints = session.scalars(
            select(Touchpoint)
            .where(
                Touchpoint.org_id == org_id,
                Touchpoint.flow_id == campaign.flow_id,
                Touchpoint.type == "message",
                Touchpoint.status == "active",
            )
            .order_by(Touchpoint.position, Touchpoint.id)
        )
        for touchpoint in touchpoints:
            self._prepare(session, touchpoint, secrets, channel_context)

    @property
    def steps(self) -> Sequence[RehearsedStep]:
        """The messages that are ready, in the flow's order."""
        return self._steps

    def messages(self, session: Session, people: Sequence[Entity]) -> Iterator[Rehearsed]:
        """Each message that these would be sent, and the first that each of them would not. A statement or two a
        message.
        """
        lost: set[UUID] = set()
        given: dict[UUID, str] = {}
        for step in self._steps:
            addresses = {one.id: step.channel.address_of(attributes_of(one)) for one in people}
            barred = suppressed(session, self._whose, step.channel.medium, filter(None, addresses.values()))
            reached = [
                (one.id, address)
                for one in people
                if (address := addresses[one.id]) is not None and address not in barred and one.id not in lost
            ]
            late: Collection[UUID] = ()
            if self._addresses is not None:
                late = self._addresses.take(session, step.channel.medium, reached)
            for one in people:
                variant = None
                if step.variants is not None:
                    variant = step.variants.of(self._whose.campaign_id, one.id, given.get(one.id))
                    given.setdefault(one.id, variant)
                if one.id not in lost:
                    trouble: tuple[str, str] | None = (DUPLICATE_ADDRESS, SHARED)
                    if one.id not in late:
                        trouble = step.trouble_of(one, variant, addresses[one.id], barred)
                    if trouble is not None:
                        lost.add(one.id)
                    yield Rehearsed(one, step, variant, addresses[one.id], trouble)

    def page(self, session: Session, people: Sequence[Entity]) -> list[Finding]:
        """Who of these would not be sent to, by the first message that they would not get. One statement a message."""
        return [
            Finding(one.entity.id, one.step.touchpoint_id, *one.trouble)
            for one in self.messages(session, people)
            if one.trouble is not None
        ]

    async def unreachable(self) -> list[str]:
        """Ask each channel whether its provider answers; what is wrong, by channel. Closes them."""
        channels = {step.row.id: step for step in self._steps}
        answers = await asyncio.gather(*(ask(step.channel) for step in channels.values()))
        return [
            f"channel {step.row.name!r}: {trouble}"
            for step, trouble in zip(channels.values(), answers, strict=True)
            if trouble is not None
        ]

    def _prepare(
        self, session: Session, touchpoint: Touchpoint, secrets: Secrets, channel_context: ChannelContext
    ) -> None:
        said = Said.of(touchpoint)
        name = touchpoint.name or str(touchpoint.id)
        row = _channel_of(session, self._org_id, said.channel_id)
        if row is None:
            self.errors.append(f"{name}: channel_id: there is no channel")
            return
        templates: dict[str | None, AnyTemplate] = {}
        for variant, where, message in _messages(session, self._org_id, said):
            if isinstance(message, str):
                self.errors.append(f"{name}: {where}{message}")
            else:
                templates[variant] = message
        channel = next((step.channel for step in self._steps if step.row.id == row.id), None)
        try:
            channel = channel or build_channel(session, self._org_id, row.id, secrets, channel_context)
        except Invalid as error:
            self.errors.append(f"{name}: channel {row.name!r}: {error}")
            return
        settings = registry.settings_model(row.kind).model_validate(row.settings)  # as it was built from them
        variants = Variants(said.variants) if said.variants else None
        self._steps.append(RehearsedStep(touchpoint.id, row, channel, settings, variants, templates))


def _channel_of(session: Session, org_id: UUID, channel_id: UUID | None) -> Channel | None:
    if channel_id is None:
        return default_channel(session, org_id)
    return session.scalars(
        select(Channel).where(Channel.id == channel_id, Channel.org_id == org_id)
    ).one_or_none()


def _messages(
    session: Session, org_id: UUID, said: Said
) -> Iterator[tuple[str | None, str, AnyTemplate | str]]:
    """Everything that may be said: its variant, what to put before what is wrong with it, and it compiled, or why it
    cannot be.
    """
    usual = (said.template_id, said.content)
    parts: list[tuple[str | None, str, tuple[Any, Any]]] = [(None, "", usual)]
    if said.variants:
        parts = []
        for index, variant in enumerate(said.variants):
            own = (variant.get("template_id"), variant.get("content"))
            parts.append((str(variant.get("id")), f"variants[{index}].", own if any(own) else usual))
    for name, where, (template_id, content) in parts:
        try:
            if template_id is not None:
                row = _template_of(session, org_id, template_id)
                yield name, where, compile_stored(session, row)
            elif content:
                yield name, where, compile_content(session, org_id, content)
            else:
                yield name, where, "message: there is none"
        except NotFound:
            yield name, where, f"template_id: template {template_id} does not exist"
        except TemplateError as error:
            yield name, where, str(error)


def _template_of(session: Session, org_id: UUID, template_id: Any) -> Template:
    try:
        wanted = select(Template).where(Template.id == UUID(str(template_id)), Template.org_id == org_id)
    except ValueError:
        raise NotFound("template", template_id) from None
    row = session.scalars(wanted).one_or_none()
    if row is None:
        raise NotFound("template", template_id)
    return row


def _wrong_with(template: AnyTemplate, row: Channel | None, sample: Sample) -> Iterator[str]:
    if sample.known is not None:
        for name in sorted(template.unknown(sample.known, EXTRAS)):
            yield f"{name}: is no attribute of {sample.schema}, and has no default"
    told = set()
    for language in template.languages:
        one = template.in_language(language)
        try:
            content = one.render(sample.attributes, EXTRAS)
        except RenderError as error:
            problems = [str(error)]
        else:
            problems = [] if row is None else _refused(row, content)
        for problem in problems:
            if problem not in told:
                told.add(problem)
                yield problem if language is None else f"{language}: {problem}"


def _refused(row: Channel, content: Content) -> list[str]:
    """What the channel's kind would not take."""
    try:
        return registry.problems_of(row.kind, content, row.settings)
    except ValueError as error:  # the kind is gone, or its settings are not its own any more
        return [str(error)]
