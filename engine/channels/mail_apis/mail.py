"""One message as mail APIs take it: who it is from, its parts, its headers, and the marks that events bring back."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, NamedTuple

from engine.channels.http.leaves import Unrenderable
from engine.content.links import message_id_of
from engine.content.mailboxes import Mailbox, read_mailboxes

if TYPE_CHECKING:
    from engine.channels.mail_apis.settings import SendingSettings
    from engine.content.enclosed import Attachment, Enclosed
    from engine.content.message import Message

__all__ = ["Mail", "base64_of", "read_mail"]


class Mail(NamedTuple):
    """A message, read."""

    message: Message
    sender: Mailbox
    reply_to: tuple[Mailbox, ...]
    subject: str
    text: str
    """Empty: there is none."""
    html: str
    headers: tuple[tuple[str, str], ...]
    """All but those that every API has a field for: name and value, of one line."""
    size: int
    """Bytes of subject and parts."""

    @property
    def address(self) -> str:
        """Where it goes."""
        return self.message.address

    @property
    def enclosed(self) -> Enclosed | None:
        """Files that go with it."""
        return self.message.content.enclosed

    @property
    def attachments(self) -> tuple[Attachment, ...]:
        """The files, one by one."""
        return () if self.enclosed is None else self.enclosed.attachments

    @property
    def message_id(self) -> str:
        """The Message-ID by which a receiver recognises a repeat, with its brackets."""
        message = self.message
        local = message_id_of(message.execution_id, message.campaign_id, message.entity_id)
        return f"<{local.decode()}@{self.sender.email.rpartition('@')[2]}>"

    @property
    def marks(self) -> dict[str, str]:
        """What the provider repeats in its events, so that they find the recipient. Names have at most 20 characters
        (Postmark), values letters, digits and `-` (Amazon SES).
        """
        message = self.message
        marks = {
            "muster_execution_id": str(message.execution_id),
            "muster_campaign_id": str(message.campaign_id),
            "muster_recipient_id": str(message.entity_id),
        }
        if message.touchpoint_id is not None:
            marks["muster_touchpoint_id"] = str(message.touchpoint_id)
        return marks


def read_mail(message: Message, settings: SendingSettings) -> Mail:
    """Read a message.

    Raises:
        Unrenderable: it holds what no mail can; others are not concerned.
    """
    content = message.content
    email, name = content.sender_email, content.sender_name
    if email is None:  # a channel's name does not stand beside another address
        email, name = settings.from_email, name or settings.from_name
    reply_to = content.reply_to or settings.reply_to
    headers = [*settings.headers.items(), *content.headers]
    if message.unsubscribe_url is not None:
        headers.append(("List-Unsubscribe", f"<{message.unsubscribe_url}>"))
        headers.append(("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"))
    subject, text, html = content.subject, content.text or "", content.html or ""
    if not (text or html):
        raise Unrenderable("the message has neither text nor HTML")
    for what, value in (("the subject", subject), ("the sender's name", name or ""), *headers):
        if not value.isprintable():
            raise Unrenderable(f"{what} holds a line break or another character that cannot be printed")
    try:
        size = sum(len(part.encode()) for part in (subject, text, html))
        answers = () if reply_to is None else read_mailboxes(reply_to)
    except UnicodeEncodeError:
        raise Unrenderable("the message holds half of a surrogate pair") from None
    except ValueError as error:
        raise Unrenderable(f"reply_to: {error}") from None
    return Mail(message, Mailbox(email, name or ""), answers, subject, text, html, tuple(headers), size)


def base64_of(attachment: Attachment) -> str:
    """A file's content as JSON takes it."""
    return base64.b64encode(attachment.content).decode()
