"""What is set for all campaigns of an organization together: its time zone, its region, its limits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import update

from engine.campaigns.feasible import check_organization_hours
from engine.delivery.limit_changes import limits_changed
from engine.kernel.inputs import Input, Rewritable
from engine.kernel.phone_numbers import Region  # noqa: TC001 - pydantic reads it
from engine.limits.config import OrganizationLimits, TimeZone, stored
from state.change import clock_of
from state.tables import Organization, Template, Touchpoint

if TYPE_CHECKING:
    from uuid import UUID

    from sqlalchemy.orm import Session

__all__ = ["OrganizationChange", "update_organization"]


class OrganizationChange(Rewritable, Input):
    """What is to be different; what is not given stays, null empties."""

    answered = frozenset(("name",))

    time_zone: TimeZone | None = None
    """Of recipients whose own is not known (IANA)."""
    region: Region | None = None
    """The country (ISO 3166-1) of phone numbers without a country code."""
    limits: OrganizationLimits | None = None
    """A rate, a frequency cap, send windows and quiet hours, for all campaigns together; replaced whole."""


def update_organization(session: Session, org_id: UUID, given: OrganizationChange) -> Organization:
    """Change an organization; limits take effect at once.

    Raises:
        Invalid: its hours would leave a campaign that runs, or is paused, no hour to send in.
    """
    organization = session.get_one(Organization, org_id, with_for_update={"key_share": True})
    fields = given.model_fields_set
    before = (organization.time_zone, organization.limits)
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
        if (organization.time_zone, organization.limits) != before:
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
