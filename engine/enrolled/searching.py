"""Which targets a list is about, and what it counts of them (docs/contract/enrolled-targets.md).

`missed_goal` is a campaign goal result of `failure`; `negative_sentiment` is a negative campaign sentiment or, where
that is not known, customer sentiment. Aggregations count what the list would have without its filters by stage, label
and action, which are what they offer.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Text, case, cast, func, or_, select

from engine.enrolled.orders import CUSTOMER, attribute
from engine.enrolled.targets import of_target
from engine.filters.predicate import holds_text
from engine.kernel.inputs import Invalid
from state.tables import Entity, Recipient

if TYPE_CHECKING:
    from uuid import UUID

    from sqlalchemy import ColumnElement
    from sqlalchemy.orm import Session

__all__ = ["ACTIONS", "Search", "aggregate", "conditions", "instant"]

_UNKNOWN = "unknown"
_NEGATIVE = "negative"
_DAY = re.compile(r"\d{4}-?\d{2}-?\d{2}")
#: Digits that make a search look like one for a phone number.
_DIGITS = 5

#: What somebody must do about a target → which targets.
ACTIONS: Final[dict[str, ColumnElement[bool]]] = {
    "follow_up": Recipient.follow_up_required.is_(True),
    "callback": Recipient.callback_requested.is_(True),
    "escalation": Recipient.escalation_required.is_(True),
    "missed_goal": Recipient.campaign_goal_result == "failure",
    "negative_sentiment": func.coalesce(Recipient.campaign_sentiment, Recipient.customer_sentiment)
    == _NEGATIVE,
}


@dataclass(frozen=True, slots=True)
class Search:
    """What targets are looked for; all of it must hold."""

    stage: str | None = None
    ai_label: str | None = None
    action_required: str | None = None
    assigned_agent_id: UUID | None = None
    include_deleted: bool = False
    only_deleted: bool = False
    """Beats `include_deleted`."""
    q: str | None = None
    """Stands in the customer's name, surname, e-mail, phone, title or external id, whatever its case."""
    date_from: datetime | None = None
    """Enrolled then or later."""
    date_to: datetime | None = None
    """Enrolled before then."""

    @property
    def of_customers(self) -> bool:
        """Whether the customers have to be read."""
        return bool(self.q)


def instant(field: str, text: str | None, *, end: bool = False) -> datetime | None:
    """A moment or a day (UTC where no zone is given) as the beginning, or the end, of a range.

    Raises:
        Invalid: it is none (ISO 8601).
    """
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text.strip())
        found = found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
        if not end:
            return found
        whole_day = _DAY.fullmatch(text.strip()) is not None
        return found + (timedelta(days=1) if whole_day else timedelta(microseconds=1))
    except (ValueError, OverflowError):
        raise Invalid(field, f"{text[:64]!r} is no date or instant (ISO 8601)") from None


def conditions(
    session: Session, org_id: UUID, campaign_id: UUID, search: Search
) -> list[ColumnElement[bool]]:
    """The conditions on Recipient, and on Entity where customers are searched."""
    found = [
        Recipient.campaign_id == campaign_id,
        Recipient.org_id == org_id,
        Recipient.stage.is_not(None),
    ]
    if search.only_deleted:
        found.append(Recipient.deleted_at.is_not(None))
    elif not search.include_deleted:
        found.append(Recipient.deleted_at.is_(None))
    if search.stage is not None:
        found.append(Recipient.stage == search.stage)
    if search.ai_label is not None:
        label = Recipient.ai_label == search.ai_label
        found.append(or_(Recipient.ai_label.is_(None), label) if search.ai_label == _UNKNOWN else label)
    if search.action_required is not None:
        found += [Recipient.ai_label.is_not(None), ACTIONS[search.action_required]]
    if search.assigned_agent_id is not None:
        found.append(Recipient.assigned_agent_id == search.assigned_agent_id)
    if search.date_from is not None:
        found.append(Recipient.created_at >= search.date_from)
    if search.date_to is not None:
        found.append(Recipient.created_at < search.date_to)
    if search.q:
        found.append(_found_by(session, search.q))
    return found


def _found_by(session: Session, q: str) -> ColumnElement[bool]:
    texts: list[Any] = [attribute(session, name) for name in CUSTOMER if name != "status"]
    texts += [Entity.external_id, Entity.title, Recipient.title]
    matches = [holds_text(session, q, *texts)]
    digits = re.sub(r"[^0-9]+", "", q).lstrip("0")
    if len(digits) >= _DIGITS and re.fullmatch(r"[0-9 ()+./-]+", q.strip()):
        matches.append(cast(Recipient.contact_keys, Text).contains(digits))
    return or_(*matches)


def aggregate(session: Session, org_id: UUID, campaign_id: UUID, search: Search) -> dict[str, Any]:
    """`{"quick_filters": {word: count}, "extra": {"by_stage", "by_ai_label"}}`. One statement."""
    around = replace(search, stage=None, ai_label=None, action_required=None)
    label = func.coalesce(Recipient.ai_label, _UNKNOWN)
    counts = [func.count(case((condition, 1))) for condition in ACTIONS.values()]
    statement = select(Recipient.stage, label, func.count(), *counts).select_from(Recipient)
    if around.of_customers:
        statement = statement.outerjoin(Entity, of_target(org_id))
    stages, labels, quick = Counter[str](), Counter[str](), Counter[str]()
    for stage, its, count, *actions in session.execute(
        statement.where(*conditions(session, org_id, campaign_id, around)).group_by(Recipient.stage, label)
    ):
        stages[str(stage)] += count
        labels[its] += count
        quick["all"] += count
        quick.update(dict(zip(ACTIONS, actions, strict=True)))
    return {
        "quick_filters": {word: quick[word] for word in ("all", *ACTIONS)},
        "extra": {"by_stage": dict(sorted(stages.items())), "by_ai_label": dict(sorted(labels.items()))},
    }
