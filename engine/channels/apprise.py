"""The `apprise` channel: any of the services that Apprise knows, by its URL.

Apprise blocks, so each message is sent by a thread of the channel's own pool. It says only whether a message was
taken; what a refusal means is read from what it logs, where that says it:

- a status of the service's means what it means for any HTTP API (`engine.channels.http.answers`);
- no connection is Down; a connection that ended or timed out afterwards is doubt;
- anything else is Deferred.

The URL holds the service's secrets and is a credential. What Apprise and urllib3 log while they send for us goes
nowhere else, because both log URLs.
"""

from __future__ import annotations

import asyncio
import logging
import re
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal
from urllib.parse import quote, unquote

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from engine.channels.http.answers import Answer, outcome_of
from engine.channels.http.channel import names_of
from engine.channels.http.leaves import Leaf, Scope, Unrenderable, check_sayable, split_holes
from engine.channels.lending import Lent
from engine.channels.port import Deferred, Delivered, Doubtful, Down, Outcome, Rejected, Throttled
from engine.channels.scrub import Scrub
from engine.channels.wave import Wave, deliver_all
from engine.kernel.media import AddressMedium, address_finder
from engine.kernel.outbound import Guard, guarding
from engine.kernel.phone_numbers import Region  # noqa: TC001 - pydantic reads it

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from threading import Event

    from engine.channels.port import ChannelContext, Report
    from engine.content.message import Content, Message

__all__ = ["AppriseChannel", "AppriseCredentials", "AppriseSettings"]

_SCHEMA = re.compile(r"([a-z][a-z0-9+.-]*)://", re.IGNORECASE)
#: What would speak to the machine the worker runs on, and not to a recipient.
_LOCAL = frozenset({"dbus", "glib", "gnome", "kde", "macosx", "qt", "syslog", "windows", "file"})
_STATUS = re.compile(r"error=(\d{3})\b")
_NO_CONNECTION = (
    "NewConnectionError",
    "ConnectTimeoutError",
    "NameResolutionError",
    "refused",
    "getaddrinfo",
)
_BROKEN = ("Socket Exception", "Connection error", "connection error", "I/O", "timed out", "Timeout")
_PIECE = re.compile(r"[^/:@?&=#,]{4,}")
#: Addresses of several kinds: a URL with a hole is sound if it takes one of them.
_SAMPLES = ("ada@example.org", "+15005550006", "12345678", "sample")
_TEXT_LIMIT = 300
#: Parameters that are refused by their name: another may be a secret that was put in the wrong place.
_FILES = frozenset({"attach", "cache", "keyfile", "path", "pgpprv", "pgppub", "store", "subfile", "template"})
#: Parameters of Apprise's URLs that name no file of the worker's machine, and keep nothing there. All others are
#: refused: some do (`template`, `keyfile`, `subfile`, `pgppub`, `attach`), and those of a later version may.
_PARAMETERS = frozenset(
    {
        "access", "action", "actions", "ad", "album", "alert", "alert_type", "alerting_scenario", "alias",
        "amount", "api-version", "apikey", "app", "app_id", "app_token", "app_ver", "assignees", "auth",
        "autoverify", "avatar", "avatar_url", "badge", "batch", "bcc", "blocks", "blossom", "border",
        "bot_id", "bot_token", "botname", "broadcast", "call", "campaign", "category", "cc", "channel",
        "channels", "class", "click", "client_key", "color", "company", "content", "contents", "copy",
        "country", "critical", "critical_volume", "cto", "currency", "cycles", "decode", "dedup", "delay",
        "delete", "detect", "device", "dither_kernel", "dither_type", "duration", "e2ee", "email", "emojis",
        "entity", "entity_id", "event", "event_type", "exchange", "expire", "external_id", "failure",
        "fields", "filtering", "flags", "flair_id", "flair_text", "flash", "footer", "footer_logo", "format",
        "from", "gateway", "group", "gwid", "header", "hq", "href", "hsreq", "icon", "icon_type", "icon_url",
        "id", "identifier", "image", "image_href", "image_url", "info", "inline", "interval", "join", "key",
        "kind", "label", "labels", "lang", "language", "level", "link", "links", "locale", "location",
        "login", "mandatory", "master_key", "max_parts", "mdv", "media", "method", "modal", "mode", "msgtype",
        "name", "nick", "nid", "nsfw", "oauth_id", "oauth_secret", "option", "optional", "overflow", "pa",
        "ping", "platform", "policy", "powerautomate", "prefix", "preview", "priority", "profile", "project",
        "public_key", "purpose", "push_key", "recipients", "redirect", "ref", "refresh", "region", "relay",
        "replies", "reply", "reply_to", "resubmit", "retry", "route", "routeid", "routing_key", "rto",
        "savesent", "secret", "seed", "sender", "sensitive", "service", "severity", "shared", "short_url",
        "sid", "sig", "signature", "silent", "smtp", "sound", "sound_href", "source", "special_text_color",
        "spi", "spoiler", "sptag", "status", "subtitle", "success", "tags", "task_key", "team", "team_wait",
        "test", "thirdparty", "thread", "thread_name", "tid", "timeout", "timestamp", "to", "token", "topic",
        "topic_auth_token", "topic_code", "translit", "ttl", "tts", "txgroups", "type", "tz", "unicode",
        "urgency", "url", "url_label", "url_prefix", "url_title", "validity", "ver", "verify", "version",
        "vhost", "vibration", "visibility", "voice", "volume", "wait", "warning", "webhook", "workspace",
        "wrap", "xtags",
    }
)  # fmt: skip


class AppriseSettings(BaseModel):
    """The `settings` of a channel of kind `apprise`. Durations are seconds or ISO 8601."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    format: Literal["text", "html"] = "text"
    """Which part is sent; Apprise turns HTML into what the service takes."""
    medium: AddressMedium | None = None
    """What it writes to: email, phone, chat or other. Absent: any text, and its form says what it is."""
    address: str | None = None
    """Where an entity keeps its address; absent: any usual name of the medium, else of an e-mail address, else the
    entity's id."""
    region: Region | None = None
    """Of `medium: phone`: where numbers without a country code are from."""
    concurrency: int = Field(default=8, ge=1, le=64)
    """Threads of one worker process."""
    connect_timeout: Annotated[timedelta, Field(gt=timedelta(0), le=timedelta(minutes=5))] = timedelta(
        seconds=10
    )
    timeout: Annotated[timedelta, Field(gt=timedelta(0), le=timedelta(minutes=5))] = timedelta(seconds=30)
    """For the service's answer, where it is asked over HTTP."""


class AppriseCredentials(BaseModel):
    """The `credentials` of a channel of kind `apprise`."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, use_attribute_docstrings=True, hide_input_in_errors=True
    )

    url: Annotated[SecretStr, Field(min_length=4, max_length=4000)]
    """An Apprise URL: `ntfys://token@ntfy.example.com/{{ message.address }}`. It may hold variables, which are
    percent-encoded."""


class AppriseChannel:
    """Sends by Apprise."""

    kind: ClassVar[str] = "apprise"
    doubt_policy: ClassVar[str] = "hold"
    links: ClassVar[bool] = True
    in_one_piece: ClassVar[bool] = False
    Settings = AppriseSettings
    Credentials = AppriseCredentials

    def __init__(
        self,
        settings: AppriseSettings,
        credentials: AppriseCredentials,
        channel_context: ChannelContext,
    ) -> None:
        """Prepare; nothing is sent.

        Raises:
            ValueError: Apprise does not take the URL. Does not show it.
        """
        url = credentials.url.get_secret_value()
        self._settings = settings
        self._guard = channel_context.guard or Guard()
        self._scrub = Scrub(_secrets_of(url))
        self._pieces = _Pieces(url)
        _check_url(self._pieces, url)
        self.medium = settings.medium
        self.address_of = address_finder(settings.medium, settings.address, settings.region)
        self._pool: ThreadPoolExecutor | None = None
        self._lent = Lent(self._end_threads)
        self._places = asyncio.Semaphore(settings.concurrency)

    @classmethod
    def problems_of(cls, content: Content, settings: BaseModel | None = None) -> list[str]:
        """Nothing to say. What each service takes is not known."""
        html = isinstance(settings, AppriseSettings) and settings.format == "html"
        body = content.html if html else content.text
        return [] if (body or "").strip() else [f"the message has no {'html' if html else 'text'}"]

    async def send(self, messages: Sequence[Message], report: Report, stop: Event) -> None:
        """Send a wave; see the port."""
        wave = Wave(self.kind, messages, report, stop)
        async with self._lent:
            workers = min(self._settings.concurrency, len(messages))
            await deliver_all(wave, self._deliver, places=self._places, workers=workers)

    async def check(self) -> str | None:
        """None: a URL that Apprise takes is all that can be known without sending."""
        return None

    async def close(self) -> None:
        """Let the threads end; waves on the wire finish on theirs. Safe to call twice."""
        await self._lent.close()

    @property
    def _threads(self) -> ThreadPoolExecutor:
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self._settings.concurrency, thread_name_prefix="apprise")
        return self._pool

    async def _end_threads(self) -> None:
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait=False)

    async def _deliver(self, wave: Wave, message: Message) -> None:
        try:
            url = self._url_for(message)
        except Unrenderable as error:
            wave.settle(message, Rejected("CONTENT_INVALID", self._scrub(str(error))))
            return
        wave.sent(message)  # a thread that sends cannot be called back
        loop = asyncio.get_running_loop()
        outcome: Outcome = await loop.run_in_executor(self._threads, self._notify, url, message.content)
        wave.settle(message, outcome)
        if isinstance(outcome, Throttled | Down):
            wave.settle_waiting(outcome)

    def _url_for(self, message: Message) -> str:
        check_sayable(self.problems_of(message.content, self._settings))
        return self._pieces.url(Scope(message.attributes, names_of(message)))

    def _notify(self, url: str, content: Content) -> Outcome:
        """On a thread of the pool."""
        apprise = _library()
        settings = self._settings
        html = settings.format == "html"
        with _overhearing() as heard, guarding(self._guard):
            plugin = apprise.Apprise.instantiate(url)
            if plugin is None:
                return Rejected("APPRISE_ADDRESS", "the service does not take this address")
            plugin.socket_connect_timeout = settings.connect_timeout.total_seconds()
            plugin.socket_read_timeout = settings.timeout.total_seconds()
            one = apprise.Apprise()
            one.add(plugin)
            taken = one.notify(
                body=(content.html if html else content.text) or "",
                title=content.subject,
                body_format=apprise.NotifyFormat.HTML if html else apprise.NotifyFormat.TEXT,
            )
        return Delivered() if taken else self._meaning(heard.lines)

    def _meaning(self, said: list[str]) -> Outcome:
        everything = "\n".join(said)
        text = self._scrub(" ".join(said[0].split()))[:_TEXT_LIMIT] if said else "Apprise says no more"
        status = _STATUS.search(everything)
        if status is not None:
            outcome = outcome_of(Answer(int(status[1])), prefix="APPRISE")
            return outcome if isinstance(outcome, Delivered) else _worded(outcome, text)
        if any(words in everything for words in _NO_CONNECTION):
            return Down("APPRISE_UNREACHABLE", text)
        if any(words in everything for words in _BROKEN):
            return Doubtful("APPRISE_RESET", text)
        return Deferred("APPRISE_REFUSED", text)


class _Pieces:
    """A URL with holes. Shows nothing of it."""

    __slots__ = ("_pieces", "holes")

    def __init__(self, url: str) -> None:
        """Raises ValueError: a hole does not parse."""
        self._pieces: list[str | Leaf] = []
        self.holes = 0
        for index, piece in enumerate(split_holes(url)):
            if index % 2:
                self.holes += 1
                self._pieces.append(Leaf(piece, "credentials.url"))
            else:
                self._pieces.append(piece)

    def url(self, scope: Scope | None, sample: str = "") -> str:
        """Filled in; with `sample` in every hole when there is no scope."""
        return "".join(
            piece
            if isinstance(piece, str)
            else quote(sample if scope is None else _filled(piece, scope), safe="")
            for piece in self._pieces
        )


class _Heard:
    """What was logged, the first warning first: its words are what a person should read."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._warned = False

    def take(self, record: logging.LogRecord) -> None:
        warns = record.levelno >= logging.WARNING and not self._warned
        self._warned = self._warned or warns
        self.lines.insert(0 if warns else len(self.lines), record.getMessage())


#: Where what is logged now goes; Apprise carries the context into its own threads.
_heard: ContextVar[_Heard | None] = ContextVar("heard", default=None)


@contextmanager
def _overhearing() -> Iterator[_Heard]:
    """What Apprise logs meanwhile, for us."""
    _listen()
    heard = _Heard()
    token = _heard.set(heard)
    try:
        yield heard
    finally:
        _heard.reset(token)


@lru_cache(maxsize=1)
def _listen() -> None:
    """Filters, not handlers: what they refuse reaches nobody's handler."""
    logger = logging.getLogger("apprise")
    logger.setLevel(logging.DEBUG)
    logger.addFilter(_overhear)
    # Its requests are logged with their paths, which for many services are their tokens.
    logging.getLogger("urllib3.connectionpool").addFilter(lambda _: _heard.get() is None)


def _overhear(record: logging.LogRecord) -> bool:
    """Keep what Apprise logs for us from everybody: it holds URLs, headers and payloads."""
    heard = _heard.get()
    if heard is not None:
        heard.take(record)
    return False


@lru_cache(maxsize=1)
def _library() -> Any:
    """Apprise, which takes a second to import: for processes that have such a channel."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what its hundred services import is not ours to mend
        import apprise  # noqa: PLC0415

        apprise.Apprise.instantiate("json://localhost")  # loads them
    return apprise


def _check_url(pieces: _Pieces, url: str) -> None:
    schema = _SCHEMA.match(url)
    if schema is None:
        raise ValueError("credentials.url: is not an Apprise URL, like ntfys://ntfy.example.com/topic")
    _check_parameters(url)
    if schema[1].lower() in _LOCAL:
        raise ValueError("credentials.url: speaks to the worker's own machine")
    with _overhearing():
        apprise = _library()
        samples = _SAMPLES if pieces.holes else ("",)
        if not any(apprise.Apprise.instantiate(pieces.url(None, sample)) for sample in samples):
            raise ValueError("credentials.url: is not a URL that Apprise takes")


def _check_parameters(url: str) -> None:
    """Raise ValueError for a parameter that is not known to say something about the message alone."""
    _, question, query = url.partition("?")
    if "{{" in query or "{%" in query:
        query = "x".join(split_holes(query)[::2])
    for part in re.split("[&;]", query) if question else ():
        name = unquote(part.partition("=")[0]).strip().lower()
        if name[:1] in ("+", "-", ":", " "):  # a header, or a value of the body, of json:// and its like
            continue
        if name and name not in _PARAMETERS:
            named = f"the parameter {name!r}" if name in _FILES else "a parameter"
            raise ValueError(f"credentials.url: {named} is not allowed: it may name a file of this machine")


def _filled(piece: Leaf, scope: Scope) -> str:
    text = piece.text(scope)
    if not text:
        raise Unrenderable("credentials.url: a value of it is empty")
    return text


def _secrets_of(url: str) -> list[str]:
    """The URL, and everything in it that may be a token: Apprise shows them one by one."""
    literal = "/".join(split_holes(url)[::2]).partition("://")[2]
    pieces = _PIECE.findall(literal)
    return [url, *pieces, *map(unquote, pieces)]


def _worded(outcome: Outcome, text: str) -> Outcome:
    """The same outcome with Apprise's words."""
    match outcome:
        case Rejected(code):
            return Rejected(code, text)
        case Throttled(code, _, wait):
            return Throttled(code, text, wait)
        case Down(code):
            return Down(code, text)
        case Doubtful(code):
            return Doubtful(code, text)
        case Deferred(code, _, wait):
            return Deferred(code, text, wait)
    return outcome
