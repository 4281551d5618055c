"""The public client from npm, once installed kept beside other caches, and a Muster as an operator runs it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Self

import httpx
import pytest

from tests.conftest import missing_service
from tests.harness.dev_server import dev_server
from tests.harness.waiting import patience

if TYPE_CHECKING:
    from collections.abc import Iterator

#: What the contract was written against (docs/contract/README.md), and what it stands on.
PACKAGES = {"@epilot/sdk": "2.20.31", "axios": "1.21.1", "openapi-client-axios": "7.9.1"}
KEY = "mk_sdk_tests_0123456789abcdef"


def _cache() -> Path:
    home = os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()
    return Path(home) / "muster-tests" / f"epilot-sdk-{PACKAGES['@epilot/sdk']}"


@pytest.fixture(scope="session")
def package() -> Path:
    """A folder whose `node_modules` hold the client; installed on the first run."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        missing_service("Node.js with npm", "not on PATH")
    folder = _cache()
    if (folder / "node_modules").exists():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder.parent) as fresh:
        (Path(fresh) / "package.json").write_text(json.dumps({"private": True, "dependencies": PACKAGES}))
        command = [str(npm), "install", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
        try:
            done = subprocess.run(
                command, cwd=fresh, capture_output=True, text=True, timeout=180, check=False
            )
        except subprocess.TimeoutExpired as error:
            missing_service("@epilot/sdk from npm", error)
        if done.returncode:
            missing_service("@epilot/sdk from npm", done.stderr.strip() or done.stdout.strip())
        made = Path(fresh) / "whole"
        made.mkdir()
        for name in ("package.json", "package-lock.json", "node_modules"):
            (Path(fresh) / name).rename(made / name)
        if not folder.exists():  # another run may have been as quick
            made.rename(folder)
    return folder


class Sdk:
    """The client in its own process."""

    def __init__(self, package: Path, url: str, token: str) -> None:
        driver = Path(__file__).with_name("driver.cjs")
        self._process = subprocess.Popen(
            ["node", str(driver), str(package), url, token],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.called: set[str] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()
        self._process.wait(timeout=10)

    def __call__(self, operation: str, *args: Any, status: int = 200) -> Any:
        """Call an operation as a program would; its data, which must have come with this status."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"operation": operation, "args": args}) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        assert answer.get("status") == status, (operation, answer)
        self.called.add(operation)
        return answer["data"]


@pytest.fixture(scope="session")
def muster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of `muster dev`: API, worker and scheduler over SQLite, with a `file` channel."""
    folder = tmp_path_factory.mktemp("sdk")
    with dev_server(folder, KEY, MUSTER_SWEEP_INTERVAL="0.2") as url:
        yield url


@pytest.fixture
def sdk(package: Path, muster: str) -> Iterator[Sdk]:
    with Sdk(package, muster, KEY) as sdk:
        yield sdk


@pytest.fixture
def own(muster: str) -> Iterator[httpx.Client]:
    """Our own routes, for what other systems of theirs keep."""
    with httpx.Client(
        base_url=muster, headers={"authorization": f"Bearer {KEY}"}, timeout=patience(60)
    ) as client:
        yield client
