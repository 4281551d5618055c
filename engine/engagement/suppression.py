"""Addresses that must not be used: unsubscribed, bounced, complained, or named by a person.

An address is barred for the whole organization or for one campaign, whichever channel writes to it: consent belongs to
the medium (engine.kernel.media). It is looked for when a message is claimed, so a person who unsubscribes between two
messages gets no second one.
"""

from __future__ import annotations

import typing
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol
from uuid import UUID, uuid4

from sqlalchemy import Uuid, bindparam, delete, literal, select

from engine.engagement.email import MAIL_KINDS, medium_of
from engine.engagement.feedback import Feedback, take_feedback
from engine.events.outbox import record
from engine.kernel.erased_addresses import ERASED_REASON, digests_of
from engine.kernel.media import FoldedAddress, folded, medium_of_kind
from engine.kernel.prepared import execute
from engine.kernel.statements import ORG, Statements
from state.change import clock_of
from state.sets import among, insert_into
from state.tables import Campaign, Suppression, TopicOptOut
from state.types import NIL_UUID

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Connection, Select, Table
    from sqlalchemy.orm import Session

    from engine.content.links import Invitation
    from engine.engagement.feedback import FeedbackKind
    from engine.kernel.media import AddressMedium
    from state.dialects import Dialect

__all__ = [
    "Barred",
    "Organization",
    "Subscription",
    "Whose",
    "bar",
    "key_of",
    "resubscribe",
    "subscription",
    "suppressed",
    "unsubscribe",
]

_UNSUBSCRIBE = "unsubscribe"
#: Why an address must not be used whose holder opted out of the campaign's topic.
_TOPIC = "topic"
_suppression = typing.cast("Table", Suppression.__table__)
_opt_out = typing.cast("Table", TopicOptOut.__table__)


class Whose(Protocol):
    """Somebody who writes for a campaign."""

    @property
    def org_id(self) -> UUID:
        """The organization."""
        ...

    @property
    def campaign_id(self) -> UUID:
        """The campaign."""
        ...

    @property
    def topic_id(self) -> UUID | None:
        """What the campaign is about."""
        ...


class Organization(NamedTuple):
    """It writes for no campaign."""

    org_id: UUID
    campaign_id: UUID = NIL_UUID
    topic_id: UUID | None = None


class Barred(NamedTuple):
    """An address that must not be used."""

    medium: AddressMedium
    address: str
    """In the one form of its medium."""
    reason: str
    """unsubscribe, hard_bounce, complaint or manual."""
    campaign_id: UUID = NIL_UUID
    channel_kind: str | None = None
    """The kind of channel that it was reported for."""


class _SuppressionStatements(Statements):
    """One database's statement that reads the list."""

    def __init__(self, dialect: Dialect) -> None:
        super().__init__(dialect)
        self.suppressed = self._suppressed()
        self.suppressed_or_opted_out = self._suppressed().union_all(self._opted_out())

    def _suppressed(self) -> Select[Any]:
        """Which of some addresses must not be used, by this campaign or by any, of which medium, and why. Unique key
        (org_id, address, medium, campaign_id).
        """
        return select(_suppression.c.medium, _suppression.c.address, _suppression.c.reason).where(
            _suppression.c.org_id == ORG,
            _suppression.c.campaign_id.in_([NIL_UUID, bindparam("p_campaign_id", type_=Uuid())]),
            self._among(_suppression.c.address),
        )

    def _opted_out(self) -> Select[Any]:
        """Which of them must not be used for the campaign's topic. Primary key."""
        return select(_opt_out.c.medium, _opt_out.c.address, literal(_TOPIC)).where(
            _opt_out.c.org_id == ORG,
            _opt_out.c.topic_id == bindparam("p_topic_id", type_=Uuid()),
            self._among(_opt_out.c.address),
        )


class Subscription(NamedTuple):
    """What the holder of an unsubscribe link still gets."""

    campaign: str | None
    """The campaign's name; None: it is gone."""
    to_campaign: bool
    to_any: bool


def suppressed(
    session: Session | Connection, whose: Whose, medium: AddressMedium | None, addresses: Iterable[str]
) -> dict[str, str]:
    """Of `addresses` (as their channel gives them), those that a campaign must not use → why. One statement.

    Args:
        medium: The channel's; None: the form of each address says what it is.
    """
    wanted = {address: folded(medium, address) for address in addresses}
    digests = digests_of(session, whose.org_id, wanted.values())
    statements = _SuppressionStatements.of(session)
    of_topic = {} if whose.topic_id is None else {"p_topic_id": whose.topic_id}
    found = execute(
        session,
        statements.suppressed_or_opted_out if of_topic else statements.suppressed,
        p_org_id=whose.org_id,
        p_campaign_id=whose.campaign_id,
        p_ids=[*(one.address for one in wanted.values()), *digests.values()],
        **of_topic,
    )
    reasons = {(known, address): reason for known, address, reason in found.all()}
    if not reasons:
        return {}
    barred = {}
    for address, key in wanted.items():
        reason = reasons.get(key) or reasons.get((key.medium, digests.get(key, "")))
        if reason is not None:
            barred[address] = reason
    return barred


def bar(session: Session, org_id: UUID, barred: Iterable[Barred]) -> set[Barred]:
    """Put addresses on the list; returns those that are new. The first reason stays, and who was erased is on it
    already, without their address. Two statements at most.

    In the order of the unique key, so that two at once never wait in a ring.
    """
    first: dict[tuple[str, str, UUID], Barred] = {}
    for one in _not_erased(session, org_id, list(barred)):
        first.setdefault((one.address, one.medium, one.campaign_id), one)
    if not first:
        return set()
    now = clock_of(session).now()
    added = session.execute(
        insert_into(session, Suppression)
        .values(
            [
                {"id": uuid4(), "org_id": org_id, "created_at": now, **first[key]._asdict()}
                for key in sorted(first)
            ]
        )
        .on_conflict_do_nothing(index_elements=["org_id", "address", "medium", "campaign_id"])
        .returning(Suppression.address, Suppression.medium, Suppression.campaign_id)
    )
    return {first[address, medium, campaign_id] for address, medium, campaign_id in added}


def _not_erased(session: Session, org_id: UUID, barred: list[Barred]) -> list[Barred]:
    """Those whose owners were not erased."""
    keys = [FoldedAddress(one.medium, one.address) for one in barred if one.reason != ERASED_REASON]
    digests = digests_of(session, org_id, keys)
    if not digests:
        return barred
    known = set(
        session.scalars(
            select(Suppression.address).where(
                Suppression.org_id == org_id, among(session, Suppression.address, digests.values())
            )
        )
    )
    return [one for one in barred if digests.get(FoldedAddress(one.medium, one.address)) not in known]


def unsubscribe(session: Session, invitation: Invitation, *, only_campaign: bool = False) -> bool:
    """Suppress the address that a signed link was sent to, for the whole organization or for the link's campaign;
    False when it was already.

    The recipient whose message held the link has it in its story either way, once.
    """
    org_id, campaign_id = invitation.org_id, invitation.campaign_id
    if invitation.channel_kind in MAIL_KINDS:
        take_feedback(session, org_id, [_feedback_of(session, invitation, "unsubscribed")])
    scope = campaign_id if only_campaign else NIL_UUID
    key = key_of(invitation)
    wanted = Barred(key.medium, key.address, _UNSUBSCRIBE, scope, invitation.channel_kind)
    if not bar(session, org_id, [wanted]):
        return False
    if invitation.channel_kind not in MAIL_KINDS:
        take_feedback(session, org_id, [_feedback_of(session, invitation, "unsubscribed")])
    record(
        session,
        org_id,
        "recipient.unsubscribed",
        campaign_id=campaign_id,
        entity_id=str(invitation.entity_id),
        channel_kind=invitation.channel_kind,
        scope="campaign" if only_campaign else "all",
    )
    return True


def resubscribe(session: Session, invitation: Invitation) -> bool:
    """Undo what the holder of the link undid by it; False when there is nothing to undo.

    Only unsubscribes are taken back: a bounce, a complaint or a person's entry stays.
    """
    org_id, campaign_id = invitation.org_id, invitation.campaign_id
    key = key_of(invitation)
    taken_back = session.execute(
        delete(Suppression).where(
            Suppression.org_id == org_id,
            Suppression.medium == key.medium,
            Suppression.address == key.address,
            Suppression.campaign_id.in_([NIL_UUID, campaign_id]),
            Suppression.reason == _UNSUBSCRIBE,
        )
    ).rowcount  # type: ignore[attr-defined]
    if not taken_back:
        return False
    take_feedback(session, org_id, [_feedback_of(session, invitation, "resubscribed")])
    record(
        session,
        org_id,
        "recipient.resubscribed",
        campaign_id=campaign_id,
        entity_id=str(invitation.entity_id),
        channel_kind=invitation.channel_kind,
    )
    return True


def subscription(session: Session, invitation: Invitation) -> Subscription:
    """How things stand for the holder of a link."""
    name = session.execute(
        select(Campaign.name).where(
            Campaign.id == invitation.campaign_id, Campaign.org_id == invitation.org_id
        )
    ).scalar_one_or_none()
    key = key_of(invitation)
    scopes = set(
        session.scalars(
            select(Suppression.campaign_id).where(
                Suppression.org_id == invitation.org_id,
                Suppression.medium == key.medium,
                Suppression.address == key.address,
                Suppression.campaign_id.in_([NIL_UUID, invitation.campaign_id]),
            )
        )
    )
    return Subscription(name, to_campaign=not scopes, to_any=NIL_UUID not in scopes)


def key_of(invitation: Invitation) -> FoldedAddress:
    """The address that a link was sent to, as the list has it."""
    medium = invitation.medium or medium_of_kind(invitation.channel_kind)
    return folded(medium, invitation.address)


def _feedback_of(session: Session, invitation: Invitation, kind: FeedbackKind) -> Feedback:
    return Feedback(
        campaign_id=invitation.campaign_id,
        entity_id=invitation.entity_id,
        kind=kind,
        at=clock_of(session).now(),
        channel=medium_of(invitation.channel_kind),
    )
