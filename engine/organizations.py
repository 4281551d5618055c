"""Organizations: tenants. What is set for all campaigns of one: `organization_settings`."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

from sqlalchemy import select

from engine.kernel.inputs import Invalid, check_name
from state.change import clock_of
from state.tables import Organization

if TYPE_CHECKING:
    from uuid import UUID

    from sqlalchemy.orm import Session

__all__ = [
    "create_organization",
    "ensure_organization",
    "find_organization",
    "get_organization",
    "list_organizations",
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


def ensure_organization(session: Session, name: str) -> Organization:
    """The organization of that name; made if there is none."""
    return find_organization(session, name) or create_organization(session, name)


def get_organization(session: Session, org_id: UUID) -> Organization:
    """The organization that somebody's key belongs to."""
    return session.get_one(Organization, org_id)


def list_organizations(session: Session) -> list[Organization]:
    """All of them, by name."""
    return list(session.execute(select(Organization).order_by(Organization.name)).scalars())
