"""Mail domains that ask to slow down, within one wave.

Where most of a domain's messages were taken, the refusal was about the recipient: it is tried again like any other, at
the cost of an attempt. Else the domain is slowed down, and it costs nobody one; unless the domain has asked so often
that waiting longer would keep its recipients open for ever.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, NamedTuple

from engine.channels.port import Deferred, Outcome, Throttled
from engine.delivery import health
from engine.delivery.slice_throttle import domain_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy.orm import Session

    from engine.channels.port import Message
    from engine.delivery.slices import Lease
    from engine.limits.effective import EffectiveLimits

__all__ = ["Domains", "Verdict"]

#: Times that a domain may ask, without a calm day between, before its messages cost attempts.
_PATIENCE = 200


class Verdict(NamedTuple):
    """What a refusal comes to."""

    entity_id: UUID
    outcome: Outcome
    due_at: datetime | None
    """When the domain may be written to again; None: as the outcome has it."""


class Domains:
    """One wave's."""

    def __init__(self) -> None:
        self._asked: dict[str, list[tuple[UUID, Throttled]]] = defaultdict(list)

    def __bool__(self) -> bool:
        return bool(self._asked)

    def clear(self) -> None:
        """The verdicts are known."""
        self._asked.clear()

    def note(self, message: Message, outcome: Throttled) -> None:
        """Keep a refusal until the wave has ended."""
        self._asked[domain_of(message.address) or ""].append((message.entity_id, outcome))

    def judge(
        self,
        session: Session,
        lease: Lease,
        channel_id: UUID,
        wave: Sequence[Message],
        *,
        effective: EffectiveLimits | None,
        seconds: float,
    ) -> list[Verdict]:
        """Slow down whatever asked for it, and say what becomes of each message.

        Args:
            effective: The limits that were in force.
            seconds: How long the slice has been sending.
        """
        sent = Counter(domain_of(message.address) or "" for message in wave)
        verdicts = []
        for domain, found in sorted(self._asked.items()):
            due_at = None
            if 2 * len(found) >= sent[domain]:
                observed = sent[domain] / max(seconds, 0.1)
                throttle = health.slow_domain(
                    session, lease, channel_id, domain, found[-1][1], effective=effective, observed=observed
                )
                if throttle.failures <= _PATIENCE:
                    due_at = throttle.throttled_until
            for entity_id, asked in found:
                outcome: Outcome = asked
                if due_at is None:
                    outcome = Deferred(asked.code, asked.text, asked.retry_after)
                verdicts.append(Verdict(entity_id, outcome, due_at))
        return verdicts
