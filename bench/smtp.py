"""E-mail from end to end: a campaign of personalised multipart messages into Postfix's `smtp-sink`, an outcome each.

Beside it `smtp-source -d`, Postfix's own generator, sends as many messages of the same size into the same sink over as
many connections: it renders nothing and keeps nothing, and is the most that the sink takes from one machine.
"""

from __future__ import annotations

import shutil
import subprocess
import time
from statistics import median
from typing import TYPE_CHECKING
from uuid import uuid4

from bench import muster_run
from bench.conditions import load
from bench.content import HTML, TEXT
from bench.ground import WORKERS, Ground
from bench.results import Aim, Result
from bench.seeding import Sending, seed
from engine.content.message import Content, Message
from engine.content.mime import MimeBuilder
from state.database import Database
from tests.harness.child import Server
from tests.harness.ports import free_port

if TYPE_CHECKING:
    from pathlib import Path

    from bench.scale import Scale

__all__ = ["into_sink", "run"]

#: Connections of each worker; smtp-source has as many as all workers together.
_CONNECTIONS = 10


def run(scale: Scale, directory: Path) -> list[Result]:
    """Messages a second, and processor time a message."""
    sink_program, source = shutil.which("smtp-sink"), shutil.which("smtp-source")
    if sink_program is None or source is None:
        print("  Postfix's smtp-sink and smtp-source are not here: nothing to send to")
        return []
    size = scale.messages
    port = free_port()
    command = [sink_program, "-u", "nobody", f"127.0.0.1:{port}", "1000"]
    turns = []
    with Ground(directory) as ground, Server("smtp-sink", command, directory=directory, port=port):
        database = Database(ground.create_seed())
        org_id, campaign_id = seed(database, size, into_sink(port))
        database.close()
        for _ in range(scale.repeats):
            plain = _send(source, port, size)
            muster = muster_run.deliver(ground, ground.copy_seed("run"), org_id, campaign_id, size)
            print(
                f"  Muster {muster.rate:,.0f}/s ({muster.program_cpu / size * 1e6:.0f} µs of workers and "
                f"{muster.database_cpu / size * 1e6:.0f} µs of PostgreSQL each), first after {muster.first:.2f} s; "
                f"smtp-source {plain:,.0f}/s; load {load()}"
            )
            turns.append((muster, plain))
    aim: Aim = {"at_least": 0.6} if scale.kept else {}
    return [
        Result.compared(
            f"smtp.rate.{size}",
            median(muster.rate for muster, _ in turns),
            "messages/s",
            median(plain for _, plain in turns),
            ratio=median(muster.rate / plain for muster, plain in turns),
            **aim,
        ),
        Result.alone(f"smtp.cpu.{size}", median(muster.cpu for muster, _ in turns), "µs/message"),
        Result.alone(f"smtp.first.{size}", median(muster.first for muster, _ in turns), "seconds"),
    ]


def into_sink(port: int) -> Sending:
    """A personalised multipart message to everybody, into a server on this port."""
    settings = {
        "host": "127.0.0.1",
        "port": port,
        "security": "none",
        "from_email": "news@example.com",
        "concurrency": _CONNECTIONS,
    }
    return Sending("smtp", settings, {"subject": "Hello {{ first_name }}", "html": HTML, "text": TEXT})


def _send(program: str, port: int, size: int) -> float:
    """Messages a second by smtp-source."""
    message = Message(
        execution_id=uuid4(),
        org_id=uuid4(),
        campaign_id=uuid4(),
        entity_id=uuid4(),
        address="person12345@example.com",
        content=Content("Hello Person12345", html=HTML, text=TEXT),
    )
    length = len(MimeBuilder(sender_email="news@example.com").build(message))
    command = [program, "-d", "-s", str(_CONNECTIONS * WORKERS), "-m", str(size), "-l", str(length)]
    started = time.monotonic()
    subprocess.run([*command, f"127.0.0.1:{port}"], check=True, capture_output=True)
    return size / (time.monotonic() - started)
