"""A campaign's recipients, a page at a time (contract.md §1, operation 12).

Promises:
- Pages are cut by key (campaign, entity). Recipients that come, go or change status meanwhile make nobody
  else appear twice or not at all.
- A page reads a range of one index that is in key order, from the cursor on; filtered by several automation
  statuses, the beginning of one such range for each, merged. Filters that no index holds (a title, a second
  status) are tried on the way.
- The total of a list that is filtered by automation status, or not at all, comes from counters. Any other is counted
  once, at the first page, and the cursor carries it: `total` stays what it was while somebody pages through.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from sqlalchemy import func, select, union_all

from engine.campaigns.errors import Refusal, Refused
from engine.inputs import Invalid
from engine.insight.email import EmailStatus, has_status, sends_email
from engine.insight.progress import campaign_progress
from engine.listing import Page, check_limit, decode_cursor, encode_cursor
from engine.suggestions import did_you_mean
from state.tables import Campaign, Recipient
from state.transitions import AutomationStatus, PortalStatus

if TYPE_CHECKING:
    from collections.abc import Sequence
    from enum import StrEnum

    from sqlalchemy import ColumnElement, Select
    from sqlalchemy.orm import Session

__all__ = ["list_recipients"]


def list_recipients(
    session: Session,
    org_id: UUID,
    campaign_id: UUID,
    *,
    limit: int = 25,
    next: str | None = None,  # noqa: A002 - the word of the contract
    q: str | None = None,
    automation_status: Sequence[str] = (),
    portal_status: str | None = None,
    email_status: str | None = None,
) -> Page[Recipient]:
    """Recipients by entity id, `limit` (1..1000) at a time; `next` is an earlier page's cursor.

    Filters, all of which must hold: `q` is in the title, whatever its case; `automation_status` is one of
    these (empty: any); `portal_status` and `email_status` (engine.insight.email) are these.

    Raises:
        Refused: CAMPAIGN_NOT_FOUND.
        Invalid: an argument cannot be used.
    """
    check_limit(limit)
    known = select(Campaign.id).where(Campaign.id == campaign_id, Campaign.org_id == org_id)
    if session.execute(known).first() is None:
        raise Refused(Refusal.CAMPAIGN_NOT_FOUND, f"campaign {campaign_id} does not exist")
    # Soft-deleted targets are no recipients until they are restored.
    ours = [
        Recipient.campaign_id == campaign_id,
        Recipient.org_id == org_id,
        Recipient.deleted_at.is_(None),
    ]
    statuses = sorted({_word("automation_status", word, AutomationStatus) for word in automation_status})
    others = _others(session, org_id, campaign_id, q, portal_status, email_status)
    in_status = [Recipient.automation_status.in_(statuses)] if statuses else []
    after, total = _position(next)
    if not others and (total is None or not statuses):
        total = _counted(session, org_id, campaign_id, statuses)
    elif total is None:
        total = session.execute(
            select(func.count()).select_from(Recipient).where(*ours, *others, *in_status)
        ).scalar_one()
    behind = [] if after is None else [Recipient.entity_id > after]
    found = list(session.scalars(_page([*ours, *others, *behind], statuses, limit + 1)))
    results = found[:limit]
    more = len(found) > limit
    return Page(results, encode_cursor([str(results[-1].entity_id), total]) if more else None, total)


def _page(conditions: Sequence[ColumnElement[bool]], statuses: Sequence[str], most: int) -> Select[Recipient]:
    """The first recipients by key. Of several statuses the first of each, by the index on (campaign_id,
    automation_status, entity_id), and of these the first: no more than `most` entries a status are read.
    """
    if len(statuses) <= 1:
        only = [Recipient.automation_status == status for status in statuses]
        return select(Recipient).where(*conditions, *only).order_by(Recipient.entity_id).limit(most)
    heads = [
        select(Recipient.campaign_id, Recipient.entity_id)
        .where(*conditions, Recipient.automation_status == status)
        .order_by(Recipient.entity_id)
        .limit(most)
        .subquery()
        for status in statuses
    ]
    merged = union_all(*(select(head.c.campaign_id, head.c.entity_id) for head in heads)).subquery("merged")
    first = select(merged).order_by(merged.c.entity_id).limit(most).subquery("first")
    return (
        select(Recipient)
        .join(
            first,
            (Recipient.campaign_id == first.c.campaign_id) & (Recipient.entity_id == first.c.entity_id),
        )
        .order_by(Recipient.entity_id)
    )


def _others(
    session: Session,
    org_id: UUID,
    campaign_id: UUID,
    q: str | None,
    portal_status: str | None,
    email_status: str | None,
) -> list[ColumnElement[bool]]:
    """The conditions of the filters that are not about the automation's status."""
    filters: list[ColumnElement[bool]] = []
    if q:
        filters.append(Recipient.title.icontains(q, autoescape=True))
    if portal_status is not None:
        filters.append(Recipient.portal_status == _word("portal_status", portal_status, PortalStatus))
    if email_status is not None:
        wanted = EmailStatus(_word("email_status", email_status, EmailStatus))
        filters.append(has_status(wanted, mails=sends_email(session, org_id, campaign_id)))
    return filters


def _word(field: str, word: str, words: type[StrEnum]) -> str:
    known = [str(word) for word in words]
    if word not in known:
        raise Invalid(field, f"{word[:64]!r} is none of {', '.join(known)}{did_you_mean(word, known)}")
    return word


def _counted(session: Session, org_id: UUID, campaign_id: UUID, statuses: Sequence[str]) -> int:
    """Those that jobs count, and those that no job made (portal only: index ix_recipient_unplanned), without the
    soft-deleted ones (index ix_recipient_deleted). Of all statuses, if none is named.
    """
    progress = campaign_progress(session, org_id, campaign_id)
    ours = [Recipient.campaign_id == campaign_id, Recipient.org_id == org_id]
    if statuses:
        ours.append(Recipient.automation_status.in_(statuses))
    unplanned, deleted = (
        session.execute(select(func.count()).select_from(Recipient).where(*ours, which)).scalar_one()
        for which in (Recipient.job_id.is_(None), Recipient.deleted_at.is_not(None))
    )
    counted = sum(progress.counts[status] for status in statuses) if statuses else progress.total
    return counted + unplanned - deleted


def _position(cursor: str | None) -> tuple[UUID | None, int | None]:
    if cursor is None:
        return None, None
    try:
        entity_id, total = decode_cursor(cursor)
        return UUID(entity_id), int(total)
    except (ValueError, TypeError, AttributeError):
        raise Invalid("next", "is not a cursor that this list gave out") from None
