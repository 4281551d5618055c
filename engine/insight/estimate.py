"""How long a run takes, before it begins and while it goes on: at its pace, under everything that limits it.

The pace where nothing is measured yet is that of the organization's latest runs. Rates, hours and waits are read from
what applies now (engine.limits, engine.insight.waiting); which hours and mail domains concern how many is taken from a
sample of the recipients. Nobody can say how long a provider is down, or when somebody resumes a pause: then there is no
estimate.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from engine.delivery.flow_plan import wait_ends
from engine.insight.forecast import Ceiling, departures, last_leaves_at
from engine.insight.waiting import Scope
from engine.kernel.addresses import normalise_email
from engine.limits.effective import read_effective_limits
from state.tables import Channel, Job, Touchpoint
from state.transitions import JobStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy.orm import Session

    from engine.insight.waiting import Waiting
    from engine.limits.effective import EffectiveLimits
    from state.tables import Campaign

__all__ = ["DEFAULT_PACE", "SAMPLE", "Crowd", "expected_departures", "expected_end", "usual_pace"]

#: Recipients a second where nothing is known yet: what one worker does over one modest mail server.
DEFAULT_PACE = 200.0
#: Recipients that tell the shares of zones and mail domains.
SAMPLE = 200
_RUNS = 5
#: Runs of fewer recipients say more about starting than about sending.
_LEAST = 100
#: Mail domains that are looked at by themselves: the commonest.
_DOMAINS = 50
_ONE_ZONE = "UTC"
#: Instants of a curve.
_POINTS = 200


@dataclass(frozen=True, slots=True)
class Crowd:
    """Recipients that are to be written to."""

    count: int
    sample: Callable[[], Sequence[Mapping[str, Any]]] = tuple
    """Reads the attributes of some of them, where their zones or mail domains matter."""
    begun: int = 0
    """Beside them: recipients that wait between two touchpoints."""


def usual_pace(session: Session, org_id: UUID) -> float:
    """Recipients a second, as the latest finished runs went. Index job (org_id, …): the latest few."""
    found = session.execute(
        select(Job.total, Job.started_at, Job.finished_at)
        .where(
            Job.org_id == org_id,
            Job.status == JobStatus.FINISHED,
            Job.total >= _LEAST,
            Job.started_at.is_not(None),
            Job.finished_at.is_not(None),
        )
        .order_by(Job.created_at.desc())
        .limit(_RUNS)
    ).all()
    seconds = sum((run.finished_at - run.started_at).total_seconds() for run in found)
    recipients = sum(run.total for run in found)
    return recipients / max(seconds, 0.001) if recipients else DEFAULT_PACE


def expected_end(
    session: Session,
    campaign: Campaign,
    crowd: Crowd,
    *,
    begin: datetime,
    pace: float | None = None,
    waiting: Sequence[Waiting] = (),
    limits: Mapping[UUID, EffectiveLimits | None] | None = None,
) -> datetime | None:
    """When the last of `crowd` has its last message; None where nobody can say, or beyond ten years.

    Two statements a channel of the campaign's flow, and two more.

    Args:
        begin: When the first may leave.
        pace: Recipients a second, measured; None: the usual one.
        waiting: What holds the campaign back now.
        limits: Of channels, what limits the campaign there, as far as it was read.
    """
    stops = [one for one in waiting if one.stops_all]
    if any(one.until is None or one.code in ("breaker", "quota") for one in stops):
        return None
    begin = max([begin, *(one.until for one in stops if one.until is not None)])
    flow = _flow(session, campaign)
    messages = [(touchpoint, channel) for touchpoint, channel in flow if channel is not None]
    pace = max(pace or usual_pace(session, campaign.org_id), 1e-6)
    held = [
        Ceiling(one.rate)
        for one in waiting
        if one.rate and one.scope not in (Scope.MAILBOX, Scope.DOMAIN, Scope.PROVIDER) and one.code != "limit"
    ]
    ends: list[datetime | None] = [begin]
    over: dict[UUID, list[Channel]] = {}
    for _, channel in messages:
        over.setdefault(channel.id, []).append(channel)
    for channel, *again in over.values():
        if limits is not None and channel.id in limits:
            effective = limits[channel.id]
        else:
            effective = read_effective_limits(session, campaign.org_id, campaign.id, channel.id)
        count = crowd.count * (1 + len(again))
        ends += _ends(effective, channel, crowd, count, begin=begin, pace=pace, held=held)
    if not over:  # actions alone
        ends.append(last_leaves_at(begin, {_ONE_ZONE: crowd.count}, pace=pace, ceilings=held))
    ends += [one.until for one in waiting if one.stops and not one.stops_all and one.until is not None]
    if any(end is None for end in ends):
        return None
    return _waited(max(end for end in ends if end is not None), [point for point, _ in flow], crowd)


def _ends(
    effective: EffectiveLimits | None,
    channel: Channel,
    crowd: Crowd,
    count: int,
    *,
    begin: datetime,
    pace: float,
    held: Sequence[Ceiling],
) -> Iterator[datetime | None]:
    """When the messages over one channel have left: all of them, and those to each mail domain that is limited."""
    ceilings = [*held, *(_ceilings(effective, begin) if effective is not None else ())]
    hours = None if effective is None else effective.hours
    sample, zones = _sample(effective, crowd)
    share = count / len(zones)
    everybody = {zone: number * share for zone, number in Counter(zones).items()}
    yield last_leaves_at(begin, everybody, pace=pace, ceilings=ceilings, hours=hours)
    if effective is None or not effective.by_domain:
        return
    where = channel.settings.get("address")
    domains = [_domain(one.get(where if isinstance(where, str) else "email")) for one in sample]
    for domain, _ in Counter(filter(None, domains)).most_common(_DOMAINS):
        bucket, throttle = effective.domain(domain, begin), effective.blocked(domain, begin)
        if bucket is None and throttle is None:
            continue
        own = [zone for zone, its in zip(zones, domains, strict=True) if its == domain]
        yield last_leaves_at(
            begin if throttle is None else throttle.until,
            {zone: number * share for zone, number in Counter(own).items()},
            pace=pace,
            ceilings=ceilings if bucket is None else [*ceilings, Ceiling(bucket.rate)],
            hours=hours,
        )


def _sample(effective: EffectiveLimits | None, crowd: Crowd) -> tuple[Sequence[Mapping[str, Any]], list[str]]:
    """Attributes of some recipients, and the time zone of each of them, as far as either matters; never nobody."""
    by_recipient = effective is not None and (effective.hours is not None or effective.by_domain)
    sample = (crowd.sample() if by_recipient else ()) or ({},)
    hours = None if effective is None else effective.hours
    return sample, [_ONE_ZONE if hours is None else hours.zone(one) for one in sample]


def expected_departures(
    session: Session, campaign: Campaign, crowd: Crowd, *, begin: datetime
) -> list[tuple[datetime, float]]:
    """How the first message of the flow leaves: instants in their order, and how many have left by then. Empty where
    nobody can say, or nothing is sent. Limits of single mail domains are left out.

    Args:
        begin: When the first may leave.
    """
    for touchpoint, channel in _flow(session, campaign):
        if touchpoint.type == "wait":
            begin = max(begin, wait_ends(touchpoint.settings, begin))
        if channel is None:
            continue
        effective = read_effective_limits(session, campaign.org_id, campaign.id, channel.id)
        _, zones = _sample(effective, crowd)
        share = crowd.count / len(zones)
        found, left = [(begin, 0.0)], 0.0
        for part in departures(
            begin,
            {zone: number * share for zone, number in Counter(zones).items()},
            pace=max(usual_pace(session, campaign.org_id), 1e-6),
            ceilings=[] if effective is None else [*_ceilings(effective, begin)],
            hours=None if effective is None else effective.hours,
        ):
            if part is None:
                return []
            found += [(part.begin, left), (part.end, left := left + part.messages)]
        return found[: -1 : 1 + len(found) // _POINTS] + found[-1:] if left else []
    return []


def _ceilings(effective: EffectiveLimits, now: datetime) -> Iterator[Ceiling]:
    """What is configured stays; what a provider asked for is forgotten after a while."""
    yield from (Ceiling(bucket.rate) for bucket in effective.rates)
    slowdown = effective.slowdown
    if slowdown is not None and now < slowdown.until:
        yield Ceiling(slowdown.known, slowdown.until)


def _domain(address: Any) -> str | None:
    found = normalise_email(address) if isinstance(address, str) else None
    return None if found is None else found.rpartition("@")[2]


def _flow(session: Session, campaign: Campaign) -> list[tuple[Touchpoint, Channel | None]]:
    """The campaign's active touchpoints in order; messages with their channel."""
    default = (
        select(Channel.id)
        .where(Channel.org_id == campaign.org_id)
        .order_by(Channel.is_default.desc(), Channel.created_at, Channel.id)
        .limit(1)
        .scalar_subquery()
    )
    wanted = (Channel.id == Touchpoint.channel_id) | (
        Touchpoint.channel_id.is_(None) & (Channel.id == default)
    )
    found = session.execute(
        select(Touchpoint, Channel)
        .outerjoin(Channel, wanted & (Channel.org_id == campaign.org_id))
        .where(
            Touchpoint.org_id == campaign.org_id,
            Touchpoint.flow_id == campaign.flow_id,
            Touchpoint.status == "active",
        )
        .order_by(Touchpoint.position, Touchpoint.id)
    )
    return [(point, channel if point.type == "message" else None) for point, channel in found]


def _waited(end: datetime, flow: Sequence[Touchpoint], crowd: Crowd) -> datetime | None:
    """`end`, and the waits of the flow, which recipients that have not begun still have before them. Nobody can say
    where those who have begun stand, so they tell nothing.
    """
    waits = [point for point in flow if point.type == "wait"]
    if not waits:
        return end
    if crowd.begun and not crowd.count:
        return None
    for wait in waits:
        end = max(end, wait_ends(wait.settings, end))
    return end
