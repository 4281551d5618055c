"""The claims of one lease: who is next, claiming them, and their messages.

Promises:
- A wave is committed as `in_progress` before a message of it exists, and what is known of the wave before is settled
  in the same transaction: on PostgreSQL, where all is as usual, in one round trip (`engine.delivery.one_trip`).
- Nobody is claimed once the job, the channel, limits or the process say so.
- Whoever is claimed is known as they are, or were a moment ago (`engine.delivery.freshness`).
- Whoever is claimed gets a message or a settlement that says why there is none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from engine.audience.suppression import suppressed
from engine.delivery import health, waves
from engine.delivery.address_claims import claim_addresses
from engine.delivery.compose import compose, removed
from engine.delivery.outcomes import Settlement
from engine.delivery.parts import Taken
from engine.delivery.rollup import Cell, hour_of
from engine.triggers import reach

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from threading import Event
    from uuid import UUID

    from sqlalchemy import Connection
    from sqlalchemy.orm import Session

    from engine.channels.port import Message
    from engine.delivery import one_trip
    from engine.delivery.freshness import SliceFreshness
    from engine.delivery.ledger import Ledger
    from engine.delivery.parts import Agenda, Part
    from engine.delivery.slice_throttle import SliceThrottle, SliceThrottles
    from engine.delivery.slices import Lease
    from engine.delivery.waves import Due, Run
    from engine.delivery.wire import Wire
    from engine.runtime import Runtime

__all__ = ["Claims"]


class _Claimed(NamedTuple):
    """What claiming a wave came to."""

    taken: dict[UUID, tuple[UUID | None, int]]
    """Entity id → execution id and attempt."""
    barred: dict[str, str]
    """Addresses that must not be used, and why."""
    kept: dict[UUID, Settlement]
    """Who is claimed and gets nothing, and how that is recorded."""
    run: Run | None = None
    """Nobody else is in flight there."""


class Claims:
    """One lease's."""

    def __init__(
        self,
        runtime: Runtime,
        lease: Lease,
        agenda: Agenda,
        throttles: SliceThrottles,
        wire: Wire,
        ledger: Ledger,
        freshness: SliceFreshness,
        stopping: Event,
    ) -> None:
        self._database = runtime.database
        self._settings = runtime.settings
        self._lease = lease
        self._agenda = agenda
        self._throttles = throttles
        self._wire = wire
        self._ledger = ledger
        self._freshness = freshness
        self._stopping = stopping

    @property
    def throttle(self) -> SliceThrottle | None:
        """What limits mean for the channel that is sent through."""
        return self._throttles.by_channel.get(self._wire.sender.channel_id)

    def may_go_on(self) -> bool:
        """Whether more may be claimed of the part that is sent."""
        throttle = self.throttle
        return not (
            self._ledger.stopped
            or self._freshness.is_outdated
            or self._wire.trouble is not None
            or self._stopping.is_set()
            or (throttle is not None and throttle.wait is not None)
        )

    def next_wave(self, part: Part, queue: list[Due]) -> tuple[list[Due], list[Due]]:
        """Who is claimed next, and who is left. Nobody: limits keep what is left from being sent now."""
        throttle, size = self.throttle, self._settings.wave_size
        if part.probing:
            size = health.PROBE
        elif throttle is None and self._wire.sender.channel.in_one_piece:
            size = len(queue)
        if throttle is None:
            return queue[:size], queue[size:]
        wave, left = throttle.next_wave(queue, size)
        if wave:
            if self._wire.unsettled and throttle.delay > self._settings.flush_interval.total_seconds():
                self._ledger.flush()  # what is known must not wait for a permit
            throttle.prepare(self._stopping)
        return wave, left

    def claim(self, part: Part, wave: list[Due]) -> list[Message]:
        """Claim a wave, settling what is known of the one before in the same transaction, and make it ready to send.
        Nobody is claimed where what is sent has changed.
        """
        wave = self._freshness.refresh(self._ledger, part, wave)
        if self._freshness.is_outdated:
            return []
        address_of = self._wire.sender.channel.address_of
        addresses = [None if due.attributes is None else address_of(due.attributes) for due in wave]
        usual = part.stage is None and self._ledger.is_usual()
        claimed = (self._exchange if usual else self._transact)(part, wave, addresses)
        self._wire.unsettled.clear()
        flight = None if claimed.run is None else (claimed.run, len(claimed.taken))
        self._wire.unsettled.about(part, flight)
        if not claimed.taken:
            return []
        reach("wave.claimed")
        return self._compose(part, wave, addresses, claimed)

    def _transact(self, part: Part, wave: list[Due], addresses: list[str | None]) -> _Claimed:
        """Claim it in a transaction of several statements, whatever the case."""
        ledger, unsettled = self._ledger, self._wire.unsettled
        ids = [due.entity_id for due in wave]
        throttle, at = self.throttle, self._database.clock.now()
        kept = {} if throttle is None else throttle.postponed(wave)

        def claim(session: Session, *, again: bool, now: datetime) -> tuple[_Claimed, int, Cell]:
            cell = Cell(part.touchpoint_id, part.variant, hour_of(now))
            ledger.cell = ledger.cell or cell
            idle = ledger.waiting - part.count_waiting(ids)
            expected = unsettled.tally(in_progress=len(wave) + idle, now=now)
            state = ledger.hold(session, expected, now)
            taken, gone, moved = Taken({})
            if again or self.may_go_on():  # whom an earlier try may have claimed is ours
                taken, gone, moved = part.claim(session, self._lease, ids, now=now, again=again)
            kept.update(removed(taken))
            self._agenda.goes_on |= moved.placed > 0
            idle = ledger.waiting - part.count_waiting(taken) - gone + moved.placed
            going = len(taken) + idle
            idle += ledger.settle(session, expected, in_progress=going, now=now, finished=moved.finished)
            barred = {}
            if taken and state.suppresses and not self._wire.sender.is_action:
                barred = suppressed(
                    session, self._lease, self._wire.sender.channel.medium, filter(None, addresses)
                )
            kept.update(self._duplicates(session, wave, addresses, _Claimed(taken, barred, kept)))
            if throttle is not None:
                reached = [due for due, _ in _reached(wave, addresses, _Claimed(taken, barred, kept))]
                kept.update(throttle.capped(session, reached, at))
            ledger.count_for(session, cell, in_progress=len(taken) + idle)
            reach("wave.before_claim_commit")
            return _Claimed(taken, barred, kept), idle, cell

        claimed, ledger.waiting, ledger.cell = ledger.persist(claim)
        return claimed

    def _exchange(self, part: Part, wave: list[Due], addresses: list[str | None]) -> _Claimed:
        """Claim it in one round trip, because all is as usual."""
        ledger, delivered = self._ledger, self._wire.unsettled.delivered
        addressed = list(filter(None, addresses))
        wanted: list[UUID] | waves.Run = [due.entity_id for due in wave]
        if part.whole:
            wanted = waves.Run(wave[0].entity_id, wave[-1].entity_id)
        tries = 0

        def exchange(connection: Connection, *, again: bool, now: datetime) -> one_trip.Wave:
            nonlocal tries
            tries += 1
            ledger.cell = Cell(part.touchpoint_id, part.variant, hour_of(now))
            reach("wave.before_claim_commit")
            return ledger.trip(connection, wanted, again=again, now=now)

        taken, settled, state = ledger.persist(exchange, self._database.alone)
        ledger.through += settled
        if settled < len(delivered) or state.limits_epoch != self._throttles.epoch:

            def catch_up(session: Session, *, again: bool, now: datetime) -> None:  # noqa: ARG001 - harmless twice
                waves.land_rest(session, self._lease, delivered, settled)
                self._throttles.learn(session, state.limits_epoch)

            ledger.persist(catch_up)
        barred = {}
        if taken and state.suppresses and addressed and not self._wire.sender.is_action:

            def look_up(
                connection: Connection,
                *,
                again: bool,  # noqa: ARG001 - it reads
                now: datetime,  # noqa: ARG001 - likewise
            ) -> dict[str, str]:
                return suppressed(connection, self._lease, self._wire.sender.channel.medium, addressed)

            barred = ledger.persist(look_up, self._database.alone)
        kept = removed(taken)
        if taken and self._lease.one_per_address:

            def share_out(
                connection: Connection,
                *,
                again: bool,  # noqa: ARG001 - who has an address keeps it
                now: datetime,  # noqa: ARG001 - it knows no time
            ) -> dict[UUID, Settlement]:
                return self._duplicates(connection, wave, addresses, _Claimed(taken, barred, kept))

            kept.update(ledger.persist(share_out, self._database.alone))
        flight = wanted if isinstance(wanted, waves.Run) and tries == 1 else None
        return _Claimed(taken, barred, kept, flight)

    def _duplicates(
        self,
        session: Session | Connection,
        wave: list[Due],
        addresses: list[str | None],
        claimed: _Claimed,
    ) -> dict[UUID, Settlement]:
        """Who of a claimed wave has the address of another recipient, where the campaign writes to each once."""
        sender = self._wire.sender
        if not self._lease.one_per_address or sender.is_action:
            return {}
        reached = [(due.entity_id, address) for due, address in _reached(wave, addresses, claimed)]
        return claim_addresses(session, self._lease.campaign_id, sender.channel.medium, reached)

    def _compose(
        self, part: Part, wave: list[Due], addresses: list[str | None], claimed: _Claimed
    ) -> list[Message]:
        """The messages of a claimed wave; who gets none is noted."""
        lease, wire, sender, touchpoint_id = self._lease, self._wire, self._wire.sender, part.touchpoint_id
        taken, barred, kept, _ = claimed
        messages = []
        for due, address in zip(wave, addresses, strict=True):
            ours = taken.get(due.entity_id)
            if ours is None:
                continue
            execution_id, attempt = ours
            if execution_id is None or due.entity_id in kept:
                wire.note(kept[due.entity_id])
                continue
            message = compose(lease, sender, due, address, execution_id, barred, touchpoint_id)
            if isinstance(message, Settlement):
                wire.note(message)
            else:
                wire.open[due.entity_id] = (attempt, due.doubted)
                messages.append(message)
        return messages


def _reached(wave: list[Due], addresses: list[str | None], claimed: _Claimed) -> Iterator[tuple[Due, str]]:
    """Those of a claimed wave to whom nothing stands in the way so far, with their addresses."""
    for due, address in zip(wave, addresses, strict=True):
        if (
            due.entity_id in claimed.taken
            and due.entity_id not in claimed.kept
            and address is not None
            and address not in claimed.barred
        ):
            yield due, address
