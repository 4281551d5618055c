"""What a mail server's answer means for a message (RFC 5321 §4.2, RFC 3463).

| answer | outcome |
|---|---|
| 2xx to the message | Delivered |
| 5xx to recipient, data or message | Rejected; a hard bounce where the enhanced code says that nobody is there |
| 5xx to the sender that asks for a login (530, 534, 535, 538) | Down: it would meet everybody |
| other 5xx to the sender | Rejected |
| 421 anywhere | Throttled: the server ends the connection |
| 450, 451, 454 to recipient or message | Throttled: its mail domain alone (Deferred: it is about the mailbox, 4.2.x) |
| other 4xx | Deferred |
"""

from __future__ import annotations

import re
from typing import NamedTuple

from engine.channels.port import Deferred, Delivered, Down, Outcome, Rejected, Throttled

__all__ = ["CLOSING", "Reply", "outcome_of"]

#: The server ends the connection: too much, too fast, or going down.
CLOSING = 421
#: "Not now" about where the message goes: policy, load, a connection that cannot be had.
_SLOWING = frozenset({450, 451, 454})
_MAILBOX = re.compile(rb"\s*4\.2\.\d")
_WANTS_LOGIN = frozenset({530, 534, 535, 538})
_SUCCESS, _TRANSIENT = 2, 4
_TEXT_LIMIT = 500
#: RFC 3463: no such mailbox, system or syntax; moved, disabled, a domain that takes no mail. A bare 550 says nothing of
#: the kind: it may as well be about us.
_NOBODY = re.compile(r"5\.(1\.(1|2|3|6|10)|2\.1)\b")
_TO = ("RCPT", "message")
_UNFIT = re.compile(r"[^ -~]+")


class Reply(NamedTuple):
    """A server's answer."""

    code: int
    raw: bytes

    @property
    def text(self) -> str:
        """The words, as one line of printable ASCII."""
        return _UNFIT.sub(" ", self.raw.decode("ascii", "replace"))[:_TEXT_LIMIT].strip()


def outcome_of(reply: Reply, stage: str) -> Outcome:
    """The outcome of a message whose delivery ended with `reply` to `stage` (MAIL, RCPT, DATA or message)."""
    code = f"SMTP_{reply.code}"
    text = f"{reply.text} (in reply to {stage})"
    if stage == "message" and reply.code // 100 == _SUCCESS:
        return Delivered(reply.text)
    if reply.code == CLOSING:
        return Throttled(code, text)
    if reply.code in _SLOWING and stage in ("RCPT", "message") and not _MAILBOX.match(reply.raw):
        return Throttled(code, text, domain=True)
    if stage == "MAIL" and reply.code in _WANTS_LOGIN:
        return Down(code, text)
    if reply.code // 100 == _TRANSIENT:
        return Deferred(code, text)
    return Rejected(code, text, "hard_bounce" if stage in _TO and _NOBODY.match(reply.text) else None)
