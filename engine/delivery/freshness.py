"""How things stand when a wave is claimed: its people, and what they are to be sent, read again where that is old.

A lease loads its slice's people and the flow once, and under limits, or over a slow channel, may live for minutes.
Promises:
- Nobody is written to by what was known of them more than `FRESH_FOR` before their wave was claimed: who was deleted is
  excluded, who changed gets the message at the new address and with the new data.
- A flow, template or channel that was changed ends the lease before the wave is claimed; the next, at once, goes by the
  change.
- A slice that is delivered faster than that reads nothing twice; of people who have not changed no data is read again.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from engine.delivery.course import course_of
from engine.delivery.recipient_statements import RecipientStatements
from engine.delivery.sender import SenderUnavailable
from engine.delivery.waves import attributes_of
from engine.delivery.written import execute

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from sqlalchemy.orm import Session

    from engine.delivery.course import Course
    from engine.delivery.ledger import Ledger
    from engine.delivery.parts import Part
    from engine.delivery.sender import Senders
    from engine.delivery.slices import Lease
    from engine.delivery.waves import Due
    from state.database import Database

__all__ = ["FRESH_FOR", "SliceFreshness"]

#: How long people and flow are taken for what they were when they were read, in seconds.
FRESH_FOR = 0.5
#: How long a change may be on its way from its `updated_at` to its commit.
_COMMITTED_WITHIN = timedelta(minutes=5)

_VERSIONS = (
    "touchpoint_id",
    "touchpoint_updated_at",
    "status",
    "template_id",
    "template_updated_at",
    "channel_id",
    "channel_updated_at",
    "channel_tracking",
    "campaign_tracking",
)


class SliceFreshness:
    """One lease's.

    Args:
        course: The flow as it was loaded.
        steady: Seconds, by a clock that never jumps.
        loaded_at: When people and flow were read, by `steady`.
        now: The same, as an instant.
    """

    def __init__(
        self,
        database: Database,
        lease: Lease,
        course: Course,
        senders: Senders,
        steady: Callable[[], float],
        loaded_at: float,
        now: datetime,
    ) -> None:
        self.is_outdated = False
        """What is sent has changed: nothing more may be claimed under this lease."""
        self._database = database
        self._lease = lease
        self._versions = _versions_of(course)
        self._senders = senders
        self._steady = steady
        self._loaded_at = self._flow_read_at = loaded_at
        self._changed_since = now - _COMMITTED_WITHIN

    def refresh(self, ledger: Ledger, part: Part, wave: list[Due]) -> list[Due]:
        """The people of a wave that is about to be claimed, as they are now. Nobody: `is_outdated`."""
        steady = self._steady()
        if steady - self._loaded_at < FRESH_FOR:
            return wave

        def read(session: Session, *, again: bool, now: datetime) -> list[Due]:  # noqa: ARG001 - it reads
            if steady - self._flow_read_at >= FRESH_FOR:
                self.is_outdated = self._has_changed(session, part)
                self._flow_read_at = steady
            return [] if self.is_outdated else self._reread(session, wave)

        return ledger.persist(read, self._database.read)

    def _has_changed(self, session: Session, part: Part) -> bool:
        """Whether anything is to be sent otherwise than when the lease began."""
        course = course_of(session, self._lease.org_id, self._lease.job_id)
        if _versions_of(course) != self._versions:
            return True
        step = course.find(part.touchpoint_id)
        if step is None or part.sender is None or not step.row.variants:
            return False
        try:  # a variant's template is not among the versions
            sender = self._senders.of_step(session, self._lease.org_id, step, part.variant)
        except SenderUnavailable:
            return True
        return sender.template is not part.sender.template

    def _reread(self, session: Session, wave: Sequence[Due]) -> list[Due]:
        """A wave with its people's attributes as they are; None: they were deleted. One statement."""
        found = execute(
            session,
            RecipientStatements.of(session).reload,
            p_org_id=self._lease.org_id,
            p_since=self._changed_since,
            p_ids=[due.entity_id for due in wave],
        )
        known = {row[0]: row for row in found.all()}
        return [_as_of_now(due, known.get(due.entity_id)) for due in wave]


def _as_of_now(due: Due, row: Sequence[Any] | None) -> Due:
    """A recipient as `RecipientStatements.reload` finds them; None: it does not."""
    if row is None or not row[1]:
        return due._replace(attributes=None)
    entity_id, _, text, title, external_id = row
    return (
        due if text is None else due._replace(attributes=attributes_of(entity_id, text, title, external_id))
    )


def _versions_of(course: Course) -> list[tuple[Any, ...]]:
    return [tuple(getattr(step.row, name) for name in _VERSIONS) for step in course.steps]
