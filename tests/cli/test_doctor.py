"""`muster doctor` finds what is wrong, says what to do, and never fails itself."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import update

from state.tables import Channel
from tests.conftest import REDIS

if TYPE_CHECKING:
    from tests.cli.conftest import Muster


def _wrong(muster: Muster) -> dict[str, str]:
    """Name → remedy of the checks that failed."""
    result = muster("doctor", "--json")
    checks = result.json
    wrong = {check["name"]: check["remedy"] or "" for check in checks if check["ok"] is False}
    assert result.code == (1 if wrong else 0)
    assert "Traceback" not in result.err
    return wrong


def test_all_is_well(acme: Muster) -> None:
    acme.ok("channel", "create", "files", "--kind", "file")
    assert _wrong(acme) == {}
    drawn = acme.ok("doctor")
    for name in (
        "python",
        "settings",
        "data folder",
        "database",
        "migrations",
        "broker",
        "channel acme/files",
    ):
        assert name in drawn.out
    assert "nothing is wrong, but" in drawn.out, "no worker and no scheduler runs"


def test_no_database_yet(muster: Muster) -> None:
    assert _wrong(muster) == {"database": "run `muster db upgrade`"}
    assert not muster.data.exists()


def test_a_database_that_is_away(muster: Muster) -> None:
    muster.set(database_url="postgresql+psycopg://muster:hunter2@127.0.0.1:1/x", broker_url="embedded://")
    assert "database" in _wrong(muster)
    assert "hunter2" not in muster("doctor").out


def test_missing_migrations(muster: Muster) -> None:
    muster.make_empty_database()
    assert _wrong(muster) == {"migrations": "run `muster db upgrade`"}


@pytest.mark.parametrize("scheme", ["redis", "amqp"])
def test_a_broker_that_is_away(migrated: Muster, scheme: str) -> None:
    migrated.set(broker_url=f"{scheme}://127.0.0.1:1/")
    assert "MUSTER_BROKER_URL" in _wrong(migrated)["broker"]


def test_a_broker_that_answers(migrated: Muster) -> None:
    migrated.set(broker_url=REDIS)
    assert "broker" not in _wrong(migrated)


def test_wrong_settings(muster: Muster) -> None:
    muster.set(window=0)
    assert "settings" in _wrong(muster)


def test_a_data_folder_that_is_a_file(muster: Muster) -> None:
    muster.data.write_text("")
    muster.set(database_url="sqlite:///other.db")
    assert "MUSTER_DATA_DIR" in _wrong(muster)["data folder"]


def test_a_channel_whose_provider_is_away_and_one_that_cannot_be_built(acme: Muster) -> None:
    for name in ("mail", "broken"):
        acme.ok(
            "channel",
            "create",
            name,
            "--kind",
            "smtp",
            "--set",
            "host=127.0.0.1",
            "--set",
            "port=1",
            "--set",
            "security=none",
            "--set",
            "from_email=news@example.com",
        )
    database = acme.database()
    with database.begin() as session:
        session.execute(
            update(Channel).where(Channel.name == "broken").values(settings={"host": "x", "prot": 1})
        )
    database.close()
    assert set(_wrong(acme)) == {"channel acme/mail", "channel acme/broken"}


def test_the_channels_of_one_organization_only(acme: Muster) -> None:
    acme.ok("channel", "create", "files", "--kind", "file")
    acme.ok("org", "create", "other")
    acme.ok("--org", "other", "channel", "create", "letters", "--kind", "file")
    names = {check["name"] for check in acme("doctor", "--org", "other", "--json").json}
    assert "channel other/letters" in names
    assert "channel acme/files" not in names
    assert {"channel acme/files", "channel other/letters"} <= {
        check["name"] for check in acme("doctor", "--json").json
    }
    result = acme("doctor", "--org", "othr", "--json")
    [unknown] = [check for check in result.json if check["name"] == "organization"]
    assert (result.code, unknown["ok"]) == (1, False)
    assert "did you mean 'other'" in unknown["found"]


def test_a_monitoring_plug_in_reads_one_line_and_an_exit_code(acme: Muster) -> None:
    look = acme("doctor", "--monitoring")
    assert (look.code, look.out.count("\n")) == (1, 1)
    assert look.out.startswith("MUSTER WARNING - ")
    assert "workers: no worker has ever been seen; schedulers: " in look.out
    acme.set(broker_url="redis://127.0.0.1:1/")
    wrong = acme("doctor", "--monitoring")
    assert (wrong.code, wrong.out.count("\n")) == (2, 1)
    assert wrong.out.startswith("MUSTER CRITICAL - ")
    assert "broker: " in wrong.out


def test_it_writes_nothing(acme: Muster) -> None:
    acme.ok("channel", "create", "files", "--kind", "file")
    acme.ok("doctor")  # which folds what the commands before left beside the file

    def content() -> dict[str, str]:
        files = [file for file in acme.data.rglob("*") if file.is_file() and not file.name.endswith("-shm")]
        return {str(file): sha256(file.read_bytes()).hexdigest() for file in files}

    before = content()
    assert before
    acme.ok("doctor", "--json")
    acme("doctor", "--monitoring")
    assert content() == before
