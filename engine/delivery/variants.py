"""Which variant of a message a recipient is given: by a stable hash of campaign and recipient, by weight.

The first one is kept on the recipient and holds for every later message that has a variant of that name; a message
that has none of it gives its own, by the same hash.
"""

from __future__ import annotations

from bisect import bisect_right
from hashlib import blake2b
from itertools import accumulate
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

__all__ = ["Variants"]


class Variants:
    """The variants of one message: `[{"id", "weight", …}, …]`."""

    def __init__(self, given: Sequence[dict[str, Any]]) -> None:
        self._given = {str(variant["id"]): variant for variant in given}
        self._names = list(self._given)
        self._bounds = list(accumulate(float(variant.get("weight", 1)) for variant in given))

    @property
    def names(self) -> tuple[str, ...]:
        """Of all of them."""
        return tuple(self._names)

    def of(self, campaign_id: UUID, entity_id: UUID, kept: str | None) -> str:
        """The name of the variant for a recipient.

        Args:
            kept: The one it was given before.
        """
        if kept in self._given:
            return str(kept)
        digest = blake2b(campaign_id.bytes + entity_id.bytes, digest_size=8).digest()
        share = int.from_bytes(digest) / 2**64 * self._bounds[-1]
        return self._names[min(bisect_right(self._bounds, share), len(self._names) - 1)]

    def __getitem__(self, name: str) -> dict[str, Any]:
        return self._given[name]
