"""The channels of all organizations, for the operator of an installation."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import select

from state.tables import Channel, Organization

if TYPE_CHECKING:
    from uuid import UUID

    from sqlalchemy.orm import Session

__all__ = ["InstalledChannel", "installed_channels"]


class InstalledChannel(NamedTuple):
    """A channel, and its organization's name."""

    organization: str
    org_id: UUID
    id: UUID
    name: str
    kind: str


def installed_channels(session: Session, *, kind: str | None = None) -> list[InstalledChannel]:
    """The channels of all organizations, or those of one kind, by organization and name."""
    statement = (
        select(Organization.name, Channel.org_id, Channel.id, Channel.name, Channel.kind)
        .join(Channel, Channel.org_id == Organization.id)
        .order_by(Organization.name, Channel.name)
    )
    if kind is not None:
        statement = statement.where(Channel.kind == kind)
    return [InstalledChannel(*row) for row in session.execute(statement)]
