"""Mailbox providers: which company receives the mail of a domain, by the names of its mail exchangers (MX).

The domains of one provider answer as one: they share limits and throttles. Which names belong to whom is data
(mailbox_providers.toml). A look-up never keeps a message waiting: a domain that is not known yet stands for itself,
while a thread of its own asks the system's resolver. What was found is kept in the process, bounded in number and
time. Where there is no resolver, or look-ups are switched off, only the providers' own domains are known.
"""

from __future__ import annotations

import time
import tomllib
from collections import OrderedDict
from functools import lru_cache
from importlib.resources import files
from queue import Empty, Full, Queue
from threading import Lock, Thread
from typing import TYPE_CHECKING

import structlog
from pydantic import BaseModel, ConfigDict, Field

from engine.kernel.name_servers import resolver_of

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable

__all__ = [
    "MailboxProvider",
    "MailboxProviders",
    "provider_key",
    "provider_named",
    "provider_of_exchangers",
    "provider_of_key",
    "system_resolver",
]

log = structlog.get_logger(__name__)

#: What a provider's key in throttles and buckets begins with; no mail domain has a colon.
_PREFIX = "provider:"
_KEPT = 10_000
#: Seconds that what was found is good for, and what could not be found.
_GOOD, _FAILED = 3600.0, 600.0
_WAITING = 1000
_TIMEOUT = 2.0
#: Seconds without a question after which the thread ends.
_IDLE = 10.0
#: Names that are nobody's, or private (RFC 2606, RFC 6761, RFC 6762): never asked for.
_RESERVED = ("example", "test", "invalid", "localhost", "local", "internal", "arpa", "onion")
_RESERVED_DOMAINS = ("example.com", "example.net", "example.org")


class MailboxProvider(BaseModel):
    """One company."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[a-z0-9-]{1,32}$")
    title: str
    source: str
    exchangers: tuple[str, ...]
    """Ends of the names of its mail exchangers."""
    domains: tuple[str, ...] = ()
    """Its own mail domains."""


@lru_cache(maxsize=1)
def _providers() -> dict[str, MailboxProvider]:
    text = files("engine.limits").joinpath("mailbox_providers.toml").read_text(encoding="utf-8")
    found = [MailboxProvider.model_validate(one) for one in tomllib.loads(text)["provider"]]
    return {one.name: one for one in found}


@lru_cache(maxsize=1)
def _own_domains() -> dict[str, str]:
    return {domain: one.name for one in _providers().values() for domain in one.domains}


@lru_cache(maxsize=1)
def _exchangers() -> dict[str, str]:
    return {end: one.name for one in _providers().values() for end in one.exchangers}


def provider_named(name: str) -> MailboxProvider | None:
    """The provider of that name."""
    return _providers().get(name)


def provider_key(name: str) -> str:
    """What a provider is called where mail domains are: `provider:google`."""
    return _PREFIX + name


def provider_of_key(key: str) -> MailboxProvider | None:
    """The provider that a key names; None: it is a mail domain."""
    return provider_named(key.removeprefix(_PREFIX)) if key.startswith(_PREFIX) else None


def provider_of_exchangers(names: Iterable[str]) -> str | None:
    """The provider that every one of these mail exchangers belongs to; None: several, or nobody known."""
    found = {_provider_of_exchanger(name) for name in names}
    return found.pop() if len(found) == 1 else None


def _provider_of_exchanger(name: str) -> str | None:
    labels = name.lower().rstrip(".").split(".")
    ends = (".".join(labels[position:]) for position in range(len(labels)))
    return next((_exchangers()[end] for end in ends if end in _exchangers()), None)


def system_resolver(server: str | None = None) -> Callable[[str], list[str]] | None:
    """Asks a resolver for the mail exchangers of a domain; None: there is no resolver.

    The function raises dns.exception.DNSException.

    Args:
        server: Its address, with a port where it is not 53; None: the system's.
    """
    import dns.resolver  # noqa: PLC0415 - most commands ask nobody

    try:
        resolver = resolver_of([server] if server else [])
    except (dns.exception.DNSException, OSError, ValueError):
        return None
    resolver.lifetime = resolver.timeout = _TIMEOUT

    def ask(domain: str) -> list[str]:
        answer = resolver.resolve(domain, "MX", search=False)
        return [str(record.exchange) for record in answer]

    return ask


class MailboxProviders:
    """One process's.

    Args:
        find: Gives the names of a domain's mail exchangers, or raises; None: nothing is looked up.
        steady: Seconds, by a clock that never jumps.
    """

    def __init__(
        self, find: Callable[[str], list[str]] | None, *, steady: Callable[[], float] = time.monotonic
    ) -> None:
        self._find = find
        self._steady = steady
        self._lock = Lock()
        self._known: OrderedDict[str, tuple[float, str | None]] = OrderedDict()
        """Domain → good until, provider."""
        self._questions: Queue[str] = Queue(_WAITING)
        self._thread: Thread | None = None

    def provider_of(self, domain: str) -> str | None:
        """The provider of a domain; None: it has none, or that is not known yet. Returns at once."""
        own = _own_domains().get(domain)
        if own is not None or self._find is None or _is_reserved(domain):
            return own
        now = self._steady()
        with self._lock:
            good_until, provider = self._known.get(domain, (0.0, None))
            if good_until <= now:
                self._known[domain] = (
                    now + _FAILED,
                    provider,
                )  # what was found stands until it is found anew
                self._known.move_to_end(domain)
                if len(self._known) > _KEPT:
                    self._known.popitem(last=False)
                self._ask(domain)
        return provider

    def group_of(self, domain: str, *, alone: Container[str] = ()) -> str:
        """What a mail domain shares limits and throttles with: its provider's key, else the domain itself.

        Args:
            alone: Domains that share with none.
        """
        name = None if domain in alone else self.provider_of(domain)
        return domain if name is None else provider_key(name)

    def _ask(self, domain: str) -> None:
        try:
            self._questions.put_nowait(domain)
        except Full:
            self._known.pop(domain, None)  # another time
            return
        if self._thread is None or not self._thread.is_alive():
            self._thread = Thread(target=self._answer, name="mail-exchangers", daemon=True)
            self._thread.start()

    def _answer(self) -> None:
        """Look up what is asked for, until nothing has been for a while."""
        while True:
            try:
                domain = self._questions.get(timeout=_IDLE)
            except Empty:
                with self._lock:
                    if self._questions.empty():
                        self._thread = None
                        return
                continue
            self._look_up(domain)
            self._questions.task_done()

    def _look_up(self, domain: str) -> None:
        import dns.resolver  # noqa: PLC0415 - most commands ask nobody

        assert self._find is not None  # noqa: S101 - nothing is asked for without it
        provider, lasts = None, _FAILED
        try:
            provider, lasts = provider_of_exchangers(self._find(domain)), _GOOD
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            lasts = _GOOD
        except (dns.exception.DNSException, OSError, ValueError) as error:
            log.debug("mail_exchangers.unknown", domain=domain, reason=str(error))
        with self._lock:
            if domain in self._known:  # else it was forgotten meanwhile
                self._known[domain] = (self._steady() + lasts, provider)

    def wait(self) -> None:
        """Wait until everything that was asked for is answered; for tests."""
        self._questions.join()


def _is_reserved(domain: str) -> bool:
    return (
        "." not in domain
        or domain.rpartition(".")[2] in _RESERVED
        or any(domain == one or domain.endswith("." + one) for one in _RESERVED_DOMAINS)
    )
