"""The same message by the standard library, and either as a reader sees it."""

from __future__ import annotations

from email import message_from_bytes
from email.headerregistry import Address
from email.message import EmailMessage, MIMEPart
from email.policy import SMTP

from engine.content.links import message_id_of

__all__ = ["check_the_wire", "seen", "written"]


def written(message, *, sender, date, domain="x.org"):
    """What the standard library writes for a message.

    Args:
        sender: Address and name of the From header.
        date: The Date header.
    """
    content = message.content
    mail = EmailMessage(policy=SMTP)
    mail["From"] = Address(sender[1] or "", addr_spec=sender[0])
    mail["To"] = message.address
    mail["Subject"] = content.subject
    mail["Date"] = date
    left = message_id_of(message.execution_id, message.campaign_id, message.entity_id).decode()
    mail["Message-ID"] = f"<{left}@{domain}>"
    if content.reply_to is not None:
        mail["Reply-To"] = Address("", addr_spec=content.reply_to)
    if message.unsubscribe_url is not None:
        mail["List-Unsubscribe"] = f"<{message.unsubscribe_url}>"
        mail["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    for name, value in content.headers:
        mail[name] = value
    html_part: MIMEPart = mail
    if content.text or not content.html:
        mail.set_content(content.text or "")
    if content.html and not content.text:
        mail.set_content(content.html, subtype="html")
    elif content.html:
        mail.add_alternative(content.html, subtype="html")
        _, html_part = mail.iter_parts()
    enclose(mail, html_part if content.html else None, content.enclosed)
    return mail.as_bytes()


def enclose(mail, html_part, enclosed):
    files = enclosed.attachments if enclosed is not None else ()
    for file in files:
        maintype, subtype = file.content_type.split("/")
        options = {"maintype": maintype, "subtype": subtype, "filename": file.filename}
        if file.content_id is not None and html_part is not None:
            html_part.add_related(file.content, cid=f"<{file.content_id}>", disposition="inline", **options)
    for file in sorted(files, key=lambda file: file.content_id is not None):
        maintype, subtype = file.content_type.split("/")
        options = {"maintype": maintype, "subtype": subtype, "filename": file.filename}
        if file.content_id is None:
            mail.add_attachment(file.content, **options)
        elif html_part is None:
            mail.add_attachment(file.content, cid=f"<{file.content_id}>", disposition="inline", **options)


def seen(raw):
    """Headers, structure and bodies as a reader sees them; no defect anywhere."""
    parsed = message_from_bytes(raw, policy=SMTP)
    headers = {name.lower(): str(value) for name, value in parsed.items()}
    for name in ("content-transfer-encoding", "content-type", "mime-version"):
        headers.pop(name, None)
    structure, bodies = [], []
    for part in parsed.walk():
        assert not part.defects, part.defects
        structure.append(part.get_content_type())
        if part.is_multipart():
            continue
        content = part.get_content()
        if isinstance(content, str):
            content = content.replace("\r\n", "\n")
        bodies.append((part.get_filename(), part.get_content_disposition(), part["content-id"], content))
    return headers, structure, bodies


def check_the_wire(raw):
    """Seven bits, CRLF alone between lines, none of them too long."""
    assert raw.isascii()
    assert b"\0" not in raw
    assert raw.endswith(b"\r\n")
    assert all(len(line) <= 998 and b"\r" not in line and b"\n" not in line for line in raw.split(b"\r\n"))
