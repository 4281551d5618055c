"""How many requests a key, and how many failed authentications an address, may make in a minute.

Counted in Redis for all processes together, or in the process where there is one only. A Redis that is away stops
nobody: each process counts for itself meanwhile. Everything about windows is the library's (`limits`): a sliding window
of a minute, of which the one before counts for as much as is left of it.

A credential that is good is let in whatever else comes from its address: behind a proxy everybody has the same one.
"""

from __future__ import annotations

import math
import time
from ipaddress import IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING

import structlog
from limits import RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage, RedisStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from redis.asyncio import ConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from engine.api.errors import TooManyRequests

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from limits import RateLimitItem

    from config.settings import Settings
    from engine.kernel.principal import Principal

__all__ = ["TESTS", "Rates"]

log = structlog.get_logger(__name__)

#: Of an organization in a minute: test messages go to any address.
TESTS = 30
_NAMESPACE = "muster:rates"
#: Seconds to wait for Redis, and for which it is left alone once it did not answer.
_GIVE_UP_SECONDS = 0.5
_AWAY_SECONDS = 5.0


class Rates:
    """The rates of one process's API. Used on one event loop.

    Args:
        monotonic: The clock by which a Redis that is away is left alone.
    """

    def __init__(self, settings: Settings, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._requests = _per_minute(settings.rate_requests)
        self._failures = _per_minute(settings.rate_failures)
        self._tests = _per_minute(TESTS)
        self._alone = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._redis = None if settings.is_embedded else _connections(settings.redis_url)
        self._together = None if self._redis is None else _in_redis(settings.redis_url, self._redis)
        self._monotonic = monotonic
        self._away_until = float("-inf")

    async def count_request(self, principal: Principal) -> None:
        """Count a request of a key, or of a token's subject.

        Raises:
            TooManyRequests: there were too many in the last minute.
        """
        whose = f"{principal.org_id}:{principal.subject}"
        await self._count(self._requests, "request", whose, "requests of one key")

    async def count_failure(self, address: str | None) -> None:
        """Count a failed authentication.

        Raises:
            TooManyRequests: there were too many from that address in the last minute.
        """
        await self._count(self._failures, "failure", _network(address), "failed authentications")

    async def count_test(self, org_id: UUID) -> None:
        """Count a message that is sent, or a provider that is asked, to try something out.

        Raises:
            TooManyRequests: the organization tried too often in the last minute.
        """
        await self._count(self._tests, "test", str(org_id), "tests of one organization")

    async def close(self) -> None:
        """Give back the connections to Redis."""
        if self._redis is not None:
            await self._redis.aclose()

    async def _count(self, limit: RateLimitItem | None, kind: str, whose: str, what: str) -> None:
        if limit is None:
            return
        limiter = self._limiter()
        try:
            if await limiter.hit(limit, kind, whose):
                return
            reset, remaining = await limiter.get_window_stats(limit, kind, whose)
        except RedisError as error:
            log.warning("rates.redis_away", reason=str(error))
            self._away_until = self._monotonic() + _AWAY_SECONDS
            await self._count(limit, kind, whose, what)
            return
        seconds = max(1, math.ceil(reset - time.time()))
        headers = {
            "retry-after": str(seconds),
            "x-ratelimit-limit": str(limit.amount),
            "x-ratelimit-remaining": str(remaining),
            "x-ratelimit-reset": str(math.ceil(reset)),
        }
        raise TooManyRequests(
            f"more than {limit.amount} {what} in a minute; try again in {seconds} s", headers
        )

    def _limiter(self) -> SlidingWindowCounterRateLimiter:
        if self._together is None or self._monotonic() < self._away_until:
            return self._alone
        return self._together


def _per_minute(amount: int) -> RateLimitItem | None:
    """None: there is no limit."""
    return RateLimitItemPerMinute(amount, namespace=_NAMESPACE) if amount else None


def _network(address: str | None) -> str:
    """Whose failures are counted together: an IPv4 address, or the /64 that one customer has of IPv6."""
    try:
        found = ip_address((address or "").partition("%")[0])
    except ValueError:
        return ""
    if isinstance(found, IPv6Address) and found.ipv4_mapped is None:
        return str(ip_network((found, 64), strict=False))
    return str(getattr(found, "ipv4_mapped", None) or found)


def _connections(url: str) -> ConnectionPool:
    return ConnectionPool.from_url(
        url,
        socket_timeout=_GIVE_UP_SECONDS,
        socket_connect_timeout=_GIVE_UP_SECONDS,
        retry=Retry(NoBackoff(), 0),
    )


def _in_redis(url: str, pool: ConnectionPool) -> SlidingWindowCounterRateLimiter:
    storage = RedisStorage(f"async+{url}", implementation="redispy", connection_pool=pool)  # type: ignore[arg-type]  # it takes one
    return SlidingWindowCounterRateLimiter(storage)
