"""Fifty hostile clients of one organization; another organization's requests are answered as if they were not there.

`MUSTER_ATTACK=120` attacks for so many seconds and holds the figures; else it is done for a few, and what depends on
how busy the machine is is only printed.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import TYPE_CHECKING

import httpx
import pytest

from engine.authentication.api_keys import create_key
from engine.organizations import create_organization
from state.database import Database
from tests.api.world import make_campaign, make_job
from tests.attack.hostile import CLIENTS
from tests.harness.child import Child
from tests.harness.ports import free_port
from tests.harness.process import Process
from tests.harness.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SECONDS = float(os.environ.get("MUSTER_ATTACK", "0"))
#: Of another organization's GET, in seconds, and of the process, in bytes.
P99 = 0.25
MEMORY = 600 * 1024 * 1024
KEY = "mk_attack_soak_hostile_key_0001"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[Process, str]]:
    """Muster in one process, and its URL."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    data = tmp_path / "data"
    process = Process(
        "dev", "--port", str(port), "--data", str(data), directory=tmp_path, env={"MUSTER_DEV_API_KEY": KEY}
    )

    def ready() -> bool:
        try:
            return httpx.get(f"{url}/health/ready", timeout=5).status_code == httpx.codes.OK
        except httpx.TransportError:
            assert process.alive, process.tail()
            return False

    with process:
        wait_until(ready, "muster dev is ready", deadline=120)
        yield process, url


@pytest.mark.timeout(600)
def test_another_organization_notices_nothing(
    server: tuple[Process, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    process, url = server
    database = Database(f"sqlite:///{tmp_path}/data/muster.db")
    with database.begin() as session:
        other = create_organization(session, "another").id
        plain = create_key(session, other, "quiet", "viewer")[1]
        hostile = create_organization(session, "hostile").id
        key = create_key(session, hostile, "hostile", "operator")[1]
    campaign = make_campaign(database, hostile)
    make_job(database, hostile, campaign)
    database.close()
    seconds = SECONDS or 6.0
    command = [sys.executable, "-m", "tests.attack.hostile", "--url", url, "--key", key]
    command += ["--campaign", str(campaign), "--seconds", str(seconds)]
    attack = Child("hostile", command, directory=tmp_path)
    took: list[float] = []
    memory = 0
    with (
        attack,
        httpx.Client(base_url=url, headers={"authorization": f"Bearer {plain}"}, timeout=60) as client,
    ):
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            began = time.monotonic()
            answer = client.get("/v1/campaign")
            took.append(time.monotonic() - began)
            assert answer.status_code == httpx.codes.OK, answer.text
            memory = max(memory, process.rss())
        attack.wait(60)
    told = json.loads(attack.out.read_text().splitlines()[-1])
    took.sort()
    p99 = took[int(len(took) * 0.99)]
    with capsys.disabled():
        figures = (
            f"p50 {took[len(took) // 2] * 1000:.0f} ms, p99 {p99 * 1000:.0f} ms, {memory / 2**20:.0f} MiB"
        )
        sys.stdout.write(
            f"\n{CLIENTS} hostile clients for {seconds:g} s; {len(took)} GETs of another: {figures}\n"
        )
        sys.stdout.write(f"{json.dumps(told, indent=1)}\n")
    assert process.alive
    assert not [one for one in told if one.endswith(" 500")], told
    assert memory <= MEMORY
    if SECONDS:
        assert p99 <= P99
