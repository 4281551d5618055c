"""Which addresses a webhook may reach, however they are written and whatever a name resolves to."""

from __future__ import annotations

import asyncio
import socket
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING
from uuid import uuid4

import aiohttp
import pytest

from engine.kernel.outbound import AddressRefused, Guard
from tests.harness.rebinding import Rebinding

if TYPE_CHECKING:
    from tests.webhooks.desk import Desk
    from tests.webhooks.receiver import Receiver

INNER = [
    "127.0.0.1",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "0.0.0.0",  # noqa: S104
    "224.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "fe80::1",
    "fd00:ec2::254",
    "ff02::1",
    "::ffff:169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    "2002:7f00:1::",
]


@pytest.mark.parametrize("address", INNER)
def test_inner_addresses_are_refused_as_sockets_and_as_urls(address: str) -> None:
    guard = Guard()
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with pytest.raises(AddressRefused):
        guard.socket((family, socket.SOCK_STREAM, 0, "", (address, 80)))
    with pytest.raises(ValueError, match="is not a public address"):
        guard.check_url(f"http://[{address}]/x" if ":" in address else f"http://{address}/x")


@pytest.mark.parametrize("host", ["127.1", "0x7f000001", "2130706433", "0177.0.0.1"])
def test_odd_spellings_of_an_address_are_that_address(host: str) -> None:
    with pytest.raises(ValueError, match="it is not a public address"):
        Guard().check_url(f"http://{host}/")


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("ftp://example.com/", "http"),
        ("example.com/hook", "http"),
        ("https:///hook", "http"),
        ("https://user:word@example.com/", "credentials"),
        ("https://example.com:99999/", "is not a URL"),
        ("https://exa mple.com/", "is not a URL"),
        ("https://exämple.com/", "is not a URL"),
        ("https://[::1/", "is not a URL"),
        ("https://example.com/" + "x" * 2050, "is not a URL"),
    ],
)
def test_what_is_no_url_is_refused(url: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Guard().check_url(url)


def test_public_addresses_and_allowed_networks_are_reached() -> None:
    guard = Guard([ip_network("10.0.0.0/8"), ip_network("fd00::/8")])
    for address in ("8.8.8.8", "2001:4860:4860::8888", "10.9.9.9", "fd00::1", "::ffff:10.0.0.1"):
        assert guard.allows(ip_address(address)), address
    assert not guard.allows(ip_address("192.168.0.1"))
    assert "https://example.com:8443/hook?a=b" == guard.check_url("https://example.com:8443/hook?a=b")


def test_a_name_that_changes_its_address_gains_nothing(receiver: Receiver) -> None:
    """The socket is refused at the moment of connecting; the receiver behind it never sees a connection."""

    async def call() -> None:
        connector = aiohttp.TCPConnector(
            resolver=Rebinding("127.0.0.1"), use_dns_cache=False, socket_factory=Guard().socket
        )
        async with aiohttp.ClientSession(connector=connector) as session:
            with pytest.raises(aiohttp.ClientConnectorError, match="is not a public address"):
                await session.post(f"http://hooks.example.com:{receiver.port}/hook", data=b"{}")

    asyncio.run(call())
    assert 0 == receiver.connections


def test_a_name_of_this_machine_is_refused_when_it_is_connected_to(desk: Desk, receiver: Receiver) -> None:
    desk.new_dispatcher(webhook_allowed_networks=None)
    webhook = desk.webhook(f"http://localhost:{receiver.port}/hook")
    desk.happen("campaign.started", uuid4())
    desk.work()
    [delivery] = desk.deliveries(webhook)
    assert "pending" == delivery.state
    assert "is not a public address" in (delivery.error or "")
    assert 0 == receiver.connections
