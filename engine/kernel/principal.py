"""Who makes a request, or runs a command: the one identity that every way in ends at.

An API key or a token of an OpenID provider (engine.authentication) becomes a `Principal`. A session that writes carries
it, so that whatever is recorded about a change names its author.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy.orm import Session

__all__ = ["Principal", "Role", "lend_principal", "principal_of"]

#: Under which a session carries the principal of its transaction.
_LENT = "principal"


class Role(IntEnum):
    """What a principal may do; each may do what the ones before it may."""

    VIEWER = 1
    """Reads."""
    OPERATOR = 2
    """Changes campaigns, audiences and content."""
    ADMIN = 3
    """Also channels, with their credentials, requests of actions, and keys."""

    @property
    def word(self) -> str:
        """As it is stored and shown."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Principal:
    """Somebody whose credentials were checked."""

    org_id: UUID
    role: Role
    subject: str
    """Unique in the organization and stable: `key:<id>` of an API key, `jwt:` and a token's `sub`."""
    name: str
    """What people call it: the key's name, a token's `name`, else its subject."""
    key_id: UUID | None = None
    """Of an API key."""
    address: str | None = None
    """The IP address that the request came from."""
    expires_at: datetime | None = None
    """From when on its credential opens nothing; None: until it is revoked."""


def lend_principal(session: Session, principal: Principal) -> None:
    """Let what is written in `session` know its author."""
    session.info[_LENT] = principal


def principal_of(session: Session) -> Principal | None:
    """The author of what `session` writes; None: the process itself."""
    principal: Principal | None = session.info.get(_LENT)
    return principal
