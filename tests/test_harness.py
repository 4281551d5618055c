"""The harness keeps its promises: servers restart and die, waits end, nothing outlives the test run.

The oracle has its tests in `test_account.py`, the proxy and the provider theirs in `test_servers.py`.
"""

from __future__ import annotations

import signal
import socket
import struct
import subprocess
import sys
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING
from uuid import uuid4

import pika
import pytest
import redis
from sqlalchemy import select, text

from state.change import clock_of
from state.database import Database
from state.tables import Organization
from tests.harness.child import ROOT, Child, clean_environment, is_running
from tests.harness.ports import free_port
from tests.harness.postgres import Postgres
from tests.harness.process import Process
from tests.harness.rabbitmq import RabbitMQ
from tests.harness.redis_server import RedisServer
from tests.harness.stack import Stack
from tests.harness.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from uuid import UUID

    from sqlalchemy.orm import Session

pytestmark = pytest.mark.slow

FOREVER = "import threading; threading.Event().wait()"
#: Has a child in a session of its own.
PARENT = f"""
import subprocess, sys
subprocess.Popen([sys.executable, "-c", {FOREVER!r}], start_new_session=True)
{FOREVER}
"""


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
        with python(PARENT, tmp_path) as child:
            grandchild = wait_until(child.descendants, "it has a child")[0]
            child.kill()
            assert not is_running(grandchild)

    def test_killed_alone_it_leaves_orphans_until_it_is_closed(self, tmp_path: Path) -> None:
        with python(PARENT, tmp_path) as child:
            grandchild = wait_until(child.descendants, "it has a child")[0]
            child.kill(alone=True)
            assert is_running(grandchild)
        wait_until(lambda: not is_running(grandchild), "the grandchild is gone")

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


@pytest.mark.services
class TestStack:
    """Its servers; Muster's processes in it are what the acceptance and fault suites are about."""

    def test_it_is_migrated_seeded_and_asked(self, tmp_path: Path) -> None:
        with Stack(tmp_path, workers=0, scheduler=False, smtp=False, http=True) as stack:
            org_id = stack.seed(self.organization, name="ours")
            with stack.database.read() as session:
                assert session.scalars(select(Organization.id)).all() == [org_id]
            assert stack.env["MUSTER_DATABASE_URL"] == stack.postgres.url
            assert stack.job_status(uuid4()) is None
            stack.account(uuid4(), expected=0).assert_whole()
            stack.postgres.kill()
            assert stack.job_status(uuid4()) is None
            with pytest.raises(TimeoutError, match="job is finished or failed"):
                stack.wait_for_job(uuid4(), "finished", "failed", deadline=0.1)
        assert not any(child.alive for child in (stack.postgres, stack.redis, stack.http) if child)
        assert not stack.postgres.directory.exists()

    def test_an_error_shows_every_log(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        stack = Stack(tmp_path, workers=0, scheduler=False, smtp=False)
        with pytest.raises(ZeroDivisionError), stack:
            stack.seed(lambda session: 1 / 0)
        printed = capsys.readouterr().out
        assert "database system is ready" in printed
        assert "Ready to accept connections" in printed

    @staticmethod
    def organization(session: Session, *, name: str) -> UUID:
        organization = Organization(name=name, created_at=clock_of(session).now())
        session.add(organization)
        session.flush()
        return organization.id


def test_ports_lie_below_those_of_outgoing_connections() -> None:
    first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    ports = {free_port() for _ in range(50)}
    assert len(ports) == 50
    assert all(10_000 <= port < first for port in ports)
