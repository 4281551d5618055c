"""What the settings conclude from what was given."""

from __future__ import annotations

import logging
from ipaddress import ip_network
from pathlib import Path

import pytest
import structlog
from pydantic import ValidationError

from config.logging import configure_logging
from config.settings import EMBEDDED, Settings


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
def test_sqlite_without_a_broker_is_one_process(given: dict[str, str], *, embedded: bool) -> None:
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
    server = {"database_url": "postgresql+psycopg://muster@db/muster"}
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
