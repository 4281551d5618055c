"""What opens a mail server and its mailbox: access tokens, passwords, and where they may be sent to."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from engine.channels.http.settings import check_private
from engine.channels.mailbox_settings import MAILBOX_PORTS
from engine.channels.mailboxes import MailboxAccess, MailboxError
from engine.channels.smtp.access_tokens import AccessTokens, NoToken
from engine.channels.smtp.settings import opened
from engine.kernel.outbound import Guard

if TYPE_CHECKING:
    from engine.channels.port import ChannelContext
    from engine.channels.smtp.settings import SmtpCredentials, SmtpSettings
    from engine.channels.trust import Trust

__all__ = ["mailbox_of", "tokens_of"]


def tokens_of(
    settings: SmtpSettings, credentials: SmtpCredentials, channel_context: ChannelContext, trust: Trust
) -> AccessTokens | None:
    """What gets access tokens; None: nothing does.

    Raises:
        ValueError: names the setting.
    """
    if (settings.token_url is None) != (credentials.client_id is None):
        raise ValueError("token_url: goes with the credential client_id, and that with it")
    if settings.token_url is None or credentials.client_id is None:
        return None
    channel_context.check_url("token_url", settings.token_url)
    check_private(
        settings.token_url, insecure_login=settings.insecure_login, field="token_url", what="secrets"
    )
    return AccessTokens(
        settings.token_url,
        client_id=credentials.client_id,
        client_secret=opened(credentials.client_secret),
        refresh_token=opened(credentials.refresh_token),
        scope=settings.token_scope,
        guard=channel_context.guard or Guard(),
        trust=trust,
        kept=channel_context.refresh_token,
    )


def mailbox_of(
    settings: SmtpSettings,
    credentials: SmtpCredentials,
    channel_context: ChannelContext,
    trust: Trust,
) -> MailboxAccess | None:
    """The mailbox, with its password or with the tokens that the channel logs in with; None: there is none.

    Raises:
        ValueError: names the setting.
    """
    given, password = settings.mailbox, credentials.mailbox_password
    has_tokens = credentials.client_id is not None or credentials.access_token is not None
    if given is None and password is not None:
        raise ValueError("mailbox: goes with the credential mailbox_password, and that with it")
    if given is None:
        return None
    if password is None and not (has_tokens and given.protocol == "imap"):
        raise ValueError(
            "mailbox: needs the credential mailbox_password; IMAP goes with access tokens as well"
        )
    if given.exposes_password and not settings.insecure_login:
        raise ValueError("mailbox: security: 'none' would send the password unencrypted; use 'tls'")
    channel_context.check_mail_server("mailbox: host", given.host, given.effective_port, MAILBOX_PORTS)

    def token() -> str:
        return asyncio.run(_ask(tokens_of(settings, credentials, channel_context, trust), credentials))

    return MailboxAccess(
        given,
        password,
        None if password is not None else token,
        trust,
        channel_context.guard or Guard(),
        verify_certificate=settings.verify_certificate,
    )


async def _ask(tokens: AccessTokens | None, credentials: SmtpCredentials) -> str:
    """An access token for a mailbox, whose readers run no event loop. Raises MailboxError."""
    if tokens is None:
        return opened(credentials.access_token) or ""
    try:
        return await tokens.token()
    except NoToken as error:
        raise MailboxError(str(error)) from None
    finally:
        await tokens.close()
