"""Muster as people install and start it: a wheel, a Procfile."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from config.version import DISTRIBUTION
from state.migrate import upgrade
from tests.harness.child import Child, clean_environment
from tests.harness.ports import free_port
from tests.harness.postgres import Postgres
from tests.harness.redis_server import RedisServer
from tests.harness.waiting import wait_until

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


def test_a_wheel_holds_all_that_the_demo_needs(tmp_path: Path) -> None:
    """Installed beside nothing of the checkout: dependencies alone come from this environment."""
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    build = [
        *pip,
        "wheel",
        "--no-deps",
        "--no-build-isolation",
        "--wheel-dir",
        str(tmp_path / "wheel"),
        str(ROOT),
    ]
    subprocess.run(build, check=True, cwd=tmp_path)
    (wheel,) = (tmp_path / "wheel").glob("*.whl")
    assert wheel.name.startswith(f"{DISTRIBUTION.replace('-', '_')}-")
    installed = tmp_path / "installed"
    install = [*pip, "install", "--no-deps", "--no-compile", "--target", str(installed), str(wheel)]
    subprocess.run(install, check=True, cwd=tmp_path)
    environment = clean_environment({"PYTHONPATH": str(installed)})
    where = "import engine.api.app, state; print(engine.api.app.__file__, state.__file__)"
    found = subprocess.run(
        [sys.executable, "-c", where],
        check=True,
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    ).stdout.split()
    assert all(file.startswith(str(installed)) for file in found), found
    demo = [sys.executable, "-m", "actors.cli", "demo", "--data", str(tmp_path / "data")]
    ended = subprocess.run(demo, check=False, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr[-3000:]
    assert "10,000" in ended.stdout


@pytest.mark.services
def test_the_procfile_works_under_honcho(tmp_path: Path) -> None:
    port = free_port()
    with Postgres() as postgres, RedisServer(tmp_path / "redis") as redis:
        upgrade(postgres.url)
        binaries = os.path.dirname(sys.executable)  # noqa: PTH120 - of a link that must not be followed
        environment = {
            "PATH": f"{binaries}:{os.environ['PATH']}",
            "MUSTER_DATABASE_URL": postgres.url,
            "MUSTER_REDIS_URL": redis.url,
            "MUSTER_DATA_DIR": str(tmp_path / "data"),
            "MUSTER_SECRET_KEY": base64.b64encode(os.urandom(32)).decode(),
        }
        command = [sys.executable, "-m", "honcho", "start", "-f", str(ROOT / "Procfile"), "-p", str(port)]
        with Child("honcho", command, directory=tmp_path, env=environment) as honcho:

            def is_complete() -> bool:
                assert honcho.alive, honcho.tail()
                try:
                    answer = httpx.get(f"http://127.0.0.1:{port}/health/ready", timeout=5)
                except httpx.TransportError:
                    return False
                document = answer.json()
                return answer.status_code == 200 and not document.get("warnings")

            wait_until(is_complete, "API, worker and scheduler run", deadline=90)
            honcho.terminate()
            honcho.wait(60)
