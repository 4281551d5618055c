"""Rates: no key and no address takes more than its part of the API, and nobody pays for another."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import httpx
import pytest
import redis

from config.settings import Settings
from engine.api import rates
from engine.api.errors import TooManyRequests
from engine.api.rates import Rates
from engine.kernel.principal import Principal, Role
from tests.api.test_identity import READING
from tests.conftest import REDIS, missing_service
from tests.harness.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.api.conftest import Api

ONE_DATABASE = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


@pytest.fixture(params=["in the process", "in Redis"])
def broker(request: pytest.FixtureRequest) -> Iterator[dict[str, str]]:
    """Settings by which rates are counted there."""
    if request.param == "in the process":
        yield {"broker_url": "embedded://"}
        return
    try:
        with redis.Redis.from_url(REDIS) as client:
            client.ping()
    except redis.ConnectionError as error:
        missing_service("Redis", error)
    yield {"broker_url": REDIS, "redis_url": REDIS}
    with redis.Redis.from_url(REDIS) as client:
        for key in client.scan_iter("*muster:rates*"):
            client.delete(key)


def settings(broker: dict[str, Any], *, requests: int = 0, failures: int = 0) -> Settings:
    url = "postgresql+psycopg://nobody@127.0.0.1/none"
    return Settings(database_url=url, rate_requests=requests, rate_failures=failures, **broker)


def principal() -> Principal:
    return Principal(uuid4(), Role.ADMIN, f"key:{uuid4()}", "key")


@ONE_DATABASE
def test_a_key_makes_so_many_requests_and_others_go_on(api: Api, broker: dict[str, str]) -> None:
    api.app.state.rates = Rates(settings(broker, requests=4))
    with api.client("admin") as client, api.client("viewer") as other:
        assert [client.get(path).status_code for path in READING] == [200, 200, 200, 404]
        for path in READING:
            answer = client.get(path)
            assert answer.status_code == 429
            assert 1 <= int(answer.headers["retry-after"]) <= 60
            assert answer.headers["x-ratelimit-limit"] == "4"
            assert answer.headers["x-ratelimit-remaining"] == "0"
            assert int(answer.headers["x-ratelimit-reset"]) > 1_600_000_000
        answer = client.get("/api/v1/campaigns")
        told = answer.json()
        assert (told["success"], told["code"]) == (False, "RATE_LIMIT_EXCEEDED")
        assert told["details"] == {"retryAfter": int(answer.headers["retry-after"])}
        assert other.get("/v1/target").status_code == 200


@ONE_DATABASE
def test_failures_are_counted_by_address_and_a_good_key_is_let_in(api: Api, broker: dict[str, str]) -> None:
    api.app.state.rates = Rates(settings(broker, failures=3))
    bad = {"authorization": "Bearer mk_wrong"}
    statuses = [httpx.get(f"{api.url}/v1/target", headers=bad).status_code for _ in range(6)]
    assert (statuses[:3], statuses[-1]) == ([401] * 3, 429), (
        "a minute may begin meanwhile, and let one more in"
    )
    voice = httpx.post(f"{api.url}/v1/inbound/voice/{uuid4()}", content=b"{}")
    assert (voice.status_code, "retry-after" in voice.headers) == (429, True)
    with api.client("viewer") as client:
        assert client.get("/v1/target").status_code == 200
    assert httpx.get(f"{api.url}/v1/target").status_code == 401, "nothing was tried"


def test_processes_count_together_in_redis_and_alone_without_it(broker: dict[str, str]) -> None:
    async def counted(one: Rates, another: Rates, by: Principal) -> int:
        """How many requests were let through, of ten that each of two processes took."""
        done = 0
        for _ in range(10):
            for process in (one, another):
                try:
                    await process.count_request(by)
                    done += 1
                except TooManyRequests:
                    pass
        await one.close()
        await another.close()
        return done

    given = settings(broker, requests=6)
    both = 12 if given.is_embedded else 6
    assert asyncio.run(counted(Rates(given), Rates(given), principal())) == both


def test_a_redis_that_is_away_stops_nobody() -> None:
    async def count() -> None:
        nowhere = f"redis://127.0.0.1:{free_port()}/0"
        process = Rates(settings({"broker_url": nowhere, "redis_url": nowhere}, requests=2))
        by = principal()
        await process.count_request(by)
        await process.count_request(by)
        with pytest.raises(TooManyRequests):
            await process.count_request(by)
        await process.close()

    asyncio.run(count())


def test_addresses_of_one_customer_are_counted_together() -> None:
    async def count() -> None:
        process = Rates(settings({"broker_url": "embedded://"}, failures=2))
        await process.count_failure("2001:db8::1")
        await process.count_failure("2001:db8::ffff:2")
        with pytest.raises(TooManyRequests):
            await process.count_failure("2001:db8::3")
        await process.count_failure("2001:db8:0:1::1")
        for address in ("192.0.2.1", "::ffff:192.0.2.1"):
            await process.count_failure(address)
        with pytest.raises(TooManyRequests):
            await process.count_failure("192.0.2.1")
        await process.count_failure(None)

    asyncio.run(count())


@ONE_DATABASE
def test_an_organization_tries_so_many_things_out_in_a_minute(
    api: Api, monkeypatch: pytest.MonkeyPatch, stranger: httpx.Client
) -> None:
    monkeypatch.setattr(rates, "TESTS", 3)
    api.app.state.rates = Rates(settings({"broker_url": "embedded://"}))
    with api.client("admin") as client, api.client("operator") as operator:
        channel = client.post("/v1/channel", json={"name": "null", "kind": "null", "is_default": True}).json()
        template = client.post("/v1/template", json={"name": "t", "text": "Hello"}).json()
        test = f"/v1/template/{template['_id']}:test"
        given = {"address": "someone@x.example", "channel_id": channel["_id"]}
        statuses = [operator.post(test, json=given).status_code for _ in range(3)]
        assert 429 not in statuses
        refused = operator.post(test, json=given)
        assert (refused.status_code, "retry-after" in refused.headers) == (429, True)
        assert client.post(f"/v1/channel/{channel['_id']}:test").status_code == 429
        assert client.get("/v1/template").status_code == 200
    theirs = stranger.post("/v1/channel", json={"name": "null", "kind": "null"}).json()
    assert stranger.post(f"/v1/channel/{theirs['_id']}:test").status_code == 200
