"""Addresses of people who were erased: kept as keyed digests, so that nobody writes to them again.

Promises:
- Of an erased person's addresses no byte is kept. What is kept is an HMAC-SHA256 of organization, medium and address,
  on the suppression list beside addresses that are kept as they are (reason `erased`).
- It is made with a random key of the installation's own (engine.kernel.keyring), encrypted under `MUSTER_SECRET_KEY`:
  with the database alone nobody can try addresses, and a change of the secret key changes no digest. Without the secret
  key nobody would be known any more: no process starts with another.
- Asking whether addresses are suppressed costs no statement more for it.

A process lends one to its sessions and connections (`lend`); where there is none, nobody was ever erased.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection

from engine.kernel.keyring import ERASED, read_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from uuid import UUID

    from sqlalchemy.orm import Session

    from engine.kernel.media import FoldedAddress
    from engine.kernel.secrets import Secrets
    from state.database import Database

__all__ = ["ERASED_REASON", "ErasedAddresses", "digests_of"]

#: Why an address is suppressed whose owner was erased.
ERASED_REASON = "erased"
_PREFIX = "erased:"
_LENT = "erased_addresses"
#: Bytes of a digest that are kept.
_DIGEST = 20


class ErasedAddresses:
    """Makes the digests, with the key of the database's ring.

    Args:
        secrets: Gives what opens the ring, when it is first needed.
    """

    def __init__(self, secrets: Callable[[], Secrets]) -> None:
        self._secrets = secrets
        self._key: bytes | None = None

    def lend(self, database: Database) -> None:
        """Let code that works in the database find this one."""
        database.lent[_LENT] = self

    def digests(
        self, session: Session | Connection, org_id: UUID, addresses: Iterable[FoldedAddress]
    ) -> dict[FoldedAddress, str]:
        """What stands on the suppression list for each address, should its owner have been erased. One statement the
        first time, then none; empty: there is no key yet.
        """
        if self._key is None:
            self._key = read_key(session, self._secrets(), ERASED)
        key = self._key
        if key is None:
            return {}
        return {one: _digest(key, org_id, one) for one in addresses}


def digests_of(
    session: Session | Connection, org_id: UUID, addresses: Iterable[FoldedAddress]
) -> dict[FoldedAddress, str]:
    """`ErasedAddresses.digests` of the one that was lent; empty: none was."""
    lent: Any = session.info
    if isinstance(session, Connection):
        lent = session.get_execution_options().get("muster_lent", {})
    known: ErasedAddresses | None = lent.get(_LENT)
    return {} if known is None else known.digests(session, org_id, addresses)


def _digest(key: bytes, org_id: UUID, address: FoldedAddress) -> str:
    text = f"{address.medium.value}:{address.address}".encode()
    return _PREFIX + hmac.digest(key, org_id.bytes + text, hashlib.sha256)[:_DIGEST].hex()
