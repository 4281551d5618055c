"""Who must wait when a lease ends: the job, where all of it goes over one channel; else the slice, for that part."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from engine.channels.port import Throttled
from engine.delivery import health

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy.orm import Session

    from engine.channels.port import Down
    from engine.delivery.limited import Limited
    from engine.delivery.parts import Agenda
    from engine.delivery.slices import Lease
    from engine.delivery.waves import Left

__all__ = ["BackAt", "back_at", "note_troubles"]

#: How long an action is left alone whose server is down, or asks to slow down without saying for how long.
_PAUSE = timedelta(seconds=30)


class BackAt(NamedTuple):
    """When a slice is to be taken again, and what keeps it."""

    due_at: datetime | None
    """None: nobody is left of it."""
    waits_for: str | None


def note_troubles(
    session: Session,
    lease: Lease,
    agenda: Agenda,
    troubles: Mapping[UUID, Throttled | Down],
    limits: Mapping[UUID, Limited],
    *,
    observed: float,
    jitter: float,
    now: datetime,
) -> None:
    """Close the channels that had trouble, for everybody, and note who must wait for them, or for limits.

    Args:
        observed: Messages a second that the slice sent.
    """
    course = agenda.course
    alone = course.channels <= 1
    for channel_id, trouble in troubles.items():
        if channel_id in course.actions:
            asked = trouble.retry_after if isinstance(trouble, Throttled) else None
            agenda.set_aside(now + (_PAUSE if asked is None else timedelta(seconds=asked)))
            continue
        limited = limits.get(channel_id)
        terms = None if limited is None else limited.terms
        until = health.block(
            session,
            lease,
            channel_id,
            trouble,
            terms=terms,
            observed=observed,
            jitter=jitter,
            job_waits=alone,
        )
        if not alone:
            agenda.set_aside(until)
    for limited in limits.values():
        wait = limited.wait
        if wait is None:
            continue
        if not alone:
            agenda.set_aside(wait.until)
        elif wait.everybody:
            health.wait(session, lease, until=wait.until, reason=wait.text, kind=wait.kind)


def back_at(agenda: Agenda, limits: Mapping[UUID, Limited], left: Left, now: datetime) -> BackAt:
    """When the slice is to be taken again."""
    due_at, waits_for = agenda.back_at(left, now), None
    for limited in limits.values():
        if agenda.course.channels <= 1:
            due_at, waits_for = limited.back_at(due_at)
        elif limited.wait is not None:
            waits_for = limited.wait.kind
    return BackAt(due_at, waits_for)
