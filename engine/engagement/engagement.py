"""The engagement log: what recipients did, written once, and its sums by hour.

Promises:
- A row is never changed or taken back; sums and rows are written in one transaction, so a recount says the same.
- What a scanner did is kept and counted apart (`bots`): it neither opens nor clicks for anybody.
- What does not say which message it is about is put down to the latest one before it.
- Reports come from outside and come twice: an event id is taken once in an organization (`known_events`).
- Callers hold the rows of the recipients they write about, so of two at once the second sees the first, and
  `EngagementHour.recipients` counts nobody twice.

Statistics read the sums; a recipient's timeline reads the log.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from sqlalchemy import func, insert, select, update

from engine.engagement.erased import erased_among
from engine.engagement.messages import pairs, standings
from engine.engagement.stages import moved_to
from engine.events.outbox import emits_recipient_events, record_recipients
from engine.events.payloads import instant
from engine.kernel.money import major
from state.change import clock_of
from state.sets import among, insert_into
from state.tables import Engagement, EngagementHour, Recipient
from state.transitions import TargetStage
from state.types import NIL_UUID

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy import Table
    from sqlalchemy.orm import Session

    from engine.engagement.messages import Pair, Standing

__all__ = ["Engaged", "Kind", "Medium", "known_events", "note", "sums"]


class Medium(StrEnum):
    """Where it happened: e-mail whatever sent it, else the kind of the channel."""

    EMAIL = "email"
    PORTAL = "portal"
    ENTITY_UI = "entity_ui"
    SMS = "sms"
    WHATSAPP = "whatsapp"
    TELEGRAM = "telegram"
    VOICE = "voice"
    HTTP = "http"
    APPRISE = "apprise"
    OTHER = "other"


#: Where nothing is a message.
_SHOWN = frozenset((Medium.PORTAL, Medium.ENTITY_UI))


class Kind(StrEnum):
    """What happened. A portal's statuses keep their own words."""

    SENT = "sent"
    DELIVERED = "delivered"
    READ = "read"
    SEEN = "seen"
    CLICKED = "clicked"
    DISMISSED = "dismissed"
    RESTORED = "restored"
    DELAYED = "delayed"
    BOUNCED = "bounced"
    COMPLAINED = "complained"
    UNSUBSCRIBED = "unsubscribed"
    RESUBSCRIBED = "resubscribed"
    REPLIED = "replied"
    CONVERTED = "converted"
    CALL_ATTEMPT = "call_attempt"
    VERIFIED = "verified"


#: What a recipient does who has been reached (engine.engagement.stages).
_ANSWERS = frozenset((Kind.CLICKED, Kind.REPLIED, Kind.CONVERTED))
_TOLD_ELSEWHERE = frozenset((Kind.SENT, Kind.UNSUBSCRIBED, Kind.RESUBSCRIBED))


class Engaged(NamedTuple):
    """One thing to write down."""

    campaign_id: UUID
    entity_id: UUID
    channel: Medium
    kind: Kind
    at: datetime
    event_id: str | None = None
    data: dict[str, Any] | None = None
    touchpoint_id: UUID | None = None
    """The message it is about; absent: the latest before it."""
    bot: bool = False
    revenue: int | None = None
    """Of a conversion, in the currency's smallest unit."""
    currency: str | None = None


class _Place(NamedTuple):
    """The key of a sum, in the order of the table's."""

    campaign_id: UUID
    channel: str
    kind: str
    hour: datetime
    touchpoint_id: UUID
    variant: str
    target_id: UUID
    currency: str


@dataclass(slots=True)
class _Sum:
    """What is to be added there."""

    events: int = 0
    recipients: int = 0
    touchpoint_recipients: int = 0
    bots: int = 0
    revenue: int = 0


#: As a table: the ORM would write rows apart that lack different things.
_engagement = cast("Table", Engagement.__table__)
_ADDED = ("events", "recipients", "touchpoint_recipients", "bots", "revenue")


def known_events(session: Session, org_id: UUID, event_ids: Iterable[str]) -> set[str]:
    """Those of the event ids that were taken already. Unique key (org_id, event_id)."""
    wanted = list(event_ids)
    if not wanted:
        return set()
    statement = select(Engagement.event_id).where(
        Engagement.org_id == org_id, among(session, Engagement.event_id, wanted)
    )
    return {str(event_id) for event_id in session.scalars(statement)}


def note(session: Session, org_id: UUID, happened: Sequence[Engaged]) -> None:
    """Write what happened, and sum it; webhooks get an event. Eight statements whatever the number; call it last in a
    transaction, because everybody who writes about a campaign in this hour meets at the sums.
    """
    if not happened:
        return
    people = {(one.campaign_id, one.entity_id) for one in happened}
    erased = erased_among(session, org_id, {entity_id for _, entity_id in people})
    happened = [one._replace(data=None) if one.entity_id in erased else one for one in happened]
    known = standings(session, org_id, people)
    placed = [_placed(one, known.get((one.campaign_id, one.entity_id))) for one in happened]
    now = clock_of(session).now()
    added = _added(placed, _earlier(session, people))
    session.execute(
        insert(_engagement),
        [
            {
                "org_id": org_id,
                "campaign_id": one.campaign_id,
                "entity_id": one.entity_id,
                "channel": one.channel.value,
                "kind": one.kind.value,
                "happened_at": one.at,
                "event_id": one.event_id,
                "data": one.data,
                "created_at": now,
                "touchpoint_id": _somebody(place.touchpoint_id),
                "variant": place.variant or None,
                "target_id": _somebody(place.target_id),
                "bot": one.bot,
                "revenue": one.revenue,
                "currency": one.currency,
            }
            for one, place in placed
        ],
    )
    given = insert_into(session, EngagementHour).values(
        [
            {"org_id": org_id, **place._asdict(), **{name: getattr(added[place], name) for name in _ADDED}}
            for place in sorted(added)  # one order, so that two writers never wait in a circle
        ]
    )
    session.execute(
        given.on_conflict_do_update(
            index_elements=list(_Place._fields),
            set_={name: getattr(EngagementHour, name) + given.excluded[name] for name in _ADDED},
        ).execution_options(synchronize_session=False)
    )
    _engage(session, happened)
    if emits_recipient_events(session, org_id):
        _tell(session, org_id, happened)


def _engage(session: Session, happened: Sequence[Engaged]) -> None:
    """Enrolled targets who answered are engaged. One statement, where anybody answered at all. Primary key."""
    answered = {(one.campaign_id, one.entity_id) for one in happened if one.kind in _ANSWERS and not one.bot}
    if answered:
        given = pairs(session, answered)
        session.execute(
            update(Recipient)
            .where(
                Recipient.campaign_id == given.c.campaign_id,
                Recipient.entity_id == given.c.entity_id,
                Recipient.stage.is_not(None),
            )
            .values(stage=moved_to(TargetStage.ENGAGED))
            .execution_options(synchronize_session=False)
        )


def _tell(session: Session, org_id: UUID, happened: Sequence[Engaged]) -> None:
    """One event a campaign and kind. Of subscriptions and of what was sent others tell, of scanners nobody."""
    kinds: dict[tuple[UUID, Kind], list[dict[str, Any]]] = defaultdict(list)
    for one in happened:
        if one.kind not in _TOLD_ELSEWHERE and not one.bot:
            # What was said in a call is the timeline's and the analysis's; receivers do not get it.
            details = {name: value for name, value in (one.data or {}).items() if name != "meta"}
            if one.revenue is not None:
                details["revenue"] = str(major(one.revenue, one.currency or ""))
            if one.currency is not None:
                details["currency"] = one.currency
            kinds[one.campaign_id, one.kind].append(
                {
                    "recipient_id": str(one.entity_id),
                    "channel": one.channel.value,
                    "at": instant(one.at.astimezone(UTC)),
                    **({"details": details} if details else {}),
                }
            )
    for (campaign_id, kind), people in sorted(kinds.items()):
        record_recipients(session, org_id, f"recipient.{kind.value}", people, campaign_id=campaign_id)


def _placed(one: Engaged, standing: Standing | None) -> tuple[Engaged, _Place]:
    """Where something is counted."""
    hour = one.at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    touchpoint_id, variant, target_id = one.touchpoint_id, None, None
    if standing is not None:
        target_id, variant = standing.target_id, standing.variant
        if one.channel not in _SHOWN:
            touchpoint_id, variant = _message(one, standing)
    place = _Place(
        one.campaign_id,
        one.channel.value,
        one.kind.value,
        hour,
        touchpoint_id or NIL_UUID,
        variant or "",
        target_id or NIL_UUID,
        one.currency or "",
    )
    return one, place


def _message(one: Engaged, standing: Standing) -> tuple[UUID | None, str | None]:
    """Touchpoint and variant of the message it is about. Before any is known to be sent (a report may overtake the
    settlement of what it reports on) the first is meant.
    """
    if one.touchpoint_id is not None:
        named = (sent for sent in standing.messages if sent.touchpoint_id == one.touchpoint_id)
        return one.touchpoint_id, next((sent.variant for sent in named), standing.variant)
    sent = standing.before(one.at) or next(iter(standing.messages), None)
    return (sent.touchpoint_id, sent.variant) if sent is not None else (None, standing.variant)


def _added(
    placed: Sequence[tuple[Engaged, _Place]], earlier: dict[tuple[UUID, UUID, str, str], set[UUID | None]]
) -> dict[_Place, _Sum]:
    """The sums' changes. `earlier`: what was noted of whom before, at which touchpoints."""
    added: dict[_Place, _Sum] = defaultdict(_Sum)
    for one, place in sorted(placed, key=lambda both: both[0].at):
        total = added[place]
        if one.bot:
            total.bots += 1
            continue
        seen = earlier.setdefault((one.campaign_id, one.entity_id, place.channel, place.kind), set())
        total.events += 1
        total.recipients += not seen
        total.touchpoint_recipients += place.touchpoint_id not in seen
        total.revenue += one.revenue or 0
        seen.add(place.touchpoint_id)
    return added


def _somebody(known: UUID) -> UUID | None:
    return None if known == NIL_UUID else known


def sums(session: Session, org_id: UUID, campaign_id: UUID, channel: Medium) -> dict[Kind, tuple[int, int]]:
    """Kind → (recipients, events) of a campaign on one channel. Reads as many rows as there were hours, for each
    touchpoint, variant and segment.
    """
    found = session.execute(
        select(EngagementHour.kind, func.sum(EngagementHour.recipients), func.sum(EngagementHour.events))
        .where(
            EngagementHour.campaign_id == campaign_id,
            EngagementHour.org_id == org_id,
            EngagementHour.channel == channel,
        )
        .group_by(EngagementHour.kind)
    )
    return {Kind(kind): (int(recipients), int(events)) for kind, recipients, events in found}


def _earlier(session: Session, people: set[Pair]) -> dict[tuple[UUID, UUID, str, str], set[UUID | None]]:
    """What was noted of these recipients before, and at which touchpoints. Index (campaign_id, entity_id, channel,
    kind).
    """
    given = pairs(session, people)
    found: dict[tuple[UUID, UUID, str, str], set[UUID | None]] = defaultdict(set)
    for campaign_id, entity_id, channel, kind, touchpoint_id in session.execute(
        select(
            Engagement.campaign_id,
            Engagement.entity_id,
            Engagement.channel,
            Engagement.kind,
            Engagement.touchpoint_id,
        )
        .select_from(given)
        .join(
            Engagement,
            (Engagement.campaign_id == given.c.campaign_id) & (Engagement.entity_id == given.c.entity_id),
        )
        .where(Engagement.bot.is_(False))
        .distinct()
    ):
        found[campaign_id, entity_id, channel, kind].add(touchpoint_id or NIL_UUID)
    return found
