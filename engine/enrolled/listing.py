"""A campaign's targets, a page at a time (docs/contract/enrolled-targets.md).

Promises:
- Three statements whatever the size: the campaign, the total, the page; one more for aggregations.
- In the usual order (`created_at`) a page reads one range of ix_recipient_enrolled, filtered by stage of
  ix_recipient_stage, as far as the offset; other orders read the campaign's targets. An offset ends at 10,000: beyond,
  the cursor of the page before goes on in constant time, with the total that was counted at the first page.
- What is absent comes last, whichever the direction.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal
from uuid import UUID

from sqlalchemy import func, select

from engine.enrolled.orders import Order, order_of
from engine.enrolled.searching import Search, conditions
from engine.enrolled.targets import Enrolled, check_campaign, of_target, with_customer
from engine.kernel.inputs import Invalid
from engine.kernel.listing import decode_cursor, encode_cursor
from state.tables import Entity, Recipient

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import ColumnElement
    from sqlalchemy.orm import Session

__all__ = ["DEFAULT_SORT", "MAX_LIMIT", "MAX_OFFSET", "TargetPage", "list_targets"]

MAX_LIMIT = 200
#: Beyond it, pages are had by cursor.
MAX_OFFSET = 10_000
DEFAULT_SORT = "created_at"


@dataclass(frozen=True, slots=True)
class TargetPage:
    """Some targets, and how many there are."""

    results: list[Enrolled]
    total: int
    next: str | None
    """The cursor of the page behind; None on the last."""


def list_targets(
    session: Session,
    org_id: UUID,
    campaign_id: UUID,
    search: Search,
    *,
    sort: str = DEFAULT_SORT,
    direction: Literal["asc", "desc"] = "desc",
    limit: int = 10,
    offset: int = 0,
    cursor: str | None = None,
) -> TargetPage:
    """Targets from `offset` on, or behind `cursor`, which was given out for the same order.

    Raises:
        NotFound: there is no such campaign.
        Invalid: an argument cannot be used.
    """
    if not 1 <= limit <= MAX_LIMIT:
        raise Invalid("limit", f"must be between 1 and {MAX_LIMIT}")
    if not 0 <= offset <= MAX_OFFSET:
        raise Invalid("offset", f"must be between 0 and {MAX_OFFSET}; beyond, go on with meta.next as cursor")
    order = order_of(session, sort, descending=direction == "desc")
    check_campaign(session, org_id, campaign_id)
    wanted = conditions(session, org_id, campaign_id, search)
    behind: list[ColumnElement[bool]] = []
    total = None
    if cursor is not None:
        position, total = _position(cursor, order)
        behind = [order.behind(*position)]
        offset = 0
    if total is None:
        total = _count(session, org_id, wanted, of_customers=search.of_customers)
    found = session.execute(
        with_customer(org_id)
        .add_columns(order.value.label("sorted_by"))
        .where(*wanted, *behind)
        .order_by(*order.clauses())
        .limit(limit + 1)
        .offset(offset)
    ).all()
    results = [Enrolled(row[0], row[1]) for row in found[:limit]]
    last = found[limit - 1] if len(found) > limit else None
    return TargetPage(
        results,
        total,
        None
        if last is None
        else encode_cursor([order.key, order.written(last[2]), str(last[0].entity_id), total]),
    )


def _count(
    session: Session, org_id: UUID, wanted: Sequence[ColumnElement[bool]], *, of_customers: bool
) -> int:
    statement = select(func.count()).select_from(Recipient)
    if of_customers:
        statement = statement.outerjoin(Entity, of_target(org_id))
    return int(session.execute(statement.where(*wanted)).scalar_one())


def _position(cursor: str, order: Order) -> tuple[tuple[Any, UUID], int]:
    try:
        key, value, entity_id, total = decode_cursor(cursor)
        if key == order.key:
            return (order.read(value), UUID(entity_id)), int(total)
    except (ValueError, TypeError, AttributeError, OverflowError, Invalid):
        pass
    raise Invalid("cursor", "is not one that this list gave out, in this order")
