"""Tokens of an OpenID provider (JWT, RFC 7519): whose they are, and what they may do.

A token is taken where all of this holds; anything else is refused with the reason, and a reason never quotes a token:

- it is signed with RS256, ES256 or EdDSA by a key of the issuer's set (`openid_keys`) that is of the algorithm's
  type, and carries no key, no place of one and no critical extension of its own;
- `iss` is the issuer exactly, `aud` is or holds the audience;
- `exp` lies ahead and `nbf`, `iat` do not, with `LEEWAY` for clocks that differ;
- the organization's claim names one that is here, by name or id, and the role's claim a role, or is absent: viewer.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from joserfc import jwt
from joserfc.errors import (
    BadSignatureError,
    ExpiredTokenError,
    InvalidClaimError,
    JoseError,
    MissingClaimError,
    UnsupportedAlgorithmError,
)
from joserfc.jws import JWSRegistry, extract_compact

from config.errors import MusterError
from engine.authentication.openid_keys import KeysAway, TokenKeys
from engine.kernel.inputs import unstorable
from engine.kernel.principal import Principal, Role
from engine.organizations import find_organization
from state.tables import Organization

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from config.settings import Settings

__all__ = ["LEEWAY", "KeysAway", "TokenPolicy", "TokenRefused", "TokenVerifier"]

#: How much clocks may differ.
LEEWAY = timedelta(seconds=60)
#: What signs, and keys of which type.
_KEY_TYPES = {"RS256": "RSA", "ES256": "EC", "EdDSA": "OKP"}
#: Headers by which a token would choose its own key, or ask for what is not known here.
_REFUSED_HEADERS = ("crit", "jku", "jwk", "x5c", "x5u")
_LONGEST = 16 * 1024
_LONGEST_NAME = 200
#: Beyond it no date is: a token that never expires.
_LATEST = datetime.max.replace(tzinfo=UTC)


class TokenRefused(MusterError):
    """The token opens nothing; the text says why, without quoting it."""


class _Algorithms(JWSRegistry):
    """The algorithms that are taken, without a warning for the one that got a second name (RFC 9864)."""

    max_header_length = 4096
    max_payload_length = _LONGEST

    def get_alg(self, name: str) -> Any:
        """One of the three."""
        if name not in _KEY_TYPES:
            raise UnsupportedAlgorithmError
        return self.algorithms[name]


_ALGORITHMS = _Algorithms(strict_check_header=False)


class TokenVerifier:
    """Checks tokens of one issuer for one audience: access tokens of the API, or identity tokens of a sign-in."""

    def __init__(self, issuer: str, audience: str, keys: TokenKeys) -> None:
        self._issuer = issuer
        self._audience = audience
        self._keys = keys

    async def verify(self, token: str, now: datetime) -> dict[str, Any]:
        """The claims of a token.

        Raises:
            TokenRefused: it must not be taken.
            KeysAway: the issuer's keys cannot be read.
        """
        header = _header(token)
        algorithm = header["alg"]
        keys = await self._keys.find(header.get("kid"))
        fitting = [key for key in keys if _fits(key, algorithm)]
        if "kid" not in header and len(fitting) > 1:
            raise TokenRefused("the token does not say which of its issuer's keys signed it")
        for key in fitting:
            try:
                claims = jwt.decode(token, key, registry=_ALGORITHMS).claims
            except BadSignatureError:
                continue
            except (JoseError, ValueError, TypeError, RecursionError):
                raise TokenRefused("the token cannot be read") from None
            self._check(claims, now)
            return claims
        raise TokenRefused("the token was not signed by a key of its issuer")

    def _check(self, claims: dict[str, Any], now: datetime) -> None:
        expected = jwt.JWTClaimsRegistry(
            now=int(now.timestamp()),
            leeway=int(LEEWAY.total_seconds()),
            iss={"essential": True, "value": self._issuer},
            aud={"essential": True, "value": self._audience},
            exp={"essential": True},
        )
        try:
            expected.validate(claims)
        except ExpiredTokenError:
            raise TokenRefused("the token has expired") from None
        except MissingClaimError as error:
            raise TokenRefused(f"the token lacks {error.claim}") from None
        except InvalidClaimError as error:
            raise TokenRefused(f"the token's {error.claim} is not what is expected here") from None


@dataclass(frozen=True, slots=True)
class TokenPolicy:
    """Which claims say what somebody may do here."""

    org_claim: str = "org_id"
    role_claim: str = "role"

    @classmethod
    def of(cls, settings: Settings) -> TokenPolicy:
        """What the operator chose."""
        return cls(settings.jwt_org_claim, settings.jwt_role_claim)

    def principal(self, session: Session, claims: dict[str, Any], address: str | None) -> Principal:
        """Whose verified claims these are.

        Raises:
            TokenRefused: they name no organization or no role that is known here.
        """
        named = claims.get(self.org_claim)
        organization = _organization(session, named) if isinstance(named, str) else None
        if organization is None:
            raise TokenRefused(f"the token's {self.org_claim} names no organization that is known here")
        subject = _text(claims, "sub", "client_id", "azp") or "unnamed"
        return Principal(
            organization.id,
            self._role(claims),
            f"jwt:{subject}",
            _text(claims, "name") or subject,
            address=address,
            expires_at=_instant(claims["exp"]),
        )

    def _role(self, claims: dict[str, Any]) -> Role:
        named = claims.get(self.role_claim)
        if named is None:
            return Role.VIEWER
        for role in Role:
            if named == role.word:
                return role
        known = ", ".join(role.word for role in Role)
        raise TokenRefused(f"the token's {self.role_claim} is none of {known}")


def _header(token: str) -> dict[str, Any]:
    """The header, as far as nothing in it is refused."""
    if len(token) > _LONGEST or not token.isascii():
        raise TokenRefused("the token cannot be read")
    try:
        header: object = extract_compact(token.encode(), registry=_ALGORITHMS).headers()
    except UnsupportedAlgorithmError:
        raise TokenRefused("the token is signed in a way that is not taken here") from None
    except (JoseError, ValueError, TypeError, AttributeError, RecursionError):
        raise TokenRefused("the token cannot be read") from None
    if not isinstance(header, dict) or not isinstance(header.get("kid", ""), str):
        raise TokenRefused("the token cannot be read")
    for name in _REFUSED_HEADERS:
        if name in header:
            raise TokenRefused(f"a token must not have the header {name}")
    if header.get("alg") not in tuple(_KEY_TYPES):  # it may be of any type
        raise TokenRefused(f"the token is signed in a way that is none of {', '.join(_KEY_TYPES)}")
    return header


def _fits(key: Any, algorithm: str) -> bool:
    """Whether a key is for an algorithm."""
    try:
        _ALGORITHMS.get_alg(algorithm).check_key(key)
    except JoseError:
        return False
    return algorithm != "EdDSA" or key.curve_name in ("Ed25519", "Ed448")


def _organization(session: Session, named: str) -> Organization | None:
    if unstorable(named) is not None:
        return None
    try:
        found = session.get(Organization, UUID(named))
    except ValueError:
        found = None
    return found or find_organization(session, named)


def _text(claims: dict[str, Any], *names: str) -> str | None:
    """The first of these claims that can be written down."""
    for name in names:
        value = claims.get(name)
        if isinstance(value, str) and value and unstorable(value) is None and len(value) <= _LONGEST_NAME:
            return value
    return None


def _instant(seconds: float) -> datetime:
    try:
        return datetime.fromtimestamp(seconds, UTC) + LEEWAY
    except (OverflowError, ValueError, OSError):
        return _LATEST
