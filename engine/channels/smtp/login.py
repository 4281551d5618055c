"""Logging in to a mail server (RFC 4954): the mechanisms, in order, and what their dialogues mean.

With an access token XOAUTH2 is tried, else CRAM-MD5, PLAIN and LOGIN, as many as the server offers, until one is
taken. LOGIN was never standardized: some servers take the user name with the command, others ask for it although it was
given, and others refuse the command then, so it is tried a second time without. What is answered is what is asked for:
a password never goes in a user name's place.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import TYPE_CHECKING

import aiosmtplib
from aiosmtplib.auth import auth_crammd5_verify, auth_plain_encode, auth_xoauth2_encode

from config.errors import MusterError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from aiosmtplib import SMTPResponse

__all__ = ["Login", "LoginError", "log_in"]

_CONTINUE, _TAKEN = 334, 235
_TEMPORARY = range(400, 500)
#: Challenges that a dialogue may have.
_MOST_CHALLENGES = 3


@dataclass(frozen=True, slots=True)
class Login:
    """Who logs in, with either a password or an access token (OAuth 2)."""

    username: str
    password: str | None = None
    access_token: str | None = None

    def secrets(self) -> list[str]:
        """What must not be repeated, in every form in which it is sent."""
        if self.access_token is not None:
            return [self.access_token, f"user={self.username}\1auth=Bearer {self.access_token}\1\1"]
        return [self.password, f"\0{self.username}\0{self.password}"] if self.password else []


class LoginError(MusterError, aiosmtplib.SMTPException):
    """No mechanism can be tried: the server offers none that is known."""


async def log_in(client: aiosmtplib.SMTP, login: Login) -> None:
    """Log in with the first mechanism that the server takes.

    Args:
        client: Connected and greeted.
        login: With whose credentials.

    Raises:
        LoginError: it offers no mechanism that can be tried.
        aiosmtplib.SMTPAuthenticationError: it refuses; the message says what it offers and what was tried.
        aiosmtplib.SMTPException: the connection was lost.
    """
    offered = list(dict.fromkeys(name.upper() for name in client.server_auth_methods))
    wanted = _TOKEN_MECHANISMS if login.access_token is not None else _PASSWORD_MECHANISMS
    tried = [name for name in wanted if name in offered]
    said = f"the server offers {', '.join(offered) or 'no login'}"
    if not tried:
        raise LoginError(f"{said}; {' or '.join(wanted)} is needed")
    reply: SMTPResponse | None = None
    for number, name in enumerate(tried, 1):
        reply = await wanted[name](client, login)
        if reply.code == _TAKEN:
            return
        if reply.code in _TEMPORARY:  # it says nothing of the credentials
            tried = tried[:number]
            break
    assert reply is not None  # noqa: S101 - there was at least one to try
    raise aiosmtplib.SMTPAuthenticationError(
        reply.code, f"{reply.message} ({said}; tried: {', '.join(tried)})"
    )


async def _plain(client: aiosmtplib.SMTP, login: Login) -> SMTPResponse:
    given = auth_plain_encode(login.username, login.password or "")
    return await client.execute_command(b"AUTH", b"PLAIN", given)


async def _cram_md5(client: aiosmtplib.SMTP, login: Login) -> SMTPResponse:
    reply = await client.execute_command(b"AUTH", b"CRAM-MD5")
    if reply.code != _CONTINUE:
        return reply
    try:
        answer = auth_crammd5_verify(login.username, login.password or "", reply.message)
    except aiosmtplib.SMTPAuthenticationError:
        answer = b"*"  # no challenge: give up (RFC 4954 §4)
    return await client.execute_command(answer)


async def _login(client: aiosmtplib.SMTP, login: Login) -> SMTPResponse:
    name = base64.b64encode(login.username.encode())
    reply = await _answer(client, login, await client.execute_command(b"AUTH", b"LOGIN", name), ["password"])
    if reply.code == _TAKEN or reply.code in _TEMPORARY:
        return reply
    return await _answer(
        client, login, await client.execute_command(b"AUTH", b"LOGIN"), ["username", "password"]
    )


async def _answer(
    client: aiosmtplib.SMTP, login: Login, reply: SMTPResponse, expected: list[str]
) -> SMTPResponse:
    """Answer the challenges of LOGIN: with what each asks for, else with what is expected next."""
    for _ in range(_MOST_CHALLENGES):
        if reply.code != _CONTINUE:
            return reply
        asked = _asked(reply.message) or (expected[0] if expected else "")
        if not asked:
            return await client.execute_command(b"*")
        if asked in expected:
            expected.remove(asked)
        given = login.username if asked == "username" else login.password or ""
        reply = await client.execute_command(base64.b64encode(given.encode()))
    return reply


def _asked(challenge: str) -> str | None:
    """What a challenge asks for in its words; None: it does not say."""
    try:
        words = base64.b64decode(challenge, validate=True).decode("ascii", "replace").lower()
    except (binascii.Error, ValueError):
        words = challenge.lower()
    if "pass" in words:
        return "password"
    return "username" if "user" in words or "name" in words else None


async def _xoauth2(client: aiosmtplib.SMTP, login: Login) -> SMTPResponse:
    given = auth_xoauth2_encode(login.username, login.access_token or "")
    reply = await client.execute_command(b"AUTH", b"XOAUTH2", given)
    if reply.code == _CONTINUE:  # why not, as JSON; an empty answer ends the dialogue
        reply = await client.execute_command(b"")
    return reply


_Mechanism = dict[str, "Callable[[aiosmtplib.SMTP, Login], Awaitable[SMTPResponse]]"]

_TOKEN_MECHANISMS: _Mechanism = {"XOAUTH2": _xoauth2}
_PASSWORD_MECHANISMS: _Mechanism = {"CRAM-MD5": _cram_md5, "PLAIN": _plain, "LOGIN": _login}
