"""E-mail among the media: the channel kinds that send it, and how far one message of it got."""

from __future__ import annotations

from enum import StrEnum

from engine.engagement.engagement import Medium

__all__ = ["MAIL_KINDS", "EmailStatus", "medium_of"]

#: Channel kinds whose messages are e-mail; `file` keeps what would have been sent.
MAIL_KINDS = frozenset(("smtp", "mailgun", "postmark", "resend", "sendgrid", "ses", "file"))


def medium_of(channel_kind: str) -> Medium:
    """Where people receive what a channel of this kind sends."""
    if channel_kind in MAIL_KINDS:
        return Medium.EMAIL
    return Medium(channel_kind) if channel_kind in set(Medium) else Medium.OTHER


class EmailStatus(StrEnum):
    """How far a recipient's e-mail got."""

    SENT = "sent"
    DELIVERED = "delivered"
    BOUNCED = "bounced"
    COMPLAINED = "complained"
    FAILED = "failed"
