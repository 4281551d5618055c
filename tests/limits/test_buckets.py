"""Permits: leased from all buckets at once, one lease after another, on a real Redis and on the embedded one."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from uuid import UUID, uuid4

import pytest
import redis

from engine.limits.buckets import HORIZON, Bucket, BucketsAway, Denied, Grant, Wish
from engine.limits.redis_buckets import RedisBuckets
from tests.conftest import REDIS, missing_service


class Instant:
    """Milliseconds that pass when they are told to."""

    def __init__(self) -> None:
        self.ms = 1_800_000_000_000.0

    def __call__(self) -> float:
        return self.ms

    def forward(self, seconds: float) -> None:
        self.ms += seconds * 1000


@pytest.fixture
def instant() -> Instant:
    return Instant()


@pytest.fixture(params=["embedded", "redis"])
def buckets(request, instant):
    if request.param == "redis":
        try:
            redis.Redis.from_url(REDIS).ping()
        except redis.RedisError as error:
            missing_service("Redis", error)
    found = RedisBuckets("embedded://" if request.param == "embedded" else REDIS, now=instant)
    yield found
    found.close()


@pytest.fixture
def org(buckets, instant) -> UUID:
    """An organization whose buckets have been known for a while."""
    org_id = uuid4()
    buckets.take(org_id, [Bucket("first", 1)], unlimited=1)
    instant.forward(HORIZON)
    return org_id


CHANNEL = Bucket("channel:a", 200)


def leases(buckets, org, instant, *general, seconds, wanted=100):
    """(when it begins, permits) of every lease of that many seconds; its holder always waits for the next."""
    found = []
    began = instant.ms
    while instant.ms < began + seconds * 1000:
        taken = buckets.take(org, general, unlimited=wanted)
        assert isinstance(taken, Grant)
        begins = (instant.ms - began) / 1000 + taken.wait
        if begins >= seconds:
            break
        found.append((begins, taken.permits))
        instant.forward(taken.wait)
    return found


def test_a_second_holds_its_rate_and_no_more(buckets, org, instant):
    found = leases(buckets, org, instant, CHANNEL, seconds=10)
    sent = sum(permits for _, permits in found)
    assert 0.95 * 2000 <= sent <= 2000
    for begins, _ in found:
        assert sum(permits for at, permits in found if begins <= at < begins + 1) <= 200 + CHANNEL.lease


@pytest.mark.parametrize("wanted", [1, 7, 100])
def test_whoever_asks_for_less_gets_the_same_rate(buckets, org, instant, wanted):
    sent = sum(permits for _, permits in leases(buckets, org, instant, CHANNEL, seconds=5, wanted=wanted))
    assert 0.95 * 1000 <= sent <= 1000


def test_the_slowest_bucket_decides_and_nothing_is_taken_from_the_others_in_vain(buckets, org, instant):
    slow = Bucket("campaign:a", 20)
    sent = sum(permits for _, permits in leases(buckets, org, instant, CHANNEL, slow, seconds=5))
    assert 0.95 * 100 <= sent <= 100
    alone = buckets.take(org, [CHANNEL], unlimited=100)
    assert isinstance(alone, Grant)
    assert alone.wait <= 0.2, "the channel's bucket gave what the campaign's did, not more"


def test_a_lease_begins_within_the_horizon_or_not_at_all(buckets, org):
    waits = []
    while isinstance(taken := buckets.take(org, [CHANNEL], unlimited=100), Grant):
        waits.append(taken.wait)
    assert waits == sorted(waits)
    assert max(waits) <= HORIZON < taken.wait
    assert taken.bucket is CHANNEL


def test_after_a_pause_only_the_burst_is_made_up_for(buckets, org, instant):
    instant.forward(60)
    bursting = Bucket("channel:b", 200, burst=100)
    leases(buckets, org, instant, bursting, seconds=1)
    instant.forward(60)
    for bucket, at_once in ((CHANNEL, 20), (bursting, 120)):
        sent = 0
        while isinstance(taken := buckets.take(org, [bucket], unlimited=100), Grant) and taken.wait == 0:
            sent += taken.permits
        assert abs(sent - at_once) <= bucket.lease, bucket


def test_a_rare_permit_may_be_caught_up_on(buckets, org, instant):
    """Ten a minute, looked at every few seconds by a sweeper that is late."""
    rare = Bucket("channel:rare", 10 / 60)
    sent = 0
    for _ in range(100):
        taken = buckets.take(org, [rare], unlimited=5)
        sent += taken.permits if isinstance(taken, Grant) else 0
        instant.forward(3.7)
    assert 0.9 * 370 / 6 <= sent <= 370 / 6 + 2


def test_a_domain_is_taken_from_with_the_rest_and_holds_up_nobody(buckets, org):
    gmail = Bucket("domain:gmail", 50)
    taken = buckets.take(org, [CHANNEL], [Wish(gmail, 30)], unlimited=70)
    assert isinstance(taken, Grant)
    assert (taken.permits, taken.domains, taken.unlimited) == (20, (5,), 15)
    taken = buckets.take(org, [CHANNEL], [Wish(gmail, 30)], unlimited=70)
    assert isinstance(taken, Grant)
    assert taken.permits == 20
    assert taken.domains == (0,) or taken.wait >= 0.09


def test_who_is_left_with_a_domain_alone_is_denied_unless_patient(buckets, org):
    gmail = Bucket("domain:gmail", 50)
    assert isinstance(buckets.take(org, [], [Wish(gmail, 30)], unlimited=0), Grant)
    denied = buckets.take(org, [], [Wish(gmail, 30)], unlimited=0)
    assert isinstance(denied, Denied)
    assert denied.bucket is gmail
    waited = buckets.take(org, [], [Wish(gmail, 30)], unlimited=0, patient=True)
    assert isinstance(waited, Grant)
    assert 0 < waited.wait <= 0.11


def test_spare_permits_are_not_paid_for_again(buckets, org):
    buckets.take(org, [CHANNEL], unlimited=20)
    free = buckets.take(org, [CHANNEL], unlimited=20, spare=20)
    assert isinstance(free, Grant)
    after = buckets.take(org, [CHANNEL], unlimited=20)
    assert isinstance(after, Grant)
    assert free.wait == pytest.approx(after.wait, abs=0.001)


def test_a_raised_rate_counts_from_the_next_lease(buckets, org, instant):
    slow = Bucket("channel:c", 1 / 60)
    for _ in range(2):
        buckets.take(org, [slow], unlimited=1)
    assert isinstance(buckets.take(org, [slow], unlimited=1), Denied)
    raised = Bucket("channel:c", 200)
    taken = buckets.take(org, [raised], unlimited=100)
    assert isinstance(taken, Grant)
    assert taken.wait <= HORIZON
    instant.forward(taken.wait)
    assert sum(n for _, n in leases(buckets, org, instant, raised, seconds=2)) >= 0.95 * 400


def test_emptied_buckets_begin_empty(buckets, org, instant):
    """All that was leased before the loss has been used before anything is leased again."""
    before = []
    while isinstance(taken := buckets.take(org, [CHANNEL], unlimited=100), Grant):
        before.append(instant.ms + taken.wait * 1000)
    lose(buckets, org)
    again = buckets.take(org, [CHANNEL], unlimited=100)
    assert isinstance(again, Grant)
    assert instant.ms + again.wait * 1000 >= max(before)


def lose(buckets: RedisBuckets, org: UUID) -> None:
    client = buckets._client
    client.delete(*client.keys(f"muster:limits:{{{org}}}:*"))


def test_many_workers_share_one_limit(buckets, org, instant):
    """Of any number of callers at once, leases never overlap."""
    with ThreadPoolExecutor(8) as pool:
        taken = list(pool.map(lambda _: buckets.take(org, [CHANNEL], unlimited=100), range(40)))
    granted = sorted(one.wait for one in taken if isinstance(one, Grant))
    assert len(granted) <= HORIZON * 200 / CHANNEL.lease + 1
    for earlier, later in pairwise(granted):
        assert later - earlier >= CHANNEL.lease / 200 - 0.001


def test_a_place_in_a_domains_queue_is_behind_those_before(buckets, org, instant):
    gmail = Bucket("domain:gmail", 50)
    turns = [buckets.queue_up(org, [Wish(gmail, 100)]) for _ in range(4)]
    for earlier, later in pairwise(turns):
        assert later - earlier == pytest.approx(100 / (50 * 0.98), abs=0.01)
    instant.forward(60)
    assert buckets.queue_up(org, [Wish(gmail, 100)]) == 0


def test_without_redis_nothing_is_leased():
    away = RedisBuckets("redis://127.0.0.1:1/0")
    with pytest.raises(BucketsAway, match="Redis does not answer"):
        away.take(uuid4(), [CHANNEL], unlimited=1)
    with pytest.raises(BucketsAway):
        away.queue_up(uuid4(), [Wish(CHANNEL, 1)])


def test_a_bucket_that_begins_empty_leases_nothing_for_a_horizon(buckets, org, instant):
    """What was sent before it was known counts as well; an earlier lease is not forgotten."""
    buckets.begin_empty(org, CHANNEL)
    first = buckets.take(org, [CHANNEL], unlimited=1)
    assert isinstance(first, Grant)
    assert HORIZON == pytest.approx(first.wait, abs=0.01)
    buckets.begin_empty(org, CHANNEL)
    second = buckets.take(org, [CHANNEL], unlimited=1)
    assert isinstance(second, Denied) or second.wait >= first.wait
    fresh = uuid4()
    buckets.begin_empty(fresh, CHANNEL)
    instant.forward(HORIZON)
    begun = buckets.take(fresh, [CHANNEL], unlimited=1)
    assert isinstance(begun, Grant)
    assert 0 == begun.wait, "its era began with it"
