"""An OpenID provider as a process: `python -m tests.servers.openid --port N`.

| request | what it does |
|---|---|
| `GET /.well-known/openid-configuration` | its document (OpenID Connect Discovery) |
| `GET /jwks` | its public keys |
| `GET /authorize?…` | consents for `subject`, and sends the browser back with a code (PKCE, `state`, `nonce`) |
| `POST /token` | a code, or a client's own credentials, for tokens |
| `PUT /-/claims {…}` | claims that its tokens have from now on |
| `PUT /-/client {id, secret}` | codes are redeemed by that client alone (HTTP Basic) from now on |
| `POST /-/sign {header, claims, payload?}` | a token signed with the key of `header.kid` |
| `POST /-/rotate {alg}` | makes a key and forgets the others of that algorithm; answers its `kid` |
| `PUT /-/jwks {mode}` | `served`, `error` (500), `garbage`, `redirect`, or `silent` (no answer) |
| `GET /-/stats` | `{jwks}`: how often the keys were asked for |
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import hashlib
import secrets
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlencode

import uvicorn
from joserfc import jws
from joserfc.jwk import ECKey, OKPKey, RSAKey
from starlette.applications import Starlette
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse
from starlette.routing import Route

if TYPE_CHECKING:
    from joserfc.jwk import Key
    from starlette.requests import Request
    from starlette.responses import Response

__all__ = ["main", "new_key", "signed"]

_LIFE = 300


def new_key(algorithm: str, kid: str) -> Key:
    """A private key of an algorithm."""
    parameters: Any = {"kid": kid, "use": "sig", "alg": algorithm}
    match algorithm:
        case "RS256":
            return RSAKey.generate_key(2048, parameters)
        case "ES256":
            return ECKey.generate_key("P-256", parameters)
        case _:
            return OKPKey.generate_key("Ed25519", parameters)


class _AsTold(jws.JWSRegistry):
    """Signs with whatever header it is given."""

    def get_alg(self, name: str) -> Any:
        return self.algorithms[name]

    def check_header(self, header: Any) -> None:
        """Nothing is refused."""


def signed(header: dict[str, Any], payload: bytes, key: Key) -> str:
    """A token in the compact form."""
    return jws.serialize_compact(header, payload, key, registry=_AsTold())


class Provider:
    """Its keys, and what it was told."""

    def __init__(self, issuer: str) -> None:
        self.issuer = issuer
        self.keys = [new_key(alg, f"{alg}-1") for alg in ("RS256", "ES256", "EdDSA")]
        self.claims: dict[str, Any] = {"sub": "ada", "name": "Ada"}
        self.mode = "served"
        self.asked = 0
        self.made = 1
        self.codes: dict[str, dict[str, str]] = {}
        self.client: tuple[str, str] | None = None

    async def discovery(self, request: Request) -> Response:
        return JSONResponse(
            {
                "issuer": self.issuer,
                "authorization_endpoint": f"{self.issuer}/authorize",
                "token_endpoint": f"{self.issuer}/token",
                "jwks_uri": f"{self.issuer}/jwks",
                "response_types_supported": ["code"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["RS256", "ES256", "EdDSA"],
                "code_challenge_methods_supported": ["S256"],
            }
        )

    async def jwks(self, request: Request) -> Response:
        self.asked += 1
        match self.mode:
            case "error":
                return PlainTextResponse("broken", 500)
            case "garbage":
                return PlainTextResponse('{"keys": [{"kty": "RS')
            case "redirect":
                return RedirectResponse("/elsewhere")
            case "silent":
                await asyncio.Event().wait()
        return JSONResponse({"keys": [key.as_dict(private=False) for key in self.keys]})

    async def authorize(self, request: Request) -> Response:
        asked = dict(request.query_params)
        code = secrets.token_urlsafe(16)
        self.codes[code] = asked
        back = urlencode({"code": code, "state": asked.get("state", "")})
        return RedirectResponse(f"{asked['redirect_uri']}?{back}")

    async def token(self, request: Request) -> Response:
        form = dict(parse_qsl((await request.body()).decode()))
        if form.get("grant_type") == "client_credentials":
            return JSONResponse(
                {"access_token": self._token(form.get("audience", "")), "token_type": "Bearer"}
            )
        if self.client is not None and _login(request) != self.client:
            return JSONResponse({"error": "invalid_client"}, 401)
        asked = self.codes.pop(form.get("code", ""), None)
        if asked is None or not _proves(form.get("code_verifier", ""), asked):
            return JSONResponse({"error": "invalid_grant"}, 400)
        nonce = {"nonce": asked["nonce"]} if "nonce" in asked else {}
        answer = {
            "access_token": self._token(asked["client_id"]),
            "id_token": self._token(asked["client_id"], **nonce),
            "token_type": "Bearer",
            "expires_in": _LIFE,
        }
        return JSONResponse(answer)

    def _token(self, audience: str, **more: Any) -> str:
        now = time.time()
        claims = {"iss": self.issuer, "aud": audience, "iat": now, "exp": now + _LIFE, **more, **self.claims}
        key = self.keys[0]
        return signed({"alg": key.alg, "kid": key.kid}, _json(claims), key)

    async def tell(self, request: Request) -> Response:
        """Do as the test says."""
        body = await request.json() if request.method != "GET" else {}
        match request.path_params["what"]:
            case "claims":
                self.claims = body
            case "client":
                self.client = (body["id"], body["secret"])
            case "sign":
                key = next(key for key in self.keys if key.kid == body["header"]["kid"])
                return PlainTextResponse(signed(body["header"], _json(body["claims"]), key))
            case "rotate":
                self.made += 1
                key = new_key(body["alg"], f"{body['alg']}-{self.made}")
                self.keys = [*(one for one in self.keys if one.alg != body["alg"]), key]
                return JSONResponse({"kid": key.kid})
            case "jwks":
                self.mode = body["mode"]
            case "stats":
                return JSONResponse({"jwks": self.asked})
        return JSONResponse({})


def _login(request: Request) -> tuple[str, str]:
    """Client and password of HTTP Basic (RFC 6749, section 2.3.1)."""
    given = base64.b64decode(request.headers.get("authorization", "").removeprefix("Basic ")).decode()
    name, _, password = given.partition(":")
    return unquote(name), unquote(password)


def _json(claims: dict[str, Any]) -> bytes:
    return JSONResponse(claims).body  # type: ignore[return-value]


def _proves(verifier: str, asked: dict[str, str]) -> bool:
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    return challenge == asked.get("code_challenge")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--port", type=int, required=True)
    port = parser.parse_args().port
    provider = Provider(f"http://127.0.0.1:{port}")
    app = Starlette(
        routes=[
            Route("/.well-known/openid-configuration", provider.discovery),
            Route("/jwks", provider.jwks),
            Route("/authorize", provider.authorize),
            Route("/token", provider.token, methods=["POST"]),
            Route("/-/{what}", provider.tell, methods=["GET", "PUT", "POST"]),
        ]
    )
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning")


if __name__ == "__main__":
    main()
