"""Which address a report means, and on which kind of channel: for what follows from it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import select

from engine.channels.addresses import EmailFinder, normalise_email
from engine.delivery.sender import default_channel
from engine.insight.email import MAIL_KINDS
from engine.insight.messages import standings
from state.sets import among
from state.tables import Channel, Entity

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy.orm import Session

    from engine.insight.messages import Pair, Standing

__all__ = ["Reached", "channels_of", "reached"]


class Reached(NamedTuple):
    """How a recipient was reached."""

    standing: Standing
    channel_kind: str | None
    """Of the latest message before; absent: the channel is gone."""
    address: str | None
    """Where it went, as far as it can be told: the one that was named if the entity has it, else the entity's."""


def reached(
    session: Session, org_id: UUID, wanted: Sequence[tuple[Pair, datetime, str | None]]
) -> list[Reached | None]:
    """How each of these recipients was reached by a message before an instant; `wanted` names the address that a report
    gave, if it gave one. None: it is no recipient. At most five statements whatever the number.
    """
    known = standings(session, org_id, [pair for pair, _, _ in wanted])
    if not known:
        return [None] * len(wanted)
    people: dict[UUID, Mapping[str, Any]] = dict(
        session.execute(
            select(Entity.id, Entity.attributes).where(
                Entity.org_id == org_id, among(session, Entity.id, {entity_id for _, entity_id in known})
            )
        ).all()
    )
    channel_of = channels_of(session, org_id)
    found: list[Reached | None] = []
    for pair, at, named in wanted:
        standing = known.get(pair)
        if standing is None:
            found.append(None)
            continue
        sent = standing.before(at) or next(iter(standing.messages), None)
        channel = channel_of(None if sent is None else sent.channel_id)
        kind = channel.kind if channel is not None else None
        attributes = people.get(pair[1], {})
        path = (channel.settings or {}).get("address") if channel is not None else None
        found.append(Reached(standing, kind, _address(attributes, named, path, mail=kind in MAIL_KINDS)))
    return found


def channels_of(session: Session, org_id: UUID) -> Callable[[UUID | None], Channel | None]:
    """An organization's channels by id; for None, the one of touchpoints that name none. Two statements."""
    channels = {row.id: row for row in session.scalars(select(Channel).where(Channel.org_id == org_id))}
    usual = default_channel(session, org_id)
    return lambda channel_id: usual if channel_id is None else channels.get(channel_id)


def _address(attributes: Mapping[str, Any], named: str | None, path: object, *, mail: bool) -> str | None:
    """A report's word is taken only for an address that is the entity's own."""
    own = {text.strip() for text in _texts(attributes)}
    if mail:
        normal = normalise_email(named) if named is not None else None
        if normal is not None and normal in {normalise_email(text) for text in own}:
            return normal
        return EmailFinder(path if isinstance(path, str) else None)(attributes)
    return named.strip() if named is not None and named.strip() in own else None


def _texts(value: Any, depth: int = 4) -> list[str]:
    if isinstance(value, str):
        return [value]
    if depth and isinstance(value, dict):
        return [text for inner in value.values() for text in _texts(inner, depth - 1)]
    if depth and isinstance(value, list):
        return [text for inner in value for text in _texts(inner, depth - 1)]
    return []
