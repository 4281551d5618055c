"""The http channel over TLS: whom it trusts, and what it says of whom it does not."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace

import pytest

from engine.channels import registry
from engine.channels.port import Delivered, Down
from muster_testing.channels import SECRET, message, run, send_and_close
from tests.channels.http_rig import LOOPBACK

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"


async def answer(reader, writer):
    await reader.readuntil(b"\r\n\r\n")
    writer.write(ANSWER)
    await writer.drain()
    writer.close()


def sent_to(context, lent=LOOPBACK, credentials=None, **settings):
    """The outcome of one message to a server with a certificate for 127.0.0.1 that no authority has signed."""

    async def go():
        server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
        port = server.sockets[0].getsockname()[1]
        given = {"url": f"https://127.0.0.1:{port}/send", **settings}
        one = message()
        report = await send_and_close(
            registry.build("http", given, {"bearer": SECRET, **(credentials or {})}, lent), [one]
        )
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


def test_one_that_the_credentials_trust_is(certificate):
    context, trusted = certificate
    assert sent_to(context, credentials={"ca_certificates": trusted.read_text()}) == Delivered()


def test_one_that_the_operator_keeps_is_named(certificate):
    context, trusted = certificate
    lent = replace(LOOPBACK, certificates=trusted.parent)
    assert sent_to(context, lent, ca_file=trusted.name) == Delivered()


@pytest.mark.parametrize("kind", ["absent", "pipe", "folder", "garbage", "huge", "no_folder"])
def test_what_cannot_be_read_as_certificates_is_the_channels_trouble(certificate, tmp_path, kind):
    """None of it holds up a thread, and the answer is no oracle of what is there."""
    lent = replace(LOOPBACK, certificates=tmp_path)
    name = tmp_path / "name"
    if kind == "pipe":
        os.mkfifo(name)
    elif kind == "folder":
        name.mkdir()
    elif kind == "garbage":
        name.write_bytes(b"\xff not PEM")
    elif kind == "huge":
        name.write_bytes(b"-" * 1_000_000)
    elif kind == "no_folder":
        lent = LOOPBACK
    outcome = sent_to(certificate[0], lent, ca_file="name")
    assert (type(outcome), outcome.code) == (Down, "HTTP_TLS")
    if kind != "no_folder":
        assert outcome.text == "ca_file: 'name' is none of the certificates that are kept here"


@pytest.mark.parametrize("path", ["/etc/passwd", "/proc/self/fd/2", "../x", "a/b", ".hidden", ""])
def test_a_path_is_no_name(path):
    for kind, settings in (
        ("http", {"url": "https://api.example.com/"}),
        ("smtp", {"host": "mail.example.com", "from_email": "a@example.com"}),
    ):
        with pytest.raises(registry.InvalidChannel, match=r"settings\.ca_file"):
            registry.build(kind, {**settings, "ca_file": path}, {})


@pytest.mark.parametrize(
    "pem", ["", "garbage", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "é"]
)
def test_text_that_is_no_certificate_is_refused_when_it_is_written(pem):
    with pytest.raises(registry.InvalidChannel, match=r"credentials\.ca_certificates"):
        registry.build("http", {"url": "https://api.example.com/"}, {"ca_certificates": pem})
