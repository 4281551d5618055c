"""Who would have an address, of recipients who share one, when a campaign that writes to each once is rehearsed.

As in delivery (engine.delivery.address_claims), the first to come to an address has it. Nobody's is taken.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from engine.delivery.address_claims import address_digest, claim_addresses, owners_of

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from uuid import UUID

    from sqlalchemy.orm import Session

    from engine.kernel.media import AddressMedium

__all__ = ["Addresses", "KeptAddresses", "RememberedAddresses"]


class Addresses(Protocol):
    """Gives addresses to those who come to them first."""

    def take(
        self, session: Session, medium: AddressMedium | None, people: Sequence[tuple[UUID, str]]
    ) -> Collection[UUID]:
        """Who of `people` (entity ids with addresses) comes too late: the address is another's."""
        ...


class RememberedAddresses:
    """In memory, for as many people as may be looked at one by one; and those that earlier runs gave away."""

    def __init__(self, campaign_id: UUID) -> None:
        self._campaign_id = campaign_id
        self._owners: dict[int, UUID] = {}

    def take(
        self, session: Session, medium: AddressMedium | None, people: Sequence[tuple[UUID, str]]
    ) -> Collection[UUID]:
        """As `Addresses`. One statement."""
        digests = {entity_id: address_digest(medium, address) for entity_id, address in people}
        self._owners |= owners_of(session, self._campaign_id, digests.values())
        return {
            entity_id
            for entity_id, digest in digests.items()
            if self._owners.setdefault(digest, entity_id) != entity_id
        }


class KeptAddresses:
    """In the database under an id of the rehearsal's own, however many people there are. Its end forgets them
    (`RecipientAddress`).
    """

    def __init__(self, run_id: UUID) -> None:
        self._run_id = run_id

    def take(
        self, session: Session, medium: AddressMedium | None, people: Sequence[tuple[UUID, str]]
    ) -> Collection[UUID]:
        """As `Addresses`. One statement, two where somebody comes too late."""
        return claim_addresses(session, self._run_id, medium, people).keys()
