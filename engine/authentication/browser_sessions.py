"""Sessions of browsers: who is signed in to the console, for how long, and what ends it.

A session is known by 32 random bytes that the browser's cookie holds; the database keeps their SHA-256 (a fast digest
is right for it: nobody guesses them). It ends `LONGEST` after it began, or when it was not used for `IDLE`, or when
somebody ends it, or when the API key that it began with is revoked: each request looks. A session that an identity
provider opened has no key; its role is the one of the principal that it began with.

A sign-in code is a link that opens one session, once, within `CODE_LASTS`: for somebody at the terminal of the machine,
who has the key anyway and need not copy it.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

from sqlalchemy import delete, func, or_, select, update

from engine.kernel.listing import find
from engine.kernel.principal import Principal, Role
from state.change import clock_of
from state.tables import ApiKey, BrowserSession, Organization, SignInCode

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

__all__ = [
    "CODE_LASTS",
    "IDLE",
    "LONGEST",
    "SignedIn",
    "begin_session",
    "end_session",
    "forget_sessions",
    "list_sessions",
    "make_sign_in_code",
    "note_seen",
    "seen_is_stale",
    "session_of",
    "take_sign_in_code",
]

LONGEST = timedelta(hours=12)
IDLE = timedelta(hours=2)
CODE_LASTS = timedelta(minutes=15)
#: How exact `seen_at` is: a write per request would cost more than most requests.
_SEEN_EVERY = timedelta(minutes=1)
#: How long a session that ended is listed.
_KEPT = timedelta(days=30)
#: Sessions that are listed.
_MOST = 200
_LONGEST_AGENT = 200


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A session that is valid now."""

    id: UUID
    principal: Principal
    organization: str
    """Its name."""
    time_zone: str | None
    """The organization's (IANA)."""
    seen_at: datetime
    expires_at: datetime


def begin_session(session: Session, principal: Principal, *, agent: str = "") -> str:
    """A new session of `principal`; returns what its cookie holds, which exists nowhere else afterwards.

    Args:
        agent: What the browser calls itself.
    """
    token = secrets.token_urlsafe(32)
    now = clock_of(session).now()
    session.add(
        BrowserSession(
            id=uuid4(),
            org_id=principal.org_id,
            digest=_digest(token),
            key_id=principal.key_id,
            subject=principal.subject,
            name=principal.name,
            role=principal.role.word,
            address=principal.address,
            agent=agent[:_LONGEST_AGENT],
            created_at=now,
            seen_at=now,
            expires_at=now + LONGEST,
        )
    )
    session.flush()
    return token


def session_of(session: Session, token: str, address: str | None = None) -> SignedIn | None:
    """The session that a cookie holds; None: there is none, or it has ended. One statement; reads only.

    Args:
        address: The IP address that the request comes from.
    """
    now = clock_of(session).now()
    role = func.coalesce(ApiKey.role, BrowserSession.role)
    found = session.execute(
        select(BrowserSession, role, Organization.name, Organization.time_zone)
        .join(Organization, Organization.id == BrowserSession.org_id)
        .outerjoin(ApiKey, ApiKey.id == BrowserSession.key_id)
        .where(
            BrowserSession.digest == _digest(token),
            BrowserSession.ended_at.is_(None),
            BrowserSession.expires_at > now,
            BrowserSession.seen_at > now - IDLE,
            ApiKey.revoked_at.is_(None),
        )
    ).one_or_none()
    if found is None:
        return None
    row, word, organization, time_zone = found
    principal = Principal(row.org_id, Role[word.upper()], row.subject, row.name, row.key_id, address)
    return SignedIn(row.id, principal, organization, time_zone, row.seen_at, row.expires_at)


def seen_is_stale(signed_in: SignedIn, now: datetime) -> bool:
    """Whether `note_seen` would write."""
    return signed_in.seen_at < now - _SEEN_EVERY


def note_seen(session: Session, signed_in: SignedIn) -> None:
    """Write down that the session is in use."""
    session.execute(
        update(BrowserSession)
        .where(BrowserSession.id == signed_in.id, BrowserSession.org_id == signed_in.principal.org_id)
        .values(seen_at=clock_of(session).now())
        .execution_options(synchronize_session=False)
    )


def end_session(session: Session, org_id: UUID, session_id: UUID) -> None:
    """Sign a browser out, from its next request on. Ending it again changes nothing.

    Raises:
        NotFound: the organization has no such session.
    """
    row = find(session, BrowserSession, org_id, session_id, lock=True)
    if row.ended_at is None:
        row.ended_at = clock_of(session).now()
        session.flush()


def list_sessions(session: Session, org_id: UUID) -> list[BrowserSession]:
    """The organization's sessions, newest first, those that ended lately included; at most 200."""
    return list(
        session.scalars(
            select(BrowserSession)
            .where(BrowserSession.org_id == org_id)
            .order_by(BrowserSession.created_at.desc(), BrowserSession.id)
            .limit(_MOST)
        )
    )


def make_sign_in_code(session: Session, org_id: UUID, key_id: UUID) -> str:
    """A code that opens one session of that API key; returns it, and keeps its digest."""
    code = secrets.token_urlsafe(32)
    expires_at = clock_of(session).now() + CODE_LASTS
    session.add(
        SignInCode(id=uuid4(), org_id=org_id, digest=_digest(code), key_id=key_id, expires_at=expires_at)
    )
    session.flush()
    return code


def take_sign_in_code(session: Session, code: str, address: str | None = None) -> Principal | None:
    """Whose session the code opens; None: it was used, is too old, or its key was revoked. It is gone afterwards, and
    of two requests that hold it one gets the principal.
    """
    now = clock_of(session).now()
    found = session.execute(
        select(SignInCode.id, ApiKey.id, ApiKey.org_id, ApiKey.role, ApiKey.name)
        .join(ApiKey, ApiKey.id == SignInCode.key_id)
        .where(SignInCode.digest == _digest(code), SignInCode.expires_at > now, ApiKey.revoked_at.is_(None))
    ).one_or_none()
    if found is None:
        return None
    code_id, key_id, org_id, role, name = found
    gone = session.execute(
        delete(SignInCode)
        .where(SignInCode.id == code_id, SignInCode.org_id == org_id)
        .execution_options(synchronize_session=False)
    )
    if gone.rowcount != 1:  # type: ignore[attr-defined]
        return None
    return Principal(org_id, Role[role.upper()], f"key:{key_id}", name, key_id, address)


def forget_sessions(session: Session) -> int:
    """Remove sessions that ended long ago, and codes that nobody used; returns how many."""
    now = clock_of(session).now()
    ended = session.execute(
        delete(BrowserSession)
        .where(or_(BrowserSession.expires_at < now - _KEPT, BrowserSession.ended_at < now - _KEPT))
        .execution_options(synchronize_session=False)
    )
    unused = session.execute(
        delete(SignInCode).where(SignInCode.expires_at < now).execution_options(synchronize_session=False)
    )
    return int(ended.rowcount + unused.rowcount)  # type: ignore[attr-defined]


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
