"""What a campaign is made of and how it stands, in names instead of ids: `muster campaign show`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import func, select

from engine.insight.outlook import outlook
from state.sets import among
from state.tables import Channel, Flow, Recipient, Target, Touchpoint
from state.transitions import AutomationStatus

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.orm import Session

    from engine.insight.outlook import Outlook
    from state.tables import Campaign, Job

__all__ = ["CampaignNames", "CampaignSummary", "Error", "campaign_names", "campaign_summary"]


@dataclass(frozen=True, slots=True)
class Error:
    """Recipients with one error code."""

    code: str
    status: str
    """failed or cancelled."""
    count: int


@dataclass(frozen=True, slots=True)
class CampaignNames:
    """What a campaign is made of."""

    targets: list[str]
    flow: str | None
    channels: list[str]
    """Those that its messages go over, in the flow's order."""


@dataclass(frozen=True, slots=True)
class CampaignSummary(CampaignNames):
    """One look."""

    outlook: Outlook
    errors: list[Error]
    """Of the present job, the commonest first."""


def campaign_summary(session: Session, campaign: Campaign) -> CampaignSummary:
    """A campaign's. Of a job that has ended its report is read, of any other its recipients with an error."""
    seen = outlook(session, campaign)
    names = campaign_names(session, campaign)
    return CampaignSummary(
        targets=names.targets,
        flow=names.flow,
        channels=names.channels,
        outlook=seen,
        errors=[] if seen.job is None else _errors(session, campaign, seen.job),
    )


def campaign_names(session: Session, campaign: Campaign) -> CampaignNames:
    """What a campaign is made of. Three statements."""
    flow = select(Flow.name).where(Flow.org_id == campaign.org_id, Flow.id == campaign.flow_id)
    return CampaignNames(
        targets=_targets(session, campaign),
        flow=session.scalars(flow).one_or_none(),
        channels=_channels(session, campaign),
    )


def _targets(session: Session, campaign: Campaign) -> list[str]:
    wanted = [UUID(target_id) for target_id in campaign.target_ids]
    return list(
        session.scalars(
            select(Target.name).where(Target.org_id == campaign.org_id, among(session, Target.id, wanted))
        )
    )


def _channels(session: Session, campaign: Campaign) -> list[str]:
    """The names; a message that names no channel goes over the organization's default."""
    default = (
        select(Channel.id)
        .where(Channel.org_id == campaign.org_id)
        .order_by(Channel.is_default.desc(), Channel.created_at, Channel.id)
        .limit(1)
        .scalar_subquery()
    )
    found = session.scalars(
        select(Channel.name)
        .join(Touchpoint, func.coalesce(Touchpoint.channel_id, default) == Channel.id)
        .where(
            Touchpoint.org_id == campaign.org_id,
            Touchpoint.flow_id == campaign.flow_id,
            Touchpoint.type == "message",
            Channel.org_id == campaign.org_id,
        )
        .order_by(Touchpoint.position, Touchpoint.id)
    )
    return list(dict.fromkeys(found))


def _errors(session: Session, campaign: Campaign, job: Job) -> list[Error]:
    found: Sequence[Any]
    if job.report is not None:
        found = [(one["code"], one["status"], one["count"]) for one in job.report.get("errors", ())]
    else:
        # Index ix_recipient_failed (campaign_id, error_code).
        found = session.execute(
            select(Recipient.error_code, Recipient.automation_status, func.count())
            .where(
                Recipient.org_id == campaign.org_id,
                Recipient.campaign_id == campaign.id,
                Recipient.automation_status.in_((AutomationStatus.FAILED, AutomationStatus.CANCELLED)),
                Recipient.job_id == job.id,
                Recipient.error_code.is_not(None),
            )
            .group_by(Recipient.error_code, Recipient.automation_status)
        ).all()
    return [Error(*row) for row in sorted(found, key=lambda row: (-row[2], row[0]))]
