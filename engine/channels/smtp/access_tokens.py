"""Access tokens of OAuth 2 (RFC 6749) that a channel gets by itself: with a refresh token (§6), or as a client (§4.4).

Promises:
- A token is kept in the process until a minute before it ends; connections that open together ask for one.
- A login that is refused with a token that was kept is tried once more with a new one.
- What the token server refuses, or that it is away, is the channel's trouble (`SMTP_OAUTH`): nobody fails by it.
- A refresh token that the server hands out in place of the one that was used takes its place in the channel's
  credentials, for all processes (engine.channels.refresh_tokens). A process that asks with one that another has used
  up meanwhile asks once more, with the one that took its place.
"""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from config.errors import MusterError
from engine.channels.http.client import HttpClient, Unanswered
from engine.channels.http.request import Request
from engine.channels.http.settings import Connection
from engine.channels.port import Down
from engine.channels.scrub import Scrub

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.channels.refresh_tokens import KeptRefreshToken
    from engine.channels.trust import Trust
    from engine.kernel.outbound import Guard

__all__ = ["TOKEN_SERVERS", "AccessTokens", "NoToken"]

#: Names for the token servers of well-known providers
#: (https://developers.google.com/identity/protocols/oauth2/web-server#offline,
#: https://learn.microsoft.com/exchange/client-developer/legacy-protocols/how-to-authenticate-an-imap-pop-smtp-application-by-using-oauth).
TOKEN_SERVERS = {
    "google": "https://oauth2.googleapis.com/token",
    "microsoft": "https://login.microsoftonline.com/common/oauth2/v2.0/token",
}
#: A token is renewed so many seconds before it ends, and one of which nobody says when it ends after so many.
_EARLY, _UNSAID = 60.0, 300.0
#: The longest that one is kept, whatever is said, in seconds.
_LONGEST = 86_400.0
_WITHIN = timedelta(seconds=10)
_TEXT = 300


class NoToken(MusterError):
    """There is none to be had; `outcome` says why."""

    def __init__(self, outcome: Down) -> None:
        super().__init__(outcome.text)
        self.outcome = outcome


class AccessTokens:
    """One channel's. Belongs to the event loop that first uses it.

    Args:
        url: Of the token server.
        refresh_token: None: the client has tokens in its own name.
        client_secret: None: the client is a public one.
        scope: What the token is for; None: what the token server takes for granted.
        kept: Where the refresh token is kept; None: in this process.
        steady: Seconds, by a clock that never jumps.
    """

    def __init__(
        self,
        url: str,
        *,
        client_id: str,
        client_secret: str | None,
        refresh_token: str | None,
        scope: str | None,
        guard: Guard,
        trust: Trust,
        kept: KeptRefreshToken | None = None,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url = url
        self._client_id = client_id
        self._client_secret = client_secret
        self._refresh_token = refresh_token
        self._scope = scope
        self._kept = kept
        self._not_stored: list[tuple[str, str]] = []
        """Tokens that were used, and what was handed out for them, which the database does not know yet."""
        self._steady = steady
        self._http = HttpClient(Connection(connect_timeout=_WITHIN, timeout=_WITHIN), guard, trust)
        self._token: tuple[str, float] | None = None
        """The token, and until when it is good."""
        self._asking = asyncio.Lock()

    async def token(self, *, instead_of: str | None = None) -> str:
        """A token that is good for now.

        Args:
            instead_of: One that was refused; None: any.

        Raises:
            NoToken: there is none to be had.
        """
        async with self._asking:
            known = self._token
            if known is not None and known[0] != instead_of and self._steady() < known[1]:
                return known[0]
            self._token = None
            self._token = await self._ask()
            return self._token[0]

    async def close(self) -> None:
        """Give back the connection. Safe to call twice."""
        await self._http.close()

    async def _ask(self) -> tuple[str, float]:
        await self._read_refresh_token()
        used = self._refresh_token
        try:
            return await self._ask_with(used)
        except NoToken:
            await self._read_refresh_token()
            if self._refresh_token == used:
                raise
        return await self._ask_with(self._refresh_token)

    async def _read_refresh_token(self) -> None:
        """Take the one that another process, or an operator, has stored."""
        await self._store()
        if self._kept is not None and self._refresh_token is not None and not self._not_stored:
            self._refresh_token = await asyncio.to_thread(self._kept.current) or self._refresh_token

    async def _store(self) -> None:
        """Store what was handed out, in its order."""
        while self._kept is not None and self._not_stored:
            if not await asyncio.to_thread(self._kept.replace, *self._not_stored[0]):
                return
            self._not_stored.pop(0)

    async def _ask_with(self, refresh_token: str | None) -> tuple[str, float]:
        given = {"client_id": self._client_id, "scope": self._scope, "refresh_token": refresh_token}
        given["grant_type"] = "client_credentials" if refresh_token is None else "refresh_token"
        given["client_secret"] = self._client_secret
        body = urlencode({name: value for name, value in given.items() if value}).encode()
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
        try:
            answer = await self._http.exchange(Request("POST", self._url, headers, body))
        except Unanswered as error:
            raise NoToken(Down("SMTP_OAUTH", f"the token server: {error.outcome.text}")) from None
        said = answer.json()
        said = said if isinstance(said, dict) else {}
        token = said.get("access_token")
        if answer.status != 200 or not isinstance(token, str) or not token.isprintable() or not token:  # noqa: PLR2004
            raise NoToken(Down("SMTP_OAUTH", self._refusal(answer.status, said)))
        renewed = said.get("refresh_token")
        if refresh_token is not None and isinstance(renewed, str) and renewed not in ("", refresh_token):
            self._refresh_token = renewed
            if self._kept is not None:
                self._not_stored.append((refresh_token, renewed))
                await self._store()
        return token, self._steady() + _good_for(said.get("expires_in"))

    def _refusal(self, status: int, said: dict[str, object]) -> str:
        """In the words of RFC 6749 §5.2, without what is secret."""
        words = ": ".join(str(said[name]) for name in ("error", "error_description") if said.get(name))
        text = Scrub([self._client_secret, self._refresh_token])(" ".join(words.split()))[:_TEXT]
        return f"the token server answers {status}" + (f": {text}" if text else "")


def _good_for(said: object) -> float:
    """Seconds that a token is used."""
    try:
        seconds = float(str(said))
    except ValueError:
        return _UNSAID
    return min(max(seconds - _EARLY, min(seconds / 2, _EARLY)), _LONGEST) if seconds > 0 else 0.0
