"""What is on the wire of one slice, and what it came to.

Promises:
- Every message that was given to the channel ends in one outcome, also where the channel broke its promise of one:
  that is doubt, not loss.
- Outcomes are taken from the send loop without waking anybody: a switch of threads for each would cost more than the
  send.
- Nothing here is written: what is known waits in `unsettled` for the next transaction (`engine.delivery.ledger`).
"""

from __future__ import annotations

import random
from collections import Counter, deque
from dataclasses import replace
from threading import Event
from typing import TYPE_CHECKING

import structlog

from engine.answers.meanings import Scope
from engine.channels.port import (
    Delivered,
    Doubtful,
    Down,
    Message,
    Outcome,
    Released,
    SenderRefused,
    Throttled,
)
from engine.delivery.outcomes import Settlement, decide
from engine.delivery.scoped_answers import HANDFUL, ScopedAnswers, is_perhaps_everybodys, is_scoped
from engine.delivery.waves import Unsettled
from state.transitions import AutomationStatus

if TYPE_CHECKING:
    from collections.abc import Iterable
    from concurrent.futures import Future
    from datetime import datetime
    from uuid import UUID

    from engine.delivery.scoped_answers import Verdict
    from engine.delivery.sender import Sender
    from state.database import Clock

__all__ = ["Wire"]

log = structlog.get_logger(__name__)


class Wire:
    """One slice's."""

    def __init__(self, clock: Clock) -> None:
        self.open: dict[UUID, tuple[int, bool]] = {}
        """Given to the channel, outcome unknown: entity id → attempt, and whether an earlier one is in doubt."""
        self.unsettled = Unsettled()
        """Outcomes that are known and not written yet."""
        self.scoped = ScopedAnswers()
        """What is about more than its message."""
        self.trouble: Throttled | SenderRefused | Down | None = None
        """Why the channel is left alone from now on."""
        self.halt = Event()
        """Tells the channel to start nothing new."""
        self.jitter = random.random()  # noqa: S311 - spreads retries, guards nothing
        self.counts: Counter[str] = Counter()
        """Settlements by status."""
        self._clock = clock
        self._sender: Sender | None = None
        self._arrivals: deque[tuple[Message, Outcome]] = deque()
        """From the send loop."""
        self._asked: dict[UUID, tuple[int, bool]] = {}
        """Refused for a wider scope's sake, as `open`."""
        self._senders_refused = 0
        self._perhaps_everybodys = 0
        self._arrived_at = clock.now()
        """When outcomes were last taken in; back-off counts from there."""

    def __len__(self) -> int:
        """How many messages have no settlement yet."""
        return len(self.open) + len(self._asked)

    def lead_to(self, sender: Sender) -> None:
        """What follows goes through this sender's channel."""
        self._sender, self.trouble = sender, None

    @property
    def sender(self) -> Sender:
        """What is sent with."""
        assert self._sender is not None  # noqa: S101 - a part is being sent
        return self._sender

    def report(self, message: Message, outcome: Outcome) -> None:
        """Called on the send loop, for each outcome."""
        self._arrivals.append((message, outcome))
        if isinstance(outcome, Throttled) and outcome.scope is Scope.CHANNEL:
            if not is_scoped(outcome):
                self.trouble = outcome
            self.halt.set()
        elif type(outcome) is Down:
            self.trouble = outcome
            self.halt.set()
        elif type(outcome) is SenderRefused:
            self._senders_refused += 1
            if self._senders_refused >= outcome.threshold:
                self.halt.set()
        elif is_perhaps_everybodys(outcome):
            self._perhaps_everybodys += 1
            if self._perhaps_everybodys >= HANDFUL and not self._is_taken():
                self.halt.set()

    def _is_taken(self) -> bool:
        """Whether any message of the slice was."""
        return bool(self.counts[AutomationStatus.SUCCESS]) or any(
            type(outcome) is Delivered for _, outcome in [*self._arrivals]
        )

    def take_arrivals(self) -> None:
        """Take in what was reported so far."""
        self._arrived_at = self._clock.now()
        delivered = self.unsettled.delivered
        known = len(delivered)
        while self._arrivals:
            message, outcome = self._arrivals.popleft()
            flight = self.open.pop(message.entity_id, None)
            if flight is None:
                log.error("channel.reported_twice", entity_id=str(message.entity_id))
                continue
            if type(outcome) is Delivered:
                delivered.append(message.entity_id)
            elif is_scoped(outcome):
                self._asked[message.entity_id] = flight
                self.scoped.note(message, outcome)
            else:
                self._decide(message.entity_id, flight, outcome)
                self.unsettled.refused(self.sender, message, outcome)
        self.counts[AutomationStatus.SUCCESS] += len(delivered) - known

    def release(self, messages: Iterable[Message]) -> None:
        """They may not leave after all; nobody was sent to."""
        for message in messages:
            self._decide(message.entity_id, self.open.pop(message.entity_id), Released())

    def doubt_rest(self, sending: Future[None]) -> None:
        """The channel has ended: of what it reported no outcome for, nobody knows whether it arrived."""
        if not self.open:
            return
        error = sending.exception()
        log.error("channel.broken", unreported=len(self.open), exc_info=error)
        doubt = Doubtful("CHANNEL_ERROR", f"the channel ended without an outcome: {error!r}")
        for entity_id, flight in self.open.items():
            self._decide(entity_id, flight, doubt)
        self.open.clear()

    def accept(self, verdicts: Iterable[Verdict]) -> None:
        """Settle what was refused for a wider scope's sake, as `scoped` has judged."""
        for entity_id, outcome, due_at in verdicts:
            self._decide(entity_id, self._asked.pop(entity_id), outcome, due_at)
        self.scoped.clear()

    def note(self, settlement: Settlement) -> None:
        """Keep what is to be written about a recipient."""
        self.unsettled.others.append(settlement)
        self.counts[settlement.status] += 1

    def _decide(
        self, entity_id: UUID, flight: tuple[int, bool], outcome: Outcome, due_at: datetime | None = None
    ) -> None:
        attempt, doubted = flight
        settlement = decide(
            entity_id,
            attempt,
            outcome,
            self.sender.policy,
            doubted=doubted,
            now=self._arrived_at,
            jitter=self.jitter,
        )
        self.note(settlement if due_at is None else replace(settlement, due_at=due_at))
