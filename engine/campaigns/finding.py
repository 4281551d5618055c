"""Campaigns, filtered and searched: by page number and sorted (docs/contract/campaigns-api.md), or by cursor.

A page number means an offset: rows that come or go meanwhile shift the pages behind them. A client that must see
everything once takes the cursors of `list_campaigns`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select

from engine.filters.predicate import holds_text
from engine.kernel import listing
from engine.kernel.inputs import Invalid
from engine.kernel.suggestions import did_you_mean
from state.tables import Campaign

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from uuid import UUID

    from sqlalchemy import ColumnElement
    from sqlalchemy.orm import Session

    from state.transitions import CampaignStatus

__all__ = [
    "MAX_PAGE",
    "MAX_PAGE_SIZE",
    "SORTABLE",
    "Found",
    "campaigns_beginning_with",
    "find_campaigns",
    "list_campaigns",
]

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
    conditions = [Campaign.org_id == org_id, *_which(session, statuses, search)]
    if type is not None:
        conditions.append(Campaign.type == type)
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


def list_campaigns(
    session: Session,
    org_id: UUID,
    *,
    limit: int = 25,
    next: str | None = None,  # noqa: A002
    statuses: Sequence[CampaignStatus] = (),
    q: str | None = None,
) -> listing.Page[Campaign]:
    """Newest first, by cursor; of `statuses` only (empty: all), with `q` in name or description, whatever its case."""
    return listing.page(session, Campaign, org_id, *_which(session, statuses, q), limit=limit, next=next)


def campaigns_beginning_with(session: Session, org_id: UUID, name: str) -> Sequence[Campaign]:
    """The campaigns whose names begin so, newest first."""
    ours = select(Campaign).where(Campaign.org_id == org_id, Campaign.name.startswith(name, autoescape=True))
    return session.scalars(ours.order_by(Campaign.created_at.desc())).all()


def _which(
    session: Session, statuses: Sequence[CampaignStatus], text: str | None
) -> list[ColumnElement[bool]]:
    """Of these statuses (empty: all), with the text in name or description."""
    conditions: list[ColumnElement[bool]] = []
    if statuses:
        conditions.append(Campaign.status.in_(statuses))
    if text:
        conditions.append(holds_text(session, text, Campaign.name, Campaign.description))
    return conditions
