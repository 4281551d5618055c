"""What became of a campaign's e-mail: each recipient's `email_status`, and the counts of `getEmailStats`.

`email_status` is what came back about the message (delivered, bounced, complained: engine.engagement.feedback)
and, as long as nothing did, what the automation did: a success was `sent`, a failure `failed`. So delivery
writes no second status, and a campaign that sends something else than e-mail has none.

Both are read from an index and from counters: the number of statements does not depend on the campaign's size.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from engine.channels.default_channel import default_channel
from engine.engagement.email import MAIL_KINDS, EmailStatus
from engine.engagement.engagement import Kind, Medium, sums
from engine.insight.progress import campaign_progress, unplanned
from engine.kernel.rule_violations import RuleCode, RuleViolation
from state.tables import Campaign, Channel, Recipient, Touchpoint
from state.transitions import AutomationStatus

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

    from sqlalchemy.orm import Session

__all__ = [
    "EmailStats",
    "email_stats",
    "email_status",
    "outcome_of",
    "sends_email",
]

#: What the automation's outcome says while nothing has come back.
_OUTCOMES = {
    AutomationStatus.SUCCESS: EmailStatus.SENT,
    AutomationStatus.FAILED: EmailStatus.FAILED,
}


@dataclass(frozen=True, slots=True)
class EmailStats:
    """Recipients by what became of their e-mail. The first five are disjoint: their sum is `total_emailed`."""

    sent: int
    delivered: int
    bounced: int
    complained: int
    failed: int
    bounced_hard: int
    bounced_soft: int
    unsubscribed: int
    opened: int
    clicked: int
    total_opens: int
    total_clicks: int

    @property
    def total_emailed(self) -> int:
        """Recipients with an e-mail status."""
        return self.sent + self.delivered + self.bounced + self.complained + self.failed


def sends_email(session: Session, org_id: UUID, campaign_id: UUID) -> bool:
    """Whether the campaign's flow delivers by e-mail. One statement, two when it uses the default channel."""
    found = session.execute(
        select(Touchpoint.channel_id, Channel.kind)
        .join(Campaign, Campaign.flow_id == Touchpoint.flow_id)
        .outerjoin(Channel, Channel.id == Touchpoint.channel_id)
        .where(Campaign.id == campaign_id, Campaign.org_id == org_id, Touchpoint.type == "message")
    ).all()
    if any(channel_id is None for channel_id, _ in found):
        default = default_channel(session, org_id)
        if default is not None and default.kind in MAIL_KINDS:
            return True
    return any(kind in MAIL_KINDS for _, kind in found)


def email_status(row: Recipient, *, mails: bool) -> str | None:
    """The recipient's status; `mails` is whether its campaign sends e-mail."""
    if row.email_status is not None or not mails or row.automation_status is None:
        return row.email_status
    return _OUTCOMES.get(AutomationStatus(row.automation_status))


def outcome_of(wanted: EmailStatus) -> AutomationStatus | None:
    """The outcome of the automation that a status is made of, of a campaign that sends e-mail, while nothing came back;
    None: the status is what came back, and stands in `Recipient.email_status`.
    """
    return next((outcome for outcome, status in _OUTCOMES.items() if status == wanted), None)


def email_stats(session: Session, org_id: UUID, campaign_id: UUID) -> EmailStats:
    """At most eight statements whatever the campaign's size; the widest reads the recipients that something came back
    about.

    While slices are being delivered the counters of a part may lag by what is on the wire
    (state/tables/delivery.py); nothing is shown below zero.

    Raises:
        RuleViolation: CAMPAIGN_NOT_FOUND.
    """
    known = select(Campaign.id).where(Campaign.id == campaign_id, Campaign.org_id == org_id)
    if session.execute(known).first() is None:
        raise RuleViolation(RuleCode.CAMPAIGN_NOT_FOUND, f"campaign {campaign_id} does not exist")
    reported: dict[str, int] = dict.fromkeys(EmailStatus, 0)
    outcomes = _outcomes(session, org_id, campaign_id)
    soft = 0
    for status, bounce_type, automation, count in session.execute(
        select(Recipient.email_status, Recipient.email_bounce_type, Recipient.automation_status, func.count())
        .where(Recipient.campaign_id == campaign_id, Recipient.email_status.is_not(None))
        .group_by(Recipient.email_status, Recipient.email_bounce_type, Recipient.automation_status)
    ):
        reported[str(status)] += count
        soft += count if bounce_type == "transient" and status == EmailStatus.BOUNCED else 0
        if automation in outcomes:
            outcomes[automation] -= count
    mails = sends_email(session, org_id, campaign_id)
    sums_of_kind = sums(session, org_id, campaign_id, Medium.EMAIL)
    nothing = (0, 0)
    return EmailStats(
        sent=max(0, outcomes[AutomationStatus.SUCCESS]) if mails else 0,
        delivered=reported[EmailStatus.DELIVERED],
        bounced=reported[EmailStatus.BOUNCED],
        complained=reported[EmailStatus.COMPLAINED],
        failed=max(0, outcomes[AutomationStatus.FAILED]) if mails else 0,
        bounced_hard=reported[EmailStatus.BOUNCED] - soft,
        bounced_soft=soft,
        unsubscribed=sums_of_kind.get(Kind.UNSUBSCRIBED, nothing)[0],
        opened=sums_of_kind.get(Kind.READ, nothing)[0],
        clicked=sums_of_kind.get(Kind.CLICKED, nothing)[0],
        total_opens=sums_of_kind.get(Kind.READ, nothing)[1],
        total_clicks=sums_of_kind.get(Kind.CLICKED, nothing)[1],
    )


def _outcomes(session: Session, org_id: UUID, campaign_id: UUID) -> dict[str, int]:
    """Successes and failures: those that jobs count, and those that no job made."""
    counts: Mapping[str, int] = campaign_progress(session, org_id, campaign_id).counts
    others = unplanned(session, campaign_id)
    return {outcome.value: counts[outcome] + others[outcome] for outcome in _OUTCOMES}
