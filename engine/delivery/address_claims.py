"""One message per address: of a campaign's recipients who share an address, the first to be claimed has it.

Promises:
- An address, in the one form of its medium, belongs to one recipient of a campaign for good. A recipient that comes to
  it later
  is excluded: `DUPLICATE_ADDRESS`. Its owner keeps it over retries, retriggers and the touchpoints of a sequence.
- Two workers that claim one address at once agree, because the primary key decides.
- A recipient that is excluded for another reason (suppressed, over a cap, without an address) takes no address from
  anybody.

Within a slice the first by key has it, between slices the one that is claimed first. An address is a row of 16 bytes
of digest and owner; a campaign that does not ask for it has none of this.
"""

from __future__ import annotations

import typing
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    BigInteger,
    String,
    Table,
    Uuid,
    bindparam,
    column,
    func,
    literal,
    select,
    true,
    type_coerce,
)

from engine.delivery.outcomes import Settlement
from engine.kernel.media import folded
from engine.kernel.prepared import execute
from engine.kernel.statements import Statements, looked_up
from state.dialects.postgresql import PackedArray
from state.tables import RecipientAddress
from state.transitions import AutomationStatus

if TYPE_CHECKING:
    from collections.abc import Iterable
    from uuid import UUID

    from sqlalchemy import Connection, FromClause, Select
    from sqlalchemy.orm import Session

    from engine.kernel.media import AddressMedium
    from state.dialects import Dialect

__all__ = ["DUPLICATE_ADDRESS", "SHARED", "address_digest", "claim_addresses", "owners_of"]

#: The error code of a recipient whose address is another's of the campaign.
DUPLICATE_ADDRESS = "DUPLICATE_ADDRESS"
#: What it says.
SHARED = "another recipient of the campaign has this address"

_address = typing.cast("Table", RecipientAddress.__table__)
_DIGESTS = bindparam("p_digests", type_=PackedArray(BigInteger()))
_CAMPAIGN = bindparam("p_campaign_id", type_=Uuid())


def address_digest(medium: AddressMedium | None, address: str) -> int:
    """What is kept of an address: 64 bits. Among ten million addresses two have the same once in 400,000 campaigns.

    Args:
        medium: The channel's; None: the form of the address says what it is.
        address: As the channel gives it.
    """
    kind, folded_address = folded(medium, address)
    digest = blake2b((kind + ":" + folded_address).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


def claim_addresses(
    session: Session | Connection,
    campaign_id: UUID,
    medium: AddressMedium | None,
    people: Iterable[tuple[UUID, str]],
) -> dict[UUID, Settlement]:
    """Give addresses to those who are about to be written to, in their order; returns who is excluded because theirs
    is another's. One statement, two where some of them had theirs before or are excluded.

    Args:
        people: Entity ids, each with its address as the channel gives it.
    """
    wanted: dict[int, UUID] = {}
    late: dict[UUID, int] = {}
    for entity_id, address in people:
        if address == str(entity_id):  # nobody else can have it
            continue
        digest = address_digest(medium, address)
        if wanted.setdefault(digest, entity_id) != entity_id:
            late[entity_id] = digest
    if not wanted:
        return {}
    # In one order, so that two workers never wait for each other in a ring.
    digests = sorted(wanted)
    taken = execute(
        session,
        _AddressStatements.of(session).take,
        p_campaign_id=campaign_id,
        p_ids=[wanted[digest] for digest in digests],
        p_digests=digests,
    ).scalars()
    left = wanted.keys() - set(taken)
    if left:
        owners = owners_of(session, campaign_id, left)
        late |= {wanted[digest]: digest for digest, owner in owners.items() if owner != wanted[digest]}
    return {entity_id: _duplicate(entity_id) for entity_id in late}


def owners_of(session: Session | Connection, campaign_id: UUID, digests: Iterable[int]) -> dict[int, UUID]:
    """Of addresses, by digest, those that are some recipient's → whose."""
    given = {"p_campaign_id": campaign_id, "p_digests": sorted(digests)}
    return dict(map(tuple, execute(session, _AddressStatements.of(session).owners, **given).all()))


def _duplicate(entity_id: UUID) -> Settlement:
    return Settlement(entity_id, AutomationStatus.CANCELLED, DUPLICATE_ADDRESS, SHARED)


class _AddressStatements(Statements):
    """One database's set of them."""

    def __init__(self, dialect: Dialect) -> None:
        super().__init__(dialect)
        self.take = self._take()
        self.owners = self._owners()

    def _take(self) -> Any:
        """Rows for the addresses that are nobody's yet; returns their digests. Primary key."""
        given = self._given()
        chosen = select(_CAMPAIGN, given.c.digest, given.c.entity_id).where(literal(value=True))
        return (
            self._dialect.insert(_address)
            .from_select(["campaign_id", "digest", "entity_id"], chosen)
            .on_conflict_do_nothing()
            .returning(_address.c.digest)
        )

    def _owners(self) -> Select[Any]:
        """Whose some addresses are. Primary key, one look-up each: with statistics that lag behind PostgreSQL would
        read all of a campaign's addresses.
        """
        ours = select(_address.c.digest, _address.c.entity_id).where(_address.c.campaign_id == _CAMPAIGN)
        if self._postgresql:
            given = looked_up("p_digests", BigInteger())
            found = ours.where(_address.c.digest == given.c.key).offset(0).lateral("found")
            return select(found.c.digest, found.c.entity_id).select_from(given.join(found, true()))
        return ours.where(self._among(_address.c.digest, "p_digests"))

    def _given(self) -> FromClause:
        """`p_digests` and `p_ids` as a table."""
        if self._postgresql:
            arrays = (_DIGESTS, bindparam("p_ids", type_=PackedArray(Uuid())))
            columns: tuple[Any, ...] = (column("digest", BigInteger()), column("entity_id", Uuid()))
            return func.unnest(*arrays).table_valued(*columns, name="given").render_derived()
        lists = [
            func.json_each(bindparam(name, type_=String())).table_valued("key", "value", name=f"g_{name}")
            for name in ("p_digests", "p_ids")
        ]
        digest, entity_id = lists
        return (
            select(
                type_coerce(digest.c.value, BigInteger()).label("digest"),
                type_coerce(entity_id.c.value, Uuid()).label("entity_id"),
            )
            .select_from(digest)
            .where(digest.c.key == entity_id.c.key)
            .subquery("given")
        )
