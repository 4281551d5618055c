"""The `smtp` channel: a wave over a few pipelined connections.

When is a message in doubt? From the moment its final dot is handed to the system until the reply to it.
Before that a server that loses the connection must forget the message (RFC 5321 §4.1.1.4), so it is tried
once more on a fresh connection, and after that it is Deferred. A message too large for one packet is handed
over in two pieces, so that the time its bytes take is not yet doubt.

The Message-ID is the execution id, so that a person who gets a message twice can tell: doubt is resolved by
sending again.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from functools import partial
from typing import TYPE_CHECKING, ClassVar

import aiosmtplib

from engine.answers.meanings import Scope
from engine.channels.mailboxes import check_mailbox
from engine.channels.port import Deferred, Doubtful, Down, Rejected, Throttled
from engine.channels.scrub import Scrub
from engine.channels.smtp.access import mailbox_of, tokens_of
from engine.channels.smtp.access_tokens import NoToken
from engine.channels.smtp.login import Login
from engine.channels.smtp.mail_domain import MailDomain
from engine.channels.smtp.pool import Pool
from engine.channels.smtp.replies import CLOSING, Reply, outcome_of
from engine.channels.smtp.session import ConnectionRefused, Lost, Session, connect
from engine.channels.smtp.settings import SmtpCredentials, SmtpSettings
from engine.channels.trust import Trust, TrustError
from engine.channels.wave import Wave, drive
from engine.content.dkim import Signer
from engine.content.links import return_path_of
from engine.content.mime import MimeBuilder
from engine.kernel.addresses import EmailFinder
from engine.kernel.media import AddressMedium
from engine.kernel.outbound import Guard, open_mail_socket

if TYPE_CHECKING:
    from collections.abc import Sequence
    from threading import Event

    from pydantic import BaseModel

    from engine.channels.port import ChannelContext, Report
    from engine.content.message import Content, Message

__all__ = ["SmtpChannel"]

#: Bytes above which a message's end is held back until the rest has left.
_LARGE = 1 << 16
_DOT = b".\r\n"
_LOOPBACK = ("127.", "localhost", "::1", "[::1]")
#: What a reply to each command must begin with for the transaction to go on.
_EXPECTED = {"RSET": 2, "MAIL": 2, "RCPT": 2, "DATA": 3}


class _Letter:
    """One message on its way through one session."""

    __slots__ = ("commands", "message", "raw")

    def __init__(self, message: Message, sender: str, raw: bytes, session: Session) -> None:
        self.message = message
        self.raw = raw.replace(b"\r\n.", b"\r\n..")  # RFC 5321 §4.5.2
        size = "" if session.size is None else f" SIZE={len(raw)}"
        self.commands = {
            "MAIL": f"MAIL FROM:<{sender}>{size}\r\n".encode("ascii"),
            "RCPT": f"RCPT TO:<{message.address}>\r\n".encode("ascii"),
            "DATA": b"DATA\r\n",
        }
        if session.dirty:
            self.commands = {"RSET": b"RSET\r\n", **self.commands}
            session.dirty = False

    def envelope(self) -> bytes:
        return b"".join(self.commands.values())


class SmtpChannel:
    """Sends e-mail through one mail server."""

    kind: ClassVar[str] = "smtp"
    doubt_policy: ClassVar[str] = "resend"
    links: ClassVar[bool] = True
    medium: ClassVar[AddressMedium] = AddressMedium.EMAIL
    in_one_piece: ClassVar[bool] = False
    Settings = SmtpSettings
    Credentials = SmtpCredentials

    def __init__(
        self,
        settings: SmtpSettings,
        credentials: SmtpCredentials,
        channel_context: ChannelContext,
    ) -> None:
        """Prepare; nothing connects before the first message.

        Raises:
            ValueError: credentials would travel unencrypted, a header cannot be, or an address is refused; the
                message names the setting.
        """
        if credentials.username is not None and settings.security in ("none", "opportunistic"):
            trusted = settings.insecure_login or settings.host.lower().startswith(_LOOPBACK)
            if not trusted:
                raise ValueError(
                    f"security: {settings.security!r} would send the password unencrypted; "
                    "use 'starttls' or 'tls', or set insecure_login"
                )
        channel_context.check_mail_server("host", settings.host, settings.effective_port)
        self._classifier = channel_context.classifier
        self._settings = settings
        self._credentials = credentials
        self._guard = channel_context.guard or Guard()
        self._trust = Trust(credentials.ca_certificates, settings.ca_file, channel_context.certificates)
        self.address_of = EmailFinder(settings.address)
        self._tokens = tokens_of(settings, credentials, channel_context, self._trust)
        self.mailbox = mailbox_of(settings, credentials, channel_context, self._trust)
        """Where its mail comes back to; None: nowhere that Muster looks."""
        self._signer = _signer(settings, credentials)
        self._mime = MimeBuilder(
            sender_email=settings.from_email,
            sender_name=settings.from_name,
            reply_to=settings.reply_to,
            domain=settings.message_id_domain,
            headers=settings.headers,
            signer=self._signer,
        )
        self._command_timeout = settings.command_timeout.total_seconds()
        self._data_timeout = settings.data_timeout.total_seconds()
        self._tls: ssl.SSLContext | None = None
        self._helo = settings.helo
        self._pool = Pool(
            self._open,
            limit=settings.concurrency,
            uses=settings.messages_per_connection,
            idle_timeout=settings.idle_timeout.total_seconds(),
        )

    def __repr__(self) -> str:
        return f"<SmtpChannel {self._settings.host}:{self._settings.effective_port}>"

    @classmethod
    def problems_of(cls, content: Content, settings: BaseModel | None = None) -> list[str]:  # noqa: ARG003
        """Mail without a subject is taken, and looks like a mistake to the person who gets it."""
        return [] if content.subject else ["the message has no subject"]

    async def send(self, messages: Sequence[Message], report: Report, stop: Event) -> None:
        """Send a wave; see the port."""
        wave = Wave(self.kind, messages, report, stop)
        await drive(wave, self._work, workers=min(self._settings.concurrency, len(messages)))

    async def check(self) -> str | None:
        """Connect and log in, to the mailbox as well; None, or what is wrong."""
        try:
            session = await self._open()
        except ConnectionRefused as refused:
            return f"{refused.outcome.code}: {refused.outcome.text}"
        session.quit()
        await session.closed
        return None if self.mailbox is None else await asyncio.to_thread(check_mailbox, self.mailbox)

    @property
    def domain(self) -> str:
        """Of the From header, where the template names no sender."""
        return self._settings.from_email.rpartition("@")[2]

    def sends_from(self, domain: str) -> bool:
        """Whether its messages come from a domain, or it signs for it."""
        return domain in (self.domain, self._settings.dkim_domain)

    def mail_domain(self, domain: str, trouble: str | None) -> MailDomain:
        """What receivers see of its messages from a domain.

        Args:
            domain: In the From header.
            trouble: What `check` said.
        """
        settings = self._settings
        sender = settings.return_path or f"@{domain}"
        return MailDomain(
            domain,
            return_path=sender.rpartition("@")[2],
            host=settings.host,
            dkim_domain=settings.dkim_domain,
            selector=settings.dkim_selector,
            record=None if self._signer is None else self._signer.record[1],
            trouble=trouble,
            security=settings.security,
        )

    async def close(self) -> None:
        """Close the connections; waves on the wire finish on theirs. Safe to call twice."""
        await self._pool.close()
        if self._tokens is not None:
            await self._tokens.close()
        if self._signer is not None:
            self._signer.close()

    async def _open(self) -> Session:
        """Connect and log in; with a token that was kept and is refused, once more with a new one.

        Raises:
            ConnectionRefused: there is no connection to be had.
        """
        tokens, username = self._tokens, self._credentials.username
        if tokens is None or username is None:
            return await self._connect(self._credentials.login())
        try:
            token = await tokens.token()
            try:
                return await self._connect(Login(username, access_token=token))
            except ConnectionRefused as refused:
                renewed = (
                    await tokens.token(instead_of=token) if refused.outcome.code == "SMTP_LOGIN" else None
                )
                if renewed is None:
                    raise
            return await self._connect(Login(username, access_token=renewed))
        except NoToken as error:
            raise ConnectionRefused(error.outcome) from None

    async def _connect(self, login: Login | None) -> Session:
        settings = self._settings
        if self._helo is None:
            self._helo = await asyncio.to_thread(socket.getfqdn)
        if self._tls is None and settings.security != "none":
            try:
                self._tls = await asyncio.to_thread(self._tls_context)
            except TrustError as error:
                raise ConnectionRefused(Down("SMTP_TLS", str(error))) from None
        within = settings.connect_timeout.total_seconds()
        client = aiosmtplib.SMTP(
            hostname=settings.host,
            local_hostname=self._helo,
            timeout=within,
            use_tls=settings.security == "tls",
            start_tls={"starttls": True, "opportunistic": None}.get(settings.security, False),
            tls_context=self._tls,
        )
        return await connect(
            client,
            partial(open_mail_socket, self._guard, settings.host, settings.effective_port),
            within=within,
            classifier=self._classifier,
            login=login,
            pipelining=settings.pipelining,
            scrub=Scrub([] if login is None else login.secrets()),
        )

    def _tls_context(self) -> ssl.SSLContext:
        context = self._trust.context()
        if not self._settings.verify_certificate:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context

    async def _work(self, wave: Wave) -> None:
        """One worker: a session at a time, until nothing waits."""
        while not wave.exhausted:
            try:
                session = await self._pool.acquire()
            except ConnectionRefused as refused:
                if refused.crowded:
                    continue  # wait for one of those that it let in
                wave.settle_waiting(refused.outcome)
                return
            try:
                await self._converse(wave, session)
            except BaseException:
                session.abort()
                raise
            finally:
                self._pool.release(session)

    async def _converse(self, wave: Wave, session: Session) -> None:
        """Send over one session until nothing waits, or the session is broken or worn."""
        letter = await self._begin(wave, session)
        while letter is not None:
            try:
                refused = await self._offer(session, letter)
            except Lost as lost:
                session.abort()
                _not_sent(wave, letter.message, lost)
                return
            if refused is not None:
                if not self._refused(wave, session, letter, *refused):
                    return
                letter = await self._begin(wave, session)
                continue
            letter = await self._deliver(wave, session, letter)

    async def _begin(self, wave: Wave, session: Session) -> _Letter | None:
        """Take the next message that can be written down; pipelined, its envelope is on its way already."""
        letter = await self._next(wave, session)
        if letter is not None and session.pipelining:
            session.write(letter.envelope())
        return letter

    async def _next(self, wave: Wave, session: Session) -> _Letter | None:
        if session.offered >= self._settings.messages_per_connection:
            return None
        while (message := wave.take()) is not None:
            try:
                raw = await self._mime.built(message)
            except ValueError as error:
                wave.settle(message, Rejected("CONTENT_INVALID", str(error)))
                continue
            session.offered += 1
            return _Letter(message, self._return_path(message), raw, session)
        return None

    def _return_path(self, message: Message) -> str:
        """Where a bounce of the message goes."""
        settings = self._settings
        if settings.return_path is None:
            return self._mime.sender_of(message)
        if settings.verp:
            return return_path_of(settings.return_path, message.campaign_id, message.entity_id)
        return settings.return_path

    async def _offer(self, session: Session, letter: _Letter) -> tuple[str, Reply] | None:
        """See the envelope through; None when the server waits for the content, else who refused what.

        Raises:
            Lost: the connection ended.
        """
        refused: tuple[str, Reply] | None = None
        for stage, command in letter.commands.items():
            if not session.pipelining:
                session.write(command)
            reply = await session.reply(self._command_timeout)
            if reply.code // 100 == _EXPECTED[stage]:
                if stage == "DATA" and refused is not None:  # it wants content for nobody
                    session.write(_DOT)
                    await session.reply(self._command_timeout)
            elif refused is None:
                refused = (stage, reply)
                session.dirty = True
            if refused is not None and (reply.code == CLOSING or not session.pipelining):
                break
        return refused

    def _refused(self, wave: Wave, session: Session, letter: _Letter, stage: str, reply: Reply) -> bool:
        """Settle what was refused before its content; whether the session goes on."""
        if reply.code != CLOSING:
            self._settle(wave, letter.message, reply, stage)
            return True
        session.abort()
        outcome = outcome_of(reply, stage, self._classifier)
        about_one = isinstance(outcome, Throttled) and outcome.scope is Scope.MAILBOX
        # A used connection may just be worn out; what may be about one recipient is tried behind all others.
        again = wave.postpone if about_one else wave.retry
        if not ((session.delivered or about_one) and again(letter.message)):
            self._settle(wave, letter.message, reply, stage)
        return False

    def _settle(self, wave: Wave, message: Message, reply: Reply, stage: str) -> None:
        """Report what a reply means; what would meet everybody ends the wave."""
        outcome = outcome_of(reply, stage, self._classifier)
        wave.settle(message, outcome)
        if isinstance(outcome, Throttled) and outcome.scope is Scope.CHANNEL:
            wave.settle_waiting(outcome)

    async def _deliver(self, wave: Wave, session: Session, letter: _Letter) -> _Letter | None:
        """Send the content, and with it the next message's envelope; returns that next message."""
        message = letter.message
        try:
            if len(letter.raw) > _LARGE:
                session.write(letter.raw)
                await session.drained(self._data_timeout)
                last = b""
            else:
                last = letter.raw
            if session.answered_early:  # before the end: it does not want the rest
                reply = await session.reply(self._command_timeout)
                session.abort()
                self._settle(wave, message, reply, "content")
                return None
        except Lost as lost:
            session.abort()
            _not_sent(wave, message, lost)
            return None
        following = await self._next(wave, session) if session.pipelining else None
        wave.sent(message)
        session.write(last + _DOT + (following.envelope() if following is not None else b""))
        try:
            reply = await session.reply(self._data_timeout)
        except Lost as lost:
            session.abort()
            code = "SMTP_TIMEOUT" if lost.timed_out else "SMTP_RESET"
            wave.settle(message, Doubtful(code, f"{lost} (after the whole message)"))
            if following is not None:
                wave.put_back(following.message)
            return None
        session.delivered += 1
        if reply.code == CLOSING:
            session.abort()
            self._settle(wave, message, reply, "message")
            if following is not None:
                wave.settle(following.message, outcome_of(reply, "message", self._classifier))
            return None
        self._settle(wave, message, reply, "message")
        return following if session.pipelining else await self._begin(wave, session)


def _signer(settings: SmtpSettings, credentials: SmtpCredentials) -> Signer | None:
    """What signs with the key that is configured.

    Raises:
        ValueError: the key cannot be used, is for nobody, or not for the sender; the message names the setting.
    """
    key = credentials.dkim_private_key
    if settings.dkim_domain is None or settings.dkim_selector is None:
        if key is not None:
            raise ValueError("dkim_domain: a key needs dkim_domain and dkim_selector beside it")
        return None
    if key is None:
        raise ValueError("dkim_domain: signing needs the credential dkim_private_key")
    try:
        signer = Signer(settings.dkim_domain, settings.dkim_selector, key.get_secret_value())
    except ValueError as error:
        raise ValueError(f"dkim_domain: {error}") from None
    if not signer.covers(settings.from_email):
        signer.close()
        raise ValueError(f"dkim_domain: {settings.from_email} is not of {settings.dkim_domain}")
    return signer


def _not_sent(wave: Wave, message: Message, lost: Lost) -> None:
    """The connection ended before the message's end: once more on a fresh one, then later."""
    if not wave.retry(message):
        wave.settle(message, Deferred("SMTP_TIMEOUT" if lost.timed_out else "SMTP_RESET", str(lost)))
