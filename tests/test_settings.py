"""What the settings conclude from what was given."""

from __future__ import annotations

import logging
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
import structlog
from pydantic import ValidationError
from sqlalchemy import make_url

from config.logging import configure_logging
from config.settings import EMBEDDED, Settings
from config.unknown import unknown_variables
from state.database import Database


@pytest.fixture(autouse=True)
def _nothing_around(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """None of the developer's own settings, from no `.env`."""
    monkeypatch.chdir(tmp_path)
    for name in ("DATABASE_URL", "REDIS_URL", "BROKER_URL", "DATA_DIR", "CHANNEL_ALLOWED_NETWORKS"):
        monkeypatch.delenv(f"MUSTER_{name}", raising=False)


def test_the_database_lies_in_the_data_folder_unless_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Settings().sqlite_file == Path("muster-data/muster.db")
    assert Settings(data_dir=Path("elsewhere")).sqlite_file == Path("elsewhere/muster.db")
    monkeypatch.setenv("MUSTER_DATA_DIR", "/srv/muster")
    assert Settings().database_url == "sqlite:////srv/muster/muster.db"
    monkeypatch.setenv("MUSTER_DATABASE_URL", "sqlite:///my.db?timeout=3")
    assert Settings().sqlite_file == Path("my.db")


@pytest.mark.parametrize(
    ("given", "embedded"),
    [
        ({}, True),
        ({"redis_url": "redis://127.0.0.1:6379/0"}, False),
        ({"broker_url": EMBEDDED}, True),
        ({"broker_url": "amqp://127.0.0.1"}, False),
        ({"database_url": "postgresql+psycopg://muster@db/muster"}, False),
    ],
)
def test_sqlite_without_a_broker_is_one_process(given: dict[str, Any], *, embedded: bool) -> None:
    assert Settings(**given).is_embedded is embedded


def test_an_all_in_one_process_ignores_the_servers_that_are_configured() -> None:
    named = Settings(database_url="postgresql+psycopg://muster@db/muster", broker_url="amqp://mq")
    alone = named.embedded(Path("here"))
    assert (alone.sqlite_file, alone.broker, alone.data_dir) == (
        Path("here/muster.db"),
        EMBEDDED,
        Path("here"),
    )
    assert named.embedded().sqlite_file == Path("muster-data/muster.db")


def test_pika_says_nothing_of_its_own() -> None:
    root = logging.getLogger()
    before, dressed = (root.handlers, root.level), structlog.get_config()
    try:
        configure_logging(Settings(log_level="debug"))
        assert not logging.getLogger("pika").isEnabledFor(logging.ERROR)
    finally:
        root.handlers, root.level = before
        structlog.configure(**dressed)


def test_channels_reach_loopback_in_the_embedded_form_and_what_is_allowed() -> None:
    server: dict[str, Any] = {"database_url": "postgresql+psycopg://muster@db/muster"}
    loopback = [ip_network("127.0.0.0/8"), ip_network("::1/128")]
    assert Settings().channel_networks == Settings(**server).embedded().channel_networks == loopback
    assert Settings(**server).channel_networks == []
    assert Settings(channel_allowed_networks="").channel_networks == []
    given = "10.0.0.0/8, fd00::/8"
    assert Settings(channel_allowed_networks=given).channel_networks == [
        ip_network("10.0.0.0/8"),
        ip_network("fd00::/8"),
    ]
    assert Settings().webhook_networks == []
    with pytest.raises(ValidationError, match="channel_allowed_networks"):
        Settings(channel_allowed_networks="10.0.0.5/8")


@pytest.mark.parametrize(
    ("pasted", "taken"),
    [
        ("postgres://u:p@h/db", "postgresql+psycopg://u:p@h/db"),
        ("postgresql://h/db?sslmode=require", "postgresql+psycopg://h/db?sslmode=require"),
        (" postgresql://[::1]:5432/db\n", "postgresql+psycopg://[::1]:5432/db"),
        ("postgresql:///db?host=/var/run", "postgresql+psycopg:///db?host=/var/run"),
        ("postgresql://u:a/b@h/db", "postgresql+psycopg://u:a/b@h/db"),
        (
            "postgresql://u@h1,h2:5433/db?target_session_attrs=primary",
            "postgresql+psycopg://u@/db?host=h1:5432&host=h2:5433&target_session_attrs=primary",
        ),
    ],
)
def test_database_urls_are_taken_as_people_paste_them(pasted: str, taken: str) -> None:
    assert Settings(database_url=pasted).database_url == taken
    assert make_url(taken).get_backend_name() == "postgresql"


@pytest.mark.parametrize(
    ("name", "url", "why"),
    [
        ("database_url", "mysql://db/x", "postgresql://"),
        ("database_url", "postgresql+asyncpg://db/x", "postgresql://"),
        ("database_url", "postgresql://db", "names no database"),
        ("database_url", "postgresql://db?dbname=x", "names no database"),
        ("database_url", "postgresql://db:port/x", "1 to 65535"),
        ("database_url", "postgresql://a,b:99999/x", "1 to 65535"),
        ("database_url", "sqlite:///", "names no file"),
        ("redis_url", "127.0.0.1:6379", "redis://"),
        ("redis_url", "redis:/h", "redis://"),
        ("redis_url", "redis://h:x/0", "1 to 65535"),
        ("redis_url", "redis://h/first", "number of a Redis database"),
        ("redis_url", "redis://[::1", "is not a URL"),
        ("redis_url", "amqp://mq", "redis://"),
        ("broker_url", "redis://", "names no host"),
        ("broker_url", "amqp://:5672/", "names no host"),
        ("broker_url", "amqp://mq:0/", "1 to 65535"),
        ("broker_url", "amqp://mq/a/b", "%2F"),
        ("broker_url", "kafka://mq", "amqp://"),
    ],
)
def test_urls_that_nothing_can_connect_to_are_refused_by_name(name: str, url: str, why: str) -> None:
    given: dict[str, Any] = {name: url}
    with pytest.raises(ValidationError, match=why) as refused:
        Settings(**given)
    assert refused.value.errors()[0]["loc"] == (name,)


def test_variables_that_name_no_setting_are_found_with_the_one_they_resemble(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("MUSTER_LEASSE=3\nOTHER=1\n")
    environment = {
        "MUSTER_DATABSE_URL": "x",
        "MUSTER_COLOUR": "red",
        "MUSTER_LEASE": "3",
        "MUSTER_ORG": "acme",
        "MUSTER_SERVICE_HOST": "10.0.0.1",
        "MUSTER_API_SERVICE_PORT_HTTP": "80",
        "MUSTER_PORT": "tcp://10.0.0.1:80",
        "MUSTER_PORT_80_TCP_ADDR": "10.0.0.1",
        "PATH": "/bin",
    }
    assert unknown_variables(environment) == {
        "MUSTER_COLOUR": None,
        "MUSTER_DATABSE_URL": "MUSTER_DATABASE_URL",
        "MUSTER_LEASSE": "MUSTER_LEASE",
    }


def test_a_pooler_is_named_in_the_url_and_nowhere_else() -> None:
    database = Database("postgresql+psycopg://h/db?pooler=transaction&sslmode=require", pool_size=1)
    assert (database.is_pooled, dict(database.url.query)) == (True, {"sslmode": "require"})
    assert not Database("postgresql+psycopg://h/db", pool_size=1).is_pooled
    with pytest.raises(ValidationError, match="pooler=transaction"):
        Settings(database_url="postgresql://h/db?pooler=session")
