"""What one message costs: rendering, and the bytes of its MIME, beside the standard library's."""

from __future__ import annotations

import time
from email.message import EmailMessage
from email.policy import SMTP
from typing import TYPE_CHECKING
from uuid import uuid4

from bench.results import Row
from engine.channels.port import Message
from engine.content.mime import MimeBuilder
from engine.content.templates import compile_template

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["measure"]

_HTML = "<p>Dear {{ first_name }},</p>" + "<p>There is news for you, and it is long.</p>" * 40
_LEAST_TIMES = 10


def measure(rounds: int) -> list[Row]:
    """Each figure is the best of five batches."""
    template = compile_template(
        subject="Hello {{ first_name }}", html=_HTML, text="Dear {{ first_name }}, news."
    )
    people = [{"first_name": f"Zoë {n}", "email": f"p{n}@example.com"} for n in range(100)]
    messages = [
        Message(uuid4(), uuid4(), uuid4(), uuid4(), str(person["email"]), template.render(person))
        for person in people
    ]
    builder = MimeBuilder(sender_email="news@example.com", sender_name="News", domain="example.com")
    rendering = _best(lambda: [template.render(person) for person in people], rounds)
    ours = _best(lambda: [builder.build(message) for message in messages], rounds)
    theirs = _best(lambda: [_standard(message) for message in messages], max(1, rounds // 20))
    return [
        Row("rendering subject, text and HTML", rendering, "µs/message"),
        Row(
            "MIME beside email.message.EmailMessage",
            ours,
            "µs/message",
            theirs,
            theirs / ours,
            f">= {_LEAST_TIMES} times fewer",
            theirs / ours >= _LEAST_TIMES,
        ),
    ]


def _standard(message: Message) -> bytes:
    mail = EmailMessage(policy=SMTP)
    mail["From"] = "News <news@example.com>"
    mail["To"] = message.address
    mail["Subject"] = message.content.subject
    mail["Message-ID"] = f"<{message.execution_id}@example.com>"
    mail.set_content(message.content.text or "")
    mail.add_alternative(message.content.html or "", subtype="html")
    return mail.as_bytes()


def _best(work: Callable[[], object], rounds: int) -> float:
    """Microseconds for each of the hundred messages."""
    times = []
    for _ in range(5):
        began = time.perf_counter()
        for _ in range(rounds):
            work()
        times.append((time.perf_counter() - began) / rounds / 100 * 1e6)
    return min(times)
