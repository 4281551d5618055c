"""Removing targets: softly, so that they can be restored, or for good (docs/contract/enrolled-targets.md).

- *Soft delete* only marks the row. No list shows it, no dialect finds it, and a lease that claims it for delivery sets
  it aside as cancelled (TARGET_DELETED), in whatever slice it waits; nothing has to be taken out of anywhere.
- *Restore* takes the mark away. A target that was not set aside yet goes on as if nothing had happened; one that was is
  delivered to by a campaign that runs, at the touchpoint where they were.
- *Purge* deletes the row, what it did and what it went through. The counters of its job count one less of what it was;
  statistics by hour say what happened, and keep it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, update

from engine.campaigns.recipients import delete_recipient
from engine.delivery.enrol import guard
from engine.delivery.enrolled_recipients import deliver_enrolled
from engine.enrolled import keys
from engine.enrolled.keys import Key
from engine.enrolled.targets import Enrolled, get_target, hold_campaign, target_rows
from state.change import clock_of
from state.errors import NotFound
from state.tables import Attempt, Engagement, Execution, Recipient

if TYPE_CHECKING:
    from uuid import UUID

    from sqlalchemy.orm import Session

__all__ = ["delete_target", "purge_target", "restore_target"]


def delete_target(session: Session, org_id: UUID, campaign_id: UUID, target_id: UUID) -> None:
    """Soft-delete a target: it is not listed, found or delivered to until it is restored.

    Raises:
        NotFound: there is no such campaign, or no such live target in it.
    """
    hold_campaign(session, org_id, campaign_id)
    now = clock_of(session).now()
    held = session.execute(
        update(Recipient)
        .where(*target_rows(org_id, campaign_id, target_id))
        .values(deleted_at=now, updated_at=now)
        .returning(Recipient.contact_keys)
        .execution_options(synchronize_session=False)
    ).first()
    if held is None:
        raise NotFound("target", target_id)
    keys.release(session, org_id, campaign_id, held[0] or [])


def restore_target(session: Session, org_id: UUID, campaign_id: UUID, target_id: UUID) -> Enrolled:
    """Undo a soft delete; a live target stays as it is.

    Raises:
        NotFound: there is no such campaign, or no such target in it.
    """
    guard(session, org_id, activates=False)
    campaign = hold_campaign(session, org_id, campaign_id)
    restored = session.execute(
        update(Recipient)
        .where(*target_rows(org_id, campaign_id, target_id, deleted=True), Recipient.deleted_at.is_not(None))
        .values(deleted_at=None, updated_at=clock_of(session).now())
        .returning(Recipient.entity_id, Recipient.contact_keys)
        .execution_options(synchronize_session=False)
    ).first()
    if restored is not None:
        entity_id, held = restored
        keys.hold(session, org_id, campaign_id, [Key(*key) for key in held or []])
        deliver_enrolled(session, campaign, [entity_id])
    return get_target(session, org_id, campaign_id, target_id)


def purge_target(session: Session, org_id: UUID, campaign_id: UUID, target_id: UUID) -> None:
    """Delete a target, live or soft-deleted, and its history.

    Raises:
        NotFound: there is no such campaign, or no such target in it.
    """
    hold_campaign(session, org_id, campaign_id)
    row = get_target(session, org_id, campaign_id, target_id, deleted=True).target
    gone = delete_recipient(session, row)
    if gone is None:
        raise NotFound("target", target_id)
    if gone.deleted_at is None:
        keys.release(session, org_id, campaign_id, gone.contact_keys or [])
    for table in (Execution, Attempt, Engagement):
        session.execute(
            delete(table)
            .where(
                table.campaign_id == campaign_id,
                table.entity_id == gone.entity_id,
                table.org_id == org_id,
            )
            .execution_options(synchronize_session=False)
        )
