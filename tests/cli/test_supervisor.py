"""Several workers under one: replaced when they die, ended with it, however it ends."""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING

import pytest

from tests.harness.process import Process
from tests.harness.stack import Stack
from tests.harness.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.harness.child import Child

pytestmark = pytest.mark.slow

#: A supervised program without Muster: says when it is up, ends at once on SIGTERM, or does not.
PROGRAM = """
import os, signal, sys, threading
from actors.cli.supervisor import end_with
end_with(os.getppid())
if sys.argv[1] == "stubborn":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if sys.argv[1] == "broken":
    sys.exit(7)
open(f"{sys.argv[2]}/{os.getpid()}.up", "w").close()
threading.Event().wait()
"""
SUPERVISOR = """
import sys
from datetime import timedelta
from actors.cli import supervisor
from config.logging import configure_logging
from config.settings import Settings
configure_logging(Settings())
supervisor._MARGIN = 0.0
command = [sys.executable, "-c", sys.argv[1], sys.argv[2], sys.argv[3]]
supervisor.Supervisor(command, 2, grace=timedelta(seconds=float(sys.argv[4]))).run()
"""


class Supervised(Process):
    """A supervisor of two programs."""

    def __init__(self, directory: Path, manner: str, *, grace: float = 10.0) -> None:
        super().__init__("supervisor", directory=directory, env={})
        self.command = [sys.executable, "-c", SUPERVISOR, PROGRAM, manner, str(directory), str(grace)]

    def up(self) -> set[int]:
        """Children that said so and live."""
        said = {int(path.stem) for path in self.directory.glob("*.up")}
        return {pid for pid in said if _alive(pid)}

    def wait_until_up(self, count: int = 2) -> set[int]:
        wait_until(lambda: len(self.up()) == count, f"{count} children are up", deadline=20)
        return self.up()


def _alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as stat:  # noqa: PTH123 - vanishes while it is read
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.fixture
def supervise(tmp_path: Path) -> Iterator[Callable[..., Supervised]]:
    started: list[Child] = []

    def start(manner: str, **kwargs: float) -> Supervised:
        child = Supervised(tmp_path, manner, **kwargs)
        started.append(child)
        child.start()
        return child

    yield start
    for child in started:
        child.close()


def test_a_child_that_is_killed_is_replaced(supervise: Callable[..., Supervised]) -> None:
    supervisor = supervise("obedient")
    before = supervisor.wait_until_up()
    victim = min(before)
    os.kill(victim, signal.SIGKILL)
    died = supervisor.wait_for_log("worker.died", child=victim)
    assert died["exit_code"] == -signal.SIGKILL
    wait_until(lambda: len(supervisor.up() - before) == 1, "another is up", deadline=20)
    assert max(before) in supervisor.up(), "the other one was left alone"


def test_a_stop_is_passed_on_and_everybody_is_gone(supervise: Callable[..., Supervised]) -> None:
    supervisor = supervise("obedient")
    children = supervisor.wait_until_up()
    supervisor.terminate()
    assert supervisor.wait(20) == 0
    assert not any(_alive(pid) for pid in children)
    assert not supervisor.events("worker.died")


def test_a_child_that_does_not_stop_is_killed_after_its_grace(supervise: Callable[..., Supervised]) -> None:
    supervisor = supervise("stubborn", grace=0.5)
    children = supervisor.wait_until_up()
    supervisor.terminate()
    assert supervisor.wait(20) == 0
    assert len(supervisor.events("worker.killed")) == 2
    assert not any(_alive(pid) for pid in children)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells children that their parent died")
def test_when_the_supervisor_is_killed_the_kernel_ends_the_children(
    supervise: Callable[..., Supervised],
) -> None:
    supervisor = supervise("obedient")
    children = supervisor.wait_until_up()
    supervisor.kill(alone=True)
    wait_until(lambda: not any(_alive(pid) for pid in children), "the children are gone", deadline=10)


def test_a_child_that_fails_at_once_is_tried_less_and_less_often(
    supervise: Callable[..., Supervised],
) -> None:
    supervisor = supervise("broken")
    supervisor.wait_for_log("worker.died", number=0, count=3, deadline=20)
    died = supervisor.events("worker.died", number=0)
    assert [line["exit_code"] for line in died[:3]] == [7, 7, 7]
    assert [line["restart_in"] for line in died[:3]] == [1.0, 2.0, 4.0]


def test_two_workers_run_under_one_supervisor_and_stop_in_good_order(tmp_path: Path) -> None:
    with Stack(tmp_path, workers=0, scheduler=False, smtp=False) as stack:
        worker = stack.start("worker", "--processes", "2", "--threads", "1", name="workers")
        worker.wait_for_log("worker.started", count=2, deadline=40)
        assert len({line["pid"] for line in worker.events("worker.started", threads=1)}) == 2
        worker.terminate()
        assert worker.wait(30) == 0
        assert len(worker.events("worker.stopped")) == 2
