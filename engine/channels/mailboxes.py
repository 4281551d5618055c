"""Mailboxes whose mail is taken: IMAP (RFC 9051, by imap-tools) and POP3 (RFC 1939, by the standard library).

Promises:
- Nothing is removed or marked but what `done` was called for; a connection that breaks leaves the mailbox as it was.
- Every wait is bounded (`_TIMEOUT`), and only addresses are connected to that the process's guard allows.
- Whatever goes wrong is a `MailboxError`, whose text holds no password.
"""

from __future__ import annotations

import imaplib
import poplib
import ssl
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, cast

from imap_tools import BaseMailBox, MailBox, MailBoxStartTls, MailBoxUnencrypted
from imap_tools.errors import ImapToolsError

from config.errors import MusterError
from engine.channels.mailbox_settings import MAILBOX_PORTS, MailboxSettings
from engine.channels.scrub import Scrub
from engine.channels.trust import TrustError
from engine.kernel.outbound import guarding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pydantic import SecretStr

    from engine.channels.trust import Trust
    from engine.kernel.outbound import Guard

__all__ = ["LONGEST", "Mailbox", "MailboxAccess", "MailboxError", "check_mailbox", "open_mailbox"]

#: Bytes of a message; longer ones are set aside.
LONGEST = 8 << 20
_TIMEOUT = 30.0
#: Lines of mail; the standard library takes those of 2,048 bytes, and returned HTML has longer ones.
poplib._MAXLINE = 1 << 20  # type: ignore[attr-defined]  # noqa: SLF001
_SEEN, _FLAGGED = r"\Seen", r"\Flagged"


class MailboxError(MusterError):
    """The mailbox cannot be used; says why, without secrets."""


@dataclass(frozen=True, slots=True)
class MailboxAccess:
    """A mailbox and what opens it."""

    settings: MailboxSettings
    password: SecretStr | None
    token: Callable[[], str] | None
    """Gets an access token (IMAP, XOAUTH2) where there is no password; raises MailboxError."""
    trust: Trust
    guard: Guard
    verify_certificate: bool = True


class Mailbox(Protocol):
    """A mailbox that is open."""

    def waiting(self, limit: int) -> list[str]:
        """Keys of messages that were not taken, the oldest first."""
        ...

    def read(self, key: str) -> bytes | None:
        """A message as it came; None: it is gone, or longer than `LONGEST`."""
        ...

    def done(self, key: str) -> None:
        """It was taken: move, mark or delete it."""
        ...

    def set_aside(self, key: str) -> None:
        """It cannot be taken: leave it for a person, and pass it over from now on."""
        ...


@contextmanager
def open_mailbox(access: MailboxAccess) -> Iterator[Mailbox]:
    """Connect and log in, for the length of a block. What is raised in the block goes on.

    Raises:
        MailboxError: it cannot be used, now or in the block.
    """
    settings, scrub = access.settings, Scrub([access.password])
    guard = access.guard.for_port(settings.effective_port, MAILBOX_PORTS)
    try:
        context = None if settings.security == "none" else _context(access)
        with guarding(guard):
            client = _Imap(access, context) if settings.protocol == "imap" else _Pop(access, context)
            try:
                client.open()
                yield client
            except BaseException:
                client.abandon()
                raise
            client.close()
    except (OSError, imaplib.IMAP4.error, poplib.error_proto, ImapToolsError, TrustError, EOFError) as error:
        raise MailboxError(scrub(f"{settings.protocol} {settings.host}: {_reason(error)}")) from None


def check_mailbox(access: MailboxAccess) -> str | None:
    """None if it can be read, else why it cannot."""
    try:
        with open_mailbox(access) as mailbox:
            mailbox.waiting(1)
    except MailboxError as error:
        return str(error)
    return None


def _reason(error: BaseException) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__


def _password_of(access: MailboxAccess) -> str:
    return "" if access.password is None else access.password.get_secret_value()


def _context(access: MailboxAccess) -> ssl.SSLContext:
    context = access.trust.context()
    if not access.verify_certificate:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


class _Imap:
    def __init__(self, access: MailboxAccess, context: ssl.SSLContext | None) -> None:
        self._settings, self._access, self._context = access.settings, access, context
        self._has_done_folder = False

    def open(self) -> None:
        host, port, context = self._settings.host, self._settings.effective_port, self._context
        self._box: BaseMailBox
        if self._settings.security == "tls":
            self._box = MailBox(host, port, _TIMEOUT, ssl_context=context)
        elif self._settings.security == "starttls":
            self._box = MailBoxStartTls(host, port, _TIMEOUT, ssl_context=context)
        else:
            self._box = MailBoxUnencrypted(host, port, _TIMEOUT)
        username, folder = self._settings.username, self._settings.folder
        if self._access.token is not None:
            self._box.xoauth2(username, self._access.token(), initial_folder=folder)
            return
        password = _password_of(self._access)
        is_plain = username.isascii() and password.isascii()
        login = self._box.login if is_plain else self._box.login_utf8
        login(username, password, initial_folder=folder)

    def close(self) -> None:
        with suppress(OSError, imaplib.IMAP4.error, ImapToolsError):  # everything was said
            self._box.logout()

    def abandon(self) -> None:
        if hasattr(self, "_box"):
            with suppress(OSError, imaplib.IMAP4.error):
                self._box.client.shutdown()

    def waiting(self, limit: int) -> list[str]:
        unread = " UNSEEN" if self._settings.effective_when_taken == "mark" else ""
        return self._box.uids(f"UNDELETED UNFLAGGED{unread}", charset=None)[:limit]

    def read(self, key: str) -> bytes | None:
        found = self._fetched(key, "(RFC822.SIZE)")
        size = next((part for part in found if isinstance(part, bytes) and b"RFC822.SIZE" in part), b"")
        if int(size.partition(b"RFC822.SIZE ")[2].split(b")")[0].split()[0] if size else 0) > LONGEST:
            return None
        body = next((part for part in self._fetched(key, "(BODY.PEEK[])") if isinstance(part, tuple)), None)
        return None if body is None else bytes(body[1])

    def _fetched(self, key: str, what: str) -> list[bytes | tuple[bytes, bytes]]:
        status, found = self._box.client.uid("FETCH", key, what)
        if status != "OK":
            raise imaplib.IMAP4.error(f"FETCH: {status}")
        return [part for part in found if part]

    def done(self, key: str) -> None:
        match self._settings.effective_when_taken:
            case "mark":
                self._box.flag(key, _SEEN, value=True)
            case "delete":
                self._box.delete(key)
            case _:
                folder = self._settings.done_folder
                if not self._has_done_folder and not self._box.folder.exists(folder):
                    self._box.folder.create(folder)
                self._has_done_folder = True
                self._box.move(key, folder)

    def set_aside(self, key: str) -> None:
        self._box.flag(key, _FLAGGED, value=True)


class _Pop:
    """Deletions take effect when the connection is closed in good order (RFC 1939 §6)."""

    def __init__(self, access: MailboxAccess, context: ssl.SSLContext | None) -> None:
        self._settings, self._password, self._context = access.settings, _password_of(access), context
        self._numbers: dict[str, int] = {}

    def open(self) -> None:
        host, port = self._settings.host, self._settings.effective_port
        self._pop: poplib.POP3
        if self._settings.security == "tls":
            self._pop = poplib.POP3_SSL(host, port, timeout=_TIMEOUT, context=self._context)
        else:
            self._pop = poplib.POP3(host, port, timeout=_TIMEOUT)
            if self._settings.security == "starttls":
                self._pop.stls(self._context)
        self._pop.encoding = "utf-8"
        self._pop.user(self._settings.username)
        self._pop.pass_(self._password)

    def close(self) -> None:
        self._pop.quit()

    def abandon(self) -> None:
        if hasattr(self, "_pop"):
            with suppress(OSError):
                self._pop.close()

    def waiting(self, limit: int) -> list[str]:
        _, lines, _ = self._pop.uidl()
        pairs = (line.decode("ascii", "replace").split(maxsplit=1) for line in lines)
        self._numbers = {key: int(number) for number, key in pairs}
        return list(self._numbers)[:limit]

    def read(self, key: str) -> bytes | None:
        number = self._numbers[key]
        answer = cast("bytes", self._pop.list(number))  # of one message it is a line: +OK 2 200
        if int(answer.split()[2]) > LONGEST:
            return None
        _, lines, _ = self._pop.retr(number)
        return b"\r\n".join(lines) + b"\r\n"

    def done(self, key: str) -> None:
        self._pop.dele(self._numbers[key])

    def set_aside(self, key: str) -> None:
        """POP3 has no mark: the reader remembers the key."""
