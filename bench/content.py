"""What a message costs before it is sent: rendering a template, building the e-mail."""

from __future__ import annotations

import base64
import time
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, make_msgid
from statistics import median
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import dkim
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from bench.results import Result
from engine.content.dkim import Signer
from engine.content.enclosed import Attachment
from engine.content.message import Content, Message
from engine.content.mime import MimeBuilder
from engine.content.stored import compile_message
from engine.content.templates import compile_template
from state.database import SystemClock

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bench.scale import Scale
    from engine.content.stored import AnyTemplate

__all__ = ["HTML", "TEXT", "run"]

TEXT = "Dear {{ first_name }} {{ last_name }},\n\nthere is news in {{ city }}.\n"
HTML = (
    "<html><body><h1>Hello {{ first_name }}</h1><p>Dear {{ first_name }} {{ last_name }},</p>"
    "<p>there is news in {{ city }}. <a href='https://example.com/?p={{ external_id }}'>Read on</a></p></body></html>"
)
_BRANCHING = "{% if balance > 2500 %}Our best{% else %}Good{% endif %} news for {{ first_name | upcase }}"
_FILTERED = (
    "{{ first_name | possessive }} friends, until {{ day | date: 'long' }}: {{ balance | currency: 'EUR' }}"
)
_GERMAN = {"subject": "Hallo {{ first_name }}", "html": HTML.replace("Hello", "Hallo")}
#: A message is at least that many times as fast as the standard library's.
_TIMES = 10
_RELAXED = (b"relaxed", b"relaxed")
_PDF = bytes(range(256)) * 400


def run(scale: Scale, directory: Path) -> list[Result]:  # noqa: ARG001 - nothing is written
    """Microseconds a message, of processor time."""
    people = [_person(number) for number in range(scale.messages)]
    few = max(100, scale.messages // 20)
    plain = compile_template("Hello {{ first_name }}", text=TEXT)
    parts = {"subject": "Hello {{ first_name }}", "html": HTML, "text": TEXT}
    both = compile_message(parts)
    return [
        Result.alone("content.render.text", _each(plain.render, people), "µs"),
        Result.alone("content.render.html", _each(both.render, people), "µs"),
        Result.alone("content.render.branching", _render(people[:2000], text=_BRANCHING), "µs"),
        Result.alone("content.render.filters", _render(people, text=_FILTERED), "µs"),
        Result.alone(
            "content.render.translated", _render(people, **parts, translations={"de": _GERMAN}), "µs"
        ),
        _beside("content.mime", both, people, few),
        _beside("content.mime.names", compile_message(parts), [_abroad(one) for one in people], few),
        _beside(
            "content.mime.attachment",
            compile_message(parts, attachments=[Attachment("prices.pdf", "application/pdf", _PDF)]),
            people[: scale.messages // 4],
            few // 4,
        ),
        *_signing(both, people[: few * 2]),
    ]


def _render(people: list[Any], **parts: Any) -> float:
    return _each(compile_message(parts).render, people)


def _beside(case: str, template: AnyTemplate, people: list[Any], few: int) -> Result:
    """Building the e-mail beside the standard library, which builds a few of the same."""
    messages = [_message(one, template.render(one)) for one in people]
    builder = MimeBuilder(sender_email="news@example.com", sender_name="News")
    ours, theirs = _each(builder.build, messages), _each(_standard, messages[:few])
    return Result.compared(case, ours, "µs", theirs, at_most=1 / _TIMES)


def _signing(template: AnyTemplate, people: list[Any]) -> list[Result]:
    """A signed message: building and signing; beside dkimpy, which signs the same bytes."""
    messages = [_message(one, template.render(one)) for one in people]
    key = generate_private_key(65537, 2048).private_bytes(
        Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()
    )
    ed25519 = base64.b64encode(Ed25519PrivateKey.generate().private_bytes_raw())
    found = []
    for name, private in (("rsa2048", key), ("ed25519", ed25519)):
        signer = Signer("example.com", "bench", private.decode())
        builder = MimeBuilder(sender_email="news@example.com", signer=signer)
        found.append((f"content.dkim.{name}", _each(builder.build, messages)))
        signer.close()
    raws = [MimeBuilder(sender_email="news@example.com").build(one) for one in messages[:50]]
    theirs = _each(lambda raw: dkim.sign(raw, b"bench", b"example.com", key, canonicalize=_RELAXED), raws)
    (rsa, value), (other, fast) = found
    return [Result.compared(rsa, value, "µs", theirs), Result.alone(other, fast, "µs")]


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
        "language": ("de", "en", "fr-FR", "")[number % 4],
        "day": f"2026-{number % 12 + 1:02}-{number % 28 + 1:02}",
    }


def _abroad(person: dict[str, Any]) -> dict[str, Any]:
    """Somebody whose name is not ASCII."""
    return {
        **person,
        "first_name": f"Zoë {person['external_id']}",
        "last_name": "Łukaszewicz",
        "city": "Köln",
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
    for file in message.content.enclosed.attachments if message.content.enclosed is not None else ():
        maintype, _, subtype = file.content_type.partition("/")
        mail.add_attachment(file.content, maintype=maintype, subtype=subtype, filename=file.filename)
    return mail.as_bytes()
