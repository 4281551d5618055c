"""The `http` channel from end to end: a campaign to a provider that answers at once, and to one that takes 50 ms."""

from __future__ import annotations

import sys
from statistics import median
from typing import TYPE_CHECKING

from bench import muster_run
from bench.conditions import load
from bench.ground import WORKERS, Ground
from bench.results import Result
from bench.seeding import Sending, seed
from state.database import Database
from tests.harness.child import Server
from tests.harness.ports import free_port

if TYPE_CHECKING:
    from pathlib import Path

    from bench.scale import Scale

__all__ = ["run"]

_DELAYS = (0, 50)
"""Milliseconds."""
_CONNECTIONS = 50
"""Of each worker."""


def run(scale: Scale, directory: Path) -> list[Result]:
    """Messages a second, one request each; at 50 ms beside what the connections allow."""
    found = []
    with Ground(directory) as ground:
        for delay in _DELAYS:
            port = free_port()
            command = [sys.executable, "-m", "bench.http_sink", str(port), str(delay / 1000)]
            settings = {"url": f"http://127.0.0.1:{port}/send", "concurrency": _CONNECTIONS}
            database = Database(ground.create_seed())
            org_id, campaign_id = seed(database, scale.messages, Sending("http", settings))
            database.close()
            with Server(f"http-{delay}", command, directory=directory, port=port):
                runs = [
                    muster_run.deliver(ground, ground.copy_seed("run"), org_id, campaign_id, scale.messages)
                    for _ in range(scale.repeats)
                ]
            rate = median(one.rate for one in runs)
            case = f"http.{{}}.{delay}ms.{scale.messages}"
            print(f"  {delay} ms: {rate:,.0f}/s; load {load()}")
            found += [
                Result.compared(
                    case.format("rate"), rate, "messages/s", WORKERS * _CONNECTIONS * 1000 / delay
                )
                if delay
                else Result.alone(case.format("rate"), rate, "messages/s"),
                Result.alone(case.format("cpu"), median(one.cpu for one in runs), "µs/message"),
            ]
    return found
