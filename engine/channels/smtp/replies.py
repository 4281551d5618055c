"""What a mail server's answer means for a message (RFC 5321 §4.2, RFC 3463).

| answer | outcome |
|---|---|
| 2xx to the message | Delivered |
| 5xx to recipient, data or message | Rejected |
| 5xx to the sender that asks for a login (530, 534, 535, 538) | Down: it would meet everybody |
| other 5xx to the sender | Rejected |
| 421 anywhere | Throttled |
| other 4xx | Deferred |
"""

from __future__ import annotations

import re
from typing import NamedTuple

from engine.channels.port import Deferred, Delivered, Down, Outcome, Rejected, Throttled

__all__ = ["CLOSING", "Reply", "outcome_of"]

#: The server ends the connection: too much, too fast, or going down.
CLOSING = 421
_WANTS_LOGIN = frozenset({530, 534, 535, 538})
_SUCCESS, _TRANSIENT = 2, 4
_TEXT_LIMIT = 500
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
    if stage == "MAIL" and reply.code in _WANTS_LOGIN:
        return Down(code, text)
    return Deferred(code, text) if reply.code // 100 == _TRANSIENT else Rejected(code, text)
