"""The first campaign of README.md, as it stands there, against `muster dev`."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.harness.child import ROOT, clean_environment
from tests.harness.process import Process

pytestmark = pytest.mark.slow


def test_the_block_of_the_command_line_runs_twice(tmp_path: Path) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    people = readme.partition("cat > people.csv <<CSV\n")[2].partition("CSV\n")[0]
    block = readme.partition("```sh\n")[2].partition("```")[0]
    (tmp_path / "people.csv").write_text(people)
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "muster").symlink_to(Path(sys.executable).parent / "muster")
    environment = clean_environment()
    environment["PATH"] = f"{tools}:{environment['PATH']}"
    process = Process("dev", "--port", "0", directory=tmp_path, env={})
    with process:
        process.wait_for_log("api.started", deadline=60)
        for _ in range(2):
            done = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", block],
                cwd=tmp_path,
                env=environment,
                capture_output=True,
                text=True,
                timeout=240,
                check=False,
            )
            assert done.returncode == 0, done.stdout + done.stderr
            assert "2/2" in done.stdout
            assert "ada@example.com" in done.stdout
    assert len(list((tmp_path / "muster-data" / "outbox").glob("*.jsonl"))) == 2


def test_the_first_campaign_is_delivered(tmp_path: Path) -> None:
    assert shutil.which("curl"), "the README's example is written with curl"
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    block = readme.partition("```bash\n")[2].partition("```")[0]
    process = Process("dev", "--port", "0", directory=tmp_path, env={})
    with process:
        url = process.wait_for_log("api.started", deadline=40)["url"]
        assert "http://127.0.0.1:8000" in block
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", block.replace("http://127.0.0.1:8000", url)],
            cwd=tmp_path,
            env=clean_environment(),
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    imported, _, job, recipients = (json.loads(line) for line in _objects(done.stdout))
    assert imported["created"] == 3
    assert job["status"] == "finished"
    assert job["execution_counts"]["success"] == 2
    assert {row["title"] for row in recipients["results"]} == {"Ada", "Clara"}
    (outbox,) = (tmp_path / "muster-data" / "outbox").glob("*.jsonl")
    assert {json.loads(line)["subject"] for line in outbox.read_text().splitlines()} == {
        "Hello Ada",
        "Hello Clara",
    }


def _objects(text: str) -> list[str]:
    """The JSON objects of an output, whether or not a line break stands between them."""
    decoder, found, at = json.JSONDecoder(), [], 0
    while at < len(text.rstrip()):
        _, end = decoder.raw_decode(text, at)
        found.append(text[at:end])
        at = end + len(text[end:]) - len(text[end:].lstrip())
    return found
