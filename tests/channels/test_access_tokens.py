"""XOAUTH2 with tokens that the channel gets by itself, from a token server of RFC 6749 on loopback."""

from __future__ import annotations

import asyncio
import base64
import json
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import StreamRequestHandler, ThreadingTCPServer
from threading import Thread
from urllib.parse import parse_qs
from uuid import uuid4

import pytest

from engine.channels.mailboxes import check_mailbox
from engine.channels.port import Delivered, Down
from engine.channels.registry import build
from engine.channels.smtp.access_tokens import AccessTokens, NoToken
from engine.channels.smtp.channel import SmtpChannel
from engine.channels.trust import Trust
from engine.kernel.outbound import Guard
from engine.kernel.secrets import Secrets, channel_place, new_key
from muster_testing.channels import messages
from state.tables import Channel
from tests.channels.http_rig import LOOPBACK
from tests.channels.smtp_rig import SETTINGS
from tests.channels.test_smtp import outcomes

CLIENT = {"client_id": "app", "client_secret": "s3cret/+"}
PERSON = {"username": "muster", **CLIENT, "refresh_token": "refresh-1"}


class TokenServer(ThreadingHTTPServer):
    """Gives `token-1`, `token-2` and so on; `refuse` holds what it answers in place of one."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[dict[str, str]] = []
        self.refuse: tuple[int, str] | None = None
        self.more: dict[str, object] = {"expires_in": 3600}
        self.rotates: str | None = None
        Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/token"


class Handler(BaseHTTPRequestHandler):
    server: TokenServer

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"])).decode()
        self.server.asked.append({name: value[0] for name, value in parse_qs(body).items()})
        number = len(self.server.asked)
        status, given = 200, {"access_token": f"token-{number}", **self.server.more}
        if self.server.rotates is not None:  # each refresh token once
            if self.server.asked[-1].get("refresh_token") == self.server.rotates:
                given["refresh_token"] = self.server.rotates = f"refresh-of-{number}"
            else:
                status, given = 400, {"error": "invalid_grant"}
        text = json.dumps(given)
        if self.server.refuse is not None:
            status, text = self.server.refuse
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None:
        """Nothing: pytest shows what fails."""


@pytest.fixture
def tokens():
    server = TokenServer()
    yield server
    server.shutdown()
    server.server_close()


def rig_of(smtp, tokens, *, takes="token-1", credentials=PERSON, **settings):
    return smtp(
        users={"muster": takes},
        mechanisms="XOAUTH2",
        credentials=credentials,
        settings={"token_url": tokens.url, **settings},
    )


def test_a_channel_logs_in_with_a_token_that_it_gets_and_keeps(smtp, tokens):
    """One request for all its connections."""
    rig = rig_of(smtp, tokens, concurrency=5)
    assert {Delivered} == {type(outcome) for outcome in outcomes(rig, messages(20))}
    assert [{"grant_type": "refresh_token", "refresh_token": "refresh-1", **CLIENT}] == tokens.asked


def test_an_application_has_tokens_in_its_own_name(smtp, tokens):
    credentials = {"username": "muster", **CLIENT}
    rig = rig_of(smtp, tokens, credentials=credentials, token_scope="https://mail.example/.default")
    assert [Delivered] == [type(outcome) for outcome in outcomes(rig, messages(1))]
    asked = {"grant_type": "client_credentials", "scope": "https://mail.example/.default", **CLIENT}
    assert [asked] == tokens.asked


def test_a_token_that_is_refused_is_renewed_once(smtp, tokens):
    """It was withdrawn before its time; where the new one is refused as well, it is the login's fault."""
    rig = rig_of(smtp, tokens, takes="token-2")
    assert [Delivered] == [type(outcome) for outcome in outcomes(rig, messages(1))]
    assert 2 == len(tokens.asked)
    rig = rig_of(smtp, tokens, takes="another")
    (outcome,) = outcomes(rig, messages(1))
    assert isinstance(outcome, Down)
    assert "SMTP_LOGIN" == outcome.code
    assert 4 == len(tokens.asked)


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (
            (400, '{"error": "invalid_grant", "error_description": "refresh-1 was revoked"}'),
            "400: invalid_grant: *** was revoked",
        ),
        ((401, '{"error": "invalid_client"}'), "401: invalid_client"),
        ((503, "<h1>busy</h1>"), "503"),
        ((200, "[]"), "200"),
        ((200, '{"access_token": "a\\nb"}'), "200"),
    ],
)
def test_what_the_token_server_refuses_is_the_channels_trouble(smtp, tokens, answer, says):
    tokens.refuse = answer
    (outcome,) = outcomes(rig_of(smtp, tokens), messages(1))
    assert isinstance(outcome, Down)
    assert ("SMTP_OAUTH", f"the token server answers {says}") == (outcome.code, outcome.text)


def test_a_token_server_that_is_away_is_the_channels_trouble(smtp, tokens):
    tokens.shutdown()
    tokens.server_close()
    (outcome,) = outcomes(rig_of(smtp, tokens), messages(1))
    assert isinstance(outcome, Down)
    assert "SMTP_OAUTH" == outcome.code


def test_a_token_is_used_until_a_minute_before_it_ends(tokens):
    """A refresh token that comes with it takes the place of the one before."""
    now = 0.0
    tokens.more = {"expires_in": 3600, "refresh_token": "refresh-2"}

    async def ask() -> list[str]:
        nonlocal now
        got = []
        source = AccessTokens(
            tokens.url,
            client_id="app",
            client_secret=None,
            refresh_token="refresh-1",
            scope=None,
            guard=LOOPBACK.guard or Guard(),
            trust=Trust(),
            steady=lambda: now,
        )
        for at in (0.0, 3500.0, 3541.0, 3542.0):
            now = at
            got.append(await source.token())
        await source.close()
        return got

    assert ["token-1", "token-1", "token-2", "token-2"] == asyncio.run(ask())
    assert ["refresh-1", "refresh-2"] == [asked["refresh_token"] for asked in tokens.asked]


def test_a_token_servers_address_is_under_the_guard(tokens):
    """A name that leads inside is refused when it is connected to."""

    async def ask() -> None:
        source = AccessTokens(
            tokens.url.replace("127.0.0.1", "localhost"),
            client_id="app",
            client_secret="x",
            refresh_token=None,
            scope=None,
            guard=Guard(),
            trust=Trust(),
        )
        try:
            await source.token()
        finally:
            await source.close()

    with pytest.raises(NoToken, match="public"):
        asyncio.run(ask())
    assert not tokens.asked


@pytest.mark.parametrize(
    ("settings", "credentials", "named"),
    [
        ({"token_url": "http://tokens.example/x"}, PERSON, "token_url"),
        ({"token_url": "yahoo"}, PERSON, "token_url"),
        ({}, PERSON, "token_url"),
        ({"token_url": "google"}, {"username": "m", "password": "p"}, "token_url"),
        ({"token_scope": "x"}, {}, "token_scope"),
        ({"token_url": "google"}, {"username": "m", "client_id": "app"}, "client_id"),
        ({"token_url": "google"}, {**CLIENT}, "username"),
        ({"token_url": "google"}, {**PERSON, "password": "p"}, "client_id"),
        ({"token_url": "google"}, {"username": "m", "password": "p", "refresh_token": "r"}, "client_id"),
    ],
)
def test_what_does_not_go_together_is_refused_by_name(settings, credentials, named):
    with pytest.raises(ValueError, match=named):
        build("smtp", {**SETTINGS, **settings}, credentials, LOOPBACK)


class Kept:
    """A channel in a database, whose token server takes each refresh token once; asked by several processes."""

    def __init__(self, database, org_id, tokens) -> None:
        self.database, self.org_id, self.channel_id = database, org_id, uuid4()
        self.secrets = Secrets([new_key()])
        tokens.rotates = "refresh-1"
        self.settings = {**SETTINGS, "host": "127.0.0.1", "token_url": tokens.url}
        now = database.clock.now()
        with database.begin() as session:
            session.add(
                Channel(
                    id=self.channel_id,
                    org_id=org_id,
                    name="mail",
                    kind="smtp",
                    settings=self.settings,
                    doubt_policy="hold",
                    credentials=self.secrets.seal(PERSON, channel_place(self.channel_id)),
                    created_at=now,
                    updated_at=now,
                )
            )
        self.changed_at = now

    def row(self) -> Channel:
        with self.database.read() as session:
            return session.get_one(Channel, self.channel_id)

    def credentials(self) -> bytes:
        sealed = self.row().credentials
        assert sealed is not None
        return sealed

    def refresh_token(self) -> str:
        return self.secrets.open(self.credentials(), channel_place(self.channel_id))["refresh_token"]

    def process(self, credentials=PERSON, **settings):
        """A channel as a process builds it that read these credentials."""
        lent = replace(LOOPBACK, database=self.database).of_channel(
            self.org_id, self.channel_id, self.secrets
        )
        return build("smtp", {**self.settings, **settings}, credentials, lent)


async def token_of(channel) -> str:
    try:
        return await channel._tokens.token()
    finally:
        await channel.close()


def test_a_refresh_token_that_is_handed_out_is_kept_for_all_processes(database, org_id, tokens):
    """Sealed, where it was configured; also for a process that read the channel before. Nothing connects anew."""
    kept = Kept(database, org_id, tokens)
    first, second = kept.process(), kept.process()
    assert "token-1" == asyncio.run(token_of(first))
    assert "refresh-of-1" == kept.refresh_token()
    assert "token-2" == asyncio.run(token_of(second)), "it was built with the one that is used up"
    restarted = kept.process({**PERSON, "refresh_token": kept.refresh_token()})
    assert "token-3" == asyncio.run(token_of(restarted))
    assert b"refresh-of-3" not in kept.credentials()
    assert kept.changed_at == kept.row().updated_at


def test_whoever_comes_too_late_asks_once_more(database, org_id, tokens):
    """Another process has used the token up between reading and asking."""
    kept = Kept(database, org_id, tokens)
    channel = kept.process()
    current = channel._tokens._kept.current
    reads = iter(["refresh-0"])
    channel._tokens._kept = type(
        "Late",
        (),
        {
            "current": lambda _: next(reads, None) or current(),
            "replace": lambda _, *tokens: True,
        },
    )()
    assert "token-2" == asyncio.run(token_of(channel))
    assert ["refresh-0", "refresh-1"] == [asked["refresh_token"] for asked in tokens.asked]


def test_credentials_that_an_operator_changed_meanwhile_stay(database, org_id, tokens):
    kept = Kept(database, org_id, tokens)
    mine = kept.process()._tokens._kept
    assert mine.replace("refresh-0", "refresh-9")
    assert "refresh-1" == kept.refresh_token()
    assert replace(mine, org_id=uuid4()).current() is None, "another organization's"


class ImapServer(ThreadingTCPServer):
    """Knows as much of IMAP as looking into an empty mailbox takes, and logs in with XOAUTH2 alone."""

    allow_reuse_address = True
    daemon_threads = True


class ImapHandler(StreamRequestHandler):
    def handle(self) -> None:
        self.wfile.write(b"* OK ready\r\n")
        for line in self.rfile:
            tag, command, *_ = line.decode().upper().split()
            answers = {
                "CAPABILITY": "* CAPABILITY IMAP4rev1 AUTH=XOAUTH2\r\n",
                "SELECT": "* 0 EXISTS\r\n",
                "UID": "* SEARCH\r\n",
            }
            answered = "OK"
            if command == "AUTHENTICATE":
                self.wfile.write(b"+ \r\n")
                given = base64.b64decode(self.rfile.readline())
                answered = "OK" if given == b"user=post\1auth=Bearer token-1\1\1" else "NO"
            elif command == "LOGIN":
                answered = "NO"
            self.wfile.write(f"{answers.get(command, '')}{tag} {answered} done\r\n".encode())


@contextmanager
def imap_server():
    with ImapServer(("127.0.0.1", 0), ImapHandler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


@pytest.mark.parametrize(
    ("credentials", "reason"),
    [
        (PERSON, None),
        ({"username": "muster", "access_token": "token-1"}, None),
        ({"username": "muster", "access_token": "token-9"}, "imap 127.0.0.1"),
        ({**PERSON, "mailbox_password": "pass"}, "imap 127.0.0.1"),
    ],
)
def test_a_mailbox_is_opened_with_the_channels_access_tokens(tokens, credentials, reason):
    """XOAUTH2, unless the mailbox has a password of its own."""
    with imap_server() as port:
        mailbox = {"host": "127.0.0.1", "port": port, "security": "none", "username": "post"}
        oauth = {"token_url": tokens.url} if "client_id" in credentials else {}
        channel = build("smtp", {**SETTINGS, **oauth, "mailbox": mailbox}, credentials, LOOPBACK)
        assert isinstance(channel, SmtpChannel)
        assert channel.mailbox is not None
        found = check_mailbox(channel.mailbox)
    assert (found is None) if reason is None else str(found).startswith(reason)
    assert "token-9" not in str(found)


def test_a_mailbox_says_why_there_is_no_token(tokens):
    tokens.refuse = (400, '{"error": "invalid_grant"}')
    mailbox = {"host": "127.0.0.1", "port": 9, "security": "none", "username": "post"}
    with imap_server() as port:
        channel = build(
            "smtp",
            {**SETTINGS, "token_url": tokens.url, "mailbox": {**mailbox, "port": port}},
            PERSON,
            LOOPBACK,
        )
        assert isinstance(channel, SmtpChannel)
        assert channel.mailbox is not None
        assert "the token server answers 400: invalid_grant" in str(check_mailbox(channel.mailbox))


def test_pop3_wants_a_password():
    mailbox = {"host": "127.0.0.1", "protocol": "pop3", "username": "post"}
    with pytest.raises(ValueError, match="mailbox_password"):
        build("smtp", {**SETTINGS, "token_url": "google", "mailbox": mailbox}, PERSON, LOOPBACK)
