"""Organizations and their API keys.

A key is `mk_` and 32 random bytes; only its SHA-256 is kept, so a copy of the database opens nothing. A fast
digest is right for it: there is no dictionary of such keys.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

from pydantic import TypeAdapter, ValidationError
from sqlalchemy import select, update

from engine.channels.addresses import Region  # noqa: TC001 - pydantic reads it
from engine.inputs import Input, Invalid, Name, explain, unstorable
from engine.limits.changes import limits_changed
from engine.limits.config import OrganizationLimits, TimeZone, stored
from engine.listing import find
from engine.suggestions import did_you_mean
from state.change import clock_of
from state.tables import ApiKey, Organization, Template, Touchpoint

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

__all__ = [
    "PREFIX",
    "OrganizationChange",
    "Principal",
    "Role",
    "authenticate",
    "create_key",
    "create_organization",
    "find_organization",
    "get_organization",
    "key_name",
    "list_keys",
    "list_organizations",
    "note_use",
    "revoke_key",
    "update_organization",
    "use_is_stale",
]

PREFIX = "mk_"
#: Characters of a key that are kept readable, so that a person can tell keys apart.
_SHOWN = 10
_SHORTEST = 20
#: How exact `last_used_at` is: a write per request would cost more than most requests.
_USE_NOTED_EVERY = timedelta(minutes=1)

_name: TypeAdapter[str] = TypeAdapter(Name)


class Role(IntEnum):
    """What a key may do; each may do what the ones before it may."""

    VIEWER = 1
    """Reads."""
    OPERATOR = 2
    """Changes campaigns, audiences and content."""
    ADMIN = 3
    """Also channels, with their credentials, and keys."""

    @property
    def word(self) -> str:
        """As it is stored and shown."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Principal:
    """Whoever a key belongs to."""

    org_id: UUID
    key_id: UUID
    role: Role
    last_used_at: datetime | None


def create_organization(session: Session, name: str) -> Organization:
    """A new tenant.

    Raises:
        Invalid: the name cannot be used, or is taken.
    """
    name = _checked(name)
    # Two at once may both find it free; then the unique constraint ends the later transaction.
    if find_organization(session, name) is not None:
        raise Invalid("name", f"there is an organization {name!r} already")
    organization = Organization(id=uuid4(), name=name, created_at=clock_of(session).now())
    session.add(organization)
    session.flush()
    return organization


def find_organization(session: Session, name: str) -> Organization | None:
    """The organization of that name."""
    return session.execute(select(Organization).where(Organization.name == name)).scalar_one_or_none()


class OrganizationChange(Input):
    """What is to be different; what is not given stays, null empties."""

    time_zone: TimeZone | None = None
    """Of recipients whose own is not known (IANA)."""
    region: Region | None = None
    """The country (ISO 3166-1) of phone numbers without a country code."""
    limits: OrganizationLimits | None = None
    """A rate, a frequency cap, send windows and quiet hours, for all campaigns together; replaced whole."""


def get_organization(session: Session, org_id: UUID) -> Organization:
    """The organization that somebody's key belongs to."""
    return session.get_one(Organization, org_id)


def update_organization(session: Session, org_id: UUID, given: OrganizationChange) -> Organization:
    """Change an organization; limits take effect at once."""
    organization = session.get_one(Organization, org_id, with_for_update={"key_share": True})
    fields = given.model_fields_set
    if "time_zone" in fields and given.time_zone != organization.time_zone:
        organization.time_zone = given.time_zone
        _recompile(session, org_id)
    if "region" in fields:
        organization.region = given.region
    if "limits" in fields:
        organization.limits = stored(given.limits)
    if fields:
        session.flush()
        limits_changed(session, org_id)
        session.refresh(organization)
    return organization


def _recompile(session: Session, org_id: UUID) -> None:
    """Have workers build anew what they keep until its row changes: dates in messages follow the time zone."""
    now = clock_of(session).now()
    for table, kept in ((Template, Template.time_zone.is_(None)), (Touchpoint, Touchpoint.type == "message")):
        session.execute(
            update(table)
            .where(table.org_id == org_id, kept)
            .values(updated_at=now)
            .execution_options(synchronize_session=False)
        )


def list_organizations(session: Session) -> list[Organization]:
    """All of them, by name."""
    return list(session.execute(select(Organization).order_by(Organization.name)).scalars())


def create_key(
    session: Session, org_id: UUID, name: str, role: str, *, plain: str | None = None
) -> tuple[ApiKey, str]:
    """A new key and its plain text, which exists nowhere else afterwards.

    `role` is viewer, operator or admin. `plain` is the key itself, where an operator fixes it
    (`MUSTER_DEV_API_KEY`); absent: a random one.

    Raises:
        Invalid: name, role or plain cannot be used.
    """
    name = _checked(name)
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


def authenticate(session: Session, plain: str) -> Principal | None:
    """Whom a key belongs to; None for an unknown or revoked one. Reads only."""
    found = session.execute(
        select(ApiKey.org_id, ApiKey.id, ApiKey.role, ApiKey.last_used_at).where(
            ApiKey.digest == _digest(plain), ApiKey.revoked_at.is_(None)
        )
    ).one_or_none()
    if found is None:
        return None
    return Principal(found.org_id, found.id, Role[found.role.upper()], found.last_used_at)


def note_use(session: Session, principal: Principal) -> None:
    """Write down that the key is in use, at most once a minute."""
    now = clock_of(session).now()
    session.execute(
        update(ApiKey)
        .where(
            ApiKey.id == principal.key_id,
            ApiKey.org_id == principal.org_id,
            ApiKey.last_used_at.is_(None) | (ApiKey.last_used_at < now - _USE_NOTED_EVERY),
        )
        .values(last_used_at=now)
        .execution_options(synchronize_session=False)
    )


def use_is_stale(principal: Principal, now: datetime) -> bool:
    """Whether `note_use` would write."""
    return principal.last_used_at is None or principal.last_used_at < now - _USE_NOTED_EVERY


def list_keys(session: Session, org_id: UUID) -> list[ApiKey]:
    """The organization's keys, newest first, revoked ones included."""
    return list(
        session.execute(
            select(ApiKey).where(ApiKey.org_id == org_id).order_by(ApiKey.created_at.desc(), ApiKey.id)
        ).scalars()
    )


def key_name(session: Session, org_id: UUID, key_id: UUID) -> str | None:
    """What a key is called; None when it is gone."""
    return session.execute(
        select(ApiKey.name).where(ApiKey.id == key_id, ApiKey.org_id == org_id)
    ).scalar_one_or_none()


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


def _checked(name: str) -> str:
    trouble = unstorable(name)
    if trouble is not None:
        raise Invalid("name", trouble[1])
    try:
        return _name.validate_python(name)
    except ValidationError as error:
        raise Invalid("name", explain(error.errors()).message) from None


def _digest(plain: str) -> bytes:
    return hashlib.sha256(plain.encode("utf-8", "surrogatepass")).digest()
