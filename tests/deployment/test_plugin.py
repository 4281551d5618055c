"""The example plug-in and the kit, installed beside Muster in an environment of their own: the plug-in's suite passes
and it is a kind; the page's example of tests runs as it is written.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from typing import TYPE_CHECKING

import pytest

from tests.harness.child import ROOT

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

#: What the page says of the clock.
MORE = """

def test_what_is_deferred_is_tried_again_when_its_time_has_come(muster):
    from engine.channels.port import Deferred

    muster.outbox.answer(Deferred("SMTP_450", "later", retry_after=7200), to="dee@example.com")
    with Muster(muster.url, muster.key) as client:
        prepare(client)
        order_placed(client, "A-4", "Dee", "dee@example.com")
        order_placed(client, "A-5", "Eve", "eve@example.com")
        muster.outbox.wait_for(1)
        assert muster.outbox.to("dee@example.com") == []
        muster.clock.forward(hours=3)
        muster.outbox.wait_for(2)
        assert len(muster.outbox.to("dee@example.com")) == 1
"""
EXAMPLE = ROOT / "examples" / "muster-channel-mattermost"


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of an environment that sees what this one has, Muster among it, and has the plug-in and the kit besides."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    python = folder / "bin" / "python"
    asked = [str(python), "-c", "import sysconfig; print(sysconfig.get_paths()['purelib'])"]
    site = subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip()
    with open(os.path.join(site, "muster.pth"), "w") as file:  # noqa: PTH118, PTH123
        file.write(f"{sysconfig.get_paths()['purelib']}\n{ROOT}\n")
    for distribution in (ROOT / "clients" / "testing", ROOT / "clients" / "python", EXAMPLE):
        source = shutil.copytree(distribution, folder / "source" / distribution.name)
        build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
        subprocess.run([*build, "--wheel-dir", str(folder / "wheels"), str(source)], check=True)
    wheels = [str(wheel) for wheel in (folder / "wheels").glob("*.whl")]
    subprocess.run([str(python), "-m", "pip", "install", "--quiet", "--no-deps", *wheels], check=True)
    return python


def test_its_suite_passes(python: Path, tmp_path: Path) -> None:
    command = [str(python), "-m", "pytest", "-q", "-p", "no:cacheprovider", str(EXAMPLE / "tests")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:]


def test_the_example_of_the_page_runs_as_it_is_written(python: Path, tmp_path: Path) -> None:
    page = (ROOT / "docs" / "testing.md").read_text()
    (tmp_path / "test_page.py").write_text(
        "\n".join(re.findall(r"```python\n(.*?)```", page, re.DOTALL)) + MORE
    )
    command = [str(python), "-m", "pytest", "-q", "-p", "no:cacheprovider", "--durations=3", "test_page.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-6000:]
    assert "3 passed" in done.stdout


def test_it_is_a_kind_with_help_and_the_doctor_names_it(python: Path, tmp_path: Path) -> None:
    def muster(*words: str) -> str:
        command = [str(python), "-m", "actors.cli", *words]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False).stdout

    shown = {one["name"]: one for one in json.loads(muster("channel", "kinds", "mattermost", "--json"))}
    assert shown["url"]["required"] is True
    assert "user name" in shown["address"]["text"]
    checks = {one["name"]: one for one in json.loads(muster("doctor", "--json"))}
    assert checks["plug-in mattermost"]["found"] == "of muster-channel-mattermost"
