"""What a campaign needs before it may deliver: an audience, and something to say to it."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from sqlalchemy import select

from engine.campaigns.configuration import settle
from engine.campaigns.feasible import check_budget, check_hours
from engine.campaigns.next_best_actions import read_action
from engine.delivery.enrolled_recipients import has_enrolled
from engine.filters.targets import has_filters
from engine.kernel.rule_violations import RuleCode, RuleViolation
from state.tables import Target, Widget

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from state.tables import Campaign

__all__ = ["check", "deliverable", "targets_of"]


def check(session: Session, campaign: Campaign) -> None:
    """Whether a campaign could be executed, apart from its status and what runs.

    Raises:
        RuleViolation: it lacks an audience or a message.
        Invalid: it has no hour to send in, or no money for a message.
    """
    targets_of(session, campaign)
    if campaign.flow_id is None:
        raise _nothing_to_send(campaign, "has no message")
    settle(session, campaign)
    _check_feasible(session, campaign)


def deliverable(session: Session, campaign: Campaign) -> list[Target]:
    """The campaign's targets, if it has something to say or to show to them.

    Raises:
        RuleViolation: the first rule that forbids it.
        Invalid: see `check`.
    """
    targets = targets_of(session, campaign)
    action = campaign.next_best_action
    if campaign.flow_id is None and action is None and not _has_widget(session, campaign.org_id, campaign.id):
        raise _nothing_to_send(campaign, "has neither a flow nor a portal widget nor a next best action")
    if action is not None and read_action(campaign) is None:
        raise RuleViolation(
            RuleCode.INVALID_NEXT_BEST_ACTION,
            f"campaign {campaign.id} has a next best action that nobody can show",
        )
    if campaign.flow_id is not None:
        settle(session, campaign)
        _check_feasible(session, campaign)
    return targets


def targets_of(session: Session, campaign: Campaign) -> list[Target]:
    """The campaign's targets; none where it has enrolled ones alone.

    Raises:
        RuleViolation: it has neither, or a target lets everybody in.
    """
    wanted = [UUID(target_id) for target_id in campaign.target_ids]
    found = {
        target.id: target
        for target in session.execute(
            select(Target).where(Target.org_id == campaign.org_id, Target.id.in_(wanted))
        ).scalars()
    }
    targets = [found[target_id] for target_id in wanted if target_id in found]
    if not targets and not has_enrolled(session, campaign.org_id, campaign.id):
        raise RuleViolation(RuleCode.CAMPAIGN_HAS_NO_TARGET, f"campaign {campaign.id} has no target")
    for target in targets:
        if not has_filters(target):
            raise RuleViolation(RuleCode.TARGET_WITHOUT_FILTERS, f"target {target.id} has no filters")
    return targets


def _check_feasible(session: Session, campaign: Campaign) -> None:
    check_hours(session, campaign)
    check_budget(session, campaign)


def _has_widget(session: Session, org_id: UUID, campaign_id: UUID) -> bool:
    statement = select(Widget.id).where(Widget.org_id == org_id, Widget.campaign_id == campaign_id).limit(1)
    return session.execute(statement).first() is not None


def _nothing_to_send(campaign: Campaign, why: str) -> RuleViolation:
    return RuleViolation(RuleCode.CAMPAIGN_HAS_NO_DELIVERY_METHOD, f"campaign {campaign.id} {why}")
