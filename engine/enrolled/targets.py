"""One enrolled target: found by its id, shown with its customer, moved to another stage
(docs/contract/enrolled-targets.md).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import func, select, update

from engine.enrolled.identity import entity_of
from state.change import clock_of
from state.errors import NotFound
from state.tables import Campaign, Entity, Recipient

if TYPE_CHECKING:
    from uuid import UUID

    from sqlalchemy import ColumnElement, Select
    from sqlalchemy.orm import InstrumentedAttribute, Session

__all__ = [
    "Enrolled",
    "change_stage",
    "check_campaign",
    "customer_at",
    "get_target",
    "hold_campaign",
    "of_target",
    "rows_of",
    "target_rows",
    "with_customer",
]


class Enrolled(NamedTuple):
    """A target and its customer."""

    target: Recipient
    customer: Entity | None
    """Absent: the entity was deleted."""


def hold_campaign(session: Session, org_id: UUID, campaign_id: UUID) -> Campaign:
    """The campaign, kept from being deleted or moved until the transaction ends.

    Raises:
        NotFound: there is none.
    """
    campaign = session.execute(
        select(Campaign)
        .where(Campaign.id == campaign_id, Campaign.org_id == org_id)
        .with_for_update(read=True)
        .execution_options(populate_existing=True)
    ).scalar_one_or_none()
    if campaign is None:
        raise NotFound("campaign", campaign_id)
    return campaign


def target_rows(
    org_id: UUID, campaign_id: UUID, target_id: UUID, *, deleted: bool = False
) -> tuple[ColumnElement[bool], ...]:
    """The condition for one target's row. Primary key.

    Args:
        deleted: Whether a soft-deleted one counts.
    """
    return rows_of(org_id, campaign_id, entity_of(campaign_id, target_id), deleted=deleted)


def rows_of(
    org_id: UUID, campaign_id: UUID, customer_id: UUID, *, deleted: bool = False
) -> tuple[ColumnElement[bool], ...]:
    """The same, by the customer's id."""
    live = () if deleted else (Recipient.deleted_at.is_(None),)
    return (
        Recipient.campaign_id == campaign_id,
        Recipient.entity_id == customer_id,
        Recipient.org_id == org_id,
        Recipient.stage.is_not(None),
        *live,
    )


def customer_at(key: ColumnElement[UUID] | InstrumentedAttribute[UUID], org_id: UUID) -> ColumnElement[bool]:
    """The condition for joining the customer with that key. Primary key.

    The organization is compared in words that no index has: while PostgreSQL's statistics do not know an organization,
    its index by organization looks as good as the primary key, and would be read whole for every row (measured with
    12,000 customers: half a minute a page).
    """
    return (Entity.id == key) & (func.coalesce(Entity.org_id, Entity.id) == org_id)


def of_target(org_id: UUID) -> ColumnElement[bool]:
    """The condition for joining a target's customer. Primary key."""
    return customer_at(Recipient.entity_id, org_id)


def with_customer(org_id: UUID) -> Select[Recipient, Entity]:
    """Targets and their customers, by the customers' primary key."""
    return select(Recipient, Entity).outerjoin(Entity, of_target(org_id))


def get_target(
    session: Session, org_id: UUID, campaign_id: UUID, target_id: UUID, *, deleted: bool = False
) -> Enrolled:
    """The target as it is now.

    Raises:
        NotFound: there is no such campaign, or no such target in it.
    """
    found = session.execute(
        with_customer(org_id)
        .where(*target_rows(org_id, campaign_id, target_id, deleted=deleted))
        .execution_options(populate_existing=True)
    ).one_or_none()
    if found is None:
        check_campaign(session, org_id, campaign_id)
        raise NotFound("target", target_id)
    return Enrolled(found[0], found[1])


def check_campaign(session: Session, org_id: UUID, campaign_id: UUID) -> None:
    """Raises NotFound unless the organization has the campaign."""
    known = select(Campaign.id).where(Campaign.id == campaign_id, Campaign.org_id == org_id)
    if session.execute(known).first() is None:
        raise NotFound("campaign", campaign_id)


def change_stage(session: Session, org_id: UUID, campaign_id: UUID, target_id: UUID, stage: str) -> Enrolled:
    """Move a target to any stage; the vocabulary is its user's.

    Raises:
        NotFound: as `get_target`.
    """
    session.execute(
        update(Recipient)
        .where(*target_rows(org_id, campaign_id, target_id))
        .values(stage=stage, updated_at=clock_of(session).now())
        .execution_options(synchronize_session=False)
    )
    return get_target(session, org_id, campaign_id, target_id)
