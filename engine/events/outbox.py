"""The outbox: an event is written in the transaction that caused it, or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from state.change import clock_of
from state.tables import Event

if TYPE_CHECKING:
    from uuid import UUID

    from sqlalchemy.orm import Session

__all__ = ["record"]


def record(
    session: Session,
    org_id: UUID,
    name: str,
    *,
    campaign_id: UUID | None = None,
    job_id: UUID | None = None,
    **data: Any,
) -> None:
    """Write an event. `name` is a stable id (`campaign.started`); `data` must be JSON."""
    session.add(
        Event(
            org_id=org_id,
            name=name,
            campaign_id=campaign_id,
            job_id=job_id,
            data=data,
            created_at=clock_of(session).now(),
        )
    )
