"""A campaign whose sender is refused is paused: everybody is pending, and the reason says what to mend."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import structlog
from sqlalchemy import update

from engine.delivery.campaign_moves import pause
from engine.kernel.rule_violations import RuleViolation
from state.tables import Job

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from engine.channels.port import SenderRefused
    from engine.delivery.slices import Lease

__all__ = ["PAUSED_BY", "WAITS_FOR", "pause_for_sender"]

log = structlog.get_logger(__name__)

#: What `paused_by` of the campaign and `waits_for` of its job say then.
PAUSED_BY = "sender refused"
WAITS_FOR = "sender"


def pause_for_sender(session: Session, lease: Lease, refused: SenderRefused) -> None:
    """Pause the campaign of a lease; one that is paused, stopped or gone stays as it is."""
    with suppress(RuleViolation):
        reason = f"{refused.advice} The provider says {refused.code}: {refused.text}"
        pause(session, lease.org_id, lease.campaign_id, by=PAUSED_BY, reason=reason[:1000])
        session.execute(
            update(Job)
            .where(Job.id == lease.job_id, Job.org_id == lease.org_id)
            .values(waits_reason=reason[:1000], waits_for=WAITS_FOR, waits_until=None)
            .execution_options(synchronize_session=False)
        )
        log.warning("campaign.sender_refused", campaign_id=str(lease.campaign_id), reason=reason)
