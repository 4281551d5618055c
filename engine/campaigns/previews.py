"""A template as somebody would get it: shown (`preview`), or really sent to an address of one's own (`prepare_test`).

Neither touches a campaign: no recipient, no counter, no event. Links of a test lead nowhere, so that nobody who tries
a button is unsubscribed.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from threading import Event
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID, uuid4

from pydantic import Field, StringConstraints
from sqlalchemy import select

from engine.campaigns.channels import build_channel
from engine.campaigns.validation import attributes_of
from engine.channels.default_channel import default_channel
from engine.channels.port import Released
from engine.content.message import Message
from engine.content.mime import MimeBuilder
from engine.content.stored import compile_stored
from engine.content.templates import RenderError, TemplateError
from engine.content.values import absent
from engine.content.warnings import message_warnings
from engine.engagement.suppression import Organization, suppressed
from engine.kernel.inputs import Input, Invalid
from state.errors import NotFound
from state.tables import Channel, Entity
from state.types import NIL_UUID

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy.orm import Session

    from engine.channels.port import Channel as Sender
    from engine.channels.port import ChannelContext, Outcome
    from engine.content.message import Content
    from engine.content.stored import AnyTemplate
    from engine.kernel.secrets import Secrets
    from state.tables import Template

__all__ = [
    "TEST_SECONDS",
    "Preview",
    "PreviewInput",
    "Test",
    "TestInput",
    "empty_names",
    "link_to_nowhere",
    "prepare_test",
    "preview",
    "send_test",
]

#: How long a test may take; after that nobody knows what became of it.
TEST_SECONDS = 60.0
_SENDER = "preview@localhost"
#: What an entity's address may be called, for channels of every kind.
_ADDRESSES = ("email", "phone", "mobile", "chat_id", "telegram_chat_id", "address")


class PreviewInput(Input):
    """For whom: an entity, attributes, or an entity with some of its attributes changed."""

    entity_id: UUID | None = None
    attributes: dict[str, Any] = Field(default_factory=dict)
    language: Annotated[str, StringConstraints(max_length=35)] | None = None
    """As if the recipient read it."""


class TestInput(PreviewInput):
    """A test, to an address of one's own."""

    __test__ = False  # pytest: not what it looks like

    address: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=320)]
    channel_id: UUID | None = None
    """Absent: the organization's default."""


@dataclass(frozen=True, slots=True)
class Preview:
    """What somebody would get."""

    content: Content
    headers: list[tuple[str, str]]
    """As they stand in the e-mail, unfolded."""
    size: int
    """Bytes of the e-mail."""
    warnings: list[str]


@dataclass(frozen=True, slots=True)
class Test:
    """A message on its way, and the channel it takes."""

    __test__ = False

    message: Message
    channel: Sender


def link_to_nowhere(public_url: object) -> str:
    """An unsubscribe link that looks like one of ours and does nothing."""
    return f"{str(public_url).rstrip('/')}/u/preview"


def preview(session: Session, row: Template, given: PreviewInput, *, unsubscribe_url: str) -> Preview:
    """What a template says to somebody. It need not be kept (`engine.campaigns.templates.unkept_template`).

    Raises:
        Invalid: the entity does not exist, or the template fails for it.
    """
    org_id = row.org_id
    attributes = _attributes(session, org_id, row, given)
    content, unknown = _rendered(session, row, attributes, unsubscribe_url)
    message = _message(org_id, "recipient@localhost", content, attributes, unsubscribe_url)
    try:
        raw = MimeBuilder(sender_email=content.sender_email or _SENDER).build(message)
    except ValueError as error:
        raise Invalid("template", f"cannot be sent as e-mail: {error}") from None
    said = message_warnings(content, unsubscribe_url=unsubscribe_url, size=len(raw))
    own = {"to", "date", "message-id"} | (set() if content.sender_email else {"from"})
    headers = [(name, value) for name, value in _headers(raw) if name.lower() not in own]
    return Preview(content, headers, len(raw), [*unknown, *said])


def prepare_test(
    session: Session,
    row: Template,
    given: TestInput,
    *,
    unsubscribe_url: str,
    secrets: Secrets,
    channel_context: ChannelContext,
) -> Test:
    """A test ready to be sent, of a template that need not be kept.

    Raises:
        Invalid: the entity or the channel does not exist, the template fails for it, the address is none of the
            channel's, or is suppressed.
    """
    org_id = row.org_id
    attributes = _attributes(session, org_id, row, given)
    content, _ = _rendered(session, row, attributes, unsubscribe_url)
    found = (
        default_channel(session, org_id)
        if given.channel_id is None
        else session.scalars(
            select(Channel).where(Channel.id == given.channel_id, Channel.org_id == org_id)
        ).one_or_none()
    )
    if found is None:
        missing = "the organization has none yet" if given.channel_id is None else "does not exist"
        raise Invalid("channel_id", missing)
    channel = build_channel(session, org_id, found.id, secrets, channel_context)
    where = found.settings.get("address")
    names = (*_ADDRESSES, where) if isinstance(where, str) else _ADDRESSES
    address = channel.address_of(dict.fromkeys(names, given.address))
    if address is None:
        raise Invalid("address", f"{given.address!r} is no address for channel {found.kind}")
    barred = suppressed(session, Organization(org_id), channel.medium, [address])
    if address in barred:
        raise Invalid("address", f"is suppressed: {barred[address]}")
    return Test(_message(org_id, address, content, attributes, None), channel)


async def send_test(test: Test) -> Outcome:
    """Send it, wait for what becomes of it, and close the channel. `Released`: the channel never reported."""
    outcomes: list[Outcome] = []
    stop = Event()
    try:
        async with asyncio.timeout(TEST_SECONDS):
            await test.channel.send([test.message], lambda _, outcome: outcomes.append(outcome), stop)
    except TimeoutError:
        stop.set()  # a channel reports what it was doing when its wave is cancelled
    finally:
        await test.channel.close()
    return outcomes[0] if outcomes else Released()


def _attributes(session: Session, org_id: UUID, row: Template, given: PreviewInput) -> dict[str, Any]:
    attributes: dict[str, Any] = {}
    if given.entity_id is not None:
        wanted = select(Entity).where(Entity.id == given.entity_id, Entity.org_id == org_id)
        entity = session.scalars(wanted).one_or_none()
        if entity is None:
            raise Invalid("entity_id", str(NotFound("entity", given.entity_id)))
        attributes = attributes_of(entity)
    attributes |= given.attributes
    if given.language is not None:
        attributes = {row.language_attribute or "language": given.language, **attributes}
        attributes[row.language_attribute or "language"] = given.language
    return attributes


def _rendered(
    session: Session, row: Template, attributes: dict[str, Any], unsubscribe_url: str
) -> tuple[Content, list[str]]:
    extras = {"unsubscribe_url": unsubscribe_url}
    try:
        template = compile_stored(session, row)
        content = template.render(attributes, extras)
    except (TemplateError, RenderError) as error:
        raise Invalid("template", str(error)) from None
    return content, empty_names(template, attributes, extras)


def _message(
    org_id: UUID, address: str, content: Content, attributes: dict[str, Any], unsubscribe_url: str | None
) -> Message:
    return Message(
        execution_id=uuid4(),
        org_id=org_id,
        campaign_id=NIL_UUID,
        entity_id=NIL_UUID,
        address=address,
        content=content,
        unsubscribe_url=unsubscribe_url,
        attributes=attributes,
    )


def _headers(raw: bytes) -> list[tuple[str, str]]:
    head = raw.partition(b"\r\n\r\n")[0].decode("ascii").replace("\r\n ", " ").replace("\r\n\t", " ")
    return [(name, value.strip()) for name, _, value in (line.partition(":") for line in head.split("\r\n"))]


def empty_names(template: AnyTemplate, attributes: Mapping[str, Any], extras: Mapping[str, Any]) -> list[str]:
    """What a template says of somebody without a default, and this one's attributes leave empty; a sentence each."""
    nobody = template.unknown(tuple(attributes), extras)
    given = tuple(name for name, value in attributes.items() if not absent(value))
    empty = template.unknown(given, extras) - nobody
    return [
        *(f"{name} is empty: it is no attribute, and has no default" for name in sorted(nobody)),
        *(f"{name} is empty for this recipient, and has no default" for name in sorted(empty)),
    ]
