"""What `muster doctor --domain` looks at: the domain's records, and the channels that send from it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from actors.cli.context import load_settings, quiet_logs
from actors.cli.failure import Exit, Failure
from engine.channels.asking import ask
from engine.channels.smtp.lookup import Lookup
from engine.channels.smtp.mail_domain import Finding, MailDomain, examine_domain
from engine.insight.checks import Check

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from config.settings import Settings
    from engine.channels.port import Channel as Sender

__all__ = ["run_channel_checks", "run_domain_checks"]


def run_domain_checks(domain: str, selector: str | None, servers: Sequence[str]) -> Iterator[Check]:
    """Every finding about a domain, for each mail channel that sends from it; without one, about its records alone."""
    plain = _plain(domain)
    lookup = _lookup(servers)
    senders = list(_senders(load_settings(), plain))
    for channel, sent_by in senders or [("", MailDomain(plain, dkim_domain=plain))]:
        given = sent_by if selector is None else _with_selector(sent_by, plain, selector)
        for finding in examine_domain(given, lookup):
            yield _check(finding, f" ({channel})" if len(senders) > 1 else "")


def run_channel_checks(sender: Sender, trouble: str | None, servers: Sequence[str]) -> Iterator[Check]:
    """Every finding about the domain that a mail channel sends from.

    Args:
        sender: The channel.
        trouble: What its server said when it was asked; None: it works.
        servers: Whom to ask; none: the system's resolver.
    """
    from engine.channels.smtp import SmtpChannel

    if not isinstance(sender, SmtpChannel):
        raise Failure("only a mail channel has a domain", code=Exit.USAGE)
    for finding in examine_domain(sender.mail_domain(sender.domain, trouble), _lookup(servers)):
        yield _check(finding, "")


def _plain(domain: str) -> str:
    import idna

    try:
        plain = idna.encode(domain.strip().rstrip("."), uts46=True).decode().lower()
    except (idna.IDNAError, UnicodeError):
        plain = ""
    if "." not in plain:
        raise Failure(f"{domain!r} is no domain", "name it as it stands behind the @ of the sender")
    return plain


def _lookup(servers: Sequence[str]) -> Lookup:
    import dns.exception

    try:
        return Lookup(servers)
    except (dns.exception.DNSException, ValueError, OSError) as error:
        raise Failure(f"no DNS server to ask: {error}", "name one: --dns-server 192.0.2.53") from None


def _with_selector(given: MailDomain, domain: str, selector: str) -> MailDomain:
    from dataclasses import replace

    if selector == given.selector:
        return given
    return replace(given, dkim_domain=domain, selector=selector, record=None)


def _check(finding: Finding, channel: str) -> Check:
    return Check(f"{finding.name}{channel}", finding.ok, finding.found, finding.remedy)


def _senders(settings: Settings, domain: str) -> Iterator[tuple[str, MailDomain]]:
    """The mail channels of all organizations that send from a domain or sign for it; none without a database."""
    from sqlalchemy.exc import SQLAlchemyError

    from engine.campaigns.channels import build_channel
    from engine.channels.port import ChannelContext
    from engine.channels.smtp import SmtpChannel
    from engine.insight.installed_channels import installed_channels
    from engine.kernel.secrets import Secrets
    from state.database import Database

    quiet_logs(settings)
    file = settings.sqlite_file
    if file is not None and not file.exists():
        return
    database = Database(settings.database_url, pool_size=2)
    lent = ChannelContext.of(settings, database)
    try:
        with database.read() as session:
            for org, org_id, channel_id, name, _ in installed_channels(session, kind=SmtpChannel.kind):
                channel = build_channel(session, org_id, channel_id, Secrets.of(settings), lent)
                if isinstance(channel, SmtpChannel) and channel.sends_from(domain):
                    trouble = asyncio.run(ask(channel))
                    yield f"{org}/{name}", channel.mail_domain(domain, trouble)
    except SQLAlchemyError as error:
        raise Failure(
            f"the channels cannot be read: {type(error).__name__}", "run `muster doctor`"
        ) from error
    finally:
        database.close()
