"""What delivering tells webhooks of single recipients: one event a settlement and outcome, while anybody asks for it.

Whether anybody does is found out when a slice is leased; if not, delivering does not come by here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.events.outbox import record_recipients
from state.transitions import AutomationStatus

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from sqlalchemy.orm import Session

__all__ = ["EVENT_NAMES", "record_outcomes"]

#: What each outcome is called.
EVENT_NAMES = {
    AutomationStatus.SUCCESS: "recipient.sent",
    AutomationStatus.FAILED: "recipient.failed",
    AutomationStatus.CANCELLED: "recipient.excluded",
}


def record_outcomes(
    session: Session,
    about: tuple[UUID, UUID, UUID],
    status: AutomationStatus,
    entity_ids: Sequence[UUID],
    errors: Sequence[tuple[str | None, str | None]] | None = None,
    *,
    touchpoint_id: UUID | None = None,
) -> None:
    """Write the events of recipients with one outcome, in the transaction that settles them.

    Args:
        about: Organization, campaign and job.
        errors: Code and text of each.
        touchpoint_id: Of a flow of several, the message that it is the outcome of.
    """
    org_id, campaign_id, job_id = about
    at = {} if touchpoint_id is None else {"touchpoint_id": str(touchpoint_id)}
    people = [
        {"recipient_id": str(entity_id), **at, **_why(None if errors is None else errors[index])}
        for index, entity_id in enumerate(entity_ids)
    ]
    record_recipients(session, org_id, EVENT_NAMES[status], people, campaign_id=campaign_id, job_id=job_id)


def _why(error: tuple[str | None, str | None] | None) -> dict[str, Any]:
    if error is None:
        return {}
    said = {"error_code": error[0], "error": error[1]}
    return {name: value for name, value in said.items() if value is not None}
