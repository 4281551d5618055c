"""The harness keeps its promises: servers restart and die, waits end, nothing outlives the test run.

The oracle has its tests in `test_account.py`.
"""

from __future__ import annotations

import signal
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

import httpx
import pika
import pytest
import redis
from sqlalchemy import text

from state.database import Database
from tests.harness.child import ROOT, Child, clean_environment, is_running
from tests.harness.ports import free_port
from tests.harness.postgres import Postgres
from tests.harness.process import Process
from tests.harness.providers import HttpProvider
from tests.harness.rabbitmq import RabbitMQ
from tests.harness.redis_server import RedisServer
from tests.harness.waiting import wait_until
from tests.servers.proxy import Proxy

if TYPE_CHECKING:
    from collections.abc import Iterator

FOREVER = "import threading; threading.Event().wait()"


def python(script: str, directory: Path, name: str = "child") -> Child:
    return Child(name, [sys.executable, "-c", script], directory=directory)


class TestWaiting:
    def test_gives_back_the_first_true_answer(self) -> None:
        answers = iter([None, 0, "yes"])
        assert wait_until(lambda: next(answers), "it says yes", interval=0) == "yes"

    def test_says_which_question_stayed_open(self) -> None:
        with pytest.raises(TimeoutError, match=r"not within 0\.05 s: it says yes \(last answer: 0\)"):
            wait_until(lambda: 0, "it says yes", deadline=0.05)


class TestChild:
    def test_output_and_exit_code_are_kept(self, tmp_path: Path) -> None:
        child = python("import sys; print('out'); sys.exit('wrong')", tmp_path).start()
        assert child.wait() == 1
        assert child.out.read_text() == "out\n"
        assert "wrong" in child.tail()

    def test_a_deadline_ends_the_wait_and_shows_the_log(self, tmp_path: Path) -> None:
        with python(f"print('still here', flush=True); {FOREVER}", tmp_path) as child:
            wait_until(child.out.read_text, "it printed")
            with pytest.raises(TimeoutError, match=r"child still runs after 0\.1 s\n(.*\n)*still here"):
                child.wait(deadline=0.1)
        assert child.returncode == -signal.SIGKILL

    def test_kill_takes_the_descendants_along(self, tmp_path: Path) -> None:
        start = f"subprocess.Popen([sys.executable, '-c', {FOREVER!r}], start_new_session=True)"
        with python(f"import subprocess, sys; {start}; {FOREVER}", tmp_path) as child:
            grandchild = wait_until(child.descendants, "it has a child")[0]
            child.kill()
            assert not is_running(grandchild)

    def test_pause_and_resume(self, tmp_path: Path) -> None:
        with python(FOREVER, tmp_path) as child:
            stat = Path(f"/proc/{child.pid}/stat")
            child.pause()
            wait_until(lambda: ") T " in stat.read_text(), "it is stopped")
            assert child.alive
            child.resume()
            wait_until(lambda: ") T " not in stat.read_text(), "it goes on")

    def test_memory_is_read(self, tmp_path: Path) -> None:
        with python(
            f"held = bytes(range(256)) * 4 * 40960; print('full', flush=True); {FOREVER}", tmp_path
        ) as child:
            wait_until(child.out.read_text, "it holds 40 MiB")
            assert 40 * 2**20 < child.rss() < 100 * 2**20

    def test_it_is_started_once_and_may_be_started_again(self, tmp_path: Path) -> None:
        with python(FOREVER, tmp_path) as child:
            first = child.pid
            with pytest.raises(RuntimeError, match="child is running"):
                child.start()
            child.kill()
            assert child.start().pid != first

    def test_it_outlives_the_thread_that_started_it(self, tmp_path: Path) -> None:
        child = python(FOREVER, tmp_path)
        starter = Thread(target=child.start)
        starter.start()
        starter.join()
        with pytest.raises(TimeoutError):
            child.wait(deadline=0.2)
        child.close()

    def test_it_does_not_outlive_a_killed_test_run(self, tmp_path: Path) -> None:
        script = f"""
import threading
from pathlib import Path
from tests.harness.child import Child
child = Child("forever", {[sys.executable, "-c", FOREVER]!r}, directory=Path({str(tmp_path)!r})).start()
print(child.pid, flush=True)
threading.Event().wait()
"""
        command = [sys.executable, "-c", script]
        with subprocess.Popen(command, stdout=subprocess.PIPE, env=clean_environment(), cwd=ROOT) as test_run:
            assert test_run.stdout is not None
            pid = int(test_run.stdout.readline())
            assert is_running(pid)
            test_run.kill()
        wait_until(lambda: not is_running(pid), "the child is gone")


class TestProcess:
    def process(self, script: str, directory: Path) -> Process:
        process = Process("worker", directory=directory, env={"MUSTER_LEASE": "2"})
        process.command = [sys.executable, "-c", script]
        return process

    def test_waits_for_an_event_by_name_and_fields(self, tmp_path: Path) -> None:
        lines = r"""
import sys, threading
for number in range(3):
    print('{"event": "slice.closed", "number": %d}' % number, file=sys.stderr)
print('not json\n{"event": "half', end="", file=sys.stderr, flush=True)
threading.Event().wait()
"""
        with self.process(lines, tmp_path) as process:
            assert process.wait_for_log("slice.closed", count=3)["number"] == 2
            assert process.wait_for_log("slice.closed", number=1)["number"] == 1
            assert len(process.events()) == 3
            with pytest.raises(TimeoutError, match=r"logs slice\.lost(.*\n)*not json"):
                process.wait_for_log("slice.lost", deadline=0.1)

    def test_a_process_that_ended_is_not_waited_for(self, tmp_path: Path) -> None:
        process = self.process("raise SystemExit('no database')", tmp_path).start()
        with pytest.raises(RuntimeError, match=r"ended without logging worker\.started(.*\n)*no database"):
            process.wait_for_log("worker.started", deadline=30)

    def test_settings_of_the_developer_do_not_reach_it(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("MUSTER_WINDOW", "1")
        show = "import os; print(sorted(name for name in os.environ if name.startswith('MUSTER_')))"
        process = self.process(show, tmp_path).start()
        assert process.wait() == 0
        assert process.output() == "['MUSTER_LEASE', 'MUSTER_LOG_FORMAT']\n"


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with Postgres() as postgres:
        with postgres.connect() as connection:
            connection.execute("CREATE TABLE kept (number integer)")
        yield postgres


@pytest.mark.services
class TestPostgres:
    def count(self, postgres: Postgres) -> int:
        with postgres.connect() as connection:
            row = connection.execute("SELECT count(*) FROM kept").fetchone()
        assert row is not None
        return int(row[0])

    def test_its_url_is_one_for_our_sessions_and_it_syncs(self, postgres: Postgres) -> None:
        database = Database(postgres.url)
        with database.read() as session:
            assert session.execute(text("SHOW fsync")).scalar_one() == "on"
        database.close()

    @pytest.mark.parametrize("how", ["fast", "immediate", "kill"])
    def test_what_is_committed_survives(self, postgres: Postgres, how: str) -> None:
        before = self.count(postgres)
        with postgres.connect() as connection:
            connection.execute("INSERT INTO kept VALUES (1)")
        if how == "kill":
            backends = postgres.descendants()
            postgres.kill()
            assert not any(is_running(pid) for pid in backends)
            postgres.start()
        elif how == "immediate":
            postgres.restart("immediate")
        else:
            postgres.restart()
        assert self.count(postgres) == before + 1

    def test_paused_it_holds_its_sockets_and_answers_nobody(self, postgres: Postgres) -> None:
        postgres.pause()
        with socket.create_connection(("127.0.0.1", postgres.port), timeout=0.2) as plug:
            plug.sendall(struct.pack("!ii", 8, 80877103))  # does it speak TLS?
            with pytest.raises(TimeoutError):
                plug.recv(1)
            postgres.resume()
            plug.settimeout(10)
            assert plug.recv(1) == b"N"

    def test_its_files_go_with_it(self) -> None:
        with Postgres() as postgres:
            home = postgres.directory
        assert not home.exists()


@pytest.mark.services
class TestRedis:
    def test_with_a_file_it_comes_back_with_what_it_held(self, tmp_path: Path) -> None:
        with RedisServer(tmp_path / "redis") as server:
            server.execute("SET", "held", "1")
            server.restart()
            assert server.execute("GET", "held") == "1"
            server.flushall()
            assert server.execute("DBSIZE") == 0

    def test_without_a_file_a_kill_wipes_it(self, tmp_path: Path) -> None:
        with RedisServer(tmp_path / "redis", aof=False) as server:
            server.execute("SET", "held", "1")
            server.kill()
            with pytest.raises(redis.ConnectionError):
                server.execute("PING")
            server.start()
            assert server.execute("GET", "held") is None


@pytest.mark.services
def test_a_virtual_host_of_rabbitmq() -> None:
    with RabbitMQ() as rabbitmq:
        connection = pika.BlockingConnection(pika.URLParameters(rabbitmq.url))
        connection.channel().queue_declare("delivery")
        connection.close()


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


def test_ports_lie_below_those_of_outgoing_connections() -> None:
    first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    ports = {free_port() for _ in range(50)}
    assert len(ports) == 50
    assert all(10_000 <= port < first for port in ports)
