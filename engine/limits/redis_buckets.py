"""Buckets in Redis: each operation is one Lua call."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING

import redis

from engine.kernel.redis_wakeups import redis_client
from engine.limits.buckets import HORIZON, MOST, BucketsAway, Denied, Grant

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from uuid import UUID

    from engine.limits.buckets import Bucket, Wish

__all__ = ["RedisBuckets"]

_GIVE_UP_SECONDS = 1.0


class RedisBuckets:
    """Buckets in Redis, or in the one inside this process.

    Args:
        now: A clock in milliseconds, for tests; None: the server's own, one for all workers.
    """

    def __init__(self, url: str, *, now: Callable[[], float] | None = None) -> None:
        self._client = redis_client(url, give_up=_GIVE_UP_SECONDS)
        self._take = self._client.register_script(_script("take"))
        self._queue = self._client.register_script(_script("queue"))
        self._begin = self._client.register_script(_script("begin"))
        self._now = now

    def take(
        self,
        org_id: UUID,
        general: Sequence[Bucket],
        wishes: Sequence[Wish] = (),
        *,
        unlimited: int,
        most: int = MOST,
        spare: int = 0,
        patient: bool = False,
    ) -> Grant | Denied:
        """See `Buckets.take`."""
        space = f"muster:limits:{{{org_id}}}:"
        buckets = [*general, *(wish.bucket for wish in wishes)]
        most = min([most, MOST, *(bucket.lease for bucket in general)])
        now = "" if self._now is None else self._now()
        args: list[str | float] = [now, HORIZON * 1000, len(general), unlimited, most, spare, int(patient)]
        for bucket in general:
            args += (bucket.spacing, bucket.credit)
        for bucket, messages in wishes:
            args += (bucket.spacing, bucket.credit, bucket.lease, messages)
        try:
            answer = self._take(keys=[space + "era", *(space + bucket.key for bucket in buckets)], args=args)
        except redis.RedisError as error:
            raise BucketsAway(f"Redis does not answer: {error}") from error
        permits, wait, blame, *given = answer
        if permits == 0:
            return Denied(wait / 1e6, buckets[blame - 1])
        return Grant(permits, wait / 1e6, given[0], tuple(given[1:]))

    def queue_up(self, org_id: UUID, wishes: Sequence[Wish]) -> float:
        """See `Buckets.queue_up`."""
        space = f"muster:limits:{{{org_id}}}:"
        args: list[str | float] = ["" if self._now is None else self._now()]
        for bucket, messages in wishes:
            args += (bucket.spacing, messages)
        try:
            turn = self._queue(keys=[space + wish.bucket.key for wish in wishes], args=args)
        except redis.RedisError as error:
            raise BucketsAway(f"Redis does not answer: {error}") from error
        return float(turn) / 1e6

    def begin_empty(self, org_id: UUID, bucket: Bucket) -> None:
        """See `Buckets.begin_empty`."""
        space = f"muster:limits:{{{org_id}}}:"
        now = "" if self._now is None else self._now()
        try:
            self._begin(keys=[space + "era", space + bucket.key], args=[now, HORIZON * 1000, bucket.spacing])
        except redis.RedisError as error:
            raise BucketsAway(f"Redis does not answer: {error}") from error

    def close(self) -> None:
        """See `Buckets.close`."""
        self._client.close()


def _script(name: str) -> str:
    return files("engine.limits").joinpath(f"{name}.lua").read_text(encoding="utf-8")
