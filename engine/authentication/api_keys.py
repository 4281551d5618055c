"""API keys: `mk_` and 32 random bytes, of which only the SHA-256 is kept, so that a copy of the database opens nothing.

A fast digest is right for it: there is no dictionary of such keys.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Annotated
from uuid import UUID, uuid4

from pydantic import AfterValidator, Field
from sqlalchemy import and_, func, or_, select, update

from config.errors import MusterError
from engine.kernel.inputs import Input, InUse, Invalid, Name, check_name
from engine.kernel.instants import WrittenInstant  # noqa: TC001 - pydantic reads it
from engine.kernel.listing import Page, find, page
from engine.kernel.principal import Principal, Role
from engine.kernel.suggestions import did_you_mean
from state.change import clock_of
from state.sets import among
from state.tables import ApiKey

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sqlalchemy.orm import Session

__all__ = [
    "MOST_KEYS",
    "PREFIX",
    "KeyInput",
    "KeyRotation",
    "KnownKey",
    "RoleTooHigh",
    "authenticate",
    "create_key",
    "ended_keys",
    "get_key",
    "keys_called",
    "list_keys",
    "looks_like_token",
    "make_key",
    "note_use",
    "revoke_key",
    "rotate_key",
    "use_is_stale",
]

PREFIX = "mk_"
#: Between the parts of a token; no key has as many.
_DOTS_OF_TOKENS = 2
#: Keys of an organization that open it at the same time.
MOST_KEYS = 1000
#: Characters of a key that are kept readable, so that a person can tell keys apart.
_SHOWN = 10
_SHORTEST = 20
#: How exact `last_used_at` is: a write per request would cost more than most requests.
_USE_NOTED_EVERY = timedelta(minutes=1)
#: How long the old key may go on after a rotation, in seconds.
_LONGEST_OVERLAP = 30 * 86_400


class RoleTooHigh(MusterError):
    """Nobody makes, or takes over, a key that may do more than their own."""


def _network(text: str) -> str:
    """An address or network in its usual spelling.

    Raises:
        ValueError: it is none.
    """
    try:
        return str(ip_network(text.strip()))
    except ValueError:
        raise ValueError("is no network like 192.0.2.0/24, and no address") from None


Networks = Annotated[list[Annotated[str, AfterValidator(_network)]], Field(min_length=1, max_length=50)]


class KeyInput(Input):
    """A key to be made."""

    name: Name
    role: str = Role.OPERATOR.word
    """viewer, operator or admin."""
    expires_at: WrittenInstant | None = None
    """From when on it opens nothing; absent: it is good until it is revoked."""
    networks: Networks | None = None
    """The networks that it may be used from (`192.0.2.0/24`, `2001:db8::/32`); absent: anywhere."""


class KeyRotation(Input):
    """How a key is replaced."""

    overlap_seconds: Annotated[int, Field(ge=0, le=_LONGEST_OVERLAP)] = 0
    """How long the old one goes on beside the new."""


@dataclass(frozen=True, slots=True)
class KnownKey:
    """A key that opens an organization."""

    org_id: UUID
    key_id: UUID
    role: Role
    name: str
    last_used_at: datetime | None
    expires_at: datetime | None = None
    networks: Sequence[str] | None = None

    def principal(self, address: str | None = None) -> Principal:
        """The principal that uses it, from an IP address."""
        subject = f"key:{self.key_id}"
        return Principal(
            self.org_id, self.role, subject, self.name, self.key_id, address, expires_at=self.expires_at
        )

    def may_come_from(self, address: str | None) -> bool:
        """Whether it may be used from an IP address; None: it is not known."""
        if self.networks is None:
            return True
        try:
            came_from = ip_address((address or "").partition("%")[0])
        except ValueError:
            return False
        inner = getattr(came_from, "ipv4_mapped", None) or came_from
        return any(inner in ip_network(network) for network in self.networks)


def create_key(
    session: Session, org_id: UUID, name: str, role: str, *, plain: str | None = None
) -> tuple[ApiKey, str]:
    """A new key, as `make_key`, that is good until it is revoked, from anywhere.

    Args:
        plain: The key itself, where an operator fixes it (`MUSTER_DEV_API_KEY`); absent: a random one.

    Raises:
        Invalid: name, role or plain cannot be used.
    """
    return make_key(session, org_id, KeyInput(name=check_name(name), role=role), plain=plain)


def make_key(
    session: Session, org_id: UUID, given: KeyInput, *, within: Role = Role.ADMIN, plain: str | None = None
) -> tuple[ApiKey, str]:
    """A new key and its plain text, which exists nowhere else afterwards.

    Args:
        within: The highest role that it may have.
        plain: The key itself; absent: a random one.

    Raises:
        Invalid: a value cannot be used.
        RoleTooHigh: its role would be above `within`.
        InUse: the organization has `MOST_KEYS`.
    """
    now = clock_of(session).now()
    role = _role(given.role)
    if role > within:
        raise RoleTooHigh(f"your own role is {within.word}: you cannot make a key that is {role.word}")
    if given.expires_at is not None and given.expires_at <= now:
        raise Invalid("expires_at", "lies in the past")
    if plain is not None and len(plain) < _SHORTEST:
        raise Invalid("plain", f"a key needs at least {_SHORTEST} characters")
    if plain is not None and looks_like_token(plain):
        raise Invalid("plain", "a key with two dots would be read as a token")
    plain = plain or PREFIX + secrets.token_urlsafe(32)
    digest = _digest(plain)
    if session.execute(select(ApiKey.id).where(ApiKey.digest == digest)).first() is not None:
        raise Invalid("plain", "this key exists already")
    good = select(func.count()).where(
        ApiKey.org_id == org_id,
        ApiKey.revoked_at.is_(None),
        or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > now),
    )
    if session.execute(good).scalar_one() >= MOST_KEYS:
        raise InUse(f"the organization has {MOST_KEYS} keys that are good; revoke those that nobody needs")
    key = ApiKey(
        id=uuid4(),
        org_id=org_id,
        name=given.name,
        role=role.word,
        prefix=plain[:_SHOWN],
        digest=digest,
        created_at=now,
        expires_at=given.expires_at,
        networks=given.networks,
    )
    session.add(key)
    session.flush()
    return key, plain


def authenticate(session: Session, plain: str) -> KnownKey | None:
    """Which key it is; None for an unknown, revoked or expired one. Reads only."""
    columns = (ApiKey.org_id, ApiKey.id, ApiKey.role, ApiKey.name, ApiKey.last_used_at)
    found = session.execute(
        select(*columns, ApiKey.expires_at, ApiKey.networks).where(
            ApiKey.digest == _digest(plain), ApiKey.revoked_at.is_(None)
        )
    ).one_or_none()
    if found is None or (found.expires_at is not None and found.expires_at <= clock_of(session).now()):
        return None
    return KnownKey(
        found.org_id,
        found.id,
        Role[found.role.upper()],
        found.name,
        found.last_used_at,
        found.expires_at,
        found.networks,
    )


def ended_keys(session: Session, key_ids: Collection[UUID]) -> set[UUID]:
    """Which of these keys, of any organization, open nothing any more. Primary key."""
    now = clock_of(session).now()
    good = select(ApiKey.id).where(
        among(session, ApiKey.id, key_ids),
        ApiKey.revoked_at.is_(None),
        or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > now),
    )
    return set(key_ids) - set(session.execute(good).scalars())


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


def list_keys(
    session: Session,
    org_id: UUID,
    *,
    limit: int = 25,
    next: str | None = None,  # noqa: A002
) -> Page[ApiKey]:
    """The organization's keys, newest first, revoked ones included; see `listing.page`."""
    return page(session, ApiKey, org_id, limit=limit, next=next)


def keys_called(session: Session, org_id: UUID, wanted: str) -> list[ApiKey]:
    """The organization's key of that id, else its keys of that name or with these first characters that were not
    revoked; two at most.
    """
    try:
        known = ApiKey.id == UUID(wanted)
    except ValueError:
        called = or_(ApiKey.name == wanted, ApiKey.prefix.startswith(wanted, autoescape=True))
        known = and_(ApiKey.revoked_at.is_(None), called)
    return list(session.scalars(select(ApiKey).where(ApiKey.org_id == org_id, known).limit(2)))


def get_key(session: Session, org_id: UUID, key_id: UUID) -> ApiKey:
    """One of the organization's keys.

    Raises:
        NotFound: the organization has no such key.
    """
    return find(session, ApiKey, org_id, key_id)


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


def rotate_key(
    session: Session, org_id: UUID, key_id: UUID, given: KeyRotation, *, within: Role = Role.ADMIN
) -> tuple[ApiKey, str]:
    """A new key with the name, role, expiry and networks of an old one, which is shut out, or ends after the overlap.

    Raises:
        NotFound: the organization has no such key.
        InUse: it is revoked or has expired: there is nothing to go on with.
        RoleTooHigh: its role is above `within`.
    """
    old = find(session, ApiKey, org_id, key_id, lock=True)
    now = clock_of(session).now()
    if old.revoked_at is not None or (old.expires_at is not None and old.expires_at <= now):
        raise InUse("this key opens nothing any more; make a new one")
    wanted = KeyInput(name=old.name, role=old.role, expires_at=old.expires_at, networks=old.networks)
    made = make_key(session, org_id, wanted, within=within)
    if given.overlap_seconds:
        until = now + timedelta(seconds=given.overlap_seconds)
        old.expires_at = until if old.expires_at is None else min(until, old.expires_at)
    else:
        old.revoked_at = now
    session.flush()
    return made


def _role(word: str) -> Role:
    known = [known.word for known in Role]
    if word not in known:
        raise Invalid("role", f"{word!r} is none of {', '.join(known)}{did_you_mean(word, known)}")
    return Role[word.upper()]


def _digest(plain: str) -> bytes:
    return hashlib.sha256(plain.encode("utf-8", "surrogatepass")).digest()


def looks_like_token(credential: str) -> bool:
    """Whether a credential is a token of an OpenID provider: three parts between two dots. API keys have no dot."""
    return credential.count(".") == _DOTS_OF_TOKENS
