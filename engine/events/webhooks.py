"""Webhooks as rows: who gets which events, and the log of deliveries.

Secrets go in and never come out: they are encrypted at rest, and one that Muster makes is shown once, when it is
made. A secret that is replaced signs beside the new one for `OVERLAP`, so that receivers can be changed in between.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any
from uuid import uuid4

from pydantic import Field, StringConstraints
from sqlalchemy import delete, func, select

from engine.events import names, signing
from engine.events.distribute import queue_deliveries
from engine.kernel import listing
from engine.kernel.inputs import Input, Invalid, LongText, Rewritable
from engine.kernel.secrets import Place
from state.change import clock_of
from state.errors import NotFound
from state.tables import Event, Webhook, WebhookDelivery, WebhookLane

if TYPE_CHECKING:
    from uuid import UUID

    from sqlalchemy.orm import Session

    from engine.kernel.outbound import Guard
    from engine.kernel.secrets import Secrets

__all__ = [
    "MOST",
    "OVERLAP",
    "STATES",
    "Rotation",
    "WebhookChange",
    "WebhookInput",
    "create_webhook",
    "delete_webhook",
    "get_delivery",
    "get_webhook",
    "list_deliveries",
    "list_webhooks",
    "redeliver",
    "redeliver_dead",
    "rotate_secret",
    "secret_place",
    "update_webhook",
]

#: Webhooks of one organization.
MOST = 100
#: How long a secret that was replaced signs as well.
OVERLAP = timedelta(days=1)
#: What a delivery may be.
STATES = ("pending", "delivered", "dead")

_REDELIVERED = 1000

Secret = Annotated[str, StringConstraints(min_length=16, max_length=512)]


class WebhookInput(Input):
    """A new webhook."""

    url: str
    events: Annotated[list[str], Field(max_length=len(names.PATTERNS))]
    """Names, groups (`recipient.*`) or `*`."""
    description: LongText | None = None
    secret: Secret | None = None
    """Absent: one is made."""
    active: bool = True


class Rotation(Input):
    """A secret for another."""

    secret: Secret | None = None
    """Absent: one is made."""
    overlap_seconds: Annotated[int, Field(ge=0, le=7 * 86_400)] = int(OVERLAP.total_seconds())
    """How long the one before signs as well."""


class WebhookChange(Rewritable, WebhookInput):
    """What is to be different; what is not given stays."""

    answered = frozenset(("disabledReason", "failingSince", "previousSecretUntil", "createdAt", "updatedAt"))

    url: str = ""
    events: Annotated[list[str], Field(max_length=len(names.PATTERNS))] = Field(default_factory=list)


def secret_place(webhook_id: UUID) -> Place:
    """Where a webhook's secret stands; the one before keeps the place that it was sealed for."""
    return Place("webhook", "secret", webhook_id)


def create_webhook(
    session: Session, org_id: UUID, given: WebhookInput, secrets: Secrets, guard: Guard
) -> tuple[Webhook, str | None]:
    """Keep a webhook; with the secret that was made for it, if none was given.

    Raises:
        Invalid: the URL or an event cannot be used, or there are `MOST` already.
    """
    count = select(func.count()).select_from(Webhook).where(Webhook.org_id == org_id)
    if session.execute(count).scalar_one() >= MOST:
        raise Invalid("url", f"there are {MOST} webhooks already; delete one first")
    now = clock_of(session).now()
    webhook_id = uuid4()
    made = None if given.secret is not None else signing.new_secret()
    patterns = names.check_patterns(given.events)
    webhook = Webhook(
        id=webhook_id,
        org_id=org_id,
        url=_url(given.url, guard),
        description=given.description,
        events=patterns,
        recipients=names.wants_recipients(patterns),
        secret=_sealed(given.secret or made or "", webhook_id, secrets),
        active=given.active,
        created_at=now,
        updated_at=now,
    )
    session.add(webhook)
    session.flush()
    return webhook, made


def get_webhook(session: Session, org_id: UUID, webhook_id: UUID) -> Webhook:
    """Raises NotFound."""
    return listing.find(session, Webhook, org_id, webhook_id)


def list_webhooks(
    session: Session,
    org_id: UUID,
    *,
    limit: int = MOST,
    next: str | None = None,  # noqa: A002
) -> listing.Page[Webhook]:
    """All of them, newest first, or a page; see `listing.page`."""
    return listing.page(session, Webhook, org_id, limit=limit, next=next)


def update_webhook(
    session: Session, org_id: UUID, webhook_id: UUID, given: WebhookChange, secrets: Secrets, guard: Guard
) -> Webhook:
    """Change a webhook. Switching it on forgets why it was off; what waited for it is sent, in order.

    Raises:
        NotFound: there is none.
        Invalid: as `create_webhook`. Nothing was changed.
    """
    webhook = listing.find(session, Webhook, org_id, webhook_id, lock=True)
    fields = given.model_fields_set
    with session.no_autoflush:
        if "url" in fields:
            webhook.url = _url(given.url, guard)
        if "events" in fields:
            webhook.events = names.check_patterns(given.events)
            webhook.recipients = names.wants_recipients(webhook.events)
        if "description" in fields:
            webhook.description = given.description
        if given.secret is not None:
            _replace(session, webhook, given.secret, secrets, OVERLAP)
        if "active" in fields:
            if given.active and not webhook.active:
                webhook.failing_since = None
            webhook.active = given.active
            webhook.disabled_reason = None
    if fields:
        listing.stamp(session, webhook)
    session.flush()
    return webhook


def rotate_secret(
    session: Session, org_id: UUID, webhook_id: UUID, given: Rotation, secrets: Secrets
) -> tuple[Webhook, str | None]:
    """Replace the secret; with the one that was made, if none was given.

    Raises:
        NotFound: there is no such webhook.
        Invalid: the secret cannot be used.
    """
    webhook = listing.find(session, Webhook, org_id, webhook_id, lock=True)
    made = None if given.secret is not None else signing.new_secret()
    overlap = timedelta(seconds=given.overlap_seconds)
    _replace(session, webhook, given.secret or made or "", secrets, overlap)
    listing.stamp(session, webhook)
    session.flush()
    return webhook, made


def delete_webhook(session: Session, org_id: UUID, webhook_id: UUID) -> None:
    """Remove a webhook, with its log and whatever waits for it.

    Raises:
        NotFound: there is none.
    """
    get_webhook(session, org_id, webhook_id)
    # Lanes first, as a worker takes them: it finds its lane lost.
    for statement in (
        delete(WebhookLane).where(WebhookLane.webhook_id == webhook_id, WebhookLane.org_id == org_id),
        delete(WebhookDelivery).where(
            WebhookDelivery.webhook_id == webhook_id, WebhookDelivery.org_id == org_id
        ),
        delete(Webhook).where(Webhook.id == webhook_id, Webhook.org_id == org_id),
    ):
        session.execute(statement.execution_options(synchronize_session=False))


def list_deliveries(
    session: Session,
    org_id: UUID,
    webhook_id: UUID,
    *,
    state: str | None = None,
    limit: int = 50,
    before: int | None = None,
) -> tuple[list[WebhookDelivery], int | None]:
    """The log of a webhook, newest first, and the id that the next page is asked for with (None: this is the last).

    Index (webhook_id, id), or (webhook_id, state, id).

    Raises:
        NotFound: there is no such webhook.
        Invalid: `limit` or `state` cannot be used.
    """
    get_webhook(session, org_id, webhook_id)
    listing.check_limit(limit)
    where = [WebhookDelivery.webhook_id == webhook_id, WebhookDelivery.org_id == org_id]
    if state is not None:
        if state not in STATES:
            raise Invalid("state", f"is none of {', '.join(STATES)}")
        where.append(WebhookDelivery.state == state)
    if before is not None:
        where.append(WebhookDelivery.id < before)
    statement = select(WebhookDelivery).where(*where).order_by(WebhookDelivery.id.desc()).limit(limit + 1)
    found = list(session.execute(statement).scalars())
    more = len(found) > limit
    return found[:limit], found[limit - 1].id if more else None


def get_delivery(session: Session, org_id: UUID, webhook_id: UUID, delivery_id: int) -> WebhookDelivery:
    """Raises NotFound."""
    row = session.execute(
        select(WebhookDelivery).where(
            WebhookDelivery.id == delivery_id,
            WebhookDelivery.webhook_id == webhook_id,
            WebhookDelivery.org_id == org_id,
        )
    ).scalar_one_or_none()
    if row is None:
        raise NotFound("webhook_delivery", delivery_id)
    return row


def redeliver(session: Session, org_id: UUID, webhook_id: UUID, delivery_id: int) -> WebhookDelivery:
    """Send an event once more: a new delivery at the end of its lane, under the same event id.

    Raises:
        NotFound: there is no such delivery.
        Invalid: it is still on its way, or its event is not kept any more.
    """
    row = get_delivery(session, org_id, webhook_id, delivery_id)
    if row.state == "pending":
        raise Invalid("id", f"delivery {delivery_id} is still pending; it is tried again by itself")
    kept = select(Event.id).where(Event.id == row.event_id, Event.org_id == org_id)
    if session.execute(kept).first() is None:
        raise Invalid("id", f"the event of delivery {delivery_id} is older than events are kept")
    queue_deliveries(session, [_again(row)])
    newest = (
        select(WebhookDelivery)
        .where(WebhookDelivery.webhook_id == webhook_id, WebhookDelivery.redelivery_of == delivery_id)
        .order_by(WebhookDelivery.id.desc())
        .limit(1)
    )
    return session.execute(newest).scalar_one()


def redeliver_dead(session: Session, org_id: UUID, webhook_id: UUID) -> int:
    """Send what was given up once more, oldest first; returns how many, at most 1,000 a call.

    Those that a later delivery repeated, or whose event is not kept any more, are left out.

    Raises:
        NotFound: there is no such webhook.
    """
    get_webhook(session, org_id, webhook_id)
    again = select(WebhookDelivery.redelivery_of).where(
        WebhookDelivery.webhook_id == webhook_id, WebhookDelivery.redelivery_of.is_not(None)
    )
    dead = session.execute(
        select(WebhookDelivery)
        .join(Event, Event.id == WebhookDelivery.event_id)
        .where(
            WebhookDelivery.webhook_id == webhook_id,
            WebhookDelivery.org_id == org_id,
            WebhookDelivery.state == "dead",
            WebhookDelivery.id.not_in(again),
        )
        .order_by(WebhookDelivery.id)
        .limit(_REDELIVERED)
    ).scalars()
    repeated = [_again(row) for row in dead]
    if repeated:
        queue_deliveries(session, repeated)
    return len(repeated)


def _again(row: WebhookDelivery) -> dict[str, Any]:
    return {
        "org_id": row.org_id,
        "webhook_id": row.webhook_id,
        "campaign_id": row.campaign_id,
        "event_id": row.event_id,
        "event": row.event,
        "redelivery_of": row.id,
    }


def _replace(session: Session, webhook: Webhook, secret: str, secrets: Secrets, overlap: timedelta) -> None:
    webhook.previous_secret = webhook.secret
    webhook.previous_secret_until = clock_of(session).now() + overlap
    webhook.secret = _sealed(secret, webhook.id, secrets)


def _sealed(secret: str, webhook_id: UUID, secrets: Secrets) -> bytes:
    try:
        signing.key_of(secret)
    except ValueError as error:
        raise Invalid("secret", str(error)) from None
    return secrets.seal({"secret": secret}, secret_place(webhook_id))


def _url(url: str, guard: Guard) -> str:
    try:
        return guard.check_url(url)
    except ValueError as error:
        raise Invalid("url", str(error)) from None
