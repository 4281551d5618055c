"""From the word that a campaign calls its kind of channel by to the channel that sends for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import case, select

from engine.kernel.inputs import Invalid
from state.tables import Channel

if TYPE_CHECKING:
    from uuid import UUID

    from sqlalchemy.orm import Session

__all__ = ["channel_of_type", "kinds_of"]

#: Words that are not a kind's name, and the kinds they stand for, the better first.
_WORDS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("email", "mail"), ("smtp", "mailgun", "postmark", "resend", "sendgrid", "ses", "file")),
    "webhook": ("http",),
    "web": ("portal",),
}


def kinds_of(channel_type: str) -> tuple[str, ...]:
    """Channel kinds that the word means."""
    word = channel_type.strip().lower()
    return _WORDS.get(word, (word,))


def channel_of_type(session: Session, org_id: UUID, channel_type: Any) -> UUID:
    """The channel of that type: of the best kind, the default if it is one of them, else the oldest.

    It cannot go before the transaction ends.

    Raises:
        Invalid: the organization has none.
    """
    if not isinstance(channel_type, str):
        raise Invalid("channel_type", "must be a text")
    kinds = kinds_of(channel_type)
    found = session.scalar(
        select(Channel.id)
        .where(Channel.org_id == org_id, Channel.kind.in_(kinds))
        .order_by(
            case({kind: place for place, kind in enumerate(kinds)}, value=Channel.kind),
            Channel.is_default.desc(),
            Channel.created_at,
            Channel.id,
        )
        .limit(1)
        .with_for_update(read=True, key_share=True)
    )
    if found is None:
        raise Invalid("channel_type", f"no channel of type {channel_type[:64]!r} is configured")
    return found
