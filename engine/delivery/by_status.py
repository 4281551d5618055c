"""A campaign's recipients of some automation statuses, found without an index that holds the status.

Slices know how many of each status they hold (state/tables/delivery.py): a partial index a status names those that hold
some, and of these the recipients are read. In progress are recipients in flight as well (`Recipient.status`): the slice
is looked up for each that is pending or between two touchpoints. Recipients in no slice (reported by others, held out)
has an index of their own. The order is that of the places: job, slice number, entity; then those in no slice, by
entity.

What reading `most` recipients costs at worst: as many slices as that, each of which holds one, and 500 rows of each; at
best, where most of a slice have the status, a few rows more than `most`. Nothing depends on the campaign's size.
"""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import func, literal, or_, select, text, tuple_

from state.sets import among
from state.tables import Recipient, Slice
from state.tables.delivery import HOLDS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from uuid import UUID

    from sqlalchemy import ColumnElement
    from sqlalchemy.orm import Session

__all__ = ["Place", "count_by_status", "find_by_status", "sliced_with"]

#: Slices that are looked at together.
_AT_ONCE = 100


class Place(NamedTuple):
    """Where a recipient stands in the order."""

    job_id: UUID | None
    """None: in no slice."""
    number: int | None
    entity_id: UUID

    @classmethod
    def of(cls, row: Recipient) -> Place:
        """A recipient's."""
        if row.slice_number is None:
            return cls(None, None, row.entity_id)
        return cls(row.job_id, row.slice_number, row.entity_id)


def find_by_status(
    session: Session,
    campaign_id: UUID,
    statuses: Sequence[str],
    *only: ColumnElement[bool],
    most: int,
    after: Place | None = None,
) -> list[Recipient]:
    """The first `most` recipients in one of `statuses`, behind `after`.

    Args:
        only: Further conditions, which are tried on the way: where few fulfil them, much is read.
    """
    found: list[Recipient] = []
    if after is None or after.job_id is not None:
        for condition in _places(session, campaign_id, statuses, after, most):
            missing = most - len(found)
            if missing <= 0:
                break
            found += session.scalars(
                select(Recipient)
                .where(condition, Recipient.status.in_(statuses), *only)
                .order_by(Recipient.slice_number, Recipient.entity_id)
                .limit(missing)
            )
    if len(found) < most:
        behind = [Recipient.entity_id > after.entity_id] if after and after.job_id is None else []
        found += _unsliced(session, campaign_id, statuses, *only, *behind, most=most - len(found))
    return found


def count_by_status(
    session: Session, campaign_id: UUID, statuses: Sequence[str], *only: ColumnElement[bool]
) -> int:
    """How many there are that fulfil further conditions. Reads every recipient of the slices that hold some."""
    conditions = (
        (sliced_with(campaign_id, statuses), Recipient.status.in_(statuses)),
        (Recipient.campaign_id == campaign_id, Recipient.unsliced_status.in_(statuses)),
    )
    return sum(
        session.execute(select(func.count()).select_from(Recipient).where(*condition, *only)).scalar_one()
        for condition in conditions
    )


def sliced_with(campaign_id: UUID, statuses: Sequence[str]) -> ColumnElement[bool]:
    """The condition on a recipient that its slice holds some of these statuses."""
    places = select(Slice.job_id, Slice.number).where(
        Slice.campaign_id == campaign_id, or_(*(text(HOLDS[status]) for status in statuses))
    )
    return tuple_(Recipient.job_id, Recipient.slice_number).in_(places)


def _places(
    session: Session, campaign_id: UUID, statuses: Sequence[str], after: Place | None, most: int
) -> Iterator[ColumnElement[bool]]:
    """Conditions on recipients, each of one slice or several of one job, in order, that hold `most` at least or all."""
    last: tuple[UUID, int] | None = None
    if after is not None and after.job_id is not None and after.number is not None:
        last = (after.job_id, after.number)
        yield _in_slice(*last) & (Recipient.entity_id > after.entity_id)
    while True:
        slices = _slices(session, campaign_id, statuses, last, min(most, _AT_ONCE))
        if not slices:
            return
        taken: list[_Holding] = []
        for piece in slices:
            if taken and (piece.job_id != taken[0].job_id or sum(one.wanted for one in taken) >= most):
                yield _in_slices(session, taken)
                taken = []
            taken.append(piece)
        yield _in_slices(session, taken)
        last = (slices[-1].job_id, slices[-1].number)


class _Holding(NamedTuple):
    """A slice, and how many of the wanted it holds."""

    job_id: UUID
    number: int
    wanted: int


def _slices(
    session: Session,
    campaign_id: UUID,
    statuses: Sequence[str],
    after: tuple[UUID, int] | None,
    most: int,
) -> list[_Holding]:
    """The next slices that hold some. Of each status the first, by its index (campaign_id, job_id, number), and of
    these the first.
    """
    place = tuple_(Slice.job_id, Slice.number)
    counted = {
        "pending": Slice.size - Slice.success - Slice.failed - Slice.cancelled - Slice.in_progress,
        **{name: getattr(Slice, name) for name in HOLDS if name != "pending"},
    }
    count = sum((counted[status] for status in statuses), literal(0))
    found: dict[tuple[UUID, int], _Holding] = {}
    for status in statuses:
        statement = select(Slice.job_id, Slice.number, count).where(
            Slice.campaign_id == campaign_id, text(HOLDS[status])
        )
        if after is not None:
            statement = statement.where(
                place > tuple_(literal(after[0], Slice.job_id.type), literal(after[1]))
            )
        for row in session.execute(statement.order_by(Slice.job_id, Slice.number).limit(most)):
            found[(row.job_id, row.number)] = _Holding(*row)
    return [found[key] for key in sorted(found)[:most]]


def _in_slice(job_id: UUID, number: int) -> ColumnElement[bool]:
    return (Recipient.job_id == job_id) & (Recipient.slice_number == number)


def _in_slices(session: Session, slices: Sequence[_Holding]) -> ColumnElement[bool]:
    """The condition for the recipients of these slices of one job. Index (job_id, slice_number, entity_id)."""
    first = slices[0]
    if len(slices) == 1:
        return _in_slice(first.job_id, first.number)
    numbers = among(session, Recipient.slice_number, [one.number for one in slices])
    return (Recipient.job_id == first.job_id) & numbers


def _unsliced(
    session: Session, campaign_id: UUID, statuses: Sequence[str], *only: ColumnElement[bool], most: int
) -> list[Recipient]:
    """The first of those in no slice: of each status, by index ix_recipient_unsliced, and of these the first."""
    found: list[Recipient] = []
    for status in statuses:
        found += session.scalars(
            select(Recipient)
            .where(Recipient.campaign_id == campaign_id, Recipient.unsliced_status == status, *only)
            .order_by(Recipient.entity_id)
            .limit(most)
        )
    return sorted(found, key=attrgetter("entity_id"))[:most]
