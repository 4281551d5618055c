"""What goes wrong is one message that says what to do, an exit code that says which kind, and no traceback."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from tests.harness.child import clean_environment

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Muster, Result

NEEDS_A_DATABASE = [
    ("org", "list"),
    ("keys", "list"),
    ("campaign", "list"),
    ("campaign", "show", "x"),
    ("watch", "x"),
    ("retrigger", "x", "--failed"),
    ("recipients", "x"),
    ("why", "x", "y"),
    ("api", "--port", "0"),
    ("worker",),
    ("scheduler",),
]


@pytest.fixture
def nobody() -> str:
    """An address where nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    return f"127.0.0.1:{port}"


def _told(result: Result, code: int, *words: str) -> None:
    assert result.code == code, result
    assert "Traceback" not in result.err
    assert result.err.count("muster: ") == 1, result.err
    for word in words:
        assert word in result.err


@pytest.mark.parametrize("command", NEEDS_A_DATABASE, ids=" ".join)
def test_a_database_that_is_away(muster: Muster, nobody: str, command: tuple[str, ...]) -> None:
    muster.set(database_url=f"postgresql+psycopg://postgres@{nobody}/muster")
    _told(muster(*command), 3, "the database does not answer", "MUSTER_DATABASE_URL")


@pytest.mark.parametrize("command", NEEDS_A_DATABASE, ids=" ".join)
def test_a_database_that_lacks_migrations(muster: Muster, command: tuple[str, ...]) -> None:
    muster.make_empty_database()
    _told(muster(*command), 3, "0001 organization", "muster db upgrade")


@pytest.mark.parametrize("command", NEEDS_A_DATABASE, ids=" ".join)
def test_a_database_that_was_never_made(muster: Muster, command: tuple[str, ...]) -> None:
    _told(muster(*command), 3, "there is no database", "muster db upgrade")
    assert not muster.data.exists(), "looking made nothing"


def test_a_database_of_a_newer_muster(migrated: Muster) -> None:
    database = migrated.database()
    with database.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    database.close()
    _told(migrated("campaign", "list"), 3, "9999", "newer")


@pytest.mark.parametrize("scheme", ["redis", "amqp"])
def test_a_worker_without_its_broker(migrated: Muster, nobody: str, scheme: str) -> None:
    migrated.set(broker_url=f"{scheme}://{nobody}/")
    _told(migrated("worker"), 3, "does not answer", "MUSTER_BROKER_URL")


@pytest.mark.parametrize("command", [("worker",), ("scheduler",), ("api", "--port", "0")], ids=" ".join)
def test_an_embedded_broker_for_several_processes(migrated: Muster, command: tuple[str, ...]) -> None:
    migrated.set(broker_url="embedded://")
    _told(migrated(*command), 2, "one process only", "muster dev")


def test_every_wrong_setting_is_named(muster: Muster) -> None:
    muster.set(database_url="mysql://db/x", window=0, log_level="loud")
    result = muster("campaign", "list")
    _told(result, 2, "MUSTER_DATABASE_URL", "MUSTER_WINDOW", "MUSTER_LOG_LEVEL", "README.md")


def test_settings_of_a_worker_that_starve_each_other_are_refused_together(migrated: Muster) -> None:
    migrated.set(database_pool=8, worker_threads=8, flush_interval=2, lease=5)
    _told(migrated("worker"), 2, "MUSTER_DATABASE_POOL: 8", "it takes 10", "MUSTER_FLUSH_INTERVAL: 2 s")
    _told(migrated("worker", "--threads", "32"), 2, "32 threads", "it takes 34")


@pytest.mark.parametrize("broker", ["redis://h:port/0", "redis://h/x", "amqp://"])
def test_a_broker_url_that_cannot_be_read(migrated: Muster, broker: str) -> None:
    migrated.set(broker_url=broker)
    _told(migrated("worker"), 2, "MUSTER_BROKER_URL")


def test_a_misspelt_setting_is_named_with_the_one_that_is_meant(populated: Muster) -> None:
    populated.set(databse_url="postgresql://db/x", colour="red")
    assert (
        "MUSTER_DATABSE_URL is no setting; did you mean MUSTER_DATABASE_URL?"
        in populated.ok("org", "list").err
    )
    checks = populated("doctor").out
    assert "MUSTER_COLOUR, MUSTER_DATABSE_URL" in checks


def test_a_metrics_port_that_is_taken(migrated: Muster) -> None:
    with socket.create_server(("0.0.0.0", 0)) as taken:  # noqa: S104 - as the metrics are served
        port = taken.getsockname()[1]
        _told(migrated("scheduler", "--metrics-port", port), 1, str(port), "--metrics-port")


def test_a_secret_does_not_stand_in_the_message(muster: Muster) -> None:
    muster.set(database_url="postgres://muster:hunter2@db/x")
    assert "hunter2" not in muster("campaign", "list").err


@pytest.mark.parametrize(
    "args",
    [
        ("kampagne",),
        ("campaign", "activate"),
        ("campaign", "list", "--limit", "0"),
        ("watch", "x", "--interval", "never"),
        ("retrigger", "x"),
        ("retrigger", "x", "no-uuid"),
        ("api", "--port", "70000"),
        ("import", "people.txt"),
        ("import", "absent.csv"),
        ("worker", "--processes", "0"),
    ],
    ids=" ".join,
)
def test_wrong_usage(populated: Muster, args: tuple[str, ...]) -> None:
    result = populated(*args)
    assert result.code == 2, result
    assert result.err
    assert "Traceback" not in result.err


def test_no_organization_and_too_many(migrated: Muster) -> None:
    _told(migrated("keys", "list"), 1, "no organization yet", "muster org create")
    migrated.ok("org", "create", "acme")
    migrated.ok("keys", "list")
    _told(migrated("--org", "acne", "keys", "list"), 1, "did you mean 'acme'?")
    migrated.ok("org", "create", "umbrella")
    _told(migrated("keys", "list"), 2, "--org", "acme, umbrella")
    migrated.ok("--org", "umbrella", "keys", "list")
    migrated.ok("org", "create", "dev")
    migrated.ok("keys", "list")


def test_a_port_that_is_taken(migrated: Muster) -> None:
    migrated.set(redis_url="redis://127.0.0.1:1/0")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        _told(migrated("api", "--port", port), 1, str(port), "--port")


def test_a_folder_that_cannot_be_made(muster: Muster, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    _told(muster("demo", "--data", tmp_path / "file" / "data"), 1, "cannot be made", "--data")


@pytest.mark.slow
def test_as_a_program_it_leaves_with_the_same_code_and_message(muster: Muster, nobody: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "actors.cli", "campaign", "list"],
        env=clean_environment({"MUSTER_DATABASE_URL": f"postgresql+psycopg://postgres@{nobody}/x"}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert "the database does not answer" in done.stderr


@pytest.mark.slow
def test_a_reader_that_leaves_early_is_no_error(populated: Muster) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", "actors.cli", "org", "list"],
        env=clean_environment({"MUSTER_DATABASE_URL": populated.url}),
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(writer)
    assert "Traceback" not in done.stderr
