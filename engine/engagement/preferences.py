"""What the holder of an unsubscribe link is shown: who writes to them, in which language they read, which of the
campaigns that wrote to them may go on, and about which topics they want to be written to.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import select

from engine.content.locales import Finder, read_language
from engine.engagement.suppression import key_of, subscription
from engine.engagement.topics import choices
from state.errors import NotFound
from state.sets import among
from state.tables import Campaign, Entity, Organization, Recipient, Suppression

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from sqlalchemy.orm import Session

    from engine.content.links import Invitation
    from engine.engagement.suppression import Subscription
    from engine.engagement.topics import TopicChoice

__all__ = ["CampaignChoice", "Preferences", "about_campaign", "preferences"]

#: Campaigns of the organization that are looked through, the newest, and those that are shown.
_LOOKED_THROUGH, _SHOWN = 500, 20


class CampaignChoice(NamedTuple):
    """A campaign that wrote to them."""

    campaign_id: UUID
    name: str
    gets: bool
    """Whether it may again."""


@dataclass(frozen=True, slots=True)
class Preferences:
    """How things stand."""

    sender: str
    """The organization's name."""
    language: str | None
    """Of the entity, as a tag; None: it keeps none that is known."""
    standing: Subscription
    campaigns: list[CampaignChoice]
    """Newest first: the link's own campaign, and others that wrote to them."""
    topics: Sequence[TopicChoice]
    """All of the organization's, by name."""


def preferences(session: Session, invitation: Invitation) -> Preferences:
    """How things stand for the holder of a link. Nine statements at most, by key.

    Raises:
        NotFound: the organization is gone.
    """
    sender = session.scalars(
        select(Organization.name).where(Organization.id == invitation.org_id)
    ).one_or_none()
    if sender is None:
        raise NotFound("organization", invitation.org_id)
    attributes = session.scalars(
        select(Entity.attributes).where(Entity.id == invitation.entity_id, Entity.org_id == invitation.org_id)
    ).one_or_none()
    language = None if attributes is None else read_language(Finder(None)(attributes))
    return Preferences(
        sender,
        language,
        subscription(session, invitation),
        _campaigns(session, invitation),
        choices(session, invitation),
    )


def about_campaign(session: Session, invitation: Invitation, campaign_id: UUID) -> Invitation:
    """The same link, as another campaign that wrote to its holder would have sent it.

    Raises:
        NotFound: no such campaign wrote to them.
    """
    known = select(Recipient.campaign_id).where(
        Recipient.campaign_id == campaign_id,
        Recipient.entity_id == invitation.entity_id,
        Recipient.org_id == invitation.org_id,
    )
    if session.execute(known).first() is None:
        raise NotFound("campaign", campaign_id)
    return replace(invitation, campaign_id=campaign_id)


def _campaigns(session: Session, invitation: Invitation) -> list[CampaignChoice]:
    org_id = invitation.org_id
    newest = (
        select(Campaign.id, Campaign.name)
        .where(Campaign.org_id == org_id)
        .order_by(Campaign.created_at.desc(), Campaign.id)
        .limit(_LOOKED_THROUGH)
    )
    names = {row.id: row.name for row in session.execute(newest)}
    wrote = set(
        session.scalars(
            select(Recipient.campaign_id).where(
                among(session, Recipient.campaign_id, names),
                Recipient.entity_id == invitation.entity_id,
                Recipient.org_id == org_id,
            )
        )
    )
    key = key_of(invitation)
    barred = set(
        session.scalars(
            select(Suppression.campaign_id).where(
                Suppression.org_id == org_id,
                Suppression.medium == key.medium,
                Suppression.address == key.address,
            )
        )
    )
    found = [CampaignChoice(one, name, one not in barred) for one, name in names.items() if one in wrote]
    return found[:_SHOWN]
