"""`muster …` inside the test's process, in an environment of its own."""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
import sys
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
import structlog
from typer.main import get_command
from typer.testing import CliRunner

from actors.cli.app import app
from state import migrate
from state.database import Database
from tests.conftest import delete_rows, postgresql_database

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass(frozen=True)
class Result:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


#: The tree of commands; made once, for it takes longer than most commands (`CliRunner.invoke` makes it every time).
_command = cache(get_command)


class Muster:
    """The command line, over one database."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.data = folder / "data"
        self._monkeypatch = monkeypatch
        self._runner = CliRunner()

    def set(self, **settings: object) -> None:
        """Set `MUSTER_…` variables from now on."""
        for name, value in settings.items():
            self._monkeypatch.setenv(f"MUSTER_{name.upper()}", str(value))

    @property
    def url(self) -> str:
        return os.environ.get("MUSTER_DATABASE_URL", f"sqlite:///{self.data}/muster.db")

    def __call__(self, *args: object, stdin: bytes | str | None = None) -> Result:
        """Run a command, whatever becomes of it. An error that nobody explained is raised as it is."""
        with self._runner.isolation(input=stdin, env={"COLUMNS": "200"}) as (out, err, _):
            with pytest.raises(SystemExit) as end:
                _command(app).main([str(arg) for arg in args], prog_name="muster")
            sys.stdout.flush()
            sys.stderr.flush()
            assert isinstance(end.value.code, int)
            return Result(end.value.code, out.getvalue().decode(), err.getvalue().decode())

    def ok(self, *args: object, stdin: bytes | str | None = None) -> Result:
        """Run a command that must end with 0."""
        result = self(*args, stdin=stdin)
        assert result.code == 0, f"{args}: exit code {result.code}\n{result.out}\n{result.err}"
        return result

    def make_empty_database(self) -> None:
        """A SQLite file without tables."""
        self.data.mkdir()
        database = self.database()
        database.engine.connect().close()
        database.close()

    def database(self) -> Database:
        return Database(self.url, pool_size=2)


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """None of the developer's settings, a folder of the test's own, and logging as it was."""
    for name in [name for name in os.environ if name.startswith("MUSTER_") and "TEST" not in name]:
        if name != "MUSTER_REQUIRE_SERVICES":
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers, root.level = handlers, level
    structlog.reset_defaults()


@pytest.fixture
def muster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Muster:
    """Without a database yet."""
    muster = Muster(tmp_path, monkeypatch)
    muster.set(data_dir=muster.data)
    return muster


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite database to copy."""
    path = tmp_path_factory.mktemp("template") / "muster.db"
    migrate.upgrade(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def migrated_postgresql() -> Iterator[str]:
    """The URL of a migrated PostgreSQL database, emptied after each test that uses it."""
    with postgresql_database("muster_cli") as url:
        migrate.upgrade(url)
        yield url


@pytest.fixture
def migrated(muster: Muster, sqlite_template: Path) -> Muster:
    """With a migrated SQLite database, without any organization."""
    muster.data.mkdir()
    shutil.copy(sqlite_template, muster.data / "muster.db")
    return muster


@pytest.fixture
def embedded(migrated: Muster) -> Muster:
    """With organization `acme` in it. Wake-ups go to whoever runs in this process."""
    migrated.set(broker_url="embedded://")
    migrated.ok("org", "create", "acme")
    return migrated


@pytest.fixture(params=["sqlite", "postgresql"])
def acme(request: pytest.FixtureRequest) -> Iterator[Muster]:
    """With organization `acme` in a database of either kind."""
    if request.param == "sqlite":
        yield request.getfixturevalue("embedded")
        return
    muster: Muster = request.getfixturevalue("muster")
    muster.set(database_url=request.getfixturevalue("migrated_postgresql"), broker_url="embedded://")
    muster.ok("org", "create", "acme")
    yield muster
    database = muster.database()
    delete_rows(database)
    database.close()


@pytest.fixture
def people(tmp_path: Path) -> Path:
    """Five people in a CSV file."""
    path = tmp_path / "people.csv"
    path.write_text(
        "customer_id,first_name,email,country,orders\n"
        "1,Ada,ada@example.com,Norway,3\n"
        "2,Bo,bo@example.com,Sweden,12\n"
        "3,Clara,clara@example.com,Norway,0\n"
        "4,Dana,,Norway,7\n"
        "5,Emil,emil@example.com,Denmark,1\n"
    )
    return path


@pytest.fixture
def populated(acme: Muster, people: Path) -> Muster:
    """With those five as contacts."""
    acme.ok("import", people, "--external-id", "customer_id", "--title", "{first_name}")
    return acme


def uuid_in(text: str) -> UUID:
    """The first id in a text."""
    found = re.search(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", text)
    assert found is not None, text
    return UUID(found[0])
