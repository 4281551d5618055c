"""API keys: `mk_` and 32 random bytes, of which only the SHA-256 is kept, so that a copy of the database opens nothing.

A fast digest is right for it: there is no dictionary of such keys.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

from sqlalchemy import select, update

from engine.inputs import Invalid, check_name
from engine.listing import find
from engine.principal import Principal, Role
from engine.suggestions import did_you_mean
from state.change import clock_of
from state.tables import ApiKey

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

__all__ = [
    "PREFIX",
    "KnownKey",
    "authenticate",
    "create_key",
    "list_keys",
    "note_use",
    "revoke_key",
    "use_is_stale",
]

PREFIX = "mk_"
#: Characters of a key that are kept readable, so that a person can tell keys apart.
_SHOWN = 10
_SHORTEST = 20
#: How exact `last_used_at` is: a write per request would cost more than most requests.
_USE_NOTED_EVERY = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class KnownKey:
    """A key that opens an organization."""

    org_id: UUID
    key_id: UUID
    role: Role
    name: str
    last_used_at: datetime | None

    def principal(self, address: str | None = None) -> Principal:
        """Whoever uses it, from an IP address."""
        return Principal(self.org_id, self.role, f"key:{self.key_id}", self.name, self.key_id, address)


def create_key(
    session: Session, org_id: UUID, name: str, role: str, *, plain: str | None = None
) -> tuple[ApiKey, str]:
    """A new key and its plain text, which exists nowhere else afterwards.

    `role` is viewer, operator or admin. `plain` is the key itself, where an operator fixes it
    (`MUSTER_DEV_API_KEY`); absent: a random one.

    Raises:
        Invalid: name, role or plain cannot be used.
    """
    name = check_name(name)
    known = [known.word for known in Role]
    if role not in known:
        raise Invalid("role", f"{role!r} is none of {', '.join(known)}{did_you_mean(role, known)}")
    if plain is not None and len(plain) < _SHORTEST:
        raise Invalid("plain", f"a key needs at least {_SHORTEST} characters")
    plain = plain or PREFIX + secrets.token_urlsafe(32)
    digest = _digest(plain)
    if session.execute(select(ApiKey.id).where(ApiKey.digest == digest)).first() is not None:
        raise Invalid("plain", "this key exists already")
    key = ApiKey(
        id=uuid4(),
        org_id=org_id,
        name=name,
        role=role,
        prefix=plain[:_SHOWN],
        digest=digest,
        created_at=clock_of(session).now(),
    )
    session.add(key)
    session.flush()
    return key, plain


def authenticate(session: Session, plain: str) -> KnownKey | None:
    """Which key it is; None for an unknown or revoked one. Reads only."""
    found = session.execute(
        select(ApiKey.org_id, ApiKey.id, ApiKey.role, ApiKey.name, ApiKey.last_used_at).where(
            ApiKey.digest == _digest(plain), ApiKey.revoked_at.is_(None)
        )
    ).one_or_none()
    if found is None:
        return None
    return KnownKey(found.org_id, found.id, Role[found.role.upper()], found.name, found.last_used_at)


def note_use(session: Session, key: KnownKey) -> None:
    """Write down that the key is in use, at most once a minute."""
    now = clock_of(session).now()
    session.execute(
        update(ApiKey)
        .where(
            ApiKey.id == key.key_id,
            ApiKey.org_id == key.org_id,
            ApiKey.last_used_at.is_(None) | (ApiKey.last_used_at < now - _USE_NOTED_EVERY),
        )
        .values(last_used_at=now)
        .execution_options(synchronize_session=False)
    )


def use_is_stale(key: KnownKey, now: datetime) -> bool:
    """Whether `note_use` would write."""
    return key.last_used_at is None or key.last_used_at < now - _USE_NOTED_EVERY


def list_keys(session: Session, org_id: UUID) -> list[ApiKey]:
    """The organization's keys, newest first, revoked ones included."""
    return list(
        session.execute(
            select(ApiKey).where(ApiKey.org_id == org_id).order_by(ApiKey.created_at.desc(), ApiKey.id)
        ).scalars()
    )


def revoke_key(session: Session, org_id: UUID, key_id: UUID) -> ApiKey:
    """Shut a key out from the next request on. Revoking it again changes nothing.

    Raises:
        NotFound: the organization has no such key.
    """
    key = find(session, ApiKey, org_id, key_id, lock=True)
    if key.revoked_at is None:
        key.revoked_at = clock_of(session).now()
        session.flush()
    return key


def _digest(plain: str) -> bytes:
    return hashlib.sha256(plain.encode("utf-8", "surrogatepass")).digest()
