"""The refresh token of a channel as it is now, for all processes.

It stands where it was configured, in the channel's sealed credentials. A token server may hand out another with each
access token (RFC 6749 §6), and take the one before for stolen: so a process that asks reads it first, and stores what
it is given. Credentials that an operator has changed meanwhile stay. The channel counts as unchanged: nobody connects
anew.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog
from sqlalchemy import select, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from engine.kernel.secrets import SecretsError, channel_place
from state.tables import Channel

if TYPE_CHECKING:
    from uuid import UUID

    from sqlalchemy.orm import Session

    from engine.kernel.secrets import Secrets
    from state.database import Database

__all__ = ["KeptRefreshToken"]

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class KeptRefreshToken:
    """One channel's. Its methods wait for the database."""

    database: Database
    secrets: Secrets
    org_id: UUID
    channel_id: UUID

    def current(self) -> str | None:
        """The token as it is now; None: there is none, or it cannot be read."""
        try:
            with self.database.read() as session:
                found = self._credentials(session)
        except (DBAPIError, PoolTimeout, SecretsError) as error:
            log.warning(
                "refresh_token.not_read", channel_id=str(self.channel_id), reason=type(error).__name__
            )
            return None
        token = None if found is None else found[1].get("refresh_token")
        return token if isinstance(token, str) else None

    def replace(self, used: str, renewed: str) -> bool:
        """Store the token that was handed out for `used`, unless that is not there any more; False: try again."""
        try:
            with self.database.begin() as session:
                found = self._credentials(session)
                if found is None or found[1].get("refresh_token") != used:
                    return True
                sealed, credentials = found
                place = channel_place(self.channel_id)
                session.execute(
                    update(Channel)
                    .where(
                        Channel.id == self.channel_id,
                        Channel.org_id == self.org_id,
                        Channel.credentials == sealed,
                    )
                    .values(credentials=self.secrets.seal({**credentials, "refresh_token": renewed}, place))
                    .execution_options(synchronize_session=False)
                )
        except (DBAPIError, PoolTimeout, SecretsError) as error:
            log.warning(
                "refresh_token.not_stored", channel_id=str(self.channel_id), reason=type(error).__name__
            )
            return False
        return True

    def _credentials(self, session: Session) -> tuple[bytes, dict[str, object]] | None:
        """Sealed and opened."""
        sealed = session.execute(
            select(Channel.credentials).where(Channel.id == self.channel_id, Channel.org_id == self.org_id)
        ).scalar_one_or_none()
        return None if sealed is None else (sealed, self.secrets.open(sealed, channel_place(self.channel_id)))
