"""Commands start quickly: each loads what it needs, and nothing of the server or of migrations."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.harness.child import ROOT

if TYPE_CHECKING:
    from tests.cli.conftest import Muster

_RUN = """
import json, sys
from actors.cli.app import app
try:
    app(sys.argv[1:], prog_name="muster")
except SystemExit as end:
    assert not end.code, end.code
print(json.dumps(sorted(sys.modules)))
"""
#: What only servers, workers and migrations need.
HEAVY = {
    "alembic", "babel.numbers", "dramatiq", "engine.api.app", "fakeredis", "fastapi", "httpx", "liquid", "numpy",
    "pika", "psycopg", "redis", "starlette", "uvicorn", "uvloop",
}  # fmt: skip


def loaded(*args: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", _RUN, *args],
        cwd=ROOT,
        env={**os.environ},
        capture_output=True,
        text=True,
        check=True,
    )
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_help_loads_nothing_but_the_command_line() -> None:
    modules = loaded("--help")
    assert not HEAVY & modules
    assert not {"sqlalchemy", "pydantic", "engine.inputs"} & modules


@pytest.mark.parametrize("args", [("campaign", "list"), ("org", "list"), ("db", "status")], ids=" ".join)
def test_a_command_loads_no_server_and_no_migrations(migrated: Muster, args: tuple[str, ...]) -> None:
    database = migrated.data / "muster.db"
    migrated.ok("org", "create", "acme")
    migrated.set(database_url=f"sqlite:///{database}", data_dir=migrated.data)
    assert not (HEAVY - {"babel.numbers"}) & loaded(*args)
