"""Campaigns by page number, filtered, searched and sorted (docs/contract/campaigns-api.md).

A page number means an offset: rows that come or go meanwhile shift the pages behind them. Whoever must see everything
once takes the cursors of `engine.campaigns.campaigns.list_campaigns`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, or_, select

from engine.audience.comparisons import Holds
from engine.audience.predicate import dialect_of
from engine.inputs import Invalid
from engine.suggestions import did_you_mean
from state.tables import Campaign

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from uuid import UUID

    from sqlalchemy import ColumnElement
    from sqlalchemy.orm import Session

    from state.transitions import CampaignStatus

__all__ = ["MAX_PAGE", "MAX_PAGE_SIZE", "SORTABLE", "Found", "find_campaigns"]

MAX_PAGE_SIZE = 100
MAX_PAGE = 1_000_000_000

SORTABLE: Mapping[str, Any] = {
    "created_at": Campaign.created_at,
    "updated_at": Campaign.updated_at,
    "name": Campaign.name,
    "status": Campaign.status,
    "type": Campaign.type,
    "budget": Campaign.budget,
    "starts_at": Campaign.starts_at,
    "ends_at": Campaign.ends_at,
}


@dataclass(frozen=True, slots=True)
class Found:
    """One page."""

    rows: list[Campaign]
    total: int


def find_campaigns(
    session: Session,
    org_id: UUID,
    *,
    page: int = 1,
    limit: int = 20,
    statuses: Sequence[CampaignStatus] = (),
    type: str | None = None,  # noqa: A002 - the word of the contract
    search: str | None = None,
    sort: str = "created_at",
    descending: bool = True,
) -> Found:
    """The organization's campaigns: of `statuses` (empty: all) and `type`, with `search` in name or description
    whatever its case. Those without the value that is sorted by come last; equals are in a fixed order.

    Raises:
        Invalid: page, limit or sort cannot be used.
    """
    if not 1 <= page <= MAX_PAGE:
        raise Invalid("page", f"must be between 1 and {MAX_PAGE}")
    if not 1 <= limit <= MAX_PAGE_SIZE:
        raise Invalid("limit", f"must be between 1 and {MAX_PAGE_SIZE}")
    column = SORTABLE.get(sort)
    if column is None:
        raise Invalid("sort", f"{sort[:64]!r} is none of {', '.join(SORTABLE)}{did_you_mean(sort, SORTABLE)}")
    conditions: list[ColumnElement[bool]] = [Campaign.org_id == org_id]
    if statuses:
        conditions.append(Campaign.status.in_(statuses))
    if type is not None:
        conditions.append(Campaign.type == type)
    if search:
        holds = dialect_of(session).holds
        conditions.append(
            or_(
                holds(Campaign.name, Holds(search)),
                holds(func.coalesce(Campaign.description, ""), Holds(search)),
            )
        )
    total = session.execute(select(func.count()).select_from(Campaign).where(*conditions)).scalar_one()
    order = [
        column.is_(None),
        column.desc() if descending else column,
        Campaign.id.desc() if descending else Campaign.id,
    ]
    rows = session.scalars(
        select(Campaign).where(*conditions).order_by(*order).limit(limit).offset((page - 1) * limit)
    )
    return Found(list(rows), total)
