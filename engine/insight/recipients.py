"""A campaign's recipients, a page at a time (docs/contract/targeting.md, operation 12).

Promises:
- Pages are cut by key: by entity, or where the list is filtered by automation status by the place in delivery (job,
  slice, entity: engine.delivery.by_status). Recipients that come, go or change status meanwhile make nobody else appear
  twice or not at all.
- A page reads a range of one index that is in key order, from the cursor on; filtered by automation status, slices that
  hold some. Filters that neither serves (a title, a second status) are tried on the way.
- The total of a list that is filtered by automation status, or not at all, comes from counters. Any other is counted
  once, at the first page, and the cursor carries it: `total` stays what it was while somebody pages through.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

from sqlalchemy import func, select

from engine.delivery.by_status import Place, count_by_status, find_by_status
from engine.engagement.email import EmailStatus
from engine.filters.predicate import holds_text
from engine.insight.email import outcome_of, sends_email
from engine.insight.progress import campaign_progress, unplanned
from engine.insight.recipient_contacts import is_known_by
from engine.kernel.inputs import Invalid
from engine.kernel.listing import Found, Page, check_limit, decode_cursor, encode_cursor, search
from engine.kernel.rule_violations import RuleCode, RuleViolation
from engine.kernel.suggestions import did_you_mean
from state.tables import Campaign, Recipient
from state.transitions import AutomationStatus, PortalStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from enum import StrEnum

    from sqlalchemy import ColumnElement
    from sqlalchemy.orm import Session

__all__ = ["list_recipients", "search_recipients"]


def list_recipients(
    session: Session,
    org_id: UUID,
    campaign_id: UUID,
    *,
    limit: int = 25,
    next: str | None = None,  # noqa: A002 - the word of the contract
    q: str | None = None,
    known_by: str | None = None,
    automation_status: Sequence[str] = (),
    portal_status: str | None = None,
    email_status: str | None = None,
    error_code: str | None = None,
    touchpoint_id: UUID | None = None,
) -> Page[Recipient]:
    """Recipients, `limit` (1..1000) at a time; `next` is the cursor of an earlier page of the same list.

    Filters, all of which must hold: `q` is in the title, whatever its case; `known_by` is there, or in the external id,
    e-mail address or phone number; `automation_status` is one of these (empty: any); `portal_status` and
    `email_status` (engine.insight.email) are these; `error_code` is what they ended with; `touchpoint_id` is the step
    that they are at, or ended at.

    Raises:
        RuleViolation: CAMPAIGN_NOT_FOUND.
        Invalid: an argument cannot be used.
    """
    check_limit(limit)
    known = select(Campaign.id).where(Campaign.id == campaign_id, Campaign.org_id == org_id)
    if session.execute(known).first() is None:
        raise RuleViolation(RuleCode.CAMPAIGN_NOT_FOUND, f"campaign {campaign_id} does not exist")
    # Soft-deleted targets are no recipients until they are restored.
    ours = [Recipient.org_id == org_id, Recipient.deleted_at.is_(None)]
    wanted = _filters(session, org_id, campaign_id, q, automation_status, portal_status, email_status)
    if known_by:
        wanted.others.append(is_known_by(session, known_by))
    if error_code is not None:
        wanted.others.append(Recipient.error_code == error_code)
    if touchpoint_id is not None:
        wanted.others.append(Recipient.touchpoint_id == touchpoint_id)
    if wanted.statuses is None:
        return _by_key(
            session, org_id, campaign_id, [*ours, *wanted.others], bool(wanted.others), limit, next
        )
    return _by_place(session, org_id, campaign_id, ours, wanted, limit, next)


def search_recipients(
    session: Session,
    org_id: UUID,
    campaign_id: UUID,
    text: str,
    *,
    limit: int = 25,
    next: str | None = None,  # noqa: A002 - the word of the contract
    automation_status: Sequence[str] = (),
    portal_status: str | None = None,
    error_code: str | None = None,
    touchpoint_id: UUID | None = None,
) -> Found[Recipient]:
    """Those whose title, external id, e-mail address or phone number hold `text`, in any case, and for whom the filters
    of `list_recipients` hold. A page looks at a bounded number of recipients (engine.kernel.listing.search).

    Raises:
        Invalid: an argument cannot be used.
    """
    ours = [Recipient.campaign_id == campaign_id, Recipient.org_id == org_id, Recipient.deleted_at.is_(None)]
    where: list[ColumnElement[bool]] = [is_known_by(session, text)]
    if automation_status:
        words = [_word("automation_status", word, AutomationStatus) for word in automation_status]
        where.append(Recipient.status.in_(words))
    if portal_status is not None:
        where.append(Recipient.portal_status == _word("portal_status", portal_status, PortalStatus))
    if error_code is not None:
        where.append(Recipient.error_code == error_code)
    if touchpoint_id is not None:
        where.append(Recipient.touchpoint_id == touchpoint_id)
    return search(session, Recipient, Recipient.entity_id, ours, where, limit=limit, next=next)


#: What a column of numbers holds.
_LARGEST = 2**31


class _Filters(NamedTuple):
    """What a list is of."""

    statuses: Sequence[AutomationStatus] | None
    """By these automation statuses it is found; None: by its other conditions."""
    others: list[ColumnElement[bool]]


def _filters(
    session: Session,
    org_id: UUID,
    campaign_id: UUID,
    q: str | None,
    automation_status: Sequence[str],
    portal_status: str | None,
    email_status: str | None,
) -> _Filters:
    others: list[ColumnElement[bool]] = []
    statuses = {
        AutomationStatus(_word("automation_status", word, AutomationStatus)) for word in automation_status
    }
    chosen = statuses or None
    indexed = False
    if q:
        others.append(holds_text(session, q, Recipient.title))
    if portal_status is not None:
        others.append(Recipient.portal_status == _word("portal_status", portal_status, PortalStatus))
        indexed = True
    if email_status is not None:
        reported = EmailStatus(_word("email_status", email_status, EmailStatus))
        outcome = outcome_of(reported)
        if outcome is None:
            others.append(Recipient.email_status == reported)
            indexed = True
        else:
            mails = sends_email(session, org_id, campaign_id)
            chosen = {outcome} & (statuses or {outcome}) if mails else set()
            others.append(Recipient.email_status.is_(None))
    if chosen is not None and indexed:
        return _Filters(None, [*others, Recipient.status.in_(sorted(chosen))])
    return _Filters(None if chosen is None else sorted(chosen), others)


def _by_key(
    session: Session,
    org_id: UUID,
    campaign_id: UUID,
    conditions: Sequence[ColumnElement[bool]],
    filtered: bool,
    limit: int,
    cursor: str | None,
) -> Page[Recipient]:
    """A page by entity id."""
    conditions = [Recipient.campaign_id == campaign_id, *conditions]
    known = _cursor(cursor, parts=2)
    if not filtered:
        total = _counted(session, org_id, campaign_id, ())
    elif known is None:
        total = session.execute(select(func.count()).select_from(Recipient).where(*conditions)).scalar_one()
    else:
        total = known.total
    behind = [] if known is None else [Recipient.entity_id > known.place.entity_id]
    found = list(
        session.scalars(
            select(Recipient).where(*conditions, *behind).order_by(Recipient.entity_id).limit(limit + 1)
        )
    )
    return _page(found, limit, lambda last: [str(last.entity_id), total], total)


def _by_place(
    session: Session,
    org_id: UUID,
    campaign_id: UUID,
    ours: Sequence[ColumnElement[bool]],
    wanted: _Filters,
    limit: int,
    cursor: str | None,
) -> Page[Recipient]:
    """A page by the place in delivery."""
    statuses = wanted.statuses
    if not statuses:
        return Page([], None, 0)
    conditions = (*ours, *wanted.others)
    known = _cursor(cursor, parts=4)
    if known is not None:
        total = known.total
    elif wanted.others:
        total = count_by_status(session, campaign_id, statuses, *conditions)
    else:
        total = _counted(session, org_id, campaign_id, statuses)
    after = None if known is None else known.place
    found = find_by_status(session, campaign_id, statuses, *conditions, most=limit + 1, after=after)

    def cut(last: Recipient) -> list[Any]:
        job_id, number, entity_id = Place.of(last)
        return [str(entity_id), total, None if job_id is None else str(job_id), number]

    return _page(found, limit, cut, total)


def _page(
    found: list[Recipient], limit: int, cut: Callable[[Recipient], list[Any]], total: int
) -> Page[Recipient]:
    """A page of the first `limit` of one more."""
    results = found[:limit]
    more = len(found) > limit
    return Page(results, encode_cursor(cut(results[-1])) if more else None, total)


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
    others = unplanned(session, campaign_id)
    deleted = [
        Recipient.campaign_id == campaign_id,
        Recipient.org_id == org_id,
        Recipient.deleted_at.is_not(None),
    ]
    if statuses:
        deleted.append(Recipient.status.in_(statuses))
        counted = sum(progress.counts[status] + others[status] for status in statuses)
    else:
        counted = progress.total + others.total()
    gone: int = session.execute(select(func.count()).select_from(Recipient).where(*deleted)).scalar_one()
    return counted - gone


class _Cursor(NamedTuple):
    """Where a page begins."""

    place: Place
    total: int


def _cursor(cursor: str | None, *, parts: int) -> _Cursor | None:
    """What an earlier page gave out: its last entity and the total, and of a list by place its job and slice."""
    if cursor is None:
        return None
    try:
        given: list[Any] = [*decode_cursor(cursor), *[None] * (4 - parts)]
        entity_id, total, job_id, number = given
        job = None if job_id is None else UUID(job_id)
        found = _Cursor(Place(job, None if job is None else int(number), UUID(entity_id)), int(total))
    except (ValueError, TypeError, AttributeError, OverflowError):
        raise Invalid("next", "is not a cursor that this list gave out") from None
    if not (0 <= found.total < _LARGEST and 0 <= (found.place.number or 0) < _LARGEST):
        raise Invalid("next", "is not a cursor that this list gave out")
    return found
