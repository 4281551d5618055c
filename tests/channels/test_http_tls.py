"""The http channel over TLS: whom it trusts, and what it says of whom it does not."""

from __future__ import annotations

import asyncio

import pytest

from engine.channels import registry
from engine.channels.port import Delivered, Down
from tests.channels.conformance import SECRET, message, run, send_and_close
from tests.channels.http_rig import LOOPBACK

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"


async def answer(reader, writer):
    await reader.readuntil(b"\r\n\r\n")
    writer.write(ANSWER)
    await writer.drain()
    writer.close()


def sent_to(context, **settings):
    """The outcome of one message to a server with a certificate for 127.0.0.1 that no authority has signed."""

    async def go():
        server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
        port = server.sockets[0].getsockname()[1]
        given = {"url": f"https://127.0.0.1:{port}/send", "connect_timeout": 5, **settings}
        one = message()
        report = await send_and_close(registry.build("http", given, {"bearer": SECRET}, LOOPBACK), [one])
        server.close()
        return report.outcomes[one.execution_id]

    return run(go())


@pytest.mark.filterwarnings(
    "ignore::ResourceWarning"
)  # a refused handshake leaves the test's server a transport
def test_a_certificate_that_nobody_signed_is_not_trusted(certificate):
    outcome = sent_to(certificate[0])
    assert (type(outcome), outcome.code) == (Down, "HTTP_TLS")
    assert "self-signed" in outcome.text


def test_one_that_the_settings_trust_is(certificate):
    context, trusted = certificate
    assert sent_to(context, ca_file=str(trusted)) == Delivered()


def test_certificates_that_cannot_be_read_are_told(certificate, tmp_path):
    outcome = sent_to(certificate[0], ca_file=str(tmp_path / "absent.pem"))
    assert outcome == Down("HTTP_TLS", "ca_file cannot be read: No such file or directory")
