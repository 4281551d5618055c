"""Where mail channels connect to: mail's ports of public addresses, and whatever the operator allows."""

from __future__ import annotations

import asyncio
from ipaddress import ip_address, ip_network

import pytest

from engine.channels import registry
from engine.channels.port import ChannelContext, Delivered, Down
from engine.kernel.outbound import Guard
from muster_testing.channels import message, run, send_and_close
from tests.channels.http_rig import LOOPBACK
from tests.channels.smtp_rig import SETTINGS, SmtpRig


@pytest.fixture
def rig():
    rig = SmtpRig()
    yield rig
    rig.close()


def outcome(settings, lent=LOOPBACK):
    one = message()
    return run(send_and_close(registry.build("smtp", settings, {}, lent), [one])).outcomes[one.execution_id]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_server_inside_is_reached_only_where_the_operator_allows_it(rig, host):
    settings = {**rig.settings, "host": host}
    refused = outcome(settings, ChannelContext())
    assert (type(refused), refused.code) == (Down, "SMTP_ADDRESS_REFUSED")
    assert "127" not in refused.text
    assert rig.messages == []
    allowed = ChannelContext(guard=Guard([ip_network("127.0.0.0/8"), ip_network("::1")]))
    assert isinstance(outcome(settings, allowed), Delivered)


@pytest.mark.parametrize("host", ["10.0.0.1", "[::1]", "169.254.169.254", "2130706433", "168.63.129.16"])
def test_an_address_inside_is_refused_when_it_is_written(host):
    with pytest.raises(registry.InvalidChannel, match=r"settings\.host: it is not a public address"):
        registry.build("smtp", {**SETTINGS, "host": host}, {}, ChannelContext(guard=Guard()))


@pytest.mark.parametrize(
    ("port", "taken"), [(25, True), (587, True), (2525, True), (22, False), (6379, False)]
)
def test_of_public_addresses_mails_ports_are_open(port, taken):
    settings = {**SETTINGS, "host": "8.8.8.8", "port": port}
    if taken:
        registry.build("smtp", settings, {}, ChannelContext(guard=Guard()))
        return
    with pytest.raises(registry.InvalidChannel, match=r"settings\.host: the port is none"):
        registry.build("smtp", settings, {}, ChannelContext(guard=Guard()))


def test_what_another_service_says_is_not_told():
    async def go():
        async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"SSH-2.0-OpenSSH_9.2p1\r\n")
            await writer.drain()
            writer.close()

        server = await asyncio.start_server(greet, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            one = message()
            channel = registry.build("smtp", {**SETTINGS, "port": port}, {}, LOOPBACK)
            return (await send_and_close(channel, [one])).outcomes[one.execution_id]

    refused = run(go())
    assert isinstance(refused, Down)
    assert "SSH" not in refused.text


@pytest.mark.parametrize(
    "address",
    [
        "fec0::1",
        "64:ff9b:1::1",
        "64:ff9b::7f00:1",
        "192.0.0.8",
        "192.0.0.170",
        "168.63.129.16",
        "::ffff:168.63.129.16",
        "::8.8.8.8",
        "::1.2.3.4",
        "2002:7f00:1::",
        "2001::1",
        "100.64.0.1",
        "198.18.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "224.0.0.1",
        "ff02::1",
        "3fff::1",
        "5f00::1",
        "100::1",
        "4000::1",
    ],
)
def test_what_is_not_public_does_not_depend_on_the_python(address):
    assert not Guard().allows(ip_address(address))


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "64:ff9b::808:808"])
def test_what_is_public(address):
    assert Guard().allows(ip_address(address))
