"""What an operator sets, read from the environment (`MUSTER_…`) and an optional `.env` file.

A value that cannot be used is refused at start with the name of the variable; nothing falls back silently.

The embedded form is what nobody configured servers for: a database in the data folder, and a broker inside the process.
"""

from __future__ import annotations

from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AnyHttpUrl, BeforeValidator, Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

__all__ = ["EMBEDDED", "Settings"]

#: The broker inside the process.
EMBEDDED = "embedded://"
_SQLITE = "sqlite:///"
_LOOPBACK = "127.0.0.0/8,::1/128"
_THIS_MACHINE = ("localhost", "127.0.0.1", "[::1]")


def _seconds(value: Any) -> Any:
    """The environment's `3` and `0.5` as numbers, which is how pydantic reads seconds; other texts as they are."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


Duration = Annotated[timedelta, BeforeValidator(_seconds), Field(gt=timedelta(0), le=timedelta(days=1))]


class Settings(BaseSettings):
    """All settings. Durations are `timedelta` (the environment takes seconds or ISO 8601)."""

    model_config = SettingsConfigDict(
        env_prefix="MUSTER_", env_file=".env", extra="ignore", frozen=True, hide_input_in_errors=True
    )

    database_url: str = "sqlite:///muster-data/muster.db"
    """`postgresql+psycopg://user@host/db`, or `sqlite:///path` for the embedded form; absent: in `data_dir`."""
    redis_url: str = "redis://127.0.0.1:6379/0"
    broker_url: str | None = None
    """Where wake-ups travel: `redis://…` (default: `redis_url`), `amqp://…`, or `embedded://`."""
    data_dir: Path = Path("muster-data")
    """Where the embedded database, the secret key and the `file` channel's messages live."""
    secret_key: SecretStr | None = None
    """Base64 key (32 bytes) that encrypts channel credentials; absent: made once and kept in `data_dir`."""
    public_url: AnyHttpUrl = AnyHttpUrl("http://127.0.0.1:8000")
    """The address recipients' links point to."""
    dev_api_key: SecretStr | None = None

    log_format: Literal["console", "json"] = "json"
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    worker_threads: int = Field(default=8, ge=1, le=256)
    """Slices one worker process executes at once. They wait for the database and the wire most of their time."""
    worker_database_threads: int = Field(default=2, ge=1, le=256)
    """Of these threads, how many are in the database at once; the others render, send or wait their turn."""
    database_pool: int = Field(default=16, ge=2, le=500)

    slice_size: int = Field(default=500, ge=1, le=500)
    """Recipients a slice (docs/architecture.md)."""
    wave_size: int = Field(default=100, ge=1, le=100)
    """Recipients in doubt at most per slice when a worker dies (docs/architecture.md), unless its channel takes a
    wave in one piece: that is given whole slices."""
    window: int = Field(default=32, ge=1, le=1000)
    """Slices of one job in flight at once."""
    lease: Duration = timedelta(seconds=30)
    """How long a worker may be silent before its slice is taken from it."""
    sweep_interval: Duration = timedelta(seconds=2)
    flush_interval: Duration = timedelta(milliseconds=100)
    metrics_port: int | None = Field(default=None, ge=1, le=65535)
    """Where a worker or scheduler serves its own `/metrics`; the API serves its own under its port."""
    mailbox_interval: Duration = timedelta(seconds=60)
    """How often mailboxes of channels are read for what came back."""
    shutdown_grace: Duration = timedelta(seconds=20)
    """How long sends that are on the wire may take to finish after SIGTERM."""

    webhook_timeout: Duration = timedelta(seconds=10)
    """How long a webhook's receiver may take to answer."""
    webhook_allowed_networks: str | None = None
    """Networks that webhooks may reach although they are not public, by comma: `10.0.0.0/8,127.0.0.1/32`."""
    channel_allowed_networks: str | None = None
    """The same for channels and actions; absent: loopback in the embedded form, else none."""
    channel_certificates: Path | None = None
    """A folder of certificates (PEM) that channels may name in `ca_file`; absent: there are none."""
    answer_rules: Path | None = None
    """A TOML file of rules that say what providers' answers mean, tried before those that ship with Muster."""
    mx_lookups: bool = True
    """Whether mail exchangers are looked up, so that the domains of one mailbox provider share limits."""
    analyser_url: AnyHttpUrl | None = None
    """An OpenAI-compatible endpoint that judges conversations, as `https://api.openai.com/v1`; absent: rules do."""
    analyser_key: SecretStr | None = None
    analyser_model: str | None = Field(default=None, min_length=1, max_length=150)
    analyser_timeout: Duration = timedelta(seconds=30)
    """For one answer; a question is asked three times at most."""
    analyser_prompt_price: float = Field(default=0.0, ge=0, le=1_000_000)
    """Of a million tokens of questions, and of answers: what an analysis cost is recorded with it."""
    analyser_completion_price: float = Field(default=0.0, ge=0, le=1_000_000)
    event_retention_days: int = Field(default=30, ge=3, le=3650)
    """How long events, and the log of telling them, are kept."""

    @model_validator(mode="before")
    @classmethod
    def _in_its_folder(cls, given: dict[str, Any]) -> dict[str, Any]:
        if "data_dir" in given and "database_url" not in given:
            return {**given, "database_url": _database_in(given["data_dir"])}
        return given

    @field_validator("database_url")
    @classmethod
    def _known_database(cls, url: str) -> str:
        if not url.startswith(("postgresql+psycopg://", _SQLITE)):
            raise ValueError("use postgresql+psycopg://user@host/database or sqlite:///path/to/file.db")
        return url

    @field_validator("broker_url")
    @classmethod
    def _known_broker(cls, url: str | None) -> str | None:
        if url is not None and not url.startswith(("redis://", "rediss://", "amqp://", "amqps://", EMBEDDED)):
            raise ValueError("use redis://…, rediss://…, amqp://…, amqps://… or embedded://")
        return url

    @field_validator("webhook_allowed_networks", "channel_allowed_networks")
    @classmethod
    def _known_networks(cls, text: str | None) -> str | None:
        _networks(text)
        return text

    @model_validator(mode="after")
    def _whole_analyser(self) -> Self:
        url = self.analyser_url
        if url is None:
            if self.analyser_key is not None or self.analyser_model is not None:
                raise ValueError("MUSTER_ANALYSER_URL is missing: MUSTER_ANALYSER_KEY and _MODEL go with it")
            return self
        if self.analyser_model is None:
            raise ValueError("MUSTER_ANALYSER_MODEL is missing: MUSTER_ANALYSER_URL needs it")
        if url.username or url.query or url.fragment:
            raise ValueError(
                "MUSTER_ANALYSER_URL: is the beginning of a URL; a key goes into MUSTER_ANALYSER_KEY"
            )
        if self.analyser_key is not None and url.scheme != "https" and url.host not in _THIS_MACHINE:
            raise ValueError("MUSTER_ANALYSER_URL: would send the key unencrypted; use https")
        return self

    @property
    def webhook_networks(self) -> list[IPv4Network | IPv6Network]:
        """`webhook_allowed_networks`, read."""
        return _networks(self.webhook_allowed_networks)

    @property
    def channel_networks(self) -> list[IPv4Network | IPv6Network]:
        """`channel_allowed_networks`, read. Whoever runs Muster in one process develops against servers beside it."""
        absent = _LOOPBACK if self.is_embedded else None
        return _networks(absent if self.channel_allowed_networks is None else self.channel_allowed_networks)

    @property
    def broker(self) -> str:
        """The broker's URL: `broker_url`, or Redis when it is not set."""
        return self.broker_url or self.redis_url

    @property
    def sqlite_file(self) -> Path | None:
        """The file of a SQLite database; None for PostgreSQL."""
        if not self.database_url.startswith(_SQLITE):
            return None
        return Path(self.database_url.removeprefix(_SQLITE).partition("?")[0])

    @property
    def is_embedded(self) -> bool:
        """Whether there is one process only: its broker is inside, or there is SQLite and no broker named."""
        if self.broker.startswith(EMBEDDED):
            return True
        return self.sqlite_file is not None and not self.model_fields_set & {"broker_url", "redis_url"}

    def embedded(self, folder: Path | None = None) -> Self:
        """The settings of an all-in-one process: everything in one folder, whatever servers are configured.

        Args:
            folder: None: `data_dir`.
        """
        folder = folder or self.data_dir
        changes = {"data_dir": folder, "database_url": _database_in(folder), "broker_url": EMBEDDED}
        return self.model_copy(update=changes)


def _networks(text: str | None) -> list[IPv4Network | IPv6Network]:
    """Raises ValueError."""
    return [ip_network(part.strip()) for part in (text or "").split(",") if part.strip()]


def _database_in(folder: Path | str) -> str:
    return f"{_SQLITE}{folder}/muster.db"
