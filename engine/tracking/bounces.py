"""When a permanent refusal says that an address is no good, so that it must not be used again (RFC 3463 §3)."""

from __future__ import annotations

import re

__all__ = ["STATUS", "address_is_gone"]

#: An enhanced status code.
STATUS = re.compile(r"\b[245]\.\d{1,3}\.\d{1,3}\b")
#: Permanent, and no fault of the address: the sender's, full, too large, expired, content, policy.
_NOT_THE_ADDRESS = re.compile(r"5\.(?:1\.[78]|2\.[234]|3\.\d+|4\.[67]|5\.\d+|6\.\d+|7\.\d+)")


def address_is_gone(status: str) -> bool:
    """Whether an enhanced status code says that the address itself is no good.

    A full mailbox, a message that is too large and a policy against the sender end that message, and say nothing of the
    next.
    """
    return status.startswith("5.") and _NOT_THE_ADDRESS.fullmatch(status) is None
