"""The peers: how each is started, and the settings among which it is to be measured at its best."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from bench.ground import WORKERS

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Peer", "Setting", "peers"]

#: Of this package.
_HERE = Path(__file__).parent
_PYTHON = [sys.executable, "-m"]
_SEND = [*_PYTHON, "bench.peers.sending"]


@dataclass(frozen=True)
class Setting:
    """One way to start the workers."""

    label: str
    """In the words of the queue's documentation."""
    workers: list[list[str]]
    """Commands, one a process that is started."""
    ready: int
    """How many times all of them together say that they are ready."""
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Peer:
    """A queue."""

    name: str
    says_ready: str
    """What a worker writes when it waits for jobs."""
    sender: list[str]
    settings: list[Setting]
    """The first is taken when there is no time to try the others."""
    prepare: list[str] | None = None
    """A command that is run once on a fresh database."""


def peers(directory: Path) -> list[Peer]:
    """Those that can be measured here; who cannot is named.

    Args:
        directory: An empty folder, for what has to be installed.
    """
    found = [
        peer
        for module, peer in (
            ("celery", _celery()),
            ("dramatiq", _dramatiq()),
            ("rq", _rq()),
            ("procrastinate", _procrastinate()),
        )
        if _has(module)
    ]
    bullmq = _bullmq(directory)
    return found if bullmq is None else [*found, bullmq]


def _has(module: str) -> bool:
    if find_spec(module) is not None:
        return True
    print(f"  {module} is not installed (it is in the dependency group dev): left out")
    return False


def _celery() -> Peer:
    worker = [*_PYTHON, "celery", "-A", "bench.peers.celery_app", "worker", "-l", "INFO"]
    worker += ["--without-gossip", "--without-mingle", "--without-heartbeat"]

    def pool(kind: str, concurrency: int, processes: int) -> Setting:
        return Setting(
            f"{processes} × {kind}, concurrency {concurrency}",
            [
                [*worker, "-P", kind, "-c", str(concurrency), "-n", f"celery-{number}@bench"]
                for number in range(processes)
            ],
            ready=processes,
        )

    return Peer(
        "Celery",
        " ready.",
        [*_SEND, "celery"],
        [pool("prefork", 4, 1), pool("solo", 1, WORKERS), pool("threads", 8, WORKERS), pool("prefork", 8, 1)],
    )


def _dramatiq() -> Peer:
    def threads(count: int, prefetch: int) -> Setting:
        return Setting(
            f"{WORKERS} processes × {count} threads, prefetch {prefetch}",
            [[*_PYTHON, "dramatiq", "bench.peers.dramatiq_app", "-p", str(WORKERS), "-t", str(count)]],
            ready=WORKERS,
            env={"dramatiq_queue_prefetch": str(prefetch)},
        )

    return Peer(
        "dramatiq",
        "Worker process is ready for action",
        [*_SEND, "dramatiq"],
        [threads(8, 16), threads(4, 64), threads(2, 64)],
    )


def _rq() -> Peer:
    pool = [*_PYTHON, "rq.cli", "worker-pool", "-w", "rq.worker.SimpleWorker", "-S", "json", "-l", "WARNING"]

    def workers(count: int) -> Setting:
        return Setting(f"pool of {count} SimpleWorkers", [[*pool, "-n", str(count)]], ready=count)

    return Peer("RQ", "started with PID", [*_SEND, "rq"], [workers(4), workers(WORKERS), workers(8)])


def _procrastinate() -> Peer:
    command = [*_PYTHON, "procrastinate", "--app", "bench.peers.procrastinate_app.app"]

    def concurrency(count: int) -> Setting:
        worker = [*command, "-v", "worker", "--concurrency", str(count), "--delete-jobs", "successful"]
        return Setting(
            f"{WORKERS} workers × concurrency {count}",
            [[*worker, "--name", f"procrastinate-{number}"] for number in range(WORKERS)],
            ready=WORKERS,
        )

    return Peer(
        "procrastinate",
        "Starting worker",
        [*_SEND, "procrastinate"],
        [concurrency(10), concurrency(4), concurrency(20)],
        prepare=[*command, "schema", "--apply"],
    )


def _bullmq(directory: Path) -> Peer | None:
    """From npm, installed for this run only; None without Node or a registry."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        print("  Node and npm are not here: BullMQ is left out")
        return None
    folder = directory / "bullmq"
    shutil.copytree(_HERE / "bullmq", folder)
    install = [npm, "install", "--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts"]
    installed = subprocess.run(install, cwd=folder, capture_output=True, text=True, check=False)
    if installed.returncode != 0:
        print(
            f"  BullMQ could not be installed and is left out: {installed.stderr.strip().splitlines()[-1:]}"
        )
        return None
    program = [node, str(folder / "work.mjs")]

    def concurrency(count: int) -> Setting:
        return Setting(
            f"{WORKERS} processes × concurrency {count}",
            [[*program, "worker", str(count)] for _ in range(WORKERS)],
            ready=WORKERS,
        )

    return Peer(
        "BullMQ", "worker is ready", [*program, "send"], [concurrency(50), concurrency(10), concurrency(100)]
    )
