"""Executions in test mode, as rows: begun, found, called off. `engine.campaigns.execute_dry_run` carries them out."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

from sqlalchemy import select, update

from engine.kernel.commands import RunDry
from engine.kernel.rule_violations import RuleCode, RuleViolation
from engine.kernel.runtime import wake
from state.change import clock_of
from state.tables import DryRun

if TYPE_CHECKING:
    from datetime import timedelta

    from sqlalchemy.orm import Session

    from state.tables import Campaign

__all__ = ["OPEN", "begin", "restart_silent"]

OPEN = ("queued", "running")


def begin(session: Session, campaign: Campaign, *, reach: float) -> DryRun:
    """Begin a dry run of a campaign that the caller holds.

    Raises:
        RuleViolation: one is under way.
    """
    under_way = select(DryRun.id).where(
        DryRun.org_id == campaign.org_id, DryRun.campaign_id == campaign.id, DryRun.status.in_(OPEN)
    )
    if session.execute(under_way.limit(1)).first() is not None:
        raise RuleViolation(
            RuleCode.CAMPAIGN_HAS_JOB_IN_PROGRESS, f"campaign {campaign.id} has a dry run in progress"
        )
    now = clock_of(session).now()
    row = DryRun(
        id=uuid4(),
        org_id=campaign.org_id,
        campaign_id=campaign.id,
        reach=reach,
        findings={},
        touched_at=now,
        created_at=now,
        updated_at=now,
    )
    session.add(row)
    session.flush()
    wake(session, RunDry(org_id=campaign.org_id, run_id=row.id))
    return row


def restart_silent(session: Session, *, silence: timedelta) -> int:
    """Wake runs that nobody has worked on for `silence`; returns how many. Index ix_dry_run_open."""
    now = clock_of(session).now()
    found = session.execute(
        update(DryRun)
        .where(DryRun.status.in_(OPEN), DryRun.touched_at < now - silence)
        .values(touched_at=now)
        .returning(DryRun.org_id, DryRun.id)
        .execution_options(synchronize_session=False)
    ).all()
    wake(session, *(RunDry(org_id=org_id, run_id=run_id) for org_id, run_id in found))
    return len(found)
