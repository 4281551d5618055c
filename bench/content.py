"""What a message costs before it is sent: rendering a template, building the e-mail."""

from __future__ import annotations

import time
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, make_msgid
from statistics import median
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from bench.results import Result
from engine.channels.port import Content, Message
from engine.content.mime import MimeBuilder
from engine.content.templates import compile_template
from state.database import SystemClock

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bench.scale import Scale

__all__ = ["HTML", "TEXT", "run"]

TEXT = "Dear {{ first_name }} {{ last_name }},\n\nthere is news in {{ city }}.\n"
HTML = (
    "<html><body><h1>Hello {{ first_name }}</h1><p>Dear {{ first_name }} {{ last_name }},</p>"
    "<p>there is news in {{ city }}. <a href='https://example.com/?p={{ external_id }}'>Read on</a></p></body></html>"
)
_BRANCHING = "{% if balance > 2500 %}Our best{% else %}Good{% endif %} news for {{ first_name | upcase }}"


def run(scale: Scale, directory: Path) -> list[Result]:  # noqa: ARG001 - nothing is written
    """Microseconds a message."""
    people = [_person(number) for number in range(scale.messages)]
    plain = compile_template("Hello {{ first_name }}", text=TEXT)
    both = compile_template("Hello {{ first_name }}", html=HTML, text=TEXT)
    branching = compile_template("Hello {{ first_name }}", text=_BRANCHING)
    contents = [both.render(person) for person in people]
    messages = [_message(person, content) for person, content in zip(people, contents, strict=True)]
    builder = MimeBuilder(sender_email="news@example.com", sender_name="News")
    few = messages[: max(100, scale.messages // 20)]
    return [
        Result.alone("content.render.text", _each(plain.render, people), "µs"),
        Result.alone("content.render.html", _each(both.render, people), "µs"),
        Result.alone("content.render.branching", _each(branching.render, people[:2000]), "µs"),
        Result.compared("content.mime", _each(builder.build, messages), "µs", _each(_standard, few)),
    ]


def _each(work: Callable[[Any], object], items: list[Any]) -> float:
    """Microseconds of processor time each: the median of five rounds."""
    rounds = []
    for _ in range(5):
        started = time.thread_time()
        for item in items:
            work(item)
        rounds.append((time.thread_time() - started) / len(items) * 1e6)
    return median(rounds)


def _person(number: int) -> dict[str, Any]:
    return {
        "email": f"person{number}@example.com",
        "first_name": f"Person{number}",
        "last_name": "Example",
        "city": f"City {number % 100}",
        "balance": number % 5000,
        "external_id": str(number),
    }


def _message(person: dict[str, Any], content: Content) -> Message:
    return Message(
        execution_id=uuid4(),
        org_id=uuid4(),
        campaign_id=uuid4(),
        entity_id=uuid4(),
        address=person["email"],
        content=content,
        unsubscribe_url="https://example.com/u/0123456789abcdef0123456789abcdef",
    )


def _standard(message: Message) -> bytes:
    """The same message by the standard library."""
    mail = EmailMessage(policy=SMTP)
    mail["From"] = "News <news@example.com>"
    mail["To"] = message.address
    mail["Subject"] = message.content.subject
    mail["Date"] = format_datetime(SystemClock().now())
    mail["Message-ID"] = make_msgid(idstring=str(message.execution_id), domain="example.com")
    mail["List-Unsubscribe"] = f"<{message.unsubscribe_url}>"
    mail["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    mail.set_content(message.content.text or "")
    mail.add_alternative(message.content.html or "", subtype="html")
    return mail.as_bytes()
