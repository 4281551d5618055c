"""Which address a report means, and on which kind of channel: for what follows from it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import select

from engine.audience.suppression_list import regions_of
from engine.channels.default_channel import default_channel
from engine.engagement.email import MAIL_KINDS
from engine.engagement.messages import standings
from engine.kernel.addresses import address_texts
from engine.kernel.media import (
    AddressMedium,
    FoldedAddress,
    Regions,
    address_finder,
    fold_address,
    medium_of_kind,
    medium_of_text,
)
from state.sets import among
from state.tables import Channel, Entity

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy.orm import Session

    from engine.engagement.messages import Pair, Standing

__all__ = ["Reached", "channels_of", "medium_of_channel", "reached"]


class Reached(NamedTuple):
    """How a recipient was reached."""

    standing: Standing
    channel_kind: str | None
    """Of the latest message before; absent: the channel is gone."""
    medium: AddressMedium | None
    """What that channel writes to; absent: it does not say so."""
    key: FoldedAddress | None
    """Where it went, as far as it is known: the address that was named if the entity has it, else the entity's, as
    the suppression list has it.
    """


def reached(
    session: Session, org_id: UUID, wanted: Sequence[tuple[Pair, datetime, str | None]]
) -> list[Reached | None]:
    """How each of these recipients was reached by a message before an instant; `wanted` names the address that a report
    gave, if it gave one. None: it is no recipient. At most seven statements whatever the number.
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
    regions = regions_of(session, org_id)
    found: list[Reached | None] = []
    for pair, at, named in wanted:
        standing = known.get(pair)
        if standing is None:
            found.append(None)
            continue
        sent = standing.before(at) or next(iter(standing.messages), None)
        channel = channel_of(None if sent is None else sent.channel_id)
        kind = channel.kind if channel is not None else None
        medium = medium_of_channel(channel) if channel is not None else None
        found.append(Reached(standing, kind, medium, _key(channel, people.get(pair[1], {}), named, regions)))
    return found


def channels_of(session: Session, org_id: UUID) -> Callable[[UUID | None], Channel | None]:
    """An organization's channels by id; for None, the one of touchpoints that name none. Two statements."""
    channels = {row.id: row for row in session.scalars(select(Channel).where(Channel.org_id == org_id))}
    usual = default_channel(session, org_id)
    return lambda channel_id: usual if channel_id is None else channels.get(channel_id)


def medium_of_channel(channel: Channel) -> AddressMedium | None:
    """What it writes to; None: the form of each address says what it is."""
    named = (channel.settings or {}).get("medium")
    return AddressMedium(named) if named else medium_of_kind(channel.kind)


def _key(
    channel: Channel | None, attributes: Mapping[str, Any], named: str | None, regions: Regions
) -> FoldedAddress | None:
    """A report's word is taken only for an address that is the entity's own."""
    if channel is None:
        return None
    settings = channel.settings or {}
    medium, path, region = medium_of_channel(channel), settings.get("address"), settings.get("region")
    if named is not None:
        known = medium or medium_of_text(named)
        ways = regions if region is None else Regions(region)
        key = fold_address(known, named, ways)
        if key is not None and key in {fold_address(known, text, ways) for text in address_texts(attributes)}:
            return FoldedAddress(known, key)
    wanted = AddressMedium.EMAIL if channel.kind in MAIL_KINDS else medium
    if wanted is None or wanted is AddressMedium.OTHER:
        return None
    address = address_finder(wanted, path, region)(attributes)
    return None if address is None else FoldedAddress(wanted, address)
