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

pytestmark = pytest.mark.slow

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


def test_a_worker_loads_no_broker_but_its_own() -> None:
    """The Redis inside a process, and numpy with it, are a tenth of a worker's memory; pika is RabbitMQ's."""
    given = "import json, sys, actors.services; from actors.broker import connect; connect(sys.argv[1], []); "
    done = subprocess.run(
        [sys.executable, "-c", given + "print(json.dumps(sorted(sys.modules)))", "redis://127.0.0.1:1/0"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    modules = set(json.loads(done.stdout))
    assert "redis" in modules
    assert not {"fakeredis", "numpy", "pika"} & modules


def test_help_loads_nothing_but_the_command_line() -> None:
    modules = loaded("--help")
    assert not HEAVY & modules
    assert not {"sqlalchemy", "pydantic", "engine.kernel.inputs"} & modules


@pytest.mark.parametrize(
    "args",
    [
        ("campaign", "list"),
        ("channel", "list"),
        ("template", "list"),
        ("target", "list"),
        ("suppression", "list"),
        ("entity", "list"),
        ("org", "list"),
        ("keys", "list"),
        ("webhook", "list"),
        ("audit",),
        ("db", "status"),
    ],
    ids=" ".join,
)
def test_a_command_loads_no_server_and_no_migrations(migrated: Muster, args: tuple[str, ...]) -> None:
    database = migrated.data / "muster.db"
    migrated.ok("org", "create", "acme")
    migrated.set(database_url=f"sqlite:///{database}", data_dir=migrated.data)
    modules = loaded(*args)
    assert not (HEAVY - {"babel.numbers"}) & modules
    assert not {"dns", "phonenumbers", "joserfc"} & modules, "nothing is looked up, and no number is read"
    if args[0] in ("org", "keys", "webhook", "audit", "db"):
        assert not {"engine.delivery.slices", "engine.campaigns", "engine.limits"} & modules
