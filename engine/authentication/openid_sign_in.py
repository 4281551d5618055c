"""Signing people in at an OpenID provider: the Authorization Code flow with PKCE (OpenID Connect Core, section 3.1;
RFC 7636).

`begin` says where the browser is sent and what it keeps meanwhile; `finish` turns the code that it brings back into
verified claims. What ties the two together stands in a cookie of the browser, so that no row is written for people who
never come back: `state` shows that the answer belongs to a question of this browser, `nonce` that the identity token
was made for it, and the verifier that the browser which redeems the code asked for it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import time
from typing import TYPE_CHECKING, Any, NamedTuple, Self
from urllib.parse import quote, urlencode, urlsplit

import httpx
import orjson

from config.errors import MusterError
from config.urls import protected_url
from engine.authentication.openid_tokens import TokenRefused, TokenVerifier

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from config.settings import Settings
    from engine.authentication.openid_keys import TokenKeys

__all__ = ["OpenIdSignIn", "Pending", "ProviderAway"]

#: Seconds for one answer of the provider, and until its document is read again.
_TIMEOUT = 10.0
_DOCUMENT_LASTS = 3600.0
#: Bytes of an answer.
_LARGEST = 1024 * 1024
_OK = 200
_ENDPOINTS = ("authorization_endpoint", "token_endpoint")


class ProviderAway(MusterError):
    """The provider does not answer, or not as one; the text says how. Signing in again later may work."""


class Pending(NamedTuple):
    """What a browser keeps between the question and the answer. URL-safe texts."""

    state: str
    nonce: str
    verifier: str

    @classmethod
    def new(cls) -> Self:
        """Of a question that is asked now."""
        return cls(*(secrets.token_urlsafe(32) for _ in range(3)))

    @classmethod
    def read(cls, text: str) -> Self | None:
        """What `str` wrote; None: it is something else."""
        parts = text.split(".")
        return cls(*parts) if len(parts) == len(cls._fields) and all(parts) else None

    def __str__(self) -> str:
        return ".".join(self)


class OpenIdSignIn:
    """One provider, of which this Muster is a client.

    Args:
        issuer: The provider, whose document is at `/.well-known/openid-configuration` below it.
        client_id: As which the provider knows this Muster; what its identity tokens are for (`aud`).
        client_secret: Its password; None: it is a public client, which PKCE alone protects.
        scope: What is asked for, by blanks.
        keys: The provider's public keys.
        monotonic: The clock of the document's age, in seconds.
    """

    def __init__(
        self,
        issuer: str,
        client_id: str,
        client_secret: str | None,
        scope: str,
        keys: TokenKeys,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._issuer = issuer
        self._client_id = client_id
        self._client_secret = client_secret
        self._scope = scope
        self._verifier = TokenVerifier(issuer, client_id, keys)
        self._monotonic = monotonic
        self._endpoints: dict[str, str] = {}
        self._due = float("-inf")

    @classmethod
    def of(cls, settings: Settings, keys: TokenKeys | None) -> OpenIdSignIn | None:
        """The client that the operator configured; None: there is none."""
        if keys is None or settings.jwt_issuer is None or settings.openid_client_id is None:
            return None
        secret = settings.openid_client_secret
        plain = None if secret is None else secret.get_secret_value()
        return cls(settings.jwt_issuer, settings.openid_client_id, plain, settings.openid_scope, keys)

    async def begin(self, redirect_uri: str) -> tuple[str, Pending]:
        """Where the browser is sent, and what it keeps.

        Args:
            redirect_uri: Where the provider sends it back to.

        Raises:
            ProviderAway: the provider's document cannot be read.
        """
        endpoint = await self._endpoint("authorization_endpoint")
        pending = Pending.new()
        challenge = hashlib.sha256(pending.verifier.encode()).digest()
        asked = {
            "response_type": "code",
            "client_id": self._client_id,
            "redirect_uri": redirect_uri,
            "scope": self._scope,
            "state": pending.state,
            "nonce": pending.nonce,
            "code_challenge": base64.urlsafe_b64encode(challenge).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        }
        return f"{endpoint}{'&' if urlsplit(endpoint).query else '?'}{urlencode(asked)}", pending

    async def finish(
        self, pending: Pending, state: str, code: str, redirect_uri: str, now: datetime
    ) -> dict[str, Any]:
        """The claims of whom the provider signed in.

        Args:
            pending: What the browser kept.
            state: What came back with the code.
            code: What the provider gave the browser.
            redirect_uri: As `begin` was given it.
            now: Aware.

        Raises:
            TokenRefused: the answer is of another question, or the identity token must not be taken.
            ProviderAway: the provider does not answer.
            KeysAway: the provider's keys cannot be read.
        """
        if not hmac.compare_digest(pending.state.encode(), state.encode("utf-8", "surrogatepass")):
            raise TokenRefused("this sign-in was not begun in this browser")
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "client_id": self._client_id,
            "code_verifier": pending.verifier,
        }
        status, answer = await self._asked("POST", await self._endpoint("token_endpoint"), form)
        if status != _OK:
            raise TokenRefused(f"the provider refused the code: {_word(answer.get('error'))}")
        token = answer.get("id_token")
        if not isinstance(token, str):
            raise ProviderAway("the provider gave no identity token")
        claims = await self._verifier.verify(token, now)
        if claims.get("nonce") != pending.nonce:
            raise TokenRefused("the identity token was made for another sign-in")
        if claims.get("azp", self._client_id) != self._client_id:
            raise TokenRefused("the identity token was made for another client")
        return claims

    async def _endpoint(self, name: str) -> str:
        """An address of the provider's document, which is read again every hour."""
        if self._monotonic() >= self._due:
            where = f"{self._issuer.rstrip('/')}/.well-known/openid-configuration"
            status, document = await self._asked("GET", where)
            if status != _OK:
                raise ProviderAway(f"the provider's document was answered {status}")
            if document.get("issuer") != self._issuer:
                raise ProviderAway("the provider's document is of another issuer")
            self._endpoints = {each: _address(document, each) for each in _ENDPOINTS}
            self._due = self._monotonic() + _DOCUMENT_LASTS
        return self._endpoints[name]

    async def _asked(
        self, method: str, where: str, form: dict[str, str] | None = None
    ) -> tuple[int, dict[str, Any]]:
        """Status and JSON object of an answer."""
        login = None
        if form is not None and self._client_secret is not None:
            # RFC 6749, section 2.3.1: both are encoded as a form's values before they are joined.
            login = httpx.BasicAuth(quote(self._client_id, safe=""), quote(self._client_secret, safe=""))
        text = b""
        try:
            async with (
                httpx.AsyncClient(timeout=_TIMEOUT, follow_redirects=False) as client,
                client.stream(
                    method, where, data=form, auth=login, headers={"accept": "application/json"}
                ) as answer,
            ):
                async for piece in answer.aiter_bytes():
                    text += piece
                    if len(text) > _LARGEST:
                        raise ProviderAway(f"the provider's answer is longer than {_LARGEST} bytes")
            read = orjson.loads(text)
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise ProviderAway(f"the provider does not answer: {type(error).__name__}") from error
        except orjson.JSONDecodeError:
            raise ProviderAway(f"the provider answered {answer.status_code} without JSON") from None
        if not isinstance(read, dict):
            raise ProviderAway(f"the provider answered {answer.status_code} without a JSON object")
        return answer.status_code, read


def _address(document: dict[str, Any], name: str) -> str:
    try:
        return protected_url(str(document.get(name, "")))
    except ValueError as error:
        raise ProviderAway(f"{name} of the provider's document {error}") from None


def _word(error: object) -> str:
    """An error code of the provider (RFC 6749, section 5.2), as far as it is one."""
    return error if isinstance(error, str) and error.replace("_", "").isalnum() else "no reason given"
