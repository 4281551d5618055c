"""Where channels over HTTP connect to: what the operator allows, however a tenant comes to ask for something else."""

from __future__ import annotations

import asyncio
import socket
import threading
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_network
from typing import Any, ClassVar

import pytest

from engine.channels import registry
from engine.channels.http.client import HttpClient, Unanswered
from engine.channels.http.request import Request
from engine.channels.http.settings import Connection
from engine.channels.port import ChannelContext, Delivered, Down
from engine.kernel.outbound import Guard, guarding
from muster_testing.channels import message, run, send_and_close
from tests.channels.mail_api_rigs import RIGS as MAIL_API_KINDS
from tests.channels.mail_api_rigs import MailApiRig
from tests.channels.test_apprise import AppriseRig
from tests.channels.test_http import HttpRig
from tests.channels.test_sms import GatewayRig, TwilioRig
from tests.channels.test_telegram import TelegramRig
from tests.channels.test_voice import VoiceRig
from tests.channels.test_whatsapp import WhatsAppRig
from tests.harness.rebinding import Rebinding

#: Stands for the public, because no test leaves this machine; the rest of loopback stands for the inside.
ONE_HOST = ChannelContext(guard=Guard([ip_network("127.0.0.1/32")]))
INSIDE = "127.0.0.2"

RIGS: dict[str, Any] = {
    "http": HttpRig,
    "telegram": TelegramRig,
    "voice": VoiceRig,
    "whatsapp": WhatsAppRig,
    "twilio": TwilioRig,
    "gateway": GatewayRig,
    "ntfy": AppriseRig,
    **{kind: partial(MailApiRig, kind=kind) for kind in MAIL_API_KINDS},
}


class Recorded(BaseHTTPRequestHandler):
    """Takes everything, or sends it elsewhere."""

    elsewhere: str | None = None
    asked: ClassVar[list[str]]

    def do_GET(self) -> None:
        self.do_POST()

    def do_POST(self) -> None:
        self.asked.append(self.path)
        self.rfile.read(int(self.headers.get("content-length", 0)))
        self.send_response(200 if self.elsewhere is None else 307)
        if self.elsewhere is not None:
            self.send_header("Location", self.elsewhere)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def serve():
    """Starts servers on addresses of loopback; each tells what it was asked for."""
    running = []

    def start(address, elsewhere=None):
        class Handler(Recorded):
            asked: ClassVar[list[str]] = []

        Handler.elsewhere = elsewhere
        server = ThreadingHTTPServer((address, 0), Handler)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        running.append((server, thread))
        return f"http://{address}:{server.server_port}/", Handler.asked

    yield start
    for server, thread in running:
        server.shutdown()
        thread.join()
        server.server_close()


def outcome(kind, settings, credentials, channel_context):
    sent = message()
    channel = registry.build(kind, settings, credentials, channel_context)
    return run(send_and_close(channel, [sent])).outcomes[sent.execution_id]


@pytest.mark.parametrize("dialect", sorted(RIGS))
def test_unless_it_is_allowed_no_kind_reaches_this_machine(provider, dialect):
    rig = RIGS[dialect](provider(dialect))
    sent = rig.wave(1)[0]
    channel = registry.build(rig.kind, rig.settings, rig.credentials)
    outcome = run(send_and_close(channel, [sent])).outcomes[sent.execution_id]
    code = "APPRISE_UNREACHABLE" if dialect == "ntfy" else "HTTP_ADDRESS_REFUSED"
    assert (type(outcome), outcome.code) == (Down, code)
    assert rig.provider.taken == []
    assert isinstance(
        run(send_and_close(rig.channel(), [again := rig.wave(1)[0]])).outcomes[again.execution_id], Delivered
    )


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("10.1.2.3", "10.1.2.3"),
        ("192.168.0.1", "192.168.0.1"),
        ("169.254.169.254", "169.254.169.254"),
        ("[fe80::1]", "fe80::1"),
        ("[::1]", "::1"),
        ("[::ffff:127.0.0.1]", "::ffff:7f00:1"),
        ("0.0.0.0", "0.0.0.0"),  # noqa: S104
    ],
)
def test_addresses_inside_are_refused_before_anything_is_sent(host, address):
    given = {"url": f"http://{host}:9/", "method": "GET"}
    refused = outcome("http", given, {}, ChannelContext())
    assert refused.code == "HTTP_ADDRESS_REFUSED"
    assert refused.text == ("it is not a public address; MUSTER_CHANNEL_ALLOWED_NETWORKS may allow it")
    with pytest.raises(registry.InvalidChannel, match=r"settings\.url: it is not a public address"):
        registry.build("http", given, {}, ChannelContext(guard=Guard()))


def test_a_name_of_this_machine_is_refused_by_all_its_addresses(serve):
    url, asked = serve("127.0.0.1")
    refused = outcome("http", {"url": url.replace("127.0.0.1", "localhost")}, {}, ChannelContext())
    assert (type(refused), refused.code) == (Down, "HTTP_ADDRESS_REFUSED")
    assert "not" in refused.text
    assert asked == []


def test_a_redirect_inwards_leads_nowhere(serve):
    inside, inner = serve(INSIDE)
    url, outer = serve("127.0.0.1", elsewhere=inside)
    assert outcome("http", {"url": url}, {}, ONE_HOST).code == "HTTP_307"
    # Apprise follows redirects by itself.
    refused = outcome("apprise", {}, {"url": f"json://{url.partition('//')[2]}"}, ONE_HOST)
    assert (type(refused), refused.code) == (Down, "APPRISE_UNREACHABLE")
    assert (len(outer), inner) == (2, [])


def test_a_name_that_changes_its_address_gains_nothing(serve):
    url, asked = serve("127.0.0.1")
    port = url.rstrip("/").rpartition(":")[2]
    named = Request("GET", f"http://api.example.com:{port}/")
    names = Rebinding("127.0.0.1", INSIDE)

    async def ask():
        client = HttpClient(Connection(), ONE_HOST.guard, resolver=names)
        try:
            return await client.exchange(named)
        finally:
            await client.close()

    assert run(ask()).status == 200
    with pytest.raises(Unanswered, match="HTTP_ADDRESS_REFUSED: it is not a public address"):
        run(ask())
    assert asked == ["/"]


def test_libraries_that_connect_by_themselves_are_held_to_it_and_nobody_else(serve):
    """On whatever thread, by name or by address, datagrams too; what others do meanwhile is not looked at."""
    url, _ = serve("127.0.0.1")
    where = ("127.0.0.1", int(url.rstrip("/").rpartition(":")[2]))
    with guarding(Guard()):
        for family, address in ((socket.AF_INET, where), (socket.AF_INET, ("localhost", where[1]))):
            with socket.socket(family) as one, pytest.raises(OSError, match="is not a public address"):
                one.connect(address)
        with (
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one,
            pytest.raises(OSError, match="is not a public address"),
        ):
            one.sendto(b"x", where)
        with (
            socket.socket(socket.AF_UNIX) as one,
            pytest.raises(OSError, match="is not a public address"),
        ):
            one.connect("/run/service.sock")
        other = threading.Thread(target=lambda: socket.create_connection(where).close())
        other.start()
        other.join()
    socket.create_connection(where).close()


def test_a_wave_is_refused_at_once():
    """Nobody waits for a connection that is not made."""

    async def go():
        channel = registry.build("http", {"url": "http://10.255.255.1/"}, {})
        async with asyncio.timeout(5):
            return await send_and_close(channel, [message() for _ in range(20)])

    assert {one.code for one in run(go()).outcomes.values()} == {"HTTP_ADDRESS_REFUSED"}
