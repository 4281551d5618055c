"""Every lock that is more than a row's: what it keeps apart, in one place.

A lock is held until its transaction ends. On SQLite, which has one writer, there is nothing to take. On PostgreSQL they
are advisory locks of two numbers, the kind and the subject's: two subjects may share a number (one pair in four
billion), and then wait for each other without need.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

from state.dialects import dialect_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from uuid import UUID

    from sqlalchemy import Connection
    from sqlalchemy.orm import Session

__all__ = ["Lock", "lock", "lock_each", "try_lock"]


class Lock(IntEnum):
    """The kinds. Numbers are never used twice."""

    MIGRATION = 1
    """The schema."""
    ENROLMENT = 2
    """An organization's entities: who writes them shares it, an activation takes it alone."""
    PLANNING = 3
    """A job's slices."""
    KEYED_IMPORT = 4
    """An organization's entities, matched by an attribute."""
    FREQUENCY_CAP = 5
    """An entity's contacts."""
    EVENT_POSITIONS = 6
    """The events that have no position yet."""
    SCHEDULED_START = 7
    """An organization's scheduled starts."""
    SWEEPER = 8
    """The sweeper's chores (a leader's)."""
    MAILBOX_READER = 9
    """The mailboxes that are read (a leader's)."""


def lock(
    session: Session | Connection, kind: Lock, subject: UUID | None = None, *, shared: bool = False
) -> None:
    """Wait for a lock and take it.

    Args:
        session: In whose transaction.
        kind: Of what it is.
        subject: Whose; None: there is one of the kind.
        shared: Beside others who share it; else alone.
    """
    dialect_of(session).lock(session, kind, [_number(subject)], shared=shared)


def lock_each(session: Session, kind: Lock, subjects: Iterable[UUID]) -> None:
    """Wait for the locks of all subjects and take them. One round trip."""
    dialect_of(session).lock(session, kind, [_number(subject) for subject in subjects], shared=False)


def try_lock(session: Session, kind: Lock, subject: UUID) -> bool:
    """Take a lock if nobody has it; returns whether it was taken."""
    return dialect_of(session).try_lock(session, kind, _number(subject))


def _number(subject: UUID | None) -> int:
    """The subject's last four bytes, which of every kind of UUID are the random ones."""
    return 0 if subject is None else int.from_bytes(subject.bytes[-4:], signed=True)
