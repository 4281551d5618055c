"""What a campaign is made of and how it stands, in names instead of ids."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import select

from actors.cli.watching import counts, waiting
from engine.campaigns.flows import touchpoints_of
from engine.insight.progress import campaign_progress
from engine.insight.summary import job_version
from state.sets import among
from state.tables import Channel, Flow, Job, Target

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from state.tables import Campaign

__all__ = ["portrait"]


def portrait(session: Session, org_id: UUID, campaign: Campaign) -> dict[str, Any]:
    """`{targets, flow, channel, job_status, counts, total, waiting, errors}`, errors by the last report."""
    progress = campaign_progress(session, org_id, campaign.id)
    job = job_version(session, org_id, campaign.id)
    report = session.execute(
        select(Job.report)
        .where(Job.org_id == org_id, Job.campaign_id == campaign.id, Job.report.is_not(None))
        .order_by(Job.created_at.desc())
        .limit(1)
    ).scalar_one_or_none()
    return {
        "targets": _targets(session, org_id, campaign),
        "flow": _flow(session, org_id, campaign),
        "channel": _channel(session, org_id, campaign),
        "job_status": job.status or None,
        "counts": counts(progress),
        "total": progress.total,
        "waiting": waiting(progress),
        "errors": (report or {}).get("errors", []),
    }


def _targets(session: Session, org_id: UUID, campaign: Campaign) -> list[str]:
    wanted = [UUID(target_id) for target_id in campaign.target_ids]
    return list(
        session.execute(
            select(Target.name).where(Target.org_id == org_id, among(session, Target.id, wanted))
        ).scalars()
    )


def _flow(session: Session, org_id: UUID, campaign: Campaign) -> str | None:
    return session.execute(
        select(Flow.name).where(Flow.org_id == org_id, Flow.id == campaign.flow_id)
    ).scalar_one_or_none()


def _channel(session: Session, org_id: UUID, campaign: Campaign) -> str | None:
    if campaign.flow_id is None:
        return None
    ids = [
        point.channel_id for point in touchpoints_of(session, org_id, [campaign.flow_id])[campaign.flow_id]
    ]
    named = Channel.id == ids[0] if ids and ids[0] is not None else Channel.is_default.is_(True)
    return session.execute(
        select(Channel.name).where(Channel.org_id == org_id, named).order_by(Channel.created_at).limit(1)
    ).scalar_one_or_none()
