"""The package of types: it is made, and the page's example compiles against it (needs Node)."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.harness.child import ROOT

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

_TOOLS = ("typescript@5.9.3", "openapi-fetch@0.14.1")


@pytest.mark.skipif(shutil.which("npx") is None, reason="Node is not installed")
def test_the_example_compiles(tmp_path: Path) -> None:
    package = tmp_path / "node_modules" / "muster-client-types"
    install = ["npm", "install", "--no-save", "--silent", "--prefix", str(tmp_path), *_TOOLS]
    if subprocess.run(install, check=False, capture_output=True).returncode:
        pytest.skip("no npm packages can be had here")
    made = [sys.executable, str(ROOT / "clients" / "typescript" / "generate.py"), str(package)]
    subprocess.run(made, check=True, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)})
    text = (package / "README.md").read_text()
    found = re.search(r"```ts\n(.*?)```", text, re.DOTALL)
    assert found is not None
    (tmp_path / "example.mts").write_text(found[1])
    options = ["--noEmit", "--strict", "--target", "es2022", "--module", "nodenext", "example.mts"]
    compiled = subprocess.run(
        ["npx", "tsc", *options], cwd=tmp_path, check=False, capture_output=True, text=True
    )
    assert compiled.returncode == 0, compiled.stdout
    (tmp_path / "example.mts").write_text(found[1].replace("data?.status", "data?.state"))
    refused = subprocess.run(
        ["npx", "tsc", *options], cwd=tmp_path, check=False, capture_output=True, text=True
    )
    assert "'state' does not exist" in refused.stdout
