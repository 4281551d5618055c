"""E-mail that comes back, matched to the recipients it is about, and taken (engine.inbound.mail_reading reads it).

Matched by what the message of ours carried and comes back with it, the surest first: the signed unsubscribe link in
the returned headers, the Message-ID, the return path (VERP). What matches nobody changes nothing: anybody can write
to the address where bounces go, and name any other.

A bounce bars the recipient's address only if it names that address, or none: of several recipients of one report each
meets what is said of it, and the person a message was forwarded to is not the recipient. The same message is taken
once: its digest is the event's id.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from engine.content.links import LinkError, read_message_id, read_return_path
from engine.engagement.feedback import Feedback
from engine.engagement.suppression import Barred, bar, key_of
from engine.inbound.consequences import ReportedFeedback, reason_to_bar, take
from engine.inbound.mail_reading import Unreadable, read_inbound_mail
from engine.inbound.mail_values import MailReport, RecipientReport
from engine.inbound.reported_addresses import reached
from engine.kernel.inputs import Invalid
from state.change import clock_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy.orm import Session

    from engine.answers.classify import Classifier
    from engine.content.links import Invitation, Links
    from engine.engagement.messages import Pair
    from engine.inbound.mail_values import InboundMail, Traces
    from engine.inbound.reported_addresses import Reached

__all__ = ["Inbound", "take_inbound"]

_WORST = ("complained", "unsubscribed", "bounced", "delayed", "delivered")


@dataclass(frozen=True, slots=True)
class Inbound:
    """What became of a message that came in; of several reports in it, of the first that is about a recipient."""

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
    further: list[Inbound] = field(default_factory=list)
    """What became of further reports in it, if there are several."""


@dataclass(frozen=True, slots=True)
class _Matched:
    """A report, the recipient it is about, and what follows."""

    pair: Pair
    report: RecipientReport
    invitation: Invitation | None
    how: Reached | None
    barred: Barred | None

    @property
    def address(self) -> str | None:
        """Whom the message was sent to."""
        return _sent_to(self.invitation, self.how)


def take_inbound(
    session: Session,
    org_id: UUID,
    raw: bytes,
    links: Links,
    classifier: Classifier,
    *,
    recipient: str | None = None,
) -> Inbound:
    """Take a message as it came over the wire. The number of statements does not depend on its reports.

    Args:
        classifier: Says which bounces bar an address.
        recipient: The envelope's, where the mail server passes it on; it may be a return path of ours.

    Raises:
        Invalid: it is no e-mail message.
    """
    try:
        mail = read_inbound_mail(raw)
    except Unreadable as error:
        raise Invalid("body", str(error)) from None
    now = clock_of(session).now()
    matched = _matched(session, org_id, _reports_of(mail), links, classifier, recipient, now)
    known = [one for one in matched if one.how is not None]
    # Where a campaign is gone, what was signed still says which address it was.
    bar(session, org_id, [one.barred for one in matched if one.how is None and one.barred is not None])
    digest = hashlib.sha256(raw).hexdigest()[:48]
    taken = take(
        session,
        org_id,
        [
            ReportedFeedback(_feedback(one, mail, now, _event_id(digest, at)), one.barred)
            for at, one in enumerate(known)
        ],
    )
    answers = [_answer(mail, one, taken=at in taken.new) for at, one in enumerate(known)]
    answers += [
        Inbound(mail.kind, suppressed=one.barred.reason if one.barred is not None else None)
        for one in matched
        if one.how is None
    ]
    if not answers:
        return Inbound(mail.kind)
    return replace(answers[0], further=answers[1:])


def _reports_of(mail: InboundMail) -> list[MailReport]:
    """What there is to take; an answer by a person is a report of its own."""
    if mail.kind == "reply":
        return [MailReport("other", (RecipientReport("delivered"),), mail.traces)]
    return [report for report in mail.reports if report.recipients]


def _matched(
    session: Session,
    org_id: UUID,
    reports: Sequence[MailReport],
    links: Links,
    classifier: Classifier,
    recipient: str | None,
    now: datetime,
) -> list[_Matched]:
    """Those reports that are about a recipient, or about a signed address, each with what follows. Eight statements at
    most.
    """
    about: list[tuple[MailReport, Pair, Invitation | None]] = []
    for report in reports:
        invitation = _invitation(report.traces, links, org_id)
        # The envelope is that of the message itself: of several reports in it, it says nothing.
        pair = _pair(report.traces, recipient if len(reports) == 1 else None)
        if invitation is not None:
            pair = (invitation.campaign_id, invitation.entity_id)
        if pair is not None:
            about.append((report, pair, invitation))
    wanted = [
        (pair, now, address)
        for report, pair, _ in about
        for one in report.recipients
        for address in (one.addresses or (None,))
    ]
    found = iter(reached(session, org_id, wanted) if wanted else [])
    matched: list[_Matched] = []
    for report, pair, invitation in about:
        candidates = [(one, [next(found) for _ in one.addresses or (None,)]) for one in report.recipients]
        one, how, is_theirs = _of_the_recipient(candidates, invitation)
        if how is None and invitation is None:
            continue
        verdict = classifier.classify(one.answer) if one.answer is not None and is_theirs else None
        barred = _barred(reason_to_bar(one.kind, verdict), invitation, how)
        matched.append(_Matched(pair, one, invitation, how, barred))
    return matched


def _of_the_recipient(
    candidates: list[tuple[RecipientReport, list[Reached | None]]], invitation: Invitation | None
) -> tuple[RecipientReport, Reached | None, bool]:
    """Of several reports about one message the one about our recipient, and of these the worst; whether it is."""

    def is_theirs(report: RecipientReport, ways: list[Reached | None]) -> bool:
        return not report.addresses or any(
            _sent_to(invitation, how) == address for address, how in zip(report.addresses, ways, strict=True)
        )

    ranked = sorted(
        candidates,
        key=lambda one: (not one[0].addresses, _WORST.index(one[0].kind)),
    )
    theirs = next((one for one in ranked if is_theirs(*one)), None)
    report, ways = theirs or ranked[0]
    how = next(
        (
            how
            for address, how in zip(report.addresses, ways, strict=False)
            if _sent_to(invitation, how) == address
        ),
        ways[0],
    )
    return report, how, theirs is not None


def _sent_to(invitation: Invitation | None, how: Reached | None) -> str | None:
    """Whom a message was sent to, as far as it is known."""
    if invitation is not None:
        return invitation.address
    return how.key.address if how is not None and how.key is not None else None


def _barred(reason: str | None, invitation: Invitation | None, how: Reached | None) -> Barred | None:
    """The address that must not be used from now on."""
    if reason is None:
        return None
    if invitation is not None:
        return Barred(*key_of(invitation), reason, channel_kind=invitation.channel_kind)
    if how is None or how.key is None:
        return None
    return Barred(*how.key, reason, channel_kind=how.channel_kind)


def _feedback(matched: _Matched, mail: InboundMail, now: datetime, event_id: str) -> Feedback:
    report, is_reply = matched.report, mail.kind == "reply"
    return Feedback(
        campaign_id=matched.pair[0],
        entity_id=matched.pair[1],
        kind="replied" if is_reply else report.kind,
        at=now,
        event_id=event_id,
        bounce_type="permanent" if report.is_permanent else "transient",
        bounce_subtype=report.status,
        complaint_type=report.complaint_type,
        reason=report.reason or (mail.subject if is_reply else None),
    )


def _event_id(digest: str, position: int) -> str:
    return f"inbound:{digest}" + (f":{position}" if position else "")


def _answer(mail: InboundMail, matched: _Matched, *, taken: bool) -> Inbound:
    report = matched.report
    bounce: Literal["permanent", "transient"] = "permanent" if report.is_permanent else "transient"
    return Inbound(
        mail.kind,
        matched=True,
        taken=taken,
        campaign_id=matched.pair[0],
        recipient_id=matched.pair[1],
        address=matched.address,
        status=report.status,
        bounce_type=bounce if report.kind == "bounced" else None,
        suppressed=matched.barred.reason if matched.barred is not None else None,
    )


def _invitation(traces: Traces, links: Links, org_id: UUID) -> Invitation | None:
    for link in traces.unsubscribe:
        try:
            invitation = links.read(link.rpartition("/")[2])
        except LinkError:
            continue
        if invitation.org_id == org_id:
            return invitation
    return None


def _pair(traces: Traces, recipient: str | None) -> Pair | None:
    """Campaign and entity, by Message-ID or by return path."""
    for message_id in traces.message_ids:
        if (pair := read_message_id(message_id)) is not None:
            return pair
    for address in filter(None, (recipient, *traces.return_paths)):
        if (pair := read_return_path(address)) is not None:
            return pair
    return None
