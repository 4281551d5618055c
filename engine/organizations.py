"""Organizations: tenants, and what is set for all of their campaigns together."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID, uuid4

from sqlalchemy import select, update

from engine.campaigns.feasible import check_organization_hours
from engine.channels.addresses import Region  # noqa: TC001 - pydantic reads it
from engine.inputs import Input, Invalid, Rewritable, check_name
from engine.limits.changes import limits_changed
from engine.limits.config import OrganizationLimits, TimeZone, stored
from state.change import clock_of
from state.tables import Organization, Template, Touchpoint

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

__all__ = [
    "OrganizationChange",
    "create_organization",
    "find_organization",
    "get_organization",
    "list_organizations",
    "update_organization",
]


def create_organization(session: Session, name: str) -> Organization:
    """A new tenant.

    Raises:
        Invalid: the name cannot be used, or is taken.
    """
    name = check_name(name)
    # Two at once may both find it free; then the unique constraint ends the later transaction.
    if find_organization(session, name) is not None:
        raise Invalid("name", f"there is an organization {name!r} already")
    organization = Organization(id=uuid4(), name=name, created_at=clock_of(session).now())
    session.add(organization)
    session.flush()
    return organization


def find_organization(session: Session, name: str) -> Organization | None:
    """The organization of that name."""
    return session.execute(select(Organization).where(Organization.name == name)).scalar_one_or_none()


class OrganizationChange(Rewritable, Input):
    """What is to be different; what is not given stays, null empties."""

    answered = frozenset(("name",))

    time_zone: TimeZone | None = None
    """Of recipients whose own is not known (IANA)."""
    region: Region | None = None
    """The country (ISO 3166-1) of phone numbers without a country code."""
    limits: OrganizationLimits | None = None
    """A rate, a frequency cap, send windows and quiet hours, for all campaigns together; replaced whole."""


def get_organization(session: Session, org_id: UUID) -> Organization:
    """The organization that somebody's key belongs to."""
    return session.get_one(Organization, org_id)


def update_organization(session: Session, org_id: UUID, given: OrganizationChange) -> Organization:
    """Change an organization; limits take effect at once.

    Raises:
        Invalid: its hours would leave a campaign that runs, or is paused, no hour to send in.
    """
    organization = session.get_one(Organization, org_id, with_for_update={"key_share": True})
    fields = given.model_fields_set
    if "time_zone" in fields and given.time_zone != organization.time_zone:
        organization.time_zone = given.time_zone
        _recompile(session, org_id)
    if "region" in fields:
        organization.region = given.region
    if "limits" in fields:
        check_organization_hours(session, org_id, given.limits)
        organization.limits = stored(given.limits)
    if fields:
        session.flush()
        limits_changed(session, org_id)
        session.refresh(organization)
    return organization


def _recompile(session: Session, org_id: UUID) -> None:
    """Have workers build anew what they keep until its row changes: dates in messages follow the time zone."""
    now = clock_of(session).now()
    for table, kept in ((Template, Template.time_zone.is_(None)), (Touchpoint, Touchpoint.type == "message")):
        session.execute(
            update(table)
            .where(table.org_id == org_id, kept)
            .values(updated_at=now)
            .execution_options(synchronize_session=False)
        )


def list_organizations(session: Session) -> list[Organization]:
    """All of them, by name."""
    return list(session.execute(select(Organization).order_by(Organization.name)).scalars())
