"""A target's own id: made of its campaign's and its customer's, so that it is looked up by the recipient's primary key
and takes neither a column nor an index.

The bits in which the two differ, under the version and the variant of the customer's id. The same customer has another
id in every campaign, and the same one again when it is enrolled anew.
"""

from __future__ import annotations

from uuid import UUID

__all__ = ["entity_of", "target_id"]

#: All but the version's and the variant's bits (RFC 9562 §4).
_MIXED = UUID("ffffffff-ffff-0fff-3fff-ffffffffffff").int


def target_id(campaign_id: UUID, entity_id: UUID) -> UUID:
    """The id of an entity's target in a campaign."""
    return UUID(int=entity_id.int ^ (campaign_id.int & _MIXED))


def entity_of(campaign_id: UUID, target: UUID) -> UUID:
    """The entity (the customer) that a campaign's target is of. Of an id that is no target's: one that nobody has."""
    return UUID(int=target.int ^ (campaign_id.int & _MIXED))
