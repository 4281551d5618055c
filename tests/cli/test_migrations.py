"""The migrations make exactly the tables that the code declares, on both databases, and make them once."""

from __future__ import annotations

import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text

from state import migrate, revisions
from state.database import Database
from state.errors import SchemaOutdated
from state.tables import Base
from tests.conftest import postgresql_database
from tests.harness.child import ROOT, clean_environment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from alembic.config import Config

pytestmark = pytest.mark.slow

#: What a database says of its own tables; alembic_version is the migrations' own.
POSTGRESQL_CATALOGUE = (
    """SELECT table_name, column_name, data_type, character_maximum_length, is_nullable, column_default
       FROM information_schema.columns WHERE table_schema = 'public' AND table_name <> 'alembic_version'
       ORDER BY table_name, column_name""",
    """SELECT tablename, indexname, indexdef FROM pg_indexes
       WHERE schemaname = 'public' AND tablename <> 'alembic_version' ORDER BY indexname""",
    """SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
       WHERE connamespace = 'public'::regnamespace AND conrelid::regclass::text <> 'alembic_version'
       ORDER BY 1, 2""",
)
SQLITE_CATALOGUE = (
    "SELECT type, name, tbl_name, sql FROM sqlite_master WHERE tbl_name <> 'alembic_version' ORDER BY name",
)


@pytest.fixture(params=["sqlite", "postgresql"])
def new_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], str]]:
    """Makes empty databases of one kind."""
    if request.param == "sqlite":
        yield lambda: f"sqlite:///{tmp_path}/{uuid4().hex}.db"
        return
    with ExitStack() as made:
        yield lambda: made.enter_context(postgresql_database("muster_migrations"))


@pytest.fixture
def opened() -> Iterator[Callable[[str], Database]]:
    databases = []

    def open_(url: str) -> Database:
        databases.append(Database(url, pool_size=2))
        return databases[-1]

    yield open_
    for database in databases:
        database.close()


def _catalogue(database: Database) -> list[list[object]]:
    queries = POSTGRESQL_CATALOGUE if database.dialect.name == "postgresql" else SQLITE_CATALOGUE
    with database.engine.connect() as connection:
        return [
            [_plain(value) for value in row] for query in queries for row in connection.execute(text(query))
        ]


def _plain(value: object) -> object:
    """A statement without its line breaks; the columns and constraints of a table may come in any order."""
    if not isinstance(value, str):
        return value
    value = " ".join(value.split())
    if value.startswith("CREATE TABLE"):
        head, _, body = value.removesuffix(")").partition("(")
        return head, sorted(part.strip() for part in body.split(","))
    return value


def test_they_make_what_the_tables_say_to_the_letter(
    new_url: Callable[[], str], opened: Callable[[str], Database]
) -> None:
    migrated_url = new_url()
    migrate.upgrade(migrated_url)
    migrated, declared = opened(migrated_url), opened(new_url())
    Base.metadata.create_all(declared.engine)

    assert _catalogue(declared) == _catalogue(migrated)
    with migrated.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []


def test_an_empty_database_lacks_them_all_and_a_migrated_one_none(
    new_url: Callable[[], str], opened: Callable[[str], Database]
) -> None:
    url = new_url()
    database = opened(url)
    missing = revisions.pending(database)
    assert missing[0] == "0001 organization"
    with pytest.raises(SchemaOutdated, match=r"0001 organization.*muster db upgrade"):
        revisions.require_current(database)

    assert missing == revisions.known()
    assert migrate.upgrade(url) == missing

    assert revisions.pending(database) == []
    assert migrate.upgrade(url) == []
    revisions.require_current(database)


def test_the_files_are_numbered_as_they_follow_one_another() -> None:
    scripts = ScriptDirectory.from_config(migrate.configuration()).walk_revisions()
    assert [script.revision for script in scripts][::-1] == [
        one.partition(" ")[0] for one in revisions.known()
    ]


def test_of_two_upgrades_at_once_one_runs_and_the_other_finds_nothing_to_do(
    new_url: Callable[[], str],
) -> None:
    url = new_url()
    with ThreadPoolExecutor(2) as pool:
        ran = list(pool.map(migrate.upgrade, [url, url]))
    assert sorted(ran) == [[], revisions.known()]


def test_a_database_of_a_newer_muster_is_refused_by_the_name_of_its_migration(
    new_url: Callable[[], str], opened: Callable[[str], Database]
) -> None:
    url = new_url()
    migrate.upgrade(url)
    database = opened(url)
    with database.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(SchemaOutdated, match=r"9999.*newer"):
        revisions.require_current(database)
    with pytest.raises(SchemaOutdated, match=r"9999.*newer"):
        migrate.upgrade(url)


def test_tables_that_no_migration_made_are_left_alone(
    new_url: Callable[[], str], opened: Callable[[str], Database]
) -> None:
    url = new_url()
    database = opened(url)
    Base.metadata.create_all(database.engine)
    with pytest.raises(SchemaOutdated, match="no migration made"):
        migrate.upgrade(url)
    assert revisions.pending(database)[0] == "0001 organization"


def test_a_migration_that_fails_leaves_the_database_as_it_was(
    new_url: Callable[[], str], opened: Callable[[str], Database], monkeypatch: pytest.MonkeyPatch
) -> None:
    url = new_url()
    database = opened(url)

    def half_done(config: Config, _revision: str) -> None:
        config.attributes["connection"].exec_driver_sql("CREATE TABLE organization (id integer)")
        raise RuntimeError("killed half-way")

    with monkeypatch.context() as patch:
        patch.setattr("alembic.command.upgrade", half_done)
        with pytest.raises(RuntimeError):
            migrate.upgrade(url)
    assert _catalogue(database) == []
    assert "0001 organization" in migrate.upgrade(url)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what makes migrations, to write into."""
    for folder in ("config", "state"):
        shutil.copytree(ROOT / folder, tmp_path / "checkout" / folder)
    return tmp_path / "checkout"


def _make(checkout: Path, message: str) -> list[Path]:
    """The migrations that the maker writes there."""
    before = {*(checkout / "state/migrations/versions").glob("0*.py")}
    done = subprocess.run(
        [sys.executable, "-m", "state.migrations", message],
        cwd=checkout,
        env=clean_environment({"PYTHONPATH": str(checkout)}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return sorted({*(checkout / "state/migrations/versions").glob("0*.py")} - before)


def test_the_maker_finds_nothing_to_write_today(checkout: Path) -> None:
    (made,) = _make(checkout, "nothing changed")
    assert made.read_text().endswith("def upgrade() -> None:\n    pass\n")


def test_the_maker_writes_what_a_new_column_needs(checkout: Path) -> None:
    table = checkout / "state/tables/campaign.py"
    before = "    goal: Mapped[str | None] = mapped_column(Text)\n"
    assert before in table.read_text()
    table.write_text(table.read_text().replace(before, before + "    slogan: Mapped[str | None]\n"))

    (made,) = _make(checkout, "campaigns have slogans")

    assert "op.add_column('campaign', sa.Column('slogan'" in made.read_text()
    assert "###" not in made.read_text()


def test_the_first_migrations_are_one_for_each_module_of_tables(checkout: Path) -> None:
    for first in (checkout / "state/migrations/versions").glob("0*.py"):
        first.unlink()
    nouns = [made.stem.partition("_")[2] for made in _make(checkout, "initial")]
    assert sorted(nouns) == sorted(
        path.stem for path in (checkout / "state/tables").glob("[a-z]*.py") if path.stem != "base"
    )
