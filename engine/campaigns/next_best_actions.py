"""Next best actions: what agents see beside an entity, because a campaign's audience holds it.

- *Discover* is a pure read: the actions of the active campaigns that the entity matches now.
- A recipient is born at `seen`; nothing was sent. Seeing again is no change. `clicked` and `dismissed` follow
  the table (state.transitions.ENTITY_UI); out of `dismissed` leads only *restore*, back to what was before.
- What agents do goes into the engagement log.

The portal's and the automation's side of the recipient are never touched. Source: the Targeting API as its
clients know it today (docs/contract/targeting.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal
from uuid import UUID

import structlog
from pydantic import Field, StringConstraints, ValidationError
from sqlalchemy import select, update

from engine.campaigns.absent import NeverNull
from engine.campaigns.matching import EntityRef, matching
from engine.campaigns.recipients import add_recipient, hold_campaign, one_recipient, recipient_rows
from engine.engagement.engagement import Engaged, Kind, Medium, note
from engine.kernel.inputs import Invalid
from state.change import change_status, clock_of
from state.errors import IllegalTransition, NotFound
from state.sets import among
from state.tables import Campaign, Recipient, Target
from state.transitions import ENTITY_UI, CampaignStatus, EntityUiStatus

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy.orm import Session

__all__ = [
    "DISMISSED_SHOWN",
    "Discovered",
    "Discovery",
    "NextBestAction",
    "change_entity_ui_status",
    "discover",
    "read_action",
    "restore_entity_ui_status",
]

log = structlog.get_logger(__name__)

#: Dismissed actions that are shown at most: enough to choose one to restore from.
DISMISSED_SHOWN = 50

_PRIORITIES = ("high", "medium", "low")
_Text = Annotated[str, StringConstraints(min_length=1, max_length=255)]


class Icon(NeverNull):
    """What it looks like."""

    name: _Text
    color: Annotated[str, StringConstraints(max_length=64)] | None = None


class ContextParameter(NeverNull):
    """What a journey is given when it starts. May hold `{{placeholders}}`."""

    key: _Text
    value: Annotated[str, StringConstraints(max_length=4096)]


class CallToAction(NeverNull):
    """Where it leads."""

    type: Literal["journey", "workflow", "flow"]
    target: _Text
    """The journey's, workflow definition's or flow template's id."""
    context_params: Annotated[list[ContextParameter], Field(max_length=100)] | None = None


class NextBestAction(NeverNull):
    """An action as an author wrote it. Texts may hold `{{placeholders}}`, which the program that shows it fills."""

    category: Annotated[str, StringConstraints(max_length=30)] | None = None
    icon: Icon | None = None
    title: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=60)]
    body: Annotated[str, StringConstraints(max_length=140)] | None = None
    priority: Literal["low", "medium", "high"] = "medium"
    is_dismissable: bool = True
    cta: CallToAction


@dataclass(frozen=True, slots=True)
class Discovered:
    """An action for one entity, and what was done with it."""

    campaign_id: UUID
    nba: dict[str, Any]
    priority: str
    status: str | None
    status_updated_at: datetime | None


@dataclass(frozen=True, slots=True)
class Discovery:
    """What is shown, and what was put away; both by priority, the newest campaign first among equals."""

    results: list[Discovered]
    dismissed: list[Discovered]


def read_action(campaign: Campaign) -> NextBestAction | None:
    """The campaign's action; None when it has none that can be used."""
    if campaign.next_best_action is None:
        return None
    try:
        return NextBestAction.model_validate(campaign.next_best_action)
    except ValidationError as error:
        log.warning("next_best_action.unusable", campaign_id=str(campaign.id), reason=str(error))
        return None


def discover(session: Session, org_id: UUID, ref: EntityRef) -> Discovery:
    """The actions that the entity should be shown with. Four statements for any usual number of campaigns.

    An entity that is unknown, or in no active campaign's audience, has none.
    """
    today = clock_of(session).now().date()
    campaigns = [
        (campaign, action)
        for campaign in session.scalars(
            select(Campaign)
            .where(
                Campaign.org_id == org_id,
                Campaign.status == CampaignStatus.ACTIVE,
                Campaign.next_best_action.is_not(None),
                # The sweeper completes what is past its end a little later.
                Campaign.end_date.is_(None) | (Campaign.end_date >= today),
            )
            .order_by(Campaign.created_at.desc(), Campaign.id)
        )
        if (action := read_action(campaign)) is not None
    ]
    wanted = {UUID(target_id) for campaign, _ in campaigns for target_id in campaign.target_ids}
    targets = session.scalars(
        select(Target).where(
            Target.org_id == org_id,
            Target.entity_schema == ref.entity_schema,
            among(session, Target.id, wanted),
        )
    ).all()
    matched = matching(session, org_id, [ref], targets)
    relevant = [
        (campaign, action)
        for campaign, action in campaigns
        if not matched.isdisjoint(map(UUID, campaign.target_ids))
    ]
    done = _done(session, ref.entity_id, [campaign.id for campaign, _ in relevant])
    found = [
        Discovered(campaign.id, _shown(action), action.priority, *done.get(campaign.id, (None, None)))
        for campaign, action in relevant
    ]
    found.sort(key=lambda one: _PRIORITIES.index(one.priority))
    return Discovery(
        results=[one for one in found if one.status != EntityUiStatus.DISMISSED],
        dismissed=[one for one in found if one.status == EntityUiStatus.DISMISSED][:DISMISSED_SHOWN],
    )


def change_entity_ui_status(
    session: Session,
    org_id: UUID,
    campaign_id: UUID,
    entity_id: UUID,
    wanted: EntityUiStatus,
    *,
    entity_schema: str | None = None,
) -> Recipient:
    """Note that an action was seen, clicked or dismissed.

    The first `seen` makes the entity a recipient, for which `entity_schema` is needed; a later one changes
    nothing, whatever the status is by then.

    Raises:
        RuleViolation: CAMPAIGN_NOT_FOUND.
        NotFound: nobody saw it yet, so it cannot be clicked or dismissed.
        IllegalTransition: the table does not allow the move.
        Invalid: the first `seen` came without `entity_schema`.
    """
    hold_campaign(session, org_id, campaign_id)
    now = clock_of(session).now()
    rows = recipient_rows(org_id, campaign_id, entity_id)
    if wanted == EntityUiStatus.SEEN:
        return _seen(session, org_id, campaign_id, entity_id, entity_schema)
    current = one_recipient(session, org_id, campaign_id, entity_id, lock=True)
    if current.entity_ui_status is None:
        raise NotFound("next best action of recipient", entity_id)
    if current.entity_ui_status == EntityUiStatus.DISMISSED:
        raise IllegalTransition(ENTITY_UI.entity, entity_id, current.entity_ui_status, wanted)
    before: dict[str, Any] = {}
    if wanted == EntityUiStatus.DISMISSED:
        before = {"entity_ui_status_before_dismiss": current.entity_ui_status}
    change_status(
        session,
        ENTITY_UI,
        wanted,
        *rows,
        key=entity_id,
        entity_ui_status_updated_at=now,
        updated_at=now,
        **before,
    )
    note(session, org_id, [Engaged(campaign_id, entity_id, Medium.ENTITY_UI, Kind(wanted), now)])
    return one_recipient(session, org_id, campaign_id, entity_id)


def restore_entity_ui_status(session: Session, org_id: UUID, campaign_id: UUID, entity_id: UUID) -> Recipient:
    """Undo a dismissal: the status is again what it was before, or `seen` where that is not known.

    Raises:
        RuleViolation: CAMPAIGN_NOT_FOUND.
        NotFound: nobody ever saw the action.
        IllegalTransition: it is not dismissed.
    """
    hold_campaign(session, org_id, campaign_id)
    current = one_recipient(session, org_id, campaign_id, entity_id, lock=True)
    if current.entity_ui_status is None:
        raise NotFound("next best action of recipient", entity_id)
    now = clock_of(session).now()
    change_status(
        session,
        ENTITY_UI,
        current.entity_ui_status_before_dismiss or EntityUiStatus.SEEN,
        *recipient_rows(org_id, campaign_id, entity_id),
        key=entity_id,
        only_from=(EntityUiStatus.DISMISSED,),
        entity_ui_status_updated_at=now,
        updated_at=now,
    )
    note(session, org_id, [Engaged(campaign_id, entity_id, Medium.ENTITY_UI, Kind.RESTORED, now)])
    return one_recipient(session, org_id, campaign_id, entity_id)


def _seen(
    session: Session, org_id: UUID, campaign_id: UUID, entity_id: UUID, entity_schema: str | None
) -> Recipient:
    now = clock_of(session).now()
    fresh = {
        "entity_ui_status": EntityUiStatus.SEEN.value,
        "entity_ui_status_updated_at": now,
        "updated_at": now,
    }
    rows = recipient_rows(org_id, campaign_id, entity_id)
    first = _first_seen(session, rows, fresh)
    if not first and session.execute(select(Recipient.entity_id).where(*rows)).first() is None:
        if entity_schema is None:
            raise Invalid("entity_schema", "is required when the first seen makes the recipient")
        # Of two at once one adds it, and the other finds it there, seen.
        first = add_recipient(session, org_id, campaign_id, EntityRef(entity_id, entity_schema), fresh)
        first = first or _first_seen(session, rows, fresh)
    if first:
        note(session, org_id, [Engaged(campaign_id, entity_id, Medium.ENTITY_UI, Kind.SEEN, now)])
    return one_recipient(session, org_id, campaign_id, entity_id)


def _first_seen(session: Session, rows: Sequence[Any], fresh: dict[str, Any]) -> bool:
    """Put the first status on a recipient that is there for another reason."""
    statement = update(Recipient).where(*rows, Recipient.entity_ui_status.is_(None)).values(**fresh)
    done = session.execute(statement.execution_options(synchronize_session=False))
    return bool(done.rowcount)  # type: ignore[attr-defined]


def _done(
    session: Session, entity_id: UUID, campaign_ids: Sequence[UUID]
) -> dict[UUID, tuple[str | None, datetime | None]]:
    """What was done with the actions of these campaigns. Primary keys."""
    found = session.execute(
        select(
            Recipient.campaign_id, Recipient.entity_ui_status, Recipient.entity_ui_status_updated_at
        ).where(
            among(session, Recipient.campaign_id, campaign_ids),
            Recipient.entity_id == entity_id,
            Recipient.entity_ui_status.is_not(None),
        )
    )
    return {row.campaign_id: (row.entity_ui_status, row.entity_ui_status_updated_at) for row in found}


def _shown(action: NextBestAction) -> dict[str, Any]:
    """As the author wrote it, defaults filled in."""
    return action.model_dump(mode="json", exclude_none=True)
