"""Actions: the HTTP requests that a flow makes, and who may write them (docs/sequences.md).

An action is as powerful as a channel. It names an `http` channel, which an admin made and whose credentials nobody
reads; or it has a request of its own, which is an admin's to write. An operator keeps, moves and copies what is there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from engine.channels import registry
from engine.channels.port import ChannelContext
from engine.channels.registry import REQUEST_KIND
from engine.kernel.inputs import AdminsOnly, Invalid
from engine.kernel.outbound import guard_of
from engine.kernel.principal import Role, principal_of
from state.tables import Channel

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from uuid import UUID

    from sqlalchemy.orm import Session

__all__ = ["check_request", "check_request_author", "check_request_channel"]


def check_request(session: Session, settings: Mapping[str, Any]) -> None:
    """See that a request can be made.

    Raises:
        Invalid: it cannot; begins with `settings`.
    """
    try:
        registry.build(REQUEST_KIND, settings, {}, ChannelContext(guard=guard_of(session)))
    except registry.InvalidChannel as error:
        field, message = error.errors[0]
        raise Invalid(field, message) from None


def check_request_author(
    session: Session, settings: Mapping[str, Any], known: Collection[Mapping[str, Any]]
) -> None:
    """See that the principal of `session` may write this request.

    Args:
        known: Requests that are there already: somebody who might wrote them.

    Raises:
        AdminsOnly: it is new, and not an admin's.
    """
    author = principal_of(session)
    if settings and settings not in known and author is not None and author.role < Role.ADMIN:
        raise AdminsOnly(
            "settings", "an action's own request is an admin's to write; name an http channel with channel_id"
        )


def check_request_channel(session: Session, org_id: UUID, channel_id: UUID) -> None:
    """See that a channel makes requests.

    Raises:
        Invalid: there is none, or it is of another kind.
    """
    kind = session.scalar(select(Channel.kind).where(Channel.id == channel_id, Channel.org_id == org_id))
    if kind != REQUEST_KIND:
        trouble = "does not exist" if kind is None else f"is of kind {kind}"
        raise Invalid(
            "channel_id", f"channel {channel_id} {trouble}; an action names one of kind {REQUEST_KIND}"
        )
