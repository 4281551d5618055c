"""Calls that were placed, in the engagement log: which conversation of the provider's a message became."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.engagement.engagement import Engaged, Kind, Medium, known_events, note
from engine.engagement.feedback import held
from state.change import clock_of

if TYPE_CHECKING:
    from engine.content.message import Message
    from state.database import Database

__all__ = ["note_placed", "placed_event"]


def note_placed(database: Database, message: Message, conversation_id: str) -> None:
    """Keep which conversation a message became, in a transaction of its own.

    Raises:
        sqlalchemy.exc.DBAPIError: the database is away. Nothing was written.
    """
    pair = (message.campaign_id, message.entity_id)
    event_id = placed_event(conversation_id)
    with database.begin() as session:
        org_id = message.org_id
        if not held(session, org_id, {pair}) or known_events(session, org_id, [event_id]):
            return
        placed = Engaged(
            *pair,
            Medium.VOICE,
            Kind.SENT,
            clock_of(session).now(),
            event_id,
            {"conversation_id": conversation_id},
            touchpoint_id=message.touchpoint_id,
        )
        note(session, org_id, [placed])


def placed_event(conversation_id: str) -> str:
    """The id of the log entry that says that a conversation was placed."""
    return f"placed:{conversation_id}"
