"""Events that others report, taken in batches (docs/contract/own-routes.md).

Promises:
- An event is taken once by its id. The id is reserved in the transaction that takes it, so of two at once one waits
  and finds it taken; what was about nobody is not taken, and may be sent again when it is about somebody.
- A batch is one transaction. What is wrong with an item, or whom it is not about, is reported by its position; the
  others are kept.
- The number of statements depends on the number of schemas among changed entities, and on nothing else.
- A conversion is put down to the latest message before it within the campaign's window (`attribution_days`); one that
  names its campaign to that campaign, and where that sends nothing, within the window of the enrolment.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal

from sqlalchemy import String, Uuid, delete, literal, select, true, tuple_

from engine.audience.changes import change_entities
from engine.audience.suppression_list import read_address, regions_of
from engine.delivery.enrol import guard
from engine.engagement.email import medium_of
from engine.engagement.engagement import Medium
from engine.engagement.feedback import Feedback
from engine.engagement.suppression import Barred, bar
from engine.inbound.attribution import Credit, credit
from engine.inbound.cloudevents import is_cloud_event, read_cloud_event
from engine.inbound.consequences import ReportedFeedback, reason_to_bar, take
from engine.inbound.reported_addresses import reached
from engine.inbound.reported_events import SKEW, Conversion, EntityChanged, MessageReport, read_reported
from engine.kernel.inputs import Invalid
from engine.kernel.media import Regions, medium_of_kind
from state.change import clock_of
from state.sets import among, insert_into, rows
from state.tables import Entity, TakenEvent
from state.types import UtcDateTime

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy.orm import Session

    from engine.answers.classify import Classifier
    from engine.inbound.reported_events import Reported

__all__ = ["KEPT", "MOST", "Answer", "forget_events", "take_events"]

#: Events of one batch.
MOST = 1000
#: How long an id is known.
KEPT = timedelta(days=30)


@dataclass(slots=True)
class Answer:
    """What became of one event."""

    index: int
    status: Literal["accepted", "duplicate", "ignored", "rejected"]
    id: str | None = None
    message: str | None = None
    campaign_id: UUID | None = None
    recipient_id: UUID | None = None

    def ignore(self, why: str) -> None:
        """It is about nobody; it may be sent again."""
        self.status, self.message = "ignored", why

    def reject(self, error: Invalid) -> None:
        """It cannot be used."""
        self.status, self.message = "rejected", str(error)


#: An event, when it happened, and its answer.
_Item = tuple[Any, "datetime", Answer]


def take_events(session: Session, org_id: UUID, items: Sequence[Any], classifier: Classifier) -> list[Answer]:
    """Take a batch; an answer for each item, in order.

    Args:
        classifier: Says which bounces bar an address.

    Raises:
        Invalid: there are more than `MOST`.
    """
    if len(items) > MOST:
        raise Invalid("body", f"has {len(items)} events; at most {MOST} are taken at once")
    answers = [Answer(index, "accepted") for index in range(len(items))]
    events = _reserved(session, org_id, _read(session, items, answers))
    changed = [item for item in events if isinstance(item[0], EntityChanged)]
    if changed:
        guard(session, org_id, activates=False)  # before any row is held
        _change(session, org_id, changed)
    reports = [item for item in events if isinstance(item[0], MessageReport)]
    reported = _messages(session, org_id, reports, classifier)
    reported += _conversions(session, org_id, [item for item in events if isinstance(item[0], Conversion)])
    if reported:
        taken = take(session, org_id, [one for one, _ in reported])
        for position, (_, answer) in enumerate(reported):
            if position not in taken.new and answer.status == "accepted":
                answer.status = "duplicate"
    _release(session, org_id, [answer for _, _, answer in events])
    return answers


def forget_events(session: Session, *, most: int = 10_000) -> int:
    """Forget ids that are older than `KEPT`; returns how many. Index taken_event (taken_at)."""
    old = (
        select(TakenEvent.org_id, TakenEvent.event_id)
        .where(TakenEvent.taken_at < clock_of(session).now() - KEPT)
        .order_by(TakenEvent.taken_at)
        .limit(most)
    )
    statement = delete(TakenEvent).where(tuple_(TakenEvent.org_id, TakenEvent.event_id).in_(old))
    return int(session.execute(statement.execution_options(synchronize_session=False)).rowcount)  # type: ignore[attr-defined]


def _read(session: Session, items: Sequence[Any], answers: list[Answer]) -> list[_Item]:
    now = clock_of(session).now()
    events: list[_Item] = []
    known: set[str] = set()
    for item, answer in zip(items, answers, strict=True):
        if isinstance(item, dict) and isinstance(item.get("id"), str):
            answer.id = item["id"][:200]
        try:
            event: Reported = read_reported(read_cloud_event(item) if is_cloud_event(item) else item)
            at = event.happened(now)
        except Invalid as error:
            answer.reject(error)
            continue
        answer.id = event.id
        if event.id in known:
            answer.status = "duplicate"
            continue
        known.add(event.id)
        events.append((event, at, answer))
    return events


def _reserved(session: Session, org_id: UUID, events: list[_Item]) -> list[_Item]:
    """Those whose ids nobody has taken; they are ours until the transaction ends. In one order, so that two batches
    never wait in a ring.
    """
    if not events:
        return []
    given = rows(session, {"event_id": String}, sorted((event.id,) for event, _, _ in events))
    now = literal(clock_of(session).now(), UtcDateTime())
    chosen = select(literal(org_id, Uuid), given.c.event_id, now).where(true()).order_by(given.c.event_id)
    fresh = set(
        session.scalars(
            insert_into(session, TakenEvent)
            .from_select(["org_id", "event_id", "taken_at"], chosen)
            .on_conflict_do_nothing()
            .returning(TakenEvent.event_id)
        )
    )
    for event, _, answer in events:
        if event.id not in fresh:
            answer.status = "duplicate"
    return [item for item in events if item[0].id in fresh]


def _release(session: Session, org_id: UUID, answers: list[Answer]) -> None:
    """Let go of the reserved ids that nothing came of."""
    ids = [answer.id for answer in answers if answer.status in ("ignored", "rejected")]
    if ids:
        session.execute(
            delete(TakenEvent)
            .where(TakenEvent.org_id == org_id, among(session, TakenEvent.event_id, ids))
            .execution_options(synchronize_session=False)
        )


def _change(session: Session, org_id: UUID, events: list[_Item]) -> None:
    by_schema: dict[str, list[_Item]] = defaultdict(list)
    for item in events:
        by_schema[item[0].entity_schema].append(item)
    for schema, its in sorted(by_schema.items()):
        errors = change_entities(session, org_id, schema, [event.given for event, _, _ in its])
        for (_, _, answer), error in zip(its, errors, strict=True):
            if error is not None:
                answer.reject(error)


def _messages(
    session: Session, org_id: UUID, events: list[_Item], classifier: Classifier
) -> list[tuple[ReportedFeedback, Answer]]:
    """What messages' events come to; addresses without a recipient are barred at once."""
    regions = regions_of(session, org_id) if events else Regions()
    about = [item for item in events if item[0].pair is not None]
    bar(session, org_id, _alone([item for item in events if item[0].pair is None], classifier, regions))
    reported: list[tuple[ReportedFeedback, Answer]] = []
    found = reached(session, org_id, [(event.pair, at, event.address) for event, at, _ in about])
    for (event, at, answer), how in zip(about, found, strict=True):
        if how is None:
            answer.ignore("there is no such recipient")
            continue
        begins = how.standing.begins(event.touchpoint_id)
        if at < begins - SKEW:
            answer.reject(Invalid("at", f"is before the message was sent, at {begins.isoformat()}"))
            continue
        campaign_id, entity_id = event.pair
        answer.campaign_id, answer.recipient_id = campaign_id, entity_id
        kind = event.channel or how.channel_kind
        reason = reason_to_bar(event.kind, event.verdict(classifier))
        barred_key = how.key
        if reason is not None and event.address is not None and kind is not None:
            own = how.medium if kind == how.channel_kind else None
            try:
                barred_key = read_address(own or medium_of_kind(kind), event.address, regions)
            except Invalid as error:
                answer.reject(error)
                continue
        barred = None
        if reason is not None and barred_key is not None:
            barred = Barred(*barred_key, reason, channel_kind=kind)
        report = Feedback(
            campaign_id=campaign_id,
            entity_id=entity_id,
            kind=event.kind,
            at=at,
            event_id=f"event:{event.id}",
            bounce_type=event.bounce_type,
            bounce_subtype=event.bounce_subtype,
            complaint_type=event.complaint_type,
            reason=event.reason,
            url=event.url,
            touchpoint_id=event.touchpoint_id,
            channel=medium_of(kind) if kind is not None else Medium.OTHER,
            bot="reported" if event.bot else None,
        )
        reported.append((ReportedFeedback(report, barred), answer))
    return reported


def _alone(events: list[_Item], classifier: Classifier, regions: Regions) -> list[Barred]:
    """Addresses that are barred without a recipient."""
    found: list[Barred] = []
    for event, _, answer in events:
        reason = reason_to_bar(event.kind, event.verdict(classifier))
        try:
            key = read_address(medium_of_kind(event.channel), event.address, regions)
        except Invalid as error:
            answer.reject(error)
            continue
        if reason is not None:
            found.append(Barred(*key, reason, channel_kind=event.channel))
    return found


def _conversions(
    session: Session, org_id: UUID, events: list[_Item]
) -> list[tuple[ReportedFeedback, Answer]]:
    entities = _entities(session, org_id, events)
    wanted: list[tuple[UUID, UUID | None, datetime]] = []
    known: list[_Item] = []
    for event, at, answer in events:
        entity_id = event.entity_id or entities.get((event.entity_schema, event.external_id))
        if entity_id is None:
            answer.ignore("there is no such entity")
            continue
        answer.recipient_id = entity_id
        wanted.append((entity_id, event.campaign_id, at))
        known.append((event, at, answer))
    reported: list[tuple[ReportedFeedback, Answer]] = []
    for (event, at, answer), found in zip(known, credit(session, org_id, wanted), strict=True):
        if not isinstance(found, Credit):
            answer.ignore(found)
            continue
        answer.campaign_id = found.campaign_id
        report = Feedback(
            campaign_id=found.campaign_id,
            entity_id=answer.recipient_id or found.campaign_id,
            kind="converted",
            at=at,
            event_id=f"event:{event.id}",
            touchpoint_id=found.touchpoint_id,
            channel=found.channel,
            revenue=event.units,
            currency=event.currency,
            name=event.name,
        )
        reported.append((ReportedFeedback(report), answer))
    return reported


def _entities(session: Session, org_id: UUID, events: list[_Item]) -> dict[tuple[str, str], UUID]:
    """Ids of the entities that are named by schema and external id. Unique key (org_id, schema, external_id)."""
    named = [event for event, _, _ in events if event.entity_id is None]
    if not named:
        return {}
    found = session.execute(
        select(Entity.schema, Entity.external_id, Entity.id).where(
            Entity.org_id == org_id,
            among(session, Entity.schema, {event.entity_schema for event in named}),
            among(session, Entity.external_id, {event.external_id for event in named}),
        )
    )
    return {(schema, external_id): entity_id for schema, external_id, entity_id in found if external_id}
