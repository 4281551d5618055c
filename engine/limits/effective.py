"""What applies to the messages of one campaign over one channel, read once per change.

Every change of a limit counts up its organization's `limits_epoch`. Leasing a slice and holding it tell that number,
so a worker learns of a change with its next wave, and asks the database only then: without limits there is
nothing to pay for but comparing two numbers.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import timedelta
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import delete, select, update

from engine.limits.adaptive import FOUND_KEPT, RECOVERY, Slowdown
from engine.limits.buckets import Bucket
from engine.limits.config import CampaignLimits, ChannelLimits, FrequencyCap, OrganizationLimits, Rate, WarmUp
from engine.limits.hours import Hours
from engine.limits.mailbox_providers import provider_of_key
from state.change import clock_of
from state.tables import Campaign, Channel, DomainThrottle, Organization

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy.orm import Session

    from engine.limits.adaptive import UseClock
    from engine.limits.mailbox_providers import MailboxProviders

__all__ = [
    "PUT_BACK",
    "Cap",
    "EffectiveLimits",
    "EffectiveLimitsCache",
    "Throttle",
    "forget_throttles",
    "mark_changed",
    "read_effective_limits",
]

#: What the error code says of a recipient that was put back for a limit, so that another limit may end its wait.
PUT_BACK = ("QUIET_HOURS", "FREQUENCY_CAP", "WARM_UP")

#: How long a mail domain is remembered after it asked to slow down.
_CALM = timedelta(days=1)
#: Pairs of campaign and channel that a process remembers.
_REMEMBERED = 1000
#: Slices that are in flight under any limit, and messages a second that one of them reaches at least. As many as the
#: threads of two worker processes, so that the limit is used on while a process that died still holds its leases.
_FEWEST, _ONE_SLICE = 16, 500


class Cap(NamedTuple):
    """A frequency cap, and of which messages: `organization`, `campaign` or `channel`."""

    of: str
    cap: FrequencyCap


class Throttle(NamedTuple):
    """A mail domain that asked to slow down."""

    until: datetime
    slowdown: Slowdown
    reason: str


@dataclass(frozen=True)
class EffectiveLimits:
    """Limits as they are at one epoch."""

    org_id: UUID
    campaign_id: UUID
    channel_id: UUID
    rates: tuple[Bucket, ...] = ()
    """Of channel, campaign and organization, as configured."""
    slowdown: Slowdown | None = None
    """The channel's provider asked to slow down."""
    domain_rate: Rate | None = None
    domains: dict[str, Rate] = field(default_factory=dict)
    providers: dict[str, Rate] = field(default_factory=dict)
    """By name."""
    throttles: dict[str, Throttle] = field(default_factory=dict)
    warm_up: WarmUp | None = None
    stands_in: bool = False
    """Another channel sends what this one must not."""
    hours: Hours | None = None
    caps: tuple[Cap, ...] = ()

    @property
    def by_domain(self) -> bool:
        """Whether it matters which mail domain a message goes to."""
        return bool(self.domain_rate or self.domains or self.providers or self.throttles)

    @property
    def paced(self) -> bool:
        """Whether messages need permits."""
        return bool(self.rates or self.slowdown or self.by_domain)

    def general(self, now: datetime, clock: UseClock | None = None) -> list[Bucket]:
        """The buckets that every message is taken from.

        Args:
            clock: Tells how long a rate that was found has been used; None: all the time.
        """
        if self.slowdown is None:
            return list(self.rates)
        key = f"channel:{self.channel_id}"
        own = next((bucket for bucket in self.rates if bucket.key == key), None)
        used = None if clock is None else clock.use(self.channel_id, self.slowdown, now)
        rate = self.slowdown.rate_at(now, ceiling=None if own is None else own.rate, used=used)
        if rate is None:
            return list(self.rates)
        slowed = Bucket(key, rate, text=f"{_in_words(rate)}, the rate that the channel's provider takes")
        return [slowed, *(bucket for bucket in self.rates if bucket is not own)]

    def group_of(self, domain: str, providers: MailboxProviders) -> str:
        """What a mail domain shares limits and throttles with; one that has a limit of its own stands alone."""
        return providers.group_of(domain, alone=self.domains)

    def domain(self, domain: str, now: datetime) -> Bucket | None:
        """The bucket of a mail domain or mailbox provider, as `group_of` says."""
        provider = provider_of_key(domain)
        rate = self.domains.get(domain, self.domain_rate)
        if provider is not None:
            rate = self.providers.get(provider.name, self.domain_rate)
        named = domain if provider is None else provider.title
        throttle = self.throttles.get(domain)
        key = f"domain:{self.channel_id}:{domain}"
        if throttle is not None:
            ceiling = None if rate is None else rate.per_second
            slowed = throttle.slowdown.rate_at(now, ceiling=ceiling)
            if slowed is not None:
                return Bucket(key, slowed, text=f"{slowed:,.1f} a second to {named}, as it asked")
        if rate is None:
            return None
        return Bucket(key, rate.per_second, rate.burst, f"{rate} to {named}")

    def blocked(self, domain: str, now: datetime) -> Throttle | None:
        """The throttle of a mail domain that must not be written to now."""
        throttle = self.throttles.get(domain)
        return throttle if throttle is not None and throttle.until > now else None

    def pace(self, now: datetime) -> int | None:
        """How many slices at once keep its general limits busy, more than its window maybe; None: there are none."""
        slowest = min((bucket.rate for bucket in self.general(now)), default=None)
        return None if slowest is None else max(_FEWEST, -int(-slowest // _ONE_SLICE))


def _in_words(rate: float) -> str:
    """Messages a second, or a minute where they are few."""
    return f"{rate:,.1f} a second" if rate >= 1 else f"{60 * rate:,.1f} a minute"


class EffectiveLimitsCache:
    """One process's."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._known: OrderedDict[tuple[UUID, UUID], tuple[int, EffectiveLimits | None]] = OrderedDict()

    def of(
        self, session: Session, org_id: UUID, campaign_id: UUID, channel_id: UUID, *, epoch: int
    ) -> EffectiveLimits | None:
        """The limits at `epoch`; None when nothing is limited."""
        key = (campaign_id, channel_id)
        with self._lock:
            known = self._known.get(key)
            if known is not None and known[0] == epoch:
                self._known.move_to_end(key)
                return known[1]
        effective = read_effective_limits(session, org_id, campaign_id, channel_id)
        with self._lock:
            self._known[key] = (epoch, effective)
            while len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        return effective


def read_effective_limits(
    session: Session, org_id: UUID, campaign_id: UUID, channel_id: UUID
) -> EffectiveLimits | None:
    """What applies now; None when nothing is limited. Two statements by primary key."""
    now = clock_of(session).now()
    row = session.execute(
        select(
            Organization.limits.label("organization"),
            Organization.time_zone,
            Campaign.limits.label("campaign"),
            Channel.limits.label("channel"),
            Channel.name,
            Channel.throttled_at,
            Channel.throttled_rate,
            Channel.returns_to_rate,
            Channel.blocked_until,
            Channel.fallback_channel_id,
        )
        .select_from(Organization)
        .outerjoin(Campaign, (Campaign.org_id == Organization.id) & (Campaign.id == campaign_id))
        .outerjoin(Channel, (Channel.org_id == Organization.id) & (Channel.id == channel_id))
        .where(Organization.id == org_id)
    ).one_or_none()
    if row is None:
        return None
    throttles = {
        found.domain: Throttle(
            found.throttled_until, Slowdown(found.rate, found.throttled_until), found.reason
        )
        for found in session.execute(
            select(DomainThrottle).where(
                DomainThrottle.org_id == org_id,
                DomainThrottle.channel_id == channel_id,
                DomainThrottle.throttled_until > now - RECOVERY,
            )
        ).scalars()
    }
    slowdown = None
    if (
        row.throttled_at is not None
        and row.throttled_rate is not None
        and row.throttled_at > now - FOUND_KEPT
    ):
        slowdown = Slowdown(
            row.throttled_rate,
            row.throttled_at,
            found=True,
            returns_to=row.returns_to_rate,
            resumes_at=row.blocked_until,
        )
    if not (_paces(row.organization) or _paces(row.campaign) or row.channel or throttles or slowdown):
        return None
    organization = OrganizationLimits.model_validate(row.organization or {})
    campaign = CampaignLimits.model_validate(row.campaign or {})
    channel = ChannelLimits.model_validate(row.channel or {})
    rates = (
        (f"channel:{channel_id}", channel.rate, f"on channel {row.name}"),
        (f"campaign:{campaign_id}", campaign.rate, "for this campaign"),
        ("organization", organization.rate, "for the whole organization"),
    )
    hours = Hours([organization, campaign], default_zone=row.time_zone)
    caps = (
        Cap("organization", organization.frequency_cap) if organization.frequency_cap else None,
        Cap("campaign", campaign.frequency_cap) if campaign.frequency_cap else None,
        Cap("channel", channel.frequency_cap) if channel.frequency_cap else None,
    )
    return EffectiveLimits(
        org_id=org_id,
        campaign_id=campaign_id,
        channel_id=channel_id,
        rates=tuple(
            Bucket(key, rate.per_second, rate.burst, f"{rate} {where}") for key, rate, where in rates if rate
        ),
        slowdown=slowdown,
        domain_rate=channel.domain_rate,
        domains=dict(channel.domains),
        providers=dict(channel.providers),
        warm_up=channel.warm_up,
        stands_in=row.fallback_channel_id is not None,
        throttles=throttles,
        hours=hours if hours.limited else None,
        caps=tuple(cap for cap in caps if cap is not None),
    )


def _paces(limits: dict[str, Any] | None) -> bool:
    """Whether limits say anything about when and how fast to send."""
    return bool((limits or {}).keys() - {"breaker"})


def forget_throttles(session: Session) -> None:
    """Remove the throttles of mail domains that have been calm for a day. There are never many."""
    session.execute(
        delete(DomainThrottle)
        .where(DomainThrottle.throttled_until < clock_of(session).now() - _CALM)
        .execution_options(synchronize_session=False)
    )


def mark_changed(session: Session, org_id: UUID) -> None:
    """Let workers that send for the organization learn that a limit has changed. Locks the organization's row: before
    channels and jobs.
    """
    session.execute(
        update(Organization)
        .where(Organization.id == org_id)
        .values(limits_epoch=Organization.limits_epoch + 1)
        .execution_options(synchronize_session=False)
    )
