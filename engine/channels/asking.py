"""Asking a channel's provider whether it answers and knows us. Sends nothing to anybody."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.channels.port import Channel
    from engine.channels.smtp.mail_domain import Finding

__all__ = ["CHECK_SECONDS", "RECORD_SECONDS", "ask", "records_of"]

#: How long a provider may take.
CHECK_SECONDS = 10.0
#: How long the records of a mail channel's domain may take, all of them.
RECORD_SECONDS = 10.0
#: Ends of names that are nobody's in public (RFC 6761, RFC 6762, RFC 8375), or that networks use inside: what the
#: operator's name server knows of them is not for tenants to learn.
_INSIDE = frozenset(
    {"localhost", "local", "internal", "intranet", "private", "lan", "corp", "home", "arpa", "onion"}
)


async def ask(channel: Channel, *, within: float = CHECK_SECONDS) -> str | None:
    """None when the channel's provider answers and takes its credentials, else what is wrong, in a sentence. Closes the
    channel.

    Args:
        channel: Ready to send.
        within: Seconds.
    """
    try:
        async with asyncio.timeout(within):
            return await channel.check()
    except TimeoutError:
        return f"no answer in {within:.0f} seconds"
    finally:
        await channel.close()


def records_of(channel: Channel, trouble: str | None, servers: Sequence[str] = ()) -> list[Finding]:
    """What receivers find in the domain name system about the domain that a mail channel sends from; empty: it is no
    mail channel. Blocks for `RECORD_SECONDS` at most.

    Args:
        trouble: What `ask` said.
        servers: Whom to ask; none: the system's resolver.
    """
    import dns.exception  # noqa: PLC0415 - other channels need none of this

    from engine.channels.smtp import SmtpChannel  # noqa: PLC0415
    from engine.channels.smtp.lookup import Lookup  # noqa: PLC0415
    from engine.channels.smtp.mail_domain import Finding, examine_domain  # noqa: PLC0415

    if not isinstance(channel, SmtpChannel):
        return []
    given = channel.mail_domain(channel.domain, trouble)
    names = (given.domain, given.return_path or given.domain, given.dkim_domain or given.domain)
    inside = next((name for name in names if name.rpartition(".")[2] in _INSIDE or "." not in name), None)
    if inside is not None:
        return [
            Finding("domain", ok=False, found=f"{inside} is no public domain", remedy="send from one that is")
        ]
    try:
        lookup = Lookup(servers, within=RECORD_SECONDS)
    except (dns.exception.DNSException, ValueError, OSError) as error:
        return [Finding("answers", ok=None, found=f"no name server to ask: {error}")]
    return examine_domain(given, lookup)
