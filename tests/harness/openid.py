"""An OpenID provider as a process of a test's own (tests.servers.openid)."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import httpx

from tests.harness.child import Server
from tests.harness.ports import free_port

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["OpenIdProvider"]


class OpenIdProvider(Server):
    """Makes tokens, as the test says."""

    def __init__(self, directory: Path, name: str = "openid") -> None:
        port = free_port()
        command = [sys.executable, "-m", "tests.servers.openid", "--port", str(port)]
        super().__init__(name, command, directory=directory, port=port)
        self.issuer = f"http://127.0.0.1:{port}"
        self.jwks = f"{self.issuer}/jwks"

    def access_token(self, **claims: Any) -> str:
        """A token as a client gets one by its own credentials, with these claims."""
        self._tell("PUT", "claims", claims)
        form = {"grant_type": "client_credentials"}
        answer = httpx.post(f"{self.issuer}/token", data=form, timeout=10).raise_for_status()
        return str(answer.json()["access_token"])

    def sign_in_as(self, claims: dict[str, Any]) -> None:
        """Whom it signs in from now on."""
        self._tell("PUT", "claims", claims)

    def expect_client(self, client_id: str, secret: str) -> None:
        """Have codes redeemed by that client alone."""
        self._tell("PUT", "client", {"id": client_id, "secret": secret})

    def sign(
        self, claims: dict[str, Any], header: dict[str, Any] | None = None, *, alg: str = "RS256"
    ) -> str:
        """A token with that payload; `header` is added to `alg` and `kid`."""
        whole = {"alg": alg, "kid": f"{alg}-1", **(header or {})}
        return self._tell("POST", "sign", {"header": whole, "claims": claims}).text

    def rotate(self, alg: str = "RS256") -> str:
        """Replace the key of an algorithm; the new one's id."""
        return str(self._tell("POST", "rotate", {"alg": alg}).json()["kid"])

    def serve_keys(self, mode: str) -> None:
        """From now on: `served`, `error`, `garbage`, `redirect`, `silent`."""
        self._tell("PUT", "jwks", {"mode": mode})

    @property
    def fetches(self) -> int:
        """How often its keys were asked for."""
        return int(self._tell("GET", "stats").json()["jwks"])

    def _tell(self, method: str, what: str, body: Any = None) -> httpx.Response:
        answer = httpx.request(method, f"{self.issuer}/-/{what}", json=body, timeout=10)
        return answer.raise_for_status()
