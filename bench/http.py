"""The `http` channel over loopback: messages a second into an API that writes a journal line for each."""

from __future__ import annotations

from ipaddress import ip_network
from statistics import median
from typing import TYPE_CHECKING

from bench.results import Result
from bench.smtp import messages, rate
from engine.channels import registry
from engine.channels.port import Surroundings
from engine.delivery.sender import SendLoop
from engine.outbound import Guard
from tests.harness.providers import HttpProvider

if TYPE_CHECKING:
    from pathlib import Path

    from bench.scale import Scale

__all__ = ["run"]


def run(scale: Scale, directory: Path) -> list[Result]:
    """Messages a second, four waves of 100 at once, twenty connections; the whole message as JSON in each."""
    sent = messages(scale.messages)
    loop = SendLoop()
    lent = Surroundings(guard=Guard([ip_network("127.0.0.0/8")]))
    try:
        with HttpProvider(directory) as provider:
            channel = registry.build("http", {"url": provider.url}, {"bearer": "of the bench"}, lent)
            rates = [rate(loop, channel, sent) for _ in range(scale.repeats)]
            loop.submit(channel.close()).result(10)
    finally:
        loop.close()
    return [Result.alone("http.loopback", median(rates), "messages/s")]
