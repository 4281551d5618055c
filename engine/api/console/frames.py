"""Messages as their readers see them, in frames: nothing runs in them, and nothing comes from other hosts."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from starlette.responses import HTMLResponse

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from engine.kernel.runtime import Runtime

__all__ = ["mail_page", "picture_hosts"]

_POLICY = (
    "sandbox; default-src 'none'; img-src data:{pictures}; style-src 'unsafe-inline'; form-action 'none'; "
    "frame-ancestors 'self'"
)
#: What mail programs with a dark design do to a message without one of its own.
_DARK = "<style>:root{color-scheme:dark}body{background:#16171a;color:#e8e8ea}a{color:#8fa9ff}</style>"


def picture_hosts(request: Request) -> str:
    """Sources of a policy: where the pictures that Muster keeps are, by its public address and by the page's own."""
    runtime: Runtime = request.app.state.runtime
    hosts = {
        f"{parts.scheme}://{parts.netloc}/pictures/"
        for parts in (urlsplit(str(runtime.settings.public_url)), urlsplit(str(request.base_url)))
    }
    return " ".join(sorted(hosts))


def mail_page(html: str, *, pictures: str = "", dark: bool = False) -> Response:
    """A message for a frame of a page of ours. Mails have styles of their own, which its policy allows in it alone.

    Args:
        html: The message.
        pictures: Sources of pictures beside those that it brings with it.
        dark: As a mail program with a dark design shows it.
    """
    policy = _POLICY.format(pictures=f" {pictures}" if pictures else "")
    headers = {"content-security-policy": policy, "x-frame-options": "SAMEORIGIN"}
    return HTMLResponse((_DARK if dark else "") + html, headers=headers)
