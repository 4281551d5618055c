"""E-mail as mail servers and mailbox providers send it back."""

from __future__ import annotations

from textwrap import dedent, indent
from typing import TYPE_CHECKING

from engine.content.links import Invitation, Links
from engine.kernel.secrets import Secrets

if TYPE_CHECKING:
    from uuid import UUID

    import httpx

    from tests.tracking.world import Mailing


def hand_in(client: httpx.Client, raw: bytes, **query: str) -> dict[str, object]:
    """Hand a message in; returns what became of it."""
    answered = client.post(
        "/v1/inbound/email", content=raw, params=query, headers={"content-type": "message/rfc822"}
    )
    assert answered.status_code == 200, answered.text
    found: dict[str, object] = answered.json()
    return found


def link_of(world: Mailing, campaign_id: UUID, entity_id: UUID, address: str) -> str:
    """The unsubscribe link that a message to this recipient carried."""
    keys = Secrets.of(world.api.runtime.settings).signing_keys
    return Links(world.api.url, keys).unsubscribe(
        Invitation(world.api.org_id, campaign_id, entity_id, "smtp", address)
    )


def original(*, to: str = "ada@x.example", message_id: str = "", unsubscribe: str = "") -> str:
    """The headers of a message of ours."""
    lines = ["From: News <news@muster.example>", f"To: {to}", "Subject: Spring sale"]
    if message_id:
        lines.append(f"Message-ID: {message_id}")
    if unsubscribe:
        lines.append(f"List-Unsubscribe: <{unsubscribe}>")
        lines.append("List-Unsubscribe-Post: List-Unsubscribe=One-Click")
    return "\n".join(lines) + "\n"


def delivery_report(
    *blocks: str,
    returned: str | None = None,
    part: str = "text/rfc822-headers",
    to: str = "news@muster.example",
    notice: str = "This is the mail system. I am sorry to have to tell you this.\n",
) -> bytes:
    """A delivery report (RFC 3464) with a block for each recipient."""
    sections = [
        f"Content-Type: text/plain\n\n{notice}",
        "Content-Type: message/delivery-status\n\nReporting-MTA: dns; mx.x.example\n"
        "Arrival-Date: Mon, 02 Mar 2026 09:00:00 +0000\n\n"
        + "\n".join(dedent(block).lstrip() for block in blocks),
    ]
    if returned is not None:
        sections.append(f"Content-Type: {part}\n\n{returned}")
    return _report("delivery-status", sections, to, "Mail Delivery System <mailer-daemon@x.example>")


def block(
    address: str = "ada@x.example",
    *,
    status: str = "5.1.1",
    action: str = "failed",
    diagnostic: str = "smtp; 550 5.1.1 <ada@x.example>: Recipient address rejected: User unknown",
) -> str:
    """One recipient of a delivery report."""
    return f"""
        Final-Recipient: rfc822; {address}
        Action: {action}
        Status: {status}
        Diagnostic-Code: {diagnostic}
        """


def complaint(kind: str = "abuse", *, returned: str, rcpt: str | None = "ada@x.example") -> bytes:
    """A feedback report (RFC 5965)."""
    fields = f"Feedback-Type: {kind}\nUser-Agent: SomeFBL/1.0\nVersion: 1\n"
    if rcpt is not None:
        fields += f"Original-Rcpt-To: <{rcpt}>\n"
    sections = [
        "Content-Type: text/plain\n\nThis is an email abuse report.\n",
        f"Content-Type: message/feedback-report\n\n{fields}",
        f"Content-Type: message/rfc822\n\n{returned}\nHello\n",
    ]
    return _report("feedback-report", sections, "fbl@muster.example", "feedback@mailbox.example")


def answer(message_id: str, **headers: str) -> bytes:
    """What somebody, or something, writes back."""
    given = {
        "From": "ada@x.example",
        "To": "news@muster.example",
        "Subject": "Re: Spring sale",
        "In-Reply-To": message_id,
    }
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in (given | headers).items()]
    return ("\r\n".join(lines) + "\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nYes please\r\n").encode()


def attached(*messages: str, sender: str, subject: str, in_reply_to: str = "") -> bytes:
    """A message that encloses others."""
    head = f"From: {sender}\nTo: news@muster.example\nSubject: {subject}\n"
    if in_reply_to:
        head += f"In-Reply-To: {in_reply_to}\n"
    head += 'MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary="=_f"\n\n--=_f\n\nSee below.\n'
    body = "".join(f"--=_f\nContent-Type: message/rfc822\n\n{one.rstrip()}\n\n" for one in messages)
    return (head + body + "--=_f--\n").replace("\n", "\r\n").encode()


def _report(kind: str, sections: list[str], to: str, sender: str) -> bytes:
    head = (
        f"From: {sender}\nTo: {to}\nSubject: Undelivered Mail Returned to Sender\nAuto-Submitted: auto-replied\n"
        f'MIME-Version: 1.0\nContent-Type: multipart/report; report-type={kind}; boundary="=_b"\n\n'
    )
    body = "".join(f"--=_b\n{section.rstrip()}\n\n" for section in sections) + "--=_b--\n"
    return indent(head + body, "").replace("\n", "\r\n").encode()
