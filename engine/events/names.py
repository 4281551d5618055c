"""The events there are, by their stable names, and who asked for which.

A subscription names events (`campaign.started`), groups (`recipient.*`), or everything (`*`). Events about single
recipients travel in batches (engine.events.outbox) and are written only while somebody subscribes to them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.kernel.inputs import Invalid
from engine.kernel.suggestions import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["AUDIT", "EVENTS", "PATTERNS", "RECIPIENT", "check_patterns", "wants", "wants_recipients"]

#: The group of events about single recipients.
RECIPIENT = "recipient."

#: The group of events about what authors do, which `*` does not mean: for administrators (engine.audit).
AUDIT = "audit."

#: Name → what it says. The first six are the Campaigns API's (docs/contract/campaigns-api.md).
EVENTS: dict[str, str] = {
    "campaign.created": "a campaign was made",
    "campaign.started": "a campaign was activated; its audience is being planned",
    "campaign.completed": "all that a campaign had to deliver has an outcome, or its end date passed",
    "campaign.failed": "a run of a campaign failed; the campaign is paused",
    "campaign.paused": "a campaign was paused or deactivated",
    "campaign.resumed": "a paused campaign goes on",
    "campaign.active": "the audience of a campaign stands",
    "campaign.cancelled": "a campaign was ended for good",
    "campaign.deleted": "a campaign was removed",
    "campaign.scheduled": "a campaign is to start at an instant",
    "campaign.start_skipped": "a scheduled start was missed by more than its policy allows",
    "campaign.retriggered": "failed recipients of a campaign are delivered to again",
    "job.finished": "a delivery run is over; its report",
    "person.erased": "a person was erased: nothing that says who they are is left",
    "recipient.sent": "a provider took their message",
    "recipient.failed": "their message cannot be delivered; the error code says why",
    "recipient.excluded": "they were not written to; the error code says why",
    "recipient.delivered": "their provider says the message arrived",
    "recipient.delayed": "their provider says the message is late",
    "recipient.bounced": "their message came back",
    "recipient.complained": "they called the message spam",
    "recipient.read": "they opened the message",
    "recipient.seen": "they saw it in the portal or beside an entity",
    "recipient.clicked": "they followed a link",
    "recipient.dismissed": "they put it away",
    "recipient.restored": "a dismissal was taken back",
    "recipient.replied": "they answered",
    "recipient.call_attempt": "a call to them is over, or did not come about",
    "recipient.verified": "what they said was judged by the campaign's goal",
    "recipient.converted": "they did what the campaign is for",
    "recipient.resubscribed": "they want to be written to again",
    "recipient.unsubscribed": "they are written to no more on that channel",
    "experiment.started": "an A/B test began on its sample",
    "experiment.decided": "an A/B test has a winner, or ended without one; the rest is sent",
    "webhook.disabled": "a webhook failed for so long that it was switched off",
    "audit.recorded": "somebody changed what is configured, or took data out; sent only to webhooks that name it",
}

_GROUPS = sorted({name.partition(".")[0] + ".*" for name in EVENTS})
#: Everything that a subscription may name.
PATTERNS: tuple[str, ...] = ("*", *_GROUPS, *EVENTS)


def check_patterns(patterns: Sequence[str]) -> list[str]:
    """The patterns of a subscription, each once.

    Raises:
        Invalid: there is none, or one names no event.
    """
    if not patterns:
        raise Invalid("events", "names no event")
    for index, pattern in enumerate(patterns):
        if pattern not in PATTERNS:
            raise Invalid(f"events[{index}]", f"{pattern!r} is no event{did_you_mean(pattern, PATTERNS)}")
    return list(dict.fromkeys(patterns))


def wants(patterns: Iterable[str], name: str) -> bool:
    """Whether a subscription to `patterns` gets event `name`."""
    group = name.partition(".")[0] + ".*"
    named = (group, name) if name.startswith(AUDIT) else ("*", group, name)
    return any(pattern in named for pattern in patterns)


def wants_recipients(patterns: Iterable[str]) -> bool:
    """Whether any of them is about single recipients."""
    return any(pattern == "*" or pattern.startswith(RECIPIENT) for pattern in patterns)
