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

from config import urls
from config.urls import EMBEDDED, SQLITE

__all__ = ["EMBEDDED", "ENV_FILE", "Settings"]

#: Beside the environment, in the folder where the process starts.
ENV_FILE = ".env"
_LOOPBACK = "127.0.0.0/8,::1/128"
_THIS_MACHINE = ("localhost", "127.0.0.1", "[::1]")
#: What it takes to check a token.
_TOKENS = ("jwt_issuer", "jwt_audience", "jwt_jwks")


def _seconds(value: Any) -> Any:
    """The environment's `3` and `0.5` as numbers, which is how pydantic reads seconds; other texts as they are."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


Duration = Annotated[timedelta, BeforeValidator(_seconds), Field(gt=timedelta(0), le=timedelta(days=1))]
#: Connections that a worker uses beside those of its threads: its heartbeat, and deliveries to webhooks.
_BESIDE_THREADS = 2
#: Flushes that fit into a lease, so that one that comes late renews it in time.
_FLUSHES = 4


class Settings(BaseSettings):
    """All settings. Durations are `timedelta` (the environment takes seconds or ISO 8601)."""

    model_config = SettingsConfigDict(
        env_prefix="MUSTER_", env_file=ENV_FILE, extra="ignore", frozen=True, hide_input_in_errors=True
    )

    database_url: str = "sqlite:///muster-data/muster.db"
    """`postgresql://user@host/db`, or `sqlite:///path` for the embedded form; absent: in `data_dir`."""
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
    api_host: str = "127.0.0.1"
    """The address that `muster api` listens on, unless `--host` says another; `0.0.0.0`: all of the machine's."""
    api_port: int = Field(default=8000, ge=0, le=65535)
    """The port, unless `--port` says another; 0: any that is free."""

    log_format: Literal["console", "json"] = "json"
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    traces_url: AnyHttpUrl | None = None
    """A receiver of OpenTelemetry traces (OTLP over HTTP), as `http://collector:4318`; absent: nothing is traced."""
    traces_share: float = Field(default=1.0, ge=0, le=1)
    """Which part of all traces is kept; the same for every process."""
    sentry_dsn: SecretStr | None = None
    """A Sentry project that errors are reported to; absent: they are logged alone."""

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
    metrics_by_organization: bool = False
    """Whether the API's `/metrics` also shows single organizations and channels by name; 1,000 of each at most."""
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
    dns_server: str | None = Field(default=None, pattern=r"^[0-9A-Fa-f.:\[\]]{2,64}$")
    """The name server that is asked about mail domains: an address, with a port where it is not 53; absent: the
    system's."""
    analyser_url: AnyHttpUrl | None = None
    """An OpenAI-compatible endpoint that judges conversations, as `https://api.openai.com/v1`; absent: rules do."""
    analyser_key: SecretStr | None = None
    analyser_model: str | None = Field(default=None, min_length=1, max_length=150)
    analyser_timeout: Duration = timedelta(seconds=30)
    """For one answer; a question is asked three times at most."""
    analyser_prompt_price: float = Field(default=0.0, ge=0, le=1_000_000)
    """Of a million tokens of questions, and of answers: what an analysis cost is recorded with it."""
    analyser_completion_price: float = Field(default=0.0, ge=0, le=1_000_000)
    jwt_issuer: str | None = Field(default=None, min_length=1, max_length=2048)
    """The `iss` of tokens (JWT) that open the API beside its keys; absent: none do."""
    jwt_audience: str | None = Field(default=None, min_length=1, max_length=2048)
    """The `aud` that they must have."""
    jwt_jwks: str | None = Field(default=None, min_length=1, max_length=2048)
    """Where the issuer's public keys are: an `https://` URL (`http://` on loopback), or the path of a file."""
    jwt_org_claim: str = Field(default="org_id", min_length=1, max_length=255)
    """The claim that names the organization, by name or id."""
    jwt_role_claim: str = Field(default="role", min_length=1, max_length=255)
    """The claim that is viewer, operator or admin; a token without it is a viewer's."""
    openid_client_id: str | None = Field(default=None, min_length=1, max_length=2048)
    """As which the issuer knows the console, so that people sign in there; absent: they sign in with an API key."""
    openid_client_secret: SecretStr | None = None
    """The client's password; absent: it is a public client."""
    openid_scope: str = Field(default="openid profile", pattern=r"^openid( [!#-\[\]-~]+)*$", max_length=1000)
    """What is asked of the issuer, by blanks; `openid` first."""
    rate_requests: int = Field(default=30_000, ge=0, le=100_000_000)
    """Requests of one key, or of one token's subject, in a minute; 0: any number."""
    rate_failures: int = Field(default=1_000, ge=0, le=100_000_000)
    """Failed authentications from one address in a minute; 0: any number."""
    retention_event_days: int = Field(default=30, ge=3, le=3650)
    """How long events, and the log of telling them, are kept."""
    retention_audit_days: int | None = Field(default=None, ge=1, le=36_500)
    """How long records of the audit log are kept; absent, as with the next: for good."""
    retention_dry_run_days: int | None = Field(default=None, ge=1, le=36_500)
    """How long dry runs that are over are kept, with their findings."""
    retention_recipient_days: int | None = Field(default=None, ge=7, le=36_500)
    """How long texts about recipients are kept once their campaign is over: titles, answers, what they did."""
    retention_former_days: int | None = Field(default=None, ge=1, le=36_500)
    """How long people who were deleted are known again when they come back (as digests)."""

    open_docs: bool | None = None
    """Whether `/openapi.json`, which `/docs` shows, needs no key; absent: in the embedded form alone."""
    open_metrics: bool | None = None
    """The same for the API's `/metrics`, which else needs an admin's key."""

    @model_validator(mode="before")
    @classmethod
    def _in_its_folder(cls, given: dict[str, Any]) -> dict[str, Any]:
        if "data_dir" in given and "database_url" not in given:
            return {**given, "database_url": _database_in(given["data_dir"])}
        return given

    @field_validator("database_url")
    @classmethod
    def _known_database(cls, url: str) -> str:
        return urls.database_url(url)

    @field_validator("redis_url")
    @classmethod
    def _known_redis(cls, url: str) -> str:
        return urls.redis_url(url)

    @field_validator("broker_url")
    @classmethod
    def _known_broker(cls, url: str | None) -> str | None:
        return None if url is None else urls.broker_url(url)

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

    @field_validator("jwt_jwks")
    @classmethod
    def _known_keys(cls, where: str | None) -> str | None:
        return where if where is None or "://" not in where else urls.protected_url(where)

    @model_validator(mode="after")
    def _whole_issuer(self) -> Self:
        given = {name for name in _TOKENS if getattr(self, name) is not None}
        if given and given != set(_TOKENS):
            missing = ", ".join(f"MUSTER_{name.upper()}" for name in _TOKENS if name not in given)
            raise ValueError(f"{missing}: is missing; tokens need an issuer, an audience and its keys")
        if self.openid_client_id is None:
            if self.openid_client_secret is not None:
                raise ValueError(
                    "MUSTER_OPENID_CLIENT_ID is missing: MUSTER_OPENID_CLIENT_SECRET goes with it"
                )
            return self
        if self.jwt_issuer is None:
            raise ValueError("MUSTER_JWT_ISSUER is missing: people sign in at the issuer of the tokens")
        try:
            urls.protected_url(self.jwt_issuer)
        except ValueError as error:
            raise ValueError(f"MUSTER_JWT_ISSUER: {error}; people sign in there") from None
        return self

    def worker_conflicts(self) -> list[str]:
        """What a worker would starve of: settings that are right by themselves and do not fit together."""
        found = []
        needed = self.worker_threads + _BESIDE_THREADS
        if self.database_pool < needed:
            found.append(
                f"MUSTER_DATABASE_POOL: {self.database_pool} connections are too few for {self.worker_threads} "
                f"threads (MUSTER_WORKER_THREADS) and what works beside them; it takes {needed}"
            )
        if self.flush_interval * _FLUSHES > self.lease:
            found.append(
                f"MUSTER_FLUSH_INTERVAL: {self.flush_interval.total_seconds():g} s is too long for a lease of "
                f"{self.lease.total_seconds():g} s (MUSTER_LEASE), which each flush renews; a lease takes {_FLUSHES}"
            )
        return found

    @property
    def webhook_networks(self) -> list[IPv4Network | IPv6Network]:
        """`webhook_allowed_networks`, read."""
        return _networks(self.webhook_allowed_networks)

    @property
    def channel_networks(self) -> list[IPv4Network | IPv6Network]:
        """`channel_allowed_networks`, read. Muster in one process is for developing against servers beside it."""
        absent = _LOOPBACK if self.is_embedded else None
        return _networks(absent if self.channel_allowed_networks is None else self.channel_allowed_networks)

    @property
    def docs_are_open(self) -> bool:
        """Whether anybody may read the API's document."""
        return self.is_embedded if self.open_docs is None else self.open_docs

    @property
    def metrics_are_open(self) -> bool:
        """Whether anybody may read the API's metrics."""
        return self.is_embedded if self.open_metrics is None else self.open_metrics

    @property
    def broker(self) -> str:
        """The broker's URL: `broker_url`, or Redis when it is not set."""
        return self.broker_url or self.redis_url

    @property
    def sqlite_file(self) -> Path | None:
        """The file of a SQLite database; None for PostgreSQL."""
        if not self.database_url.startswith(SQLITE):
            return None
        return Path(self.database_url.removeprefix(SQLITE).partition("?")[0])

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
    return f"{SQLITE}{folder}/muster.db"
