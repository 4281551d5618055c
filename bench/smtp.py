"""The `smtp` channel over loopback: messages a second into a server that writes a journal line for each."""

from __future__ import annotations

import time
from collections import Counter
from statistics import median
from threading import Event
from typing import TYPE_CHECKING
from uuid import uuid4

from bench.content import HTML, TEXT
from bench.results import Result
from engine.channels import registry
from engine.channels.port import Delivered, Message
from engine.content.templates import compile_template
from engine.delivery.sender import SendLoop
from tests.channels.http_rig import LOOPBACK
from tests.harness.providers import SmtpSink

if TYPE_CHECKING:
    from pathlib import Path

    from bench.scale import Scale
    from engine.channels.port import Channel, Outcome

__all__ = ["messages", "rate", "run"]

_WAVE = 100
_AT_ONCE = 4


def run(scale: Scale, directory: Path) -> list[Result]:
    """Messages a second, four waves of 100 at once, ten connections."""
    sent = messages(scale.messages)
    loop = SendLoop()
    try:
        with SmtpSink(directory) as sink:
            settings = {
                "host": "127.0.0.1",
                "port": sink.port,
                "security": "none",
                "from_email": "news@example.com",
            }
            channel = registry.build("smtp", settings, {}, LOOPBACK)
            rates = [rate(loop, channel, sent) for _ in range(scale.repeats)]
            loop.submit(channel.close()).result(10)
    finally:
        loop.close()
    return [Result.alone("smtp.loopback", median(rates), "messages/s")]


def messages(count: int) -> list[Message]:
    """Rendered messages, each to an address of its own."""
    template = compile_template("Hello {{ first_name }}", html=HTML, text=TEXT)
    person = {"first_name": "Person", "last_name": "Example", "city": "City", "external_id": "1"}
    return [
        Message(
            execution_id=uuid4(),
            org_id=uuid4(),
            campaign_id=uuid4(),
            entity_id=uuid4(),
            address=f"person{number}@example.com",
            content=template.render({**person, "first_name": f"Person{number}"}),
            unsubscribe_url="https://example.com/u/0123456789abcdef0123456789abcdef",
        )
        for number in range(count)
    ]


def rate(loop: SendLoop, channel: Channel, messages: list[Message]) -> float:
    """Messages a second. Raises RuntimeError: not every one was taken."""
    outcomes: Counter[type] = Counter()

    def report(message: Message, outcome: Outcome) -> None:  # noqa: ARG001 - counted, not looked at
        outcomes[type(outcome)] += 1

    waves = [messages[start : start + _WAVE] for start in range(0, len(messages), _WAVE)]
    started = time.monotonic()
    for group in range(0, len(waves), _AT_ONCE):
        sent = [loop.submit(channel.send(wave, report, Event())) for wave in waves[group : group + _AT_ONCE]]
        for future in sent:
            future.result(60)
    seconds = time.monotonic() - started
    if outcomes != {Delivered: len(messages)}:
        raise RuntimeError(f"not every message was taken: {outcomes}")
    return len(messages) / seconds
