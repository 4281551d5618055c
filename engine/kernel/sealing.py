"""What is encrypted under `MUSTER_SECRET_KEY`, and sealing it again when that key changes.

The change: every process is given `new,old` and started again; `reseal` goes through all that is sealed, a slice of
rows a transaction, and seals with the first key what is not; then nothing at rest needs the old one. A row that is
written meanwhile keeps what was written. Run twice it does nothing the second time.

Links in messages that were sent before are signed with a key made of the old one: they work for as long as it is given
behind the new one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import select, update

from engine.kernel.secrets import Place, SecretsError
from state.tables import Channel, Erasure, SealedKey, Webhook

if TYPE_CHECKING:
    from engine.kernel.secrets import Secrets
    from state.database import Database

__all__ = ["SEALED", "Resealed", "SealedColumn", "reseal"]

#: Rows of one transaction.
SLICE = 100


@dataclass(frozen=True, slots=True)
class SealedColumn:
    """A column whose values `Secrets` made."""

    table: Any
    column: str
    key: str = "id"
    sealed_for: str | None = None
    """The column that its values are bound to; None: its own."""

    @property
    def name(self) -> str:
        """`table.column`."""
        return f"{self.table.__tablename__}.{self.column}"

    def place(self, row: Any) -> Place:
        """Where the value of a row stands."""
        return Place(self.table.__tablename__, self.sealed_for or self.column, row)


SEALED = (
    SealedColumn(Channel, "credentials"),
    SealedColumn(Webhook, "secret"),
    SealedColumn(Webhook, "previous_secret", sealed_for="secret"),
    SealedColumn(SealedKey, "sealed", key="name"),
    SealedColumn(Erasure, "person"),
)


@dataclass(slots=True)
class Resealed:
    """What `reseal` came to."""

    sealed: int = 0
    """Values that are under the first key now and were not before."""
    kept: int = 0
    """Values that were under it already."""
    lost: int = 0
    """Values that none of the keys opens: they must be set again."""


def reseal(database: Database, secrets: Secrets) -> Resealed:
    """Seal with the first key whatever is sealed with another, or for no place."""
    done = Resealed()
    for one in SEALED:
        key, value = getattr(one.table, one.key), getattr(one.table, one.column)
        after = None
        while True:
            with database.begin() as session:
                wanted = select(key, value).where(value.is_not(None)).order_by(key).limit(SLICE)
                rows = session.execute(wanted if after is None else wanted.where(key > after)).all()
                for row, sealed in rows:
                    again = _again(secrets, sealed, one.place(row), done)
                    if again is not None:
                        session.execute(
                            update(one.table)
                            .where(key == row, value == sealed)
                            .values({one.column: again})
                            .execution_options(synchronize_session=False)
                        )
            if not rows:
                break
            after = rows[-1][0]
    return done


def _again(secrets: Secrets, sealed: bytes, place: Place, done: Resealed) -> bytes | None:
    """A value under the first key; None: it stays as it is."""
    try:
        if not secrets.stale(sealed):
            done.kept += 1
            return None
        again = secrets.seal(secrets.open(sealed, place), place)
    except SecretsError:
        done.lost += 1
        return None
    done.sealed += 1
    return again
