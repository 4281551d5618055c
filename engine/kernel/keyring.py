"""Keys of the installation's own, kept in the database and encrypted under `MUSTER_SECRET_KEY`.

Promises:
- A process that was given another key than the one the database was set up with, or one that is too short, does not
  start: it would seal what no other process opens (`open_keyring`).
- What is made with a key of the ring outlives a change of `MUSTER_SECRET_KEY`: the ring is sealed again
  (engine.kernel.sealing), its keys stay.

The first process that starts makes the ring; of two at once one does.
"""

from __future__ import annotations

import base64
import secrets as random
from typing import TYPE_CHECKING

from sqlalchemy import select

from engine.kernel.secrets import Place, Secrets, SecretsError, channel_place
from state.change import clock_of
from state.sets import insert_into
from state.tables import Channel, SealedKey

if TYPE_CHECKING:
    from sqlalchemy import Connection
    from sqlalchemy.orm import Session

    from state.database import Database

__all__ = ["ERASED", "key_place", "open_keyring", "read_key"]

#: The key that digests of erased people's addresses are made with.
ERASED = "erased"
_BYTES = 32


def key_place(name: str) -> Place:
    """Where a key of the ring stands."""
    return Place("sealed_key", "sealed", name)


def open_keyring(database: Database, secrets: Secrets) -> None:
    """Look whether this process's keys are the database's, and make the ring if there is none.

    Raises:
        SecretsError: `MUSTER_SECRET_KEY` is another than the one that the database was set up with.
    """
    with database.read() as session:
        if read_key(session, secrets, ERASED) is not None:
            return
    with database.begin() as session:
        if read_key(session, secrets, ERASED) is None:
            _check_channels(session, secrets)
            _make(session, secrets, ERASED)
            read_key(session, secrets, ERASED)


def read_key(session: Session | Connection, secrets: Secrets, name: str) -> bytes | None:
    """A key of the ring; None: there is no ring yet.

    Raises:
        SecretsError: it was sealed with a key that is not here.
    """
    sealed = session.execute(select(SealedKey.sealed).where(SealedKey.name == name)).scalar_one_or_none()
    if sealed is None:
        return None
    if not secrets.knows_key_of(sealed):
        raise _another_key()
    return base64.b64decode(secrets.open(sealed, key_place(name))["key"])


def _make(session: Session, secrets: Secrets, name: str) -> None:
    key = base64.b64encode(random.token_bytes(_BYTES)).decode()
    values = {"name": name, "sealed": secrets.seal({"key": key}, key_place(name))}
    session.execute(
        insert_into(session, SealedKey)
        .values(**values, created_at=clock_of(session).now())
        .on_conflict_do_nothing()
    )


def _check_channels(session: Session, secrets: Secrets) -> None:
    """Of a database that is older than the ring: a channel says which key it was set up with."""
    wanted = select(Channel.id, Channel.credentials).where(Channel.credentials.is_not(None)).limit(1)
    found = session.execute(wanted).first()
    if found is None:
        return
    if not secrets.knows_key_of(found.credentials):
        raise _another_key()
    secrets.open(found.credentials, channel_place(found.id))


def _another_key() -> SecretsError:
    return SecretsError(
        "MUSTER_SECRET_KEY is another key than the one that this database was set up with; give every process that "
        "one, or both (`new,old`) and run `muster keys rotate-secret`"
    )
