"""Taking what a mail provider posted to a channel's address."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from engine.inbound.ingest import MOST, take_events
from engine.inbound.mail_events import mailgun, postmark, resend, sendgrid, ses, sns
from engine.inbound.mail_events.reading import Delivery
from engine.kernel.inputs import Invalid
from engine.kernel.secrets import SecretsError, channel_place
from engine.tracking.signatures import Unsigned
from state.change import clock_of
from state.tables import Channel

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from uuid import UUID

    from sqlalchemy.orm import Session

    from engine.answers.classify import Classifier
    from engine.inbound.ingest import Answer
    from engine.inbound.mail_events.reading import Item
    from engine.kernel.secrets import Secrets

__all__ = ["Posted", "find_delivery", "take_mail_events"]

_PROVEN: Mapping[str, Callable[[Delivery], bool]] = {
    "mailgun": mailgun.is_proven,
    "postmark": postmark.is_proven,
    "resend": resend.is_proven,
    "sendgrid": sendgrid.is_proven,
    "ses": sns.is_proven,
}

Posted = tuple["UUID", str, Delivery]
"""The channel's organization and kind, and what came."""


def find_delivery(
    session: Session, channel_id: UUID, headers: Mapping[str, str], body: bytes, secrets: Secrets
) -> Posted:
    """What came, with what its channel has to prove it by.

    Raises:
        Unsigned: there is no such channel, or nothing proves what comes to it.
    """
    channel = session.get(Channel, channel_id)
    if channel is None or channel.kind not in _PROVEN:
        raise Unsigned("there is no such channel")
    try:
        sealed = channel.credentials
        credentials = {} if sealed is None else secrets.open(sealed, channel_place(channel.id))
    except SecretsError:
        raise Unsigned("its credentials cannot be opened") from None
    now = clock_of(session).now()
    delivery = Delivery(headers, body, channel.settings or {}, credentials, now)
    return channel.org_id, channel.kind, delivery


def take_mail_events(session: Session, posted: Posted, classifier: Classifier) -> list[Answer]:
    """Take the events of a delivery; an answer for each that says whom it is about.

    Raises:
        Unsigned: it is not proven to be the provider's.
        Invalid: it is, and no events.
    """
    org_id, kind, delivery = posted
    if not _PROVEN[kind](delivery):
        raise Unsigned("it is not proven to be the provider's")
    try:
        said = orjson.loads(delivery.body)
    except orjson.JSONDecodeError as error:
        raise Invalid("body", f"is not JSON: {error}") from None
    items = _items(kind, said, delivery)
    answers: list[Answer] = []
    for begin in range(0, len(items), MOST):
        answers += take_events(session, org_id, items[begin : begin + MOST], classifier)
    return answers


def _items(kind: str, said: Any, delivery: Delivery) -> list[Item]:
    match kind:
        case "mailgun":
            return [*mailgun.read(said)]
        case "postmark":
            return [*postmark.read(said)]
        case "resend":
            return [*resend.read(said, delivery.header("svix-id"))]
        case "sendgrid":
            return [*sendgrid.read(said)]
    return [*ses.read(said)]
