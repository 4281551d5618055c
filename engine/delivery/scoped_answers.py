"""Answers that are about more than their message, within one wave: a mail domain, the sender, the channel.

- About the channel: it goes on at a rate that is found (engine.delivery.health). The same words from several mail
  domains are about the channel.
- About a mail domain, or the mailbox provider that receives for it: where most of its messages were taken, the refusal
  was about the recipient: it is tried again like any other, at the cost of an attempt. Else it is slowed down, and it
  costs nobody one; unless it has asked so often that waiting longer would keep its recipients open for ever.
- About one mailbox: it is tried again, at the cost of an attempt, unless most of its domain was refused alike.
- About the sender: from a handful on, or where nobody else was taken, the campaign is to be paused.
- Perhaps about everybody (an API's 403 or 500 without words): where a handful is answered so and nobody is taken, the
  sender is refused, or the provider is down. Else it is about the message.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple, TypeGuard

from engine.answers.meanings import Scope
from engine.channels.port import (
    Deferred,
    Down,
    Outcome,
    Rejected,
    SenderRefused,
    Throttled,
)
from engine.delivery import health
from engine.delivery.slice_throttle import domain_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy.orm import Session

    from engine.content.message import Message
    from engine.delivery.coincidences import Coincidences
    from engine.delivery.slices import Lease
    from engine.limits.effective import EffectiveLimits
    from engine.limits.pacing import Allowance

__all__ = [
    "HANDFUL",
    "Judgement",
    "ScopedAnswers",
    "ScopedOutcome",
    "Verdict",
    "WaveFacts",
    "is_perhaps_everybodys",
    "is_scoped",
]

#: Times that a domain may ask, without a calm day between, before its messages cost attempts.
_PATIENCE = 200
#: So many answers that are perhaps everybody's make it so, where nobody is taken.
HANDFUL = 5
#: When a message is tried again that the channel was too fast for.
_SOON = timedelta(seconds=1)


ScopedOutcome = Throttled | SenderRefused | Rejected | Deferred


def is_scoped(outcome: Outcome) -> TypeGuard[ScopedOutcome]:
    """Whether an outcome waits for the end of its wave. A quota of the account that is spent does not."""
    if isinstance(outcome, Throttled):
        return not (outcome.scope is Scope.CHANNEL and outcome.quota)
    return isinstance(outcome, SenderRefused) or is_perhaps_everybodys(outcome)


def is_perhaps_everybodys(outcome: Outcome) -> TypeGuard[Rejected | Deferred]:
    """Whether the same answer to everybody would not be about the message."""
    return (isinstance(outcome, Rejected) and outcome.advice is not None) or (
        isinstance(outcome, Deferred) and outcome.of_service
    )


class Verdict(NamedTuple):
    """What a refusal comes to."""

    entity_id: UUID
    outcome: Outcome
    due_at: datetime | None
    """When it may be tried again; None: as the outcome has it."""


class WaveFacts(NamedTuple):
    """What a wave is judged by."""

    lease: Lease
    channel_id: UUID
    messages: Sequence[Message]
    effective: EffectiveLimits | None
    """The limits that are in force."""
    allowance: Allowance
    """What it was sent by."""
    delivered: int
    """Messages of the lease that were taken."""
    seconds: float
    """How long the slice has been sending."""
    rate: float
    """Messages a second that the channel's provider took of this process lately."""
    group_of: Callable[[str], str] = str
    """The mailbox provider's key of a mail domain, or the domain itself."""
    takes: bool = False
    """The provider took a message of this process within the last seconds."""


class Judgement(NamedTuple):
    """What a wave's answers come to."""

    verdicts: list[Verdict]
    trouble: Throttled | SenderRefused | Down | None
    """Why the channel is left alone for the rest of the lease."""
    begins_empty: bool = False
    """The channel found a rate of which nothing may be leased at once."""


class ScopedAnswers:
    """One wave's."""

    def __init__(self) -> None:
        self._throttled: list[tuple[Message, Throttled]] = []
        self._senders: list[tuple[Message, SenderRefused]] = []
        self._sender_count = 0
        self._perhaps: list[tuple[Message, Rejected | Deferred]] = []

    def __bool__(self) -> bool:
        return bool(self._throttled or self._senders or self._perhaps)

    def clear(self) -> None:
        """The verdicts are known."""
        self._throttled.clear()
        self._senders.clear()
        self._perhaps.clear()

    def note(self, message: Message, outcome: ScopedOutcome) -> None:
        """Keep a refusal until the wave has ended."""
        if isinstance(outcome, Rejected | Deferred):
            self._perhaps.append((message, outcome))
        elif isinstance(outcome, SenderRefused):
            self._senders.append((message, outcome))
            self._sender_count += 1
        else:
            self._throttled.append((message, outcome))

    def judge(
        self, session: Session, facts: WaveFacts, coincidences: Coincidences, now: datetime
    ) -> Judgement:
        """Slow down whatever asked for it, and say what becomes of each message."""
        of_channel: list[tuple[Message, Throttled]] = []
        of_domain: dict[str, list[tuple[Message, Throttled]]] = defaultdict(list)
        for message, asked in self._throttled:
            domain = facts.group_of(domain_of(message.address) or "")
            if asked.scope is Scope.CHANNEL or (
                not asked.certain
                and coincidences.is_about_channel(facts.channel_id, asked.text, domain, now)
                and coincidences.spares(message.entity_id)
            ):
                of_channel.append((message, asked))
            else:
                of_domain[domain].append((message, asked))
        verdicts: list[Verdict] = []
        trouble: Throttled | SenderRefused | Down | None = None
        begins_empty = False
        if of_channel:
            last = max((asked for _, asked in of_channel), key=lambda asked: asked.retry_after or 0.0)
            until, begins_empty = health.slow_channel(
                session,
                facts.lease,
                facts.channel_id,
                last,
                allowance=facts.allowance,
                observed=facts.rate,
                progressed=facts.delivered > 0,
            )
            trouble = None if until is None else last
            due_at = until or now + _SOON
            verdicts += [Verdict(message.entity_id, asked, due_at) for message, asked in of_channel]
        for domain, found in sorted(of_domain.items()):
            verdicts += self._of_domain(session, facts, domain, found)
        if self._senders:
            alone = not facts.delivered and len(self._senders) == len(facts.messages)
            refused = self._senders[-1][1]
            if alone or self._sender_count >= refused.threshold:
                trouble = refused
            verdicts += _of_senders(self._senders, paused=trouble is refused)
        if self._perhaps:
            everybodys, answers = self._of_everybody(facts, coincidences)
            trouble = trouble or everybodys
            verdicts += answers
        return Judgement(verdicts, trouble, begins_empty)

    def _of_everybody(
        self, facts: WaveFacts, coincidences: Coincidences
    ) -> tuple[SenderRefused | Down | None, list[Verdict]]:
        """What is perhaps everybody's: what it means for the channel, and for each message."""
        alike = len(self._perhaps) >= HANDFUL and not facts.delivered and not facts.takes
        trouble: SenderRefused | Down | None = None
        verdicts = []
        for message, answer in self._perhaps:
            outcome: Outcome = answer
            if alike and coincidences.spares(message.entity_id):
                if isinstance(answer, Rejected):
                    outcome = SenderRefused(answer.code, answer.text, answer.advice or "")
                else:
                    outcome = Down(answer.code, answer.text)
                trouble = trouble or outcome
            verdicts.append(Verdict(message.entity_id, outcome, None))
        return trouble, verdicts

    def _of_domain(
        self, session: Session, facts: WaveFacts, domain: str, found: list[tuple[Message, Throttled]]
    ) -> Iterator[Verdict]:
        sent = Counter(facts.group_of(domain_of(message.address) or "") for message in facts.messages)[domain]
        of_mailbox = all(asked.scope is Scope.MAILBOX for _, asked in found)
        due_at = None
        if 2 * len(found) >= sent and not (of_mailbox and len(found) == 1):
            throttle = health.slow_domain(
                session,
                facts.lease,
                facts.channel_id,
                domain,
                found[-1][1],
                effective=facts.effective,
                observed=sent / max(facts.seconds, 0.1),
            )
            if throttle.failures <= _PATIENCE:
                due_at = throttle.throttled_until
        for message, asked in found:
            outcome: Outcome = asked
            if due_at is None:
                outcome = Deferred(asked.code, asked.text, asked.retry_after, may_be_greylisting=True)
            yield Verdict(message.entity_id, outcome, due_at)


def _of_senders(found: list[tuple[Message, SenderRefused]], *, paused: bool) -> Iterator[Verdict]:
    """Everybody stays pending once the campaign is paused; until then it counts for the recipient."""
    for message, refused in found:
        outcome: Outcome = refused
        if not paused:
            outcome = Deferred(refused.code, refused.text, None, may_be_greylisting=True)
        yield Verdict(message.entity_id, outcome, None)
