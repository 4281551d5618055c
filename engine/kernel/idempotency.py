"""Idempotency keys (docs/contract/own-routes.md): a request that is sent twice is done once.

Promises:
- The key is reserved in a transaction of its own before the work starts, so that of two requests at once one
  works and the other is answered that the first still runs.
- Work that is one transaction stores its answer in it (`store` with the same session): a crash leaves both or
  neither.
- A reservation that is neither renewed nor answered for `ABANDONED` belonged to a process that died; a client that
  comes next takes it over. An answer is kept for `KEPT`, unless it is longer than `LONGEST_ANSWER`: then a repeated
  request is answered that it was done.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

from sqlalchemy import delete, select, update

from config.errors import MusterError
from engine.kernel.inputs import Invalid
from state.change import clock_of
from state.sets import insert_into
from state.tables import IdempotencyKey

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import ColumnElement
    from sqlalchemy.orm import Session

__all__ = [
    "ABANDONED",
    "KEPT",
    "LONGEST_ANSWER",
    "Fingerprints",
    "KeyConflict",
    "Reservation",
    "Stored",
    "check_key",
    "expire",
    "release",
    "renew",
    "reserve",
    "store",
]

ABANDONED = timedelta(minutes=2)
KEPT = timedelta(hours=24)
#: Bytes of an answer that are kept.
LONGEST_ANSWER = 1024 * 1024
_LONGEST = 255
_TOO_LONG = "x-too-long"


class KeyConflict(MusterError):
    """The key is another request's, or its first request still runs. Nothing was done."""


@dataclass(frozen=True, slots=True)
class Reservation:
    """The right to do the work of one key."""

    row_id: UUID
    org_id: UUID


@dataclass(frozen=True, slots=True)
class Stored:
    """What the first request was answered."""

    status: int
    answer: bytes
    headers: Mapping[str, str]


def check_key(key: str) -> str:
    """The key as it is kept.

    Raises:
        Invalid: it is empty, longer than 255 characters, or holds more than printable ASCII.
    """
    key = key.strip()
    if not 1 <= len(key) <= _LONGEST or not key.isascii() or not key.isprintable():
        raise Invalid("Idempotency-Key", f"must be 1..{_LONGEST} printable ASCII characters")
    return key


class Fingerprints:
    """What makes a request the same request, as nobody without the key can work it out: HMAC-SHA256.

    Args:
        keys: The first makes what is kept; by the others a request is known that was kept under an older one.
    """

    def __init__(self, keys: Sequence[bytes], *parts: bytes) -> None:
        digest = hashlib.sha256()
        for part in parts:
            digest.update(len(part).to_bytes(8, "big"))
            digest.update(part)
        self._all = [hmac.digest(key, digest.digest(), hashlib.sha256) for key in keys]

    @property
    def kept(self) -> bytes:
        """The one that is kept."""
        return self._all[0]

    def __contains__(self, kept: bytes) -> bool:
        return kept in self._all


def reserve(session: Session, org_id: UUID, key: str, request: Fingerprints) -> Reservation | Stored:
    """Take the key for a request, or find what it was answered.

    Commit before the work begins.

    Raises:
        KeyConflict: see there.
    """
    now = clock_of(session).now()
    row_id = uuid4()
    fresh = session.execute(
        insert_into(session, IdempotencyKey)
        .values(id=row_id, org_id=org_id, key=key, fingerprint=request.kept, created_at=now)
        .on_conflict_do_nothing(index_elements=["org_id", "key"])
        .returning(IdempotencyKey.id)
    ).scalar_one_or_none()
    if fresh is not None:
        return Reservation(fresh, org_id)
    known = session.execute(
        select(IdempotencyKey)
        .where(IdempotencyKey.org_id == org_id, IdempotencyKey.key == key)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).scalar_one_or_none()
    if known is None:  # released between the two statements
        raise KeyConflict("the first request with this Idempotency-Key has just ended; send it again")
    age = now - known.created_at
    if age > (ABANDONED if known.status is None else KEPT):
        # A new id: the process that abandoned it can neither renew nor answer it any more.
        session.execute(
            update(IdempotencyKey)
            .where(IdempotencyKey.id == known.id)
            .values(
                id=row_id, fingerprint=request.kept, created_at=now, status=None, answer=None, headers=None
            )
            .execution_options(synchronize_session=False)
        )
        return Reservation(row_id, org_id)
    if known.fingerprint not in request:
        raise KeyConflict("this Idempotency-Key was used for another request")
    if known.status is None:
        raise KeyConflict("the first request with this Idempotency-Key still runs")
    if _TOO_LONG in (known.headers or {}):
        raise KeyConflict(
            "the first request with this Idempotency-Key was done; its answer was too long to be kept"
        )
    return Stored(known.status, known.answer or b"", known.headers or {})


def renew(session: Session, reservation: Reservation) -> bool:
    """Say that the work goes on. False: the reservation was taken over."""
    renewed = session.execute(
        update(IdempotencyKey)
        .where(*_ours(reservation), IdempotencyKey.status.is_(None))
        .values(created_at=clock_of(session).now())
        .execution_options(synchronize_session=False)
    )
    return bool(renewed.rowcount)  # type: ignore[attr-defined]


def store(
    session: Session, reservation: Reservation, *, status: int, answer: bytes, headers: Mapping[str, str]
) -> None:
    """Keep the answer; of one that is longer than `LONGEST_ANSWER`, that there was one.

    Raises:
        KeyConflict: the reservation was taken over, so this transaction must not be committed.
    """
    if len(answer) > LONGEST_ANSWER:
        answer, headers = b"", {_TOO_LONG: str(len(answer))}
    stored = session.execute(
        update(IdempotencyKey)
        .where(*_ours(reservation), IdempotencyKey.status.is_(None))
        .values(status=status, answer=answer, headers=dict(headers), created_at=clock_of(session).now())
        .execution_options(synchronize_session=False)
    )
    if not stored.rowcount:  # type: ignore[attr-defined]
        raise KeyConflict("this request took so long that its Idempotency-Key was taken over")


def release(session: Session, reservation: Reservation) -> None:
    """Give the key back: the work failed and may be tried again. An answer that is stored stays."""
    session.execute(
        delete(IdempotencyKey)
        .where(*_ours(reservation), IdempotencyKey.status.is_(None))
        .execution_options(synchronize_session=False)
    )


def expire(session: Session) -> int:
    """Forget answers older than `KEPT`, of all organizations; returns how many. Index (created_at)."""
    gone = session.execute(
        delete(IdempotencyKey)
        .where(IdempotencyKey.created_at < clock_of(session).now() - KEPT)
        .execution_options(synchronize_session=False)
    )
    return int(gone.rowcount)  # type: ignore[attr-defined]


def _ours(reservation: Reservation) -> tuple[ColumnElement[bool], ...]:
    return (IdempotencyKey.id == reservation.row_id, IdempotencyKey.org_id == reservation.org_id)
