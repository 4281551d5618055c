"""What the embedded commands begin with, made once: an organization and a channel that writes files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from engine.campaigns.channels import ChannelInput, create_channel
from engine.channels.secrets import Secrets
from engine.organizations import create_organization, find_organization
from state.tables import Channel

if TYPE_CHECKING:
    from uuid import UUID

    from sqlalchemy.orm import Session

    from config.settings import Settings

__all__ = ["file_channel", "organization"]


def organization(session: Session, name: str) -> UUID:
    """The organization of that name, made when there is none."""
    return (find_organization(session, name) or create_organization(session, name)).id


def file_channel(session: Session, org_id: UUID, settings: Settings) -> UUID:
    """The organization's channel of kind `file`; made when there is none, as default if it has no other."""
    found = session.execute(
        select(Channel.id)
        .where(Channel.org_id == org_id, Channel.kind == "file")
        .order_by(Channel.created_at)
        .limit(1)
    ).scalar_one_or_none()
    if found is not None:
        return found
    others = session.execute(
        select(Channel.id).where(Channel.org_id == org_id, Channel.is_default.is_(True)).limit(1)
    ).first()
    given = ChannelInput(name="file", kind="file", is_default=others is None)
    return create_channel(session, org_id, given, Secrets.of(settings)).id
