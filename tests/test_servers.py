"""The servers tests break things with: a proxy that cuts and loses, a provider that journals and fails."""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING

import httpx
import pytest
import redis

from tests.harness.providers import HttpProvider
from tests.harness.redis_server import RedisServer
from tests.harness.waiting import wait_until
from tests.servers.proxy import Proxy

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with RedisServer(tmp_path_factory.mktemp("redis"), aof=False) as server:
        yield server


@pytest.mark.services
class TestProxy:
    @pytest.fixture
    def proxy(self, server: RedisServer) -> Iterator[Proxy]:
        server.flushall()
        with Proxy(server.port) as proxy:
            yield proxy

    @pytest.fixture
    def client(self, server: RedisServer, proxy: Proxy) -> Iterator[redis.Redis]:
        """One connection through the proxy that gives up after 0.3 s."""
        with server.client(port=proxy.port, timeout=0.3) as client:
            client.ping()
            yield client

    def test_it_passes_everything_on(self, client: redis.Redis) -> None:
        big = "x" * 1_000_000
        client.set("big", big)
        assert client.get("big") == big

    def test_a_lost_reply_is_done_and_nobody_knows(
        self, server: RedisServer, proxy: Proxy, client: redis.Redis
    ) -> None:
        proxy.lose_reply(to=b"INCR")
        client.ping()
        with pytest.raises(redis.ConnectionError):
            client.incr("count")
        assert server.execute("GET", "count") == "1"
        assert client.incr("count") == 2
        assert proxy.lost == 1

    def test_swallowed_replies(self, server: RedisServer, proxy: Proxy, client: redis.Redis) -> None:
        proxy.swallow()
        with pytest.raises(redis.TimeoutError):
            client.incr("count")
        assert server.execute("GET", "count") == "1"
        proxy.forward()
        assert client.incr("count") == 2

    def test_what_stalled_arrives_later(self, server: RedisServer, proxy: Proxy, client: redis.Redis) -> None:
        proxy.stall()
        with pytest.raises(redis.TimeoutError):
            client.incr("count")
        assert server.execute("GET", "count") is None
        proxy.forward()
        wait_until(lambda: server.execute("GET", "count") == "1", "the request arrived after all")

    def test_delayed_replies(self, proxy: Proxy, client: redis.Redis) -> None:
        proxy.delay(0.1)
        started = time.monotonic()
        client.ping()
        assert 0.1 <= time.monotonic() - started < 0.3

    def test_live_connections_end_in_order_or_by_reset(self, proxy: Proxy) -> None:
        with self.connect(proxy) as plug:
            proxy.cut()
            assert plug.recv(1) == b""
        with self.connect(proxy) as plug:
            proxy.reset()
            with pytest.raises(ConnectionResetError):
                plug.recv(1)
        assert proxy.connections == 2

    def test_refused_connections(self, proxy: Proxy) -> None:
        with self.connect(proxy) as plug:
            proxy.refuse()
            with pytest.raises(ConnectionResetError):
                plug.recv(1)
        with pytest.raises(ConnectionResetError):
            self.connect(proxy)
        proxy.forward()
        self.connect(proxy).close()

    def connect(self, proxy: Proxy) -> socket.socket:
        """A plain connection that has been answered once."""
        plug = socket.create_connection(("127.0.0.1", proxy.port), timeout=2)
        try:
            plug.sendall(b"PING\r\n")
            assert plug.recv(7) == b"+PONG\r\n"
        except BaseException:
            plug.close()
            raise
        return plug

    def test_a_server_that_is_away(self, server: RedisServer, client: redis.Redis) -> None:
        server.stop()
        with pytest.raises(redis.ConnectionError):
            client.ping()
        server.start()
        assert client.ping()


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpProvider]:
    with HttpProvider(tmp_path_factory.mktemp("http"), recognise=True) as provider:
        yield provider


class TestHttpProvider:
    @pytest.fixture
    def client(self, provider: HttpProvider) -> Iterator[httpx.Client]:
        provider.heal()
        with httpx.Client(base_url=provider.url, timeout=0.3) as client:
            yield client

    def send(self, client: httpx.Client, key: str, query: str = "") -> httpx.Response:
        return client.post(query, content=b'{"to":"ada"}', headers={"Idempotency-Key": key})

    def journaled(self, provider: HttpProvider, key: str) -> int:
        return sum(sent.entry["key"] == key for sent in provider.journal.sent())

    def test_what_it_accepts_is_in_the_journal(self, provider: HttpProvider, client: httpx.Client) -> None:
        before = time.time()
        answer = self.send(client, "6a1f8a52-3f3c-4a56-9d0e-0d2a3c1b5e77")
        assert (answer.status_code, answer.json()) == (200, {"id": "6a1f8a52-3f3c-4a56-9d0e-0d2a3c1b5e77"})
        sent = provider.journal.sent()[-1]
        assert str(sent.execution_id) == "6a1f8a52-3f3c-4a56-9d0e-0d2a3c1b5e77"
        assert before <= sent.at <= time.time()
        assert sent.entry["body"] == '{"to":"ada"}'

    def test_a_recognised_key_is_answered_and_not_delivered_again(
        self, provider: HttpProvider, client: httpx.Client
    ) -> None:
        assert self.send(client, "twice").json() == self.send(client, "twice").json()
        assert self.journaled(provider, "twice") == 1
        assert provider.stats()["repeated"] == 1

    def test_one_that_recognises_nothing_delivers_again(self, tmp_path: Path) -> None:
        with HttpProvider(tmp_path) as provider, httpx.Client(base_url=provider.url) as client:
            self.send(client, "twice")
            self.send(client, "twice")
            assert self.journaled(provider, "twice") == 2

    def test_throttling_some(self, provider: HttpProvider, client: httpx.Client) -> None:
        provider.fault("status", status=429, retry_after=7, times=2, every=2)
        answers = [self.send(client, f"throttled-{number}") for number in range(6)]
        assert [answer.status_code for answer in answers] == [200, 429, 200, 429, 200, 200]
        assert answers[1].headers["Retry-After"] == "7"
        assert [self.journaled(provider, f"throttled-{number}") for number in range(6)] == [1, 0, 1, 0, 1, 1]

    def test_failing_one(self, provider: HttpProvider, client: httpx.Client) -> None:
        provider.fault("status", match="bad")
        assert [self.send(client, key).status_code for key in ("good", "bad", "good")] == [200, 500, 200]

    @pytest.mark.parametrize(
        ("kind", "raised", "accepted"),
        [
            ("stall", httpx.ReadTimeout, 0),
            ("reset", httpx.ReadError, 0),
            ("slow", httpx.ReadTimeout, 1),
            ("accept_then_stall", httpx.ReadTimeout, 1),
            ("accept_then_reset", httpx.ReadError, 1),
        ],
    )
    def test_faults_after_which_no_answer_comes(
        self, provider: HttpProvider, client: httpx.Client, kind: str, raised: type[Exception], accepted: int
    ) -> None:
        with pytest.raises(raised):
            self.send(client, f"fault-{kind}", query=f"?kind={kind}&seconds=5")
        assert self.journaled(provider, f"fault-{kind}") == accepted

    def test_garbage(self, provider: HttpProvider, client: httpx.Client) -> None:
        with pytest.raises(ValueError, match="0xff"):
            self.send(client, "garbage", query="?kind=garbage").json()
        assert self.journaled(provider, "garbage") == 1

    def test_an_unknown_fault_is_refused(self, provider: HttpProvider) -> None:
        with pytest.raises(ValueError, match="none of status, stall"):
            provider.fault("gremlins")
        with pytest.raises(ValueError, match="unexpected keyword argument 'colour'"):
            provider.fault("reset", colour="red")
