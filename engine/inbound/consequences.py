"""What follows from a report beyond the log: an address is barred for the whole organization.

| report | the address |
|---|---|
| bounced, and the classifier (engine.answers) says that it bars | barred, `hard_bounce` |
| bounced otherwise | – |
| complained | barred, `complaint` |
| unsubscribed | barred, `unsubscribe`, and webhooks get an event (`recipient.unsubscribed`) |

Webhooks get an event of everything else by the log (engine.engagement.engagement).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from engine.engagement.feedback import Feedback, take_feedback
from engine.engagement.suppression import Barred, bar
from engine.events.outbox import record

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from sqlalchemy.orm import Session

    from engine.answers.verdict import Verdict

__all__ = ["ReportedFeedback", "Taken", "reason_to_bar", "take"]


class ReportedFeedback(NamedTuple):
    """A report about a recipient, and the address that is barred because of it."""

    feedback: Feedback
    barred: Barred | None = None


class Taken(NamedTuple):
    """What became of reports."""

    new: set[int]
    """Positions of those that were new and about a recipient."""
    barred: set[Barred]
    """Addresses that were not barred before."""


def reason_to_bar(kind: str, verdict: Verdict | None) -> str | None:
    """Why an address is barred after such a report; None: it is not.

    Args:
        verdict: Of a bounce; others need none.
    """
    if kind == "bounced":
        return verdict.bar_reason if verdict is not None and verdict.bar else None
    return {"complained": "complaint", "unsubscribed": "unsubscribe"}.get(kind)


def take(session: Session, org_id: UUID, reported: Sequence[ReportedFeedback]) -> Taken:
    """Write reports and what follows from them. The number of statements does not depend on theirs.

    What is reported again, or about nobody, bars nothing: it may be said again after the address was let go.
    """
    fresh = {id(one) for one in take_feedback(session, org_id, [one.feedback for one in reported])}
    new = {position for position, one in enumerate(reported) if id(one.feedback) in fresh}
    wanted = [reported[position].barred for position in sorted(new)]
    barred = bar(session, org_id, [one for one in wanted if one is not None])
    for position in sorted(new):
        report = reported[position].feedback
        if report.kind == "unsubscribed":
            record(
                session,
                org_id,
                "recipient.unsubscribed",
                campaign_id=report.campaign_id,
                entity_id=str(report.entity_id),
                channel=report.channel.value,
                scope="all",
            )
    return Taken(new, barred)
