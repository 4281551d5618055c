"""Cookies of the console, sent for its own paths alone: the session, a sign-in that an OpenID provider has under
way, a message for the next page, and how pages look.

The session's cookie cannot be read by scripts; it goes with requests from other sites only where somebody follows a
link (`SameSite=Lax`), and over HTTPS alone where `MUSTER_PUBLIC_URL` is one.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

from engine.api.console.paths import ROOT
from engine.authentication.browser_sessions import LONGEST

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from engine.kernel.runtime import Runtime

__all__ = [
    "LANGUAGE",
    "OPENID",
    "SAID",
    "SESSION",
    "THEME",
    "ZONE",
    "csrf_token",
    "drop_cookie",
    "is_token_of",
    "read_said",
    "set_cookie",
    "set_said",
    "set_session",
]

SESSION = "muster_session"
OPENID = "muster_openid"
SAID = "muster_said"
LANGUAGE = "muster_language"
THEME = "muster_theme"
ZONE = "muster_zone"
#: Seconds that a message waits for its page.
_SAID_LASTS = 60
_LONGEST_SAID = 400
_YEAR = 365 * 86400


def set_session(request: Request, response: Response, token: str) -> None:
    """Keep a session in the browser."""
    set_cookie(request, response, SESSION, token, seconds=int(LONGEST.total_seconds()))


def set_said(request: Request, response: Response, text: str) -> None:
    """Keep a message for the next page."""
    set_cookie(request, response, SAID, quote(text[:_LONGEST_SAID]), seconds=_SAID_LASTS)


def read_said(request: Request) -> str:
    """The message that waits; empty: none."""
    return unquote(request.cookies.get(SAID, ""))[:_LONGEST_SAID]


def set_cookie(request: Request, response: Response, name: str, value: str, *, seconds: int = _YEAR) -> None:
    """A cookie for the console's paths that scripts cannot read."""
    runtime: Runtime = request.app.state.runtime
    response.set_cookie(
        name,
        value,
        max_age=seconds,
        path=ROOT,
        httponly=True,
        samesite="lax",
        secure=request.url.scheme == "https" or runtime.settings.public_url.scheme == "https",
    )


def drop_cookie(response: Response, name: str) -> None:
    """Remove a cookie."""
    response.delete_cookie(name, path=ROOT, httponly=True, samesite="lax")


def csrf_token(session_token: str) -> str:
    """What a form of that session carries: only who holds the cookie, or sees the page, can know it."""
    return hmac.new(session_token.encode("utf-8", "surrogatepass"), b"csrf", hashlib.sha256).hexdigest()


def is_token_of(session_token: str, given: str) -> bool:
    """Whether a form's token is the session's."""
    return hmac.compare_digest(csrf_token(session_token).encode(), given.encode("utf-8", "surrogatepass"))
