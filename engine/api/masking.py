"""What a viewer is not shown of settings: headers, and the parts of addresses in which services take their tokens.

Credentials are write-only for everybody. Headers and URLs of actions, of HTTP channels and of webhooks are settings,
which those who may write them read; to a viewer they say where a request goes, and nothing that it could be made with.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from engine.kernel.principal import Role

if TYPE_CHECKING:
    from engine.kernel.principal import Principal

__all__ = ["masked_address", "shown_settings", "shown_url"]

_HIDDEN = "***"
_URL = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_SECRETS = re.compile(
    r"authorization|token|secret|password|api[-_]?key|access[-_]?key|credential|signature|bearer",
    re.IGNORECASE,
)
#: A segment of a path that is as long may be a token.
_LONGEST = 15


def shown_settings(principal: Principal, settings: Any) -> Any:
    """Settings as somebody may see them."""
    return settings if principal.role > Role.VIEWER else _masked(settings)


def shown_url(principal: Principal, url: str) -> str:
    """The address of a webhook as somebody may see it: of a viewer's only where it leads."""
    return url if principal.role > Role.VIEWER else masked_address(url, path=False)


def masked_address(url: str, *, path: bool = True) -> str:
    """An address without user, query and, of its path, what may be a token (all of it, without `path`)."""
    split = urlsplit(url)
    host = split.netloc.rpartition("@")[2]
    segments = [_HIDDEN if len(one) > _LONGEST and "{" not in one else one for one in split.path.split("/")]
    shown = "/".join(segments) if path else f"/{_HIDDEN}" if split.path.strip("/") else split.path
    query = f"?{_HIDDEN}" if split.query else ""
    return f"{split.scheme}://{host}{shown}{query}"


def _masked(value: Any, *, hidden: bool = False) -> Any:
    if isinstance(value, dict):
        return {
            name: _masked(item, hidden=hidden or name.lower() == "headers" or bool(_SECRETS.search(name)))
            for name, item in value.items()
        }
    if isinstance(value, list):
        return [_masked(item, hidden=hidden) for item in value]
    if hidden and isinstance(value, str):
        return _HIDDEN
    return masked_address(value) if isinstance(value, str) and _URL.match(value) else value
