"""One recipient's message, or why there is none. Values in, values out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.content.links import Invitation
from engine.content.message import Message
from engine.content.templates import RenderError
from engine.delivery.cancel_codes import ENTITY_DELETED, TARGET_DELETED
from engine.delivery.outcomes import Settlement
from engine.kernel.addresses import address_trouble, no_address
from state.transitions import AutomationStatus

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

    from engine.delivery.sender import Sender
    from engine.delivery.slices import Lease
    from engine.delivery.work_plan import PendingRecipient

__all__ = ["compose", "removed"]


def compose(
    lease: Lease,
    sender: Sender,
    due: PendingRecipient,
    address: str | None,
    execution_id: UUID,
    barred: Mapping[str, str],
    touchpoint_id: UUID | None,
) -> Message | Settlement:
    """What is sent to a recipient. An excluded one is recorded as cancelled, with the reason; a template that fails
    for one recipient fails that recipient.

    Args:
        barred: Addresses that must not be used → why.
    """
    entity_id = due.entity_id
    if due.attributes is None:
        return _excluded(entity_id, ENTITY_DELETED, "the entity was deleted")
    if address is None:
        trouble = address_trouble(sender.channel.address_of, due.attributes)
        return _excluded(entity_id, "NO_ADDRESS", no_address(sender.kind, trouble))
    if address in barred:
        return _excluded(entity_id, "SUPPRESSED", barred[address])
    url = None
    if sender.links is not None:
        url = sender.links.unsubscribe(
            Invitation(
                lease.org_id, lease.campaign_id, entity_id, sender.kind, address, sender.channel.medium
            )
        )
    try:
        extras = {} if url is None else {"unsubscribe_url": url}
        content = sender.template.render(due.attributes, extras)
    except RenderError as error:
        return Settlement(entity_id, AutomationStatus.FAILED, "TEMPLATE_ERROR", str(error)[:1000])
    return Message(
        execution_id=execution_id,
        org_id=lease.org_id,
        campaign_id=lease.campaign_id,
        entity_id=entity_id,
        address=address,
        content=content,
        unsubscribe_url=url,
        touchpoint_id=touchpoint_id,
        attributes=due.attributes,
    )


def removed(taken: Mapping[UUID, tuple[UUID | None, int]]) -> dict[UUID, Settlement]:
    """Of those who were claimed: the targets that were soft-deleted, which are set aside until they are restored."""
    return {
        entity_id: _excluded(entity_id, TARGET_DELETED, "removed from the campaign; restoring brings it back")
        for entity_id, (execution_id, _) in taken.items()
        if execution_id is None
    }


def _excluded(entity_id: UUID, code: str, why: str) -> Settlement:
    return Settlement(entity_id, AutomationStatus.CANCELLED, code, why)
