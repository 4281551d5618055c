"""What operators may limit: closed models, kept as JSON on the rows of channels, campaigns and organizations.

    {"rate": {"messages": 200, "per": "second", "burst": 50},
     "domain_rate": {"messages": 20}, "domains": {"gmail.com": {"messages": 5}},
     "frequency_cap": {"messages": 3, "hours": 168, "over": "exclude"},
     "send_windows": [{"days": ["mon", "tue"], "from": "09:00", "to": "18:00"}],
     "quiet_hours": [{"from": "21:00", "to": "08:00"}],
     "breaker": {"bounces": 5, "complaints": 0.3, "after": 100}}

Every part may be absent, which is no limit. A channel knows mail domains; a campaign and an organization know hours.
"""

from __future__ import annotations

from datetime import date  # noqa: TC003 - pydantic reads it
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from engine.kernel.addresses import normalise_email
from engine.kernel.inputs import Input
from engine.kernel.instants import WrittenDay  # noqa: TC001 - pydantic reads it
from engine.limits.hours import Hours
from engine.limits.mailbox_providers import provider_named
from engine.limits.windows import Window  # noqa: TC001 - pydantic reads it
from engine.limits.zones import is_zone

__all__ = [
    "MAX_CAP_HOURS",
    "CampaignLimits",
    "ChannelLimits",
    "FrequencyCap",
    "LimitsConfig",
    "OrganizationLimits",
    "Rate",
    "ReturnBreaker",
    "TimeZone",
    "WarmUp",
    "stored",
]

#: The longest window of a frequency cap: contacts older than that are forgotten.
MAX_CAP_HOURS = 24 * 92

_MOST_A_DAY = 10**12
_SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400}


class Rate(Input):
    """So many messages per unit of time, evenly spread over it."""

    messages: int = Field(ge=1, le=10_000_000)
    per: Literal["second", "minute", "hour", "day"] = "second"
    burst: int = Field(default=0, ge=0, le=1_000_000)
    """Messages that may leave at once after a pause, beyond the even spread."""

    @property
    def per_second(self) -> float:
        """Messages a second."""
        return self.messages / _SECONDS[self.per]

    def __str__(self) -> str:
        return f"{self.messages:,} {'an' if self.per == 'hour' else 'a'} {self.per}"


class FrequencyCap(Input):
    """At most so many messages to one entity within so many hours."""

    messages: int = Field(ge=1, le=1000)
    hours: int = Field(ge=1, le=MAX_CAP_HOURS)
    over: Literal["exclude", "delay"] = "exclude"
    """What becomes of a message above it: cancelled with FREQUENCY_CAP, or sent when the window allows it again."""


def _domain(name: str) -> str:
    address = normalise_email(f"x@{name.strip().removeprefix('@')}")
    if address is None:
        raise ValueError(f"{name[:64]!r} is not a mail domain")
    return address.removeprefix("x@")


Domain = Annotated[str, AfterValidator(_domain)]


def _provider(name: str) -> str:
    if provider_named(name) is None:
        raise ValueError(f"{name[:64]!r} is no mailbox provider that is known, such as google or microsoft")
    return name


ProviderName = Annotated[str, AfterValidator(_provider)]


def _zone(name: str) -> str:
    if not is_zone(name):
        raise ValueError(f"{name[:64]!r} is not a time zone like Europe/Berlin")
    return name


TimeZone = Annotated[str, Field(max_length=64), AfterValidator(_zone)]


class ReturnBreaker(Input):
    """How much of a campaign may come back before it is paused (engine.delivery.return_breaker)."""

    bounces: float | None = Field(default=5.0, gt=0, le=100)
    """Percent of the outcomes that were refused for good or bounced; null: any."""
    complaints: float | None = Field(default=0.3, gt=0, le=100)
    """Percent of the outcomes that brought a complaint, and three at least; null: any."""
    after: int = Field(default=100, ge=1, le=10_000_000)
    """Outcomes before which nothing is said of a rate."""


def _or_off(value: Any) -> Any:
    return None if value is False else value


class LimitsConfig(Input):
    """What every owner of limits may set."""

    rate: Rate | None = None
    frequency_cap: FrequencyCap | None = None


class WarmUp(Input):
    """A ceiling of messages a day (of UTC) that grows from day to day, for a sender that receivers do not know yet."""

    start: WrittenDay
    """The first day."""
    messages: int = Field(ge=1, le=10_000_000)
    """Of the first day."""
    growth: float = Field(default=1.5, ge=1, le=10)
    """Times as many each day."""
    most: int | None = Field(default=None, ge=1, le=100_000_000)
    """It grows no further; absent: until it does not matter any more."""

    def ceiling(self, day: date) -> int:
        """Messages of a day."""
        grown = self.messages * self.growth ** min(max((day - self.start).days, 0), 365)
        return int(min(grown, self.most or _MOST_A_DAY))


class ChannelLimits(LimitsConfig):
    """A channel's."""

    warm_up: WarmUp | None = None

    domain_rate: Rate | None = None
    """For each mail domain, or mailbox provider, that `domains` and `providers` do not name."""
    domains: Annotated[dict[Domain, Rate], Field(max_length=1000)] = Field(default_factory=dict)
    providers: Annotated[dict[ProviderName, Rate], Field(max_length=100)] = Field(default_factory=dict)
    """For all mail domains together that one mailbox provider receives for; those that `domains` names stand alone."""


class CampaignLimits(LimitsConfig):
    """A campaign's."""

    send_windows: Annotated[tuple[Window, ...], Field(max_length=20)] = ()
    """Nothing is sent outside of all of them; none: any time."""
    quiet_hours: Annotated[tuple[Window, ...], Field(max_length=20)] = ()
    """Nothing is sent within any of them."""
    breaker: Annotated[ReturnBreaker | None, BeforeValidator(_or_off)] = Field(default_factory=ReturnBreaker)
    """When it is paused for what comes back; null or false: never."""

    @model_validator(mode="after")
    def _some_hour(self) -> CampaignLimits:
        if Hours([self]).never:
            raise ValueError("these send windows and quiet hours leave no time to send")
        return self


class OrganizationLimits(CampaignLimits):
    """An organization's, for all its campaigns together."""


def stored(limits: LimitsConfig | None) -> dict[str, Any] | None:
    """As the row keeps it; None when nothing is limited."""
    if limits is None:
        return None
    return limits.model_dump(mode="json", by_alias=True, exclude_defaults=True) or None
