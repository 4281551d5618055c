"""Mail that comes back into mailboxes, read and taken: the way in beside `POST /v1/inbound/email`.

Promises:
- At least once: a message is moved, marked or deleted only after what follows from it was committed. What is read again
  is recognised by its bytes (engine.inbound.returned_mail) and changes nothing.
- No mail is lost: what cannot be taken (no message at all, too long, a fault of ours) stays where it is, flagged for a
  person, and the others go on; while the database is away everything stays.
- One process reads at a time (engine.kernel.leadership); two that do, for a moment, do no harm.
- A mailbox that does not answer costs the others nothing: each is read by a thread of its own, `_AT_ONCE` at a time.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from threading import Event, Thread
from typing import TYPE_CHECKING

import structlog
from sqlalchemy import select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from engine.answers.classify import classifier_of
from engine.channels import registry
from engine.channels.mailboxes import MailboxError, open_mailbox
from engine.channels.port import ChannelContext
from engine.channels.registry import InvalidChannel
from engine.channels.smtp.channel import SmtpChannel
from engine.content.links import Links
from engine.inbound.returned_mail import take_inbound
from engine.kernel import metrics
from engine.kernel.inputs import Invalid
from engine.kernel.leadership import LeadershipLost, lead
from engine.kernel.secrets import Secrets, SecretsError, channel_place
from state.locks import Lock
from state.tables import Channel

if TYPE_CHECKING:
    from uuid import UUID

    from engine.channels.mailboxes import Mailbox, MailboxAccess
    from engine.kernel.runtime import Runtime

__all__ = ["MailboxReader", "read_mailboxes"]

log = structlog.get_logger(__name__)

_AT_ONCE = 4
#: Messages of one mailbox in a round.
_MOST = 500
#: Seconds between two signs of a leader that is still there.
_RENEW = 5.0

_MESSAGES = metrics.MAILBOX_MESSAGES.counter()
_FAILURES = metrics.MAILBOX_FAILURES.counter()


@dataclass(frozen=True, slots=True)
class _Watched:
    """A channel whose mail comes back into a mailbox."""

    org_id: UUID
    channel_id: UUID
    access: MailboxAccess


class MailboxReader:
    """Reads every mailbox at an interval (`MUSTER_MAILBOX_INTERVAL`), in the background."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._stopping = Event()
        self._thread: Thread | None = None
        self._aside: set[tuple[UUID, str]] = set()

    def start(self) -> None:
        """Read from now on. Safe to call twice."""
        if self._thread is None:
            self._stopping.clear()
            self._thread = Thread(target=self._run, name="mailboxes", daemon=True)
            self._thread.start()

    def is_alive(self) -> bool:
        """Whether its thread does its work."""
        return self._thread is not None and self._thread.is_alive()

    def stop(self) -> None:
        """End after the messages that are being taken. Safe to call twice."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _run(self) -> None:
        while not self._stopping.wait(self._runtime.settings.mailbox_interval.total_seconds()):
            try:
                read_mailboxes(self._runtime, self._aside, self._stopping)
            except (DBAPIError, PoolTimeout) as error:
                log.warning("database.away", duty="mailboxes", reason=str(error))
            except Exception:
                log.exception("mailboxes.failed")


def read_mailboxes(
    runtime: Runtime, aside: set[tuple[UUID, str]] | None = None, stopping: Event | None = None
) -> int:
    """Read all mailboxes once, unless another process does; returns how many messages were taken.

    Args:
        aside: Channels and keys of messages that are passed over; is added to.
        stopping: Once it is set, nothing more is begun.

    Raises:
        sqlalchemy.exc.DBAPIError: the database is away.
    """
    known = aside if aside is not None else set()
    stop = stopping or Event()
    watched = _watched(runtime)
    if not watched:
        return 0
    with lead(runtime.database, Lock.MAILBOX_READER, term=runtime.settings.lease) as term:
        if term is None:
            return 0
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="mailbox") as pool:
            rounds = [pool.submit(_read_one, runtime, one, known, stop) for one in watched]
            try:
                while wait(rounds, timeout=_RENEW).not_done:
                    term.renew()
            except LeadershipLost:
                log.warning("leadership.lost", duty="mailboxes")
    return sum(one.result() for one in rounds)


def _watched(runtime: Runtime) -> list[_Watched]:
    """Channels with a mailbox, of every organization. What cannot be used is logged, and passed over."""
    secrets = Secrets.of(runtime.settings)
    channel_context = ChannelContext.of(runtime.settings, runtime.database)
    with runtime.database.read() as session:
        rows = session.execute(
            select(Channel.org_id, Channel.id, Channel.settings, Channel.credentials).where(
                Channel.kind == SmtpChannel.kind
            )
        ).all()
    found: list[_Watched] = []
    for org_id, channel_id, settings, sealed in rows:
        if not (settings or {}).get("mailbox"):
            continue
        try:
            credentials = {} if sealed is None else secrets.open(sealed, channel_place(channel_id))
            lent = channel_context.of_channel(org_id, channel_id, secrets)
            channel = registry.build(SmtpChannel.kind, settings, credentials, lent)
        except (SecretsError, InvalidChannel) as error:
            _FAILURES.inc()
            log.warning("mailbox.unusable", channel_id=str(channel_id), reason=str(error))
            continue
        if isinstance(channel, SmtpChannel) and channel.mailbox is not None:
            found.append(_Watched(org_id, channel_id, channel.mailbox))
    return found


def _read_one(runtime: Runtime, watched: _Watched, aside: set[tuple[UUID, str]], stop: Event) -> int:
    taken = 0
    try:
        with open_mailbox(watched.access) as mailbox:
            for key in mailbox.waiting(_MOST):
                if stop.is_set():
                    break
                if (watched.channel_id, key) not in aside:
                    taken += _take(runtime, watched, mailbox, key, aside)
    except MailboxError as error:
        _FAILURES.inc()
        log.warning("mailbox.failed", channel_id=str(watched.channel_id), reason=str(error))
    except (DBAPIError, PoolTimeout) as error:
        log.warning("database.away", channel_id=str(watched.channel_id), reason=str(error))
    return taken


def _take(
    runtime: Runtime, watched: _Watched, mailbox: Mailbox, key: str, aside: set[tuple[UUID, str]]
) -> int:
    """Take one message; 0: it stays, for a person.

    Raises:
        MailboxError: the mailbox does not answer any more.
        DBAPIError: the database is away.
    """
    raw = mailbox.read(key)
    result = "too_long"
    if raw is not None:
        try:
            result = _taken(runtime, watched.org_id, raw)
        except (DBAPIError, PoolTimeout):
            raise
        except Invalid:
            result = "unreadable"
        except Exception:
            result = "failed"
            log.exception("mailbox.message_failed", channel_id=str(watched.channel_id))
    _MESSAGES.labels(result).inc()
    if result == "taken":
        mailbox.done(key)
        return 1
    log.warning("mailbox.set_aside", channel_id=str(watched.channel_id), message=key, reason=result)
    aside.add((watched.channel_id, key))
    mailbox.set_aside(key)
    return 0


def _taken(runtime: Runtime, org_id: UUID, raw: bytes) -> str:
    settings = runtime.settings
    links = Links(str(settings.public_url), Secrets.of(settings).signing_keys)
    with runtime.transaction() as session:
        take_inbound(session, org_id, raw, links, classifier_of(settings.answer_rules))
    return "taken"
