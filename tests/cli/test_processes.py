"""The processes as an operator runs them: they start, serve, stop on SIGTERM with 0, and say so in the log."""

from __future__ import annotations

import json
import signal
import stat
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest

from tests.harness.ports import free_port
from tests.harness.process import Process
from tests.harness.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.slow


def _get(url: str, key: str | None = None) -> Any:
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {key}"} if key else {})  # noqa: S310
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - our own server
        return json.load(answer)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Any]:
    started: list[Process] = []

    def dev(*args: str, **env: str) -> Process:
        process = Process(
            "dev", "--port", "0", *args, directory=tmp_path, env=env, name=f"dev-{len(started)}"
        )
        started.append(process)
        process.start()
        return process

    yield dev
    for process in started:
        process.close()


def test_dev_serves_prints_its_key_and_keeps_it_over_a_restart(start: Any, tmp_path: Path) -> None:
    keys = []
    for _ in range(2):
        process: Process = start()
        url = process.wait_for_log("api.started", deadline=40)["url"]
        process.wait_for_output("API key:")
        keys.append(process.output().partition("API key:")[2].split()[0])
        assert url in process.output()
        channels = _get(f"{url}/v1/channel", keys[-1])["results"]
        assert [(one["name"], one["kind"]) for one in channels] == [("file", "file")]
        assert _get(f"{url}/health/ready")["status"] == "ready"
        process.terminate()
        assert process.wait(30) == 0
        assert process.events("worker.stopped")
        assert process.events("scheduler.stopped")
        assert process.events("api.stopped")
    assert keys[0] == keys[1]
    file = tmp_path / "muster-data" / "dev-api-key"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


def test_dev_takes_the_key_it_is_given(start: Any, tmp_path: Path) -> None:
    key = "a-key-of-at-least-twenty-characters"
    process: Process = start("--data", "data", MUSTER_DEV_API_KEY=key)
    url = process.wait_for_log("api.started", deadline=40)["url"]
    assert _get(f"{url}/v1/campaign", key)["total"] == 0
    assert not (tmp_path / "data" / "dev-api-key").exists()
    with pytest.raises(urllib.error.HTTPError, match="401"):
        _get(f"{url}/v1/campaign", "another-key-of-twenty-characters")


def test_dev_refuses_a_key_that_is_too_short(start: Any) -> None:
    process: Process = start(MUSTER_DEV_API_KEY="short")
    assert process.wait(40) == 2
    assert "MUSTER_DEV_API_KEY" in process.err.read_text()
    assert "Traceback" not in process.err.read_text()


def test_ctrl_c_is_a_way_to_end_it(start: Any) -> None:
    process: Process = start()
    process.wait_for_log("api.started", deadline=40)
    process.signal(signal.SIGINT, alone=True)
    assert process.wait(30) == 0


def test_the_processes_of_the_procfile_start_serve_and_stop(tmp_path: Path) -> None:
    port = free_port()
    with Stack(tmp_path, workers=1, scheduler=True, api=True, smtp=False) as stack:
        assert _get(f"{stack.api_url}/health/ready")["status"] == "ready"
        metrics = stack.start("scheduler", "--metrics-port", str(port), name="scheduler-metrics")
        metrics.wait_for_log("scheduler.started", deadline=30)
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            assert b"muster_wakeups" in answer.read()
        assert stack.scheduler is not None
        assert stack.api is not None
        for process in (*stack.workers, stack.scheduler, stack.api, metrics):
            process.terminate()
        for process in (*stack.workers, stack.scheduler, stack.api, metrics):
            assert process.wait(30) == 0
            assert "Traceback" not in process.err.read_text()
