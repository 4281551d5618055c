"""The mailbox where a channel's mail comes back to, as an operator sets it."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

__all__ = ["MAILBOX_PORTS", "MailboxSettings"]

#: Where mailboxes are: POP3, IMAP, and both over TLS.
MAILBOX_PORTS = frozenset({110, 143, 993, 995})
_HOST = re.compile(r"[A-Za-z0-9_.:\[\]-]{1,255}")
_DEFAULT_PORTS = {
    ("imap", "tls"): 993,
    ("imap", "starttls"): 143,
    ("imap", "none"): 143,
    ("pop3", "tls"): 995,
    ("pop3", "starttls"): 110,
    ("pop3", "none"): 110,
}
_LOOPBACK = ("localhost", "127.", "[::1]", "::1")


def _host(value: str) -> str:
    if not _HOST.fullmatch(value):
        raise ValueError("is not a host name or address")
    return value


def _line(value: str) -> str:
    if not value.isprintable() or not value.strip():
        raise ValueError("is empty, or holds a character that cannot be printed")
    return value


Line = Annotated[str, Field(max_length=255), AfterValidator(_line)]


class MailboxSettings(BaseModel):
    """`mailbox` in the settings of a channel of kind `smtp`; goes with the credential `mailbox_password`."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    protocol: Literal["imap", "pop3"] = "imap"
    host: Annotated[str, AfterValidator(_host)]
    port: int = Field(default=0, ge=0, le=65535)
    """0: 993 or 143 for IMAP, 995 or 110 for POP3, by `security`."""
    security: Literal["tls", "starttls", "none"] = "tls"
    username: Line
    folder: Line = "INBOX"
    """Which is read (IMAP)."""
    when_taken: Literal["move", "mark", "delete"] | None = None
    """What becomes of a message that was taken. IMAP: `move` to `done_folder` (the default), `mark` as seen (what
    somebody reads meanwhile is then not taken), or `delete`. POP3 knows `delete` alone."""
    done_folder: Line = "Muster"
    """Made if it is not there."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.protocol == "pop3" and self.when_taken not in (None, "delete"):
            raise ValueError("when_taken: POP3 knows only 'delete'")
        if self.when_taken in (None, "move") and self.folder.lower() == self.done_folder.lower():
            raise ValueError("done_folder: is the folder that is read")
        return self

    @property
    def effective_port(self) -> int:
        """The port to connect to."""
        return self.port or _DEFAULT_PORTS[self.protocol, self.security]

    @property
    def effective_when_taken(self) -> Literal["move", "mark", "delete"]:
        """`when_taken`, or the protocol's default."""
        return self.when_taken or ("move" if self.protocol == "imap" else "delete")

    @property
    def exposes_password(self) -> bool:
        """Whether anybody on the way can read the password."""
        return self.security == "none" and not self.host.lower().startswith(_LOOPBACK)
