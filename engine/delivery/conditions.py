"""Conditions of touchpoints: the filter tree of targets, over the entity, the recipient and what it did.

A condition is the same tree (engine.filters.filters), evaluated for recipients that are due, when they are due. Beside
the entity's own keys it has these:

| key | is |
|---|---|
| `recipient.variant`, `.portal_status`, `.email_status`, `.entity_ui_status`, `.stage` | a text |
| `recipient.target_id` | the target that let the recipient in: `EQUALS`, `IS_ONE_OF` and their opposites |
| `recipient.enrolled_at` | an instant, compared as dates are |
| `engagement.clicked` | how often that happened in this campaign: a number; `EMPTY` is never |
| `engagement.email.clicked` | the same, on one channel |
| `engagement.clicked of <touchpoint id>` | the same, about the message of one touchpoint |
| `engagement.clicked within 2 days` | the same, within that time before now: minutes, hours, days or weeks |

So "not clicked within 2 days" is `{"key": "engagement.clicked within 2 days", "operator": "EMPTY"}`. What scanners did
(`bot`) is not counted. A recipient that is tried again passes: they were let through before.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

from pydantic import ValidationError
from sqlalchemy import ColumnElement, and_, exists, false, func, or_, select

from engine.engagement.engagement import Kind
from engine.filters.calendar import organization_time
from engine.filters.filters import Condition, DataType, Operator, conditions_of, parse_filters
from engine.filters.predicate import field_passes, predicate
from engine.kernel.inputs import Invalid
from engine.kernel.suggestions import did_you_mean
from state.sets import among
from state.tables import Engagement, Entity, Recipient

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy.orm import Session

    from engine.delivery.slices import Lease
    from engine.filters.filters import Group, Subgroup

__all__ = ["check_condition", "passing"]

_TEXTS: dict[str, Any] = {
    "recipient.variant": Recipient.variant,
    "recipient.portal_status": Recipient.portal_status,
    "recipient.email_status": Recipient.email_status,
    "recipient.entity_ui_status": Recipient.entity_ui_status,
    "recipient.stage": Recipient.stage,
}
_INSTANT = "recipient.enrolled_at"
_TARGET = "recipient.target_id"
_ENGAGEMENT = re.compile(
    r"engagement\.(?:(?P<channel>[a-z_]{1,16})\.)?(?P<kind>[a-z_]+)"
    r"(?: of (?P<touchpoint>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}))?"
    r"(?: within (?P<count>[0-9]{1,4}) (?P<unit>minute|hour|day|week)s?)?"
)
_COMPARED = {
    Operator.EQUALS: "__eq__",
    Operator.NOT_EQUALS: "__ne__",
    Operator.GREATER_THAN: "__gt__",
    Operator.GREATER_THAN_OR_EQUAL: "__ge__",
    Operator.LESS_THAN: "__lt__",
    Operator.LESS_THAN_OR_EQUAL: "__le__",
}
_EMPTINESS = (Operator.EMPTY, Operator.NOT_EMPTY)
_MEMBERSHIP = (Operator.EQUALS, Operator.NOT_EQUALS, Operator.IS_ONE_OF, Operator.IS_NONE_OF)
_LARGEST = 1_000_000


class _Engagement(NamedTuple):
    """What an engagement key asks for."""

    kind: str
    channel: str | None
    touchpoint_id: UUID | None
    within: timedelta | None


def check_condition(given: Any) -> None:
    """See that a touchpoint's condition can be evaluated.

    Raises:
        Invalid: it cannot; `field` says where: `condition.filter.items[0].key`.
    """
    try:
        tree = parse_filters(given)
    except Invalid as error:
        raise Invalid(error.field.replace("entity_filters", "condition", 1), error.message) from error
    if tree is not None:
        _check_group(tree, "condition.filter")


def _check_group(group: Group | Subgroup, path: str) -> None:
    for index, item in enumerate(group.items):
        at = f"{path}.items[{index}]"
        if not isinstance(item, Condition):
            _check_group(item, at)
        elif item.key.startswith("engagement."):
            _check_engagement(item, at)
        elif item.key.startswith("recipient."):
            _check_recipient(item, at)


def _check_engagement(condition: Condition, at: str) -> None:
    asked = _read(condition.key)
    if asked is None:
        raise Invalid(
            f"{at}.key", f"{condition.key!r} is none; write it like 'engagement.clicked within 2 days'"
        )
    if asked.kind not in list(Kind):
        raise Invalid(
            f"{at}.key", f"{asked.kind!r} is nothing that happens" + did_you_mean(asked.kind, list(Kind))
        )
    if condition.operator in _EMPTINESS:
        return
    if condition.operator not in _COMPARED:
        raise Invalid(
            f"{at}.operator", f"{condition.operator} cannot be used on how often something happened"
        )
    if not condition.literals[0].isdecimal() or int(condition.literals[0]) > _LARGEST:
        raise Invalid(f"{at}.value", f"must be a whole number up to {_LARGEST}")


def _check_recipient(condition: Condition, at: str) -> None:
    known = [*_TEXTS, _INSTANT, _TARGET]
    if condition.key not in known:
        raise Invalid(f"{at}.key", f"{condition.key!r} is not known" + did_you_mean(condition.key, known))
    if condition.key == _TARGET:
        if condition.operator not in (*_MEMBERSHIP, *_EMPTINESS):
            raise Invalid(f"{at}.operator", f"{condition.operator} cannot be used on an id")
        if condition.operator in _MEMBERSHIP and any(_id(text) is None for text in condition.literals):
            raise Invalid(f"{at}.value", "must be the id of a target")
    elif condition.key == _INSTANT and condition.operator not in _EMPTINESS:
        # As where the key is an entity's own instant, which is checked when it is read.
        _reread(condition, at)


def _reread(condition: Condition, at: str) -> None:
    try:
        Condition.model_validate({**condition.model_dump(), "data_type": DataType.DATE})
    except ValidationError as error:
        message = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise Invalid(f"{at}.value", message) from None


def passing(
    session: Session,
    lease: Lease,
    condition: dict[str, Any],
    entity_ids: Sequence[UUID],
    now: datetime,
) -> set[UUID]:
    """Who of a slice's recipients a condition lets through, and those it is not asked about: those who are tried
    again, and those whose entity is gone, which is for others to record. One statement.

    Index recipient (job_id, slice_number, entity_id), the entity's primary key, and engagement (campaign_id, entity_id,
    channel, kind).
    """
    tree = parse_filters(condition)
    if tree is None:
        return set(entity_ids)

    def own(asked: Condition) -> ColumnElement[bool] | None:
        return _own(session, lease.org_id, asked, now)

    local = organization_time(session, lease.org_id, now, conditions_of(tree))

    found = session.scalars(
        select(Recipient.entity_id)
        .outerjoin(Entity, Entity.id == Recipient.entity_id)
        .where(
            Recipient.job_id == lease.job_id,
            Recipient.slice_number == lease.number,
            Recipient.entity_id.between(min(entity_ids), max(entity_ids)),
            among(session, Recipient.entity_id, entity_ids),
            or_(
                Entity.id.is_(None),
                Entity.org_id != lease.org_id,
                Recipient.attempt > 0,
                predicate(session, tree, local, own),
            ),
        )
    )
    return set(found)


def _own(session: Session, org_id: UUID, condition: Condition, now: datetime) -> ColumnElement[bool] | None:
    if condition.key in _TEXTS:
        return field_passes(session, _TEXTS[condition.key], condition, now)
    if condition.key == _INSTANT:
        dated = condition.model_copy(update={"data_type": DataType.DATE})
        local = organization_time(session, org_id, now, [dated])
        return field_passes(session, Recipient.created_at, dated, local, instant=True)
    if condition.key == _TARGET:
        return _of_target(condition)
    asked = _read(condition.key)
    return None if asked is None else _of_engagement(asked, condition, now)


def _of_target(condition: Condition) -> ColumnElement[bool]:
    column = Recipient.target_id
    if condition.operator in _EMPTINESS:
        return column.is_(None) if condition.operator is Operator.EMPTY else column.is_not(None)
    wanted = [found for text in condition.literals if (found := _id(text)) is not None]
    within = and_(column.is_not(None), column.in_(wanted)) if wanted else false()
    return within if condition.operator in (Operator.EQUALS, Operator.IS_ONE_OF) else ~within


def _of_engagement(asked: _Engagement, condition: Condition, now: datetime) -> ColumnElement[bool]:
    happened = [
        Engagement.campaign_id == Recipient.campaign_id,
        Engagement.entity_id == Recipient.entity_id,
        Engagement.kind == asked.kind,
        Engagement.bot.is_(False),
    ]
    if asked.channel is not None:
        happened.append(Engagement.channel == asked.channel)
    if asked.touchpoint_id is not None:
        happened.append(Engagement.touchpoint_id == asked.touchpoint_id)
    if asked.within is not None:
        happened.append(Engagement.happened_at >= now - asked.within)
    if condition.operator in _EMPTINESS:
        some = exists(select(Engagement.id).where(*happened).correlate(Recipient))
        return some if condition.operator is Operator.NOT_EMPTY else ~some
    count = (
        select(func.count()).select_from(Engagement).where(*happened).correlate(Recipient).scalar_subquery()
    )
    compared: ColumnElement[bool] = getattr(count, _COMPARED[condition.operator])(int(condition.literals[0]))
    return compared


def _read(key: str) -> _Engagement | None:
    found = _ENGAGEMENT.fullmatch(key)
    if found is None:
        return None
    within = None if found["count"] is None else timedelta(**{f"{found['unit']}s": int(found["count"])})
    return _Engagement(
        found["kind"],
        found["channel"],
        None if found["touchpoint"] is None else UUID(found["touchpoint"]),
        within,
    )


def _id(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
