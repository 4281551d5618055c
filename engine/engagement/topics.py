"""Topics: what campaigns are about, and whose holders opted out of one (docs/consent.md).

An opt-out is of an address in its one form, as a suppression is, and is looked for when a message is claimed
(engine.engagement.suppression). It is the person's own, made and taken back on their preference page.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from uuid import uuid4

from sqlalchemy import delete, func, select

from engine.engagement.suppression import key_of
from engine.events.outbox import record
from engine.kernel import listing
from engine.kernel.inputs import Input, InUse, Invalid, LongText, Name, Rewritable
from state.change import clock_of
from state.sets import insert_into
from state.tables import Campaign, Topic, TopicOptOut

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from sqlalchemy.orm import Session

    from engine.content.links import Invitation
    from engine.kernel.listing import Page

__all__ = [
    "MOST",
    "TopicChange",
    "TopicChoice",
    "TopicInput",
    "choices",
    "count_opt_outs",
    "create_topic",
    "delete_topic",
    "get_topic",
    "list_topics",
    "opt_in",
    "opt_out",
    "require_topic",
    "update_topic",
]

#: Topics of an organization: as many as a person can choose among.
MOST = 50


class TopicInput(Input):
    """A new topic. People read both texts on their preference page."""

    name: Name
    description: LongText | None = None


class TopicChange(Rewritable, TopicInput):
    """What is to be different; what is not given stays."""

    name: Name = ""


class TopicChoice(NamedTuple):
    """A topic as the holder of a link sees it."""

    topic: Topic
    gets: bool


def create_topic(session: Session, org_id: UUID, given: TopicInput) -> Topic:
    """Keep a topic.

    Raises:
        Invalid: there is one of that name, or there are `MOST`.
    """
    known = list(session.scalars(select(Topic.name).where(Topic.org_id == org_id).with_for_update()))
    if len(known) >= MOST:
        raise Invalid("name", f"there are {MOST} topics; no person would choose among more")
    _check_name(known, given.name)
    now = clock_of(session).now()
    topic = Topic(id=uuid4(), org_id=org_id, created_at=now, updated_at=now, **given.model_dump())
    session.add(topic)
    session.flush()
    return topic


def get_topic(session: Session, org_id: UUID, topic_id: UUID) -> Topic:
    """Raises NotFound."""
    return listing.find(session, Topic, org_id, topic_id)


def list_topics(
    session: Session,
    org_id: UUID,
    *,
    limit: int = 25,
    next: str | None = None,  # noqa: A002 - the word of the contract
) -> Page[Topic]:
    """Topics, newest first. Raises Invalid as `listing.page`."""
    return listing.page(session, Topic, org_id, limit=limit, next=next)


def update_topic(session: Session, org_id: UUID, topic_id: UUID, given: TopicChange) -> Topic:
    """Change a topic; who opted out of it stays so.

    Raises:
        NotFound: there is none.
        Invalid: there is another one of that name.
    """
    topic = listing.find(session, Topic, org_id, topic_id, lock=True)
    values = given.model_dump(include=given.model_fields_set)
    if "name" in values:
        others = select(Topic.name).where(Topic.org_id == org_id, Topic.id != topic_id)
        _check_name(list(session.scalars(others)), given.name)
    for name, value in values.items():
        setattr(topic, name, value)
    if values:
        listing.stamp(session, topic)
        session.flush()
    return topic


def delete_topic(session: Session, org_id: UUID, topic_id: UUID) -> None:
    """Remove a topic, and who opted out of it.

    Raises:
        NotFound: there is none.
        InUse: a campaign is about it; who opted out of it would be written to again.
    """
    topic = listing.find(session, Topic, org_id, topic_id, lock=True)
    used = select(Campaign.name).where(Campaign.org_id == org_id, Campaign.topic_id == topic_id).limit(1)
    name = session.scalars(used).first()
    if name is not None:
        raise InUse(f"the campaign {name!r} is about this topic")
    session.delete(topic)
    session.flush()


def choices(session: Session, invitation: Invitation) -> Sequence[TopicChoice]:
    """The organization's topics by name, and which of them the holder of a link gets. Two statements."""
    key = key_of(invitation)
    refused = set(
        session.scalars(
            select(TopicOptOut.topic_id).where(
                TopicOptOut.org_id == invitation.org_id,
                TopicOptOut.medium == key.medium,
                TopicOptOut.address == key.address,
            )
        )
    )
    topics = session.scalars(
        select(Topic).where(Topic.org_id == invitation.org_id).order_by(Topic.name, Topic.id).limit(MOST)
    )
    return [TopicChoice(topic, topic.id not in refused) for topic in topics]


def count_opt_outs(session: Session, org_id: UUID) -> dict[UUID, int]:
    """How many addresses opted out of each topic that any did. Primary key."""
    rows = session.execute(
        select(TopicOptOut.topic_id, func.count())
        .where(TopicOptOut.org_id == org_id)
        .group_by(TopicOptOut.topic_id)
    )
    return {topic_id: int(count) for topic_id, count in rows}


def require_topic(session: Session, org_id: UUID, topic_id: UUID | None) -> None:
    """Keep the topic that a campaign is to be about from being deleted. Raises Invalid: there is no such topic."""
    if topic_id is not None and not listing.kept(session, Topic, org_id, topic_id):
        raise Invalid("topic_id", f"topic {topic_id} does not exist")


def opt_out(session: Session, invitation: Invitation, topic_id: UUID) -> bool:
    """The holder of a link does not want a topic; False: they said so before. Raises NotFound."""
    topic = get_topic(session, invitation.org_id, topic_id)
    key = key_of(invitation)
    row = {
        "org_id": invitation.org_id,
        "topic_id": topic_id,
        "medium": key.medium,
        "address": key.address,
        "created_at": clock_of(session).now(),
    }
    added = insert_into(session, TopicOptOut).values(row).on_conflict_do_nothing()
    if session.execute(added.returning(TopicOptOut.topic_id)).first() is None:
        return False
    _record(session, invitation, "recipient.unsubscribed", topic)
    return True


def opt_in(session: Session, invitation: Invitation, topic_id: UUID) -> bool:
    """The holder of a link wants a topic again; False: they never opted out. Raises NotFound."""
    topic = get_topic(session, invitation.org_id, topic_id)
    key = key_of(invitation)
    removed = session.execute(
        delete(TopicOptOut).where(
            TopicOptOut.org_id == invitation.org_id,
            TopicOptOut.topic_id == topic_id,
            TopicOptOut.medium == key.medium,
            TopicOptOut.address == key.address,
        )
    ).rowcount  # type: ignore[attr-defined]
    if not removed:
        return False
    _record(session, invitation, "recipient.resubscribed", topic)
    return True


def _check_name(known: Sequence[str], name: str) -> None:
    if name.casefold() in {one.casefold() for one in known}:
        raise Invalid("name", f"there is a topic {name!r} already")


def _record(session: Session, invitation: Invitation, event: str, topic: Topic) -> None:
    record(
        session,
        invitation.org_id,
        event,
        campaign_id=invitation.campaign_id,
        entity_id=str(invitation.entity_id),
        channel_kind=invitation.channel_kind,
        scope="topic",
        topic_id=str(topic.id),
        topic=topic.name,
    )
