"""E-mail that comes back, matched to the recipient it is about, and taken (engine.tracking.returned reads it).

Matched by what the message of ours carried and comes back with it, the surest first: the signed unsubscribe link in
the returned headers, the Message-ID, the return path (VERP). What matches nobody changes nothing: anybody can write
to the address where bounces go, and name any other.

The same message is taken once: its digest is the event's id.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from engine.audience.suppression import Barred, bar, key_of
from engine.content.links import Invitation, LinkError, Links, read_message_id, read_return_path
from engine.inputs import Invalid
from engine.insight.feedback import Feedback
from engine.tracking.addresses import reached
from engine.tracking.consequences import Told, reason_to_bar, take
from engine.tracking.returned import Report, Returned, Unreadable, read_returned
from state.change import clock_of

if TYPE_CHECKING:
    from uuid import UUID

    from sqlalchemy.orm import Session

    from engine.answers.classify import Classifier
    from engine.tracking.addresses import Reached

__all__ = ["Inbound", "take_inbound"]

_WORST = ("complained", "unsubscribed", "bounced", "delayed", "delivered")


@dataclass(frozen=True, slots=True)
class Inbound:
    """What became of a message that came in."""

    kind: Literal["bounce", "complaint", "reply", "auto_reply", "other"]
    matched: bool = False
    """Whether it is about a recipient of the organization."""
    taken: bool = False
    """Whether it was new, and something was written."""
    campaign_id: UUID | None = None
    recipient_id: UUID | None = None
    address: str | None = None
    """Whom it was sent to."""
    status: str | None = None
    bounce_type: Literal["permanent", "transient"] | None = None
    suppressed: str | None = None
    """Why the address must not be used from now on; absent: it may be."""


def take_inbound(
    session: Session,
    org_id: UUID,
    raw: bytes,
    links: Links,
    classifier: Classifier,
    *,
    recipient: str | None = None,
) -> Inbound:
    """Take a message as it came over the wire.

    Args:
        classifier: Says which bounces bar an address.
        recipient: The envelope's, where the mail server passes it on; it may be a return path of ours.

    Raises:
        Invalid: it is no e-mail message.
    """
    try:
        returned = read_returned(raw)
    except Unreadable as error:
        raise Invalid("body", str(error)) from None
    invitation = _invitation(returned, links, org_id)
    pair = (invitation.campaign_id, invitation.entity_id) if invitation is not None else None
    pair = pair or _pair(returned, recipient)
    report = _worst(returned, invitation)
    if pair is None or report is None:
        return Inbound(returned.kind)
    now = clock_of(session).now()
    (how,) = reached(session, org_id, [(pair, now, report.address)])
    if how is None and invitation is None:
        return Inbound(returned.kind)
    verdict = classifier.classify(report.answer) if report.answer is not None else None
    barred = _barred(reason_to_bar(report.kind, verdict), invitation, how)
    if how is None:  # the campaign is gone; what was signed still says which address it was
        bar(session, org_id, [barred] if barred is not None else [])
        return Inbound(returned.kind, suppressed=barred and barred.reason)
    bounce: Literal["permanent", "transient"] = "permanent" if report.permanent else "transient"
    told = Told(
        Feedback(
            campaign_id=pair[0],
            entity_id=pair[1],
            kind="replied" if returned.kind == "reply" else report.kind,
            at=now,
            event_id=f"inbound:{hashlib.sha256(raw).hexdigest()[:48]}",
            bounce_type=bounce,
            bounce_subtype=report.status,
            complaint_type=report.complaint_type,
            reason=report.reason or (returned.subject if returned.kind == "reply" else None),
        ),
        barred,
    )
    taken = take(session, org_id, [told])
    return Inbound(
        returned.kind,
        matched=True,
        taken=bool(taken.new),
        campaign_id=pair[0],
        recipient_id=pair[1],
        address=invitation.address if invitation is not None else how.key and how.key.address,
        status=report.status,
        bounce_type=bounce if report.kind == "bounced" else None,
        suppressed=barred.reason if barred is not None else None,
    )


def _barred(reason: str | None, invitation: Invitation | None, how: Reached | None) -> Barred | None:
    """The address that must not be used from now on."""
    if reason is None:
        return None
    if invitation is not None:
        return Barred(*key_of(invitation), reason, channel_kind=invitation.channel_kind)
    if how is None or how.key is None:
        return None
    return Barred(*how.key, reason, channel_kind=how.channel_kind)


def _invitation(returned: Returned, links: Links, org_id: UUID) -> Invitation | None:
    for link in returned.unsubscribe:
        try:
            invitation = links.read(link.rpartition("/")[2])
        except LinkError:
            continue
        if invitation.org_id == org_id:
            return invitation
    return None


def _pair(returned: Returned, recipient: str | None) -> tuple[UUID, UUID] | None:
    """Campaign and entity, by Message-ID or by return path."""
    for message_id in returned.message_ids:
        if (pair := read_message_id(message_id)) is not None:
            return pair
    for address in filter(None, (recipient, *returned.recipients)):
        if (pair := read_return_path(address)) is not None:
            return pair
    return None


def _worst(returned: Returned, invitation: Invitation | None) -> Report | None:
    """Of several reports the one about our recipient, and of these the worst; None: there is nothing to take."""
    if returned.kind == "reply":
        return Report("delivered", None)
    reports = returned.reports
    if invitation is not None:
        reports = [one for one in reports if one.address == invitation.address] or reports
    return min(reports, key=lambda one: _WORST.index(one.kind), default=None)
