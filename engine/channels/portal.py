"""The `portal` channel: a widget of the customer portal shows the campaign to the recipient.

There is no wire: a recipient is reached when its portal status is `sent`. The status has its own rules
(docs/contract/targeting.md): a recipient that has one already, because the widget was seen meanwhile or the message is
sent again, keeps it, so
delivering twice is delivering once. The status, the log entry and their sums are one transaction a wave.

A database that is away makes the channel Down.
"""

from __future__ import annotations

import asyncio
from itertools import groupby
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import BaseModel, ConfigDict
from sqlalchemy import select, text, update
from sqlalchemy.exc import DBAPIError

from engine.channels.port import Deferred, Delivered, Down, Outcome, Rejected
from engine.channels.wave import CHANNEL_ERROR, INTERRUPTED, Wave
from engine.engagement.engagement import Engaged, Kind, Medium, note
from engine.kernel.listing import kept
from engine.kernel.media import AddressMedium
from state.database import is_connection_loss
from state.sets import among
from state.tables import Campaign, Recipient
from state.transitions import PortalStatus

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from threading import Event
    from uuid import UUID

    from sqlalchemy.orm import Session

    from engine.channels.port import ChannelContext, Report
    from engine.content.message import Content, Message
    from state.database import Database

__all__ = ["PortalChannel", "PortalCredentials", "PortalSettings"]

_DELIVERED = Delivered()
_UNKNOWN = Rejected("PORTAL_NO_RECIPIENT", "the recipient does not exist any more")


class PortalSettings(BaseModel):
    """The `settings` of a channel of kind `portal`: there are none. Which widget shows a campaign is the widget's."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class PortalCredentials(BaseModel):
    """There are none."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class PortalChannel:
    """Shows campaigns in portals."""

    kind: ClassVar[str] = "portal"
    doubt_policy: ClassVar[str] = "resend"
    links: ClassVar[bool] = False
    medium: ClassVar[AddressMedium] = AddressMedium.OTHER
    in_one_piece: ClassVar[bool] = False
    Settings = PortalSettings
    Credentials = PortalCredentials

    def __init__(
        self,
        settings: PortalSettings,  # noqa: ARG002 - every kind is made from these three
        credentials: PortalCredentials,  # noqa: ARG002
        channel_context: ChannelContext,
    ) -> None:
        self._lent = channel_context.database

    @property
    def _database(self) -> Database:
        if self._lent is None:
            raise RuntimeError("the channel was built without a database")
        return self._lent

    @classmethod
    def problems_of(cls, content: Content, settings: BaseModel | None = None) -> list[str]:  # noqa: ARG003
        """The widget has its own content."""
        return []

    def address_of(self, attributes: Mapping[str, Any]) -> str | None:
        """The entity's id (`_id`): who may log in to the portal is its own affair."""
        return attributes.get("_id")

    async def send(self, messages: Sequence[Message], report: Report, stop: Event) -> None:
        """Show a wave; see the port."""
        wave = Wave(self.kind, messages, report, stop)
        batch: list[Message] = []
        try:
            while (message := wave.take()) is not None:
                wave.sent(message)  # a thread that writes cannot be called back
                batch.append(message)
            if batch:
                outcomes = await asyncio.to_thread(self._show, batch)
                for message, outcome in zip(batch, outcomes, strict=True):
                    wave.settle(message, outcome)
        except asyncio.CancelledError:
            wave.end(INTERRUPTED, "the wave was cancelled")
            raise
        finally:
            wave.end(CHANNEL_ERROR, "the wave could not be shown")

    async def check(self) -> str | None:
        """None when the database answers."""
        try:
            await asyncio.to_thread(self._ask)
        except DBAPIError as error:
            return _away(error).text
        return None

    async def close(self) -> None:
        """Nothing to give back."""

    def _ask(self) -> None:
        with self._database.read() as session:
            session.execute(text("SELECT 1"))

    def _show(self, batch: list[Message]) -> list[Outcome]:
        """An outcome for each message, in order. Messages of several campaigns are a transaction each."""
        outcomes: dict[int, Outcome] = {}
        for (org_id, campaign_id), group in groupby(batch, key=lambda one: (one.org_id, one.campaign_id)):
            members = list(group)
            trouble: Outcome | None = None
            known: set[UUID] = set()
            try:
                with self._database.begin() as session:
                    known = _show(session, org_id, campaign_id, [one.entity_id for one in members])
            except DBAPIError as error:
                trouble = (
                    _away(error) if is_connection_loss(error) else Deferred("PORTAL_ERROR", _said(error))
                )
            for one in members:
                outcomes[id(one)] = trouble or (_DELIVERED if one.entity_id in known else _UNKNOWN)
        return [outcomes[id(one)] for one in batch]


def _show(session: Session, org_id: UUID, campaign_id: UUID, entity_ids: list[UUID]) -> set[UUID]:
    """Give `sent` to those recipients that have no portal status; returns all of them that there are.

    Locks in the order of engine.campaigns.recipients: campaign, recipients, sums. Both statements read the primary
    key (campaign_id, entity_id), on either database.
    """
    kept(session, Campaign, org_id, campaign_id)
    now = session.info["clock"].now()
    mine = (
        Recipient.campaign_id == campaign_id,
        Recipient.org_id == org_id,
        among(session, Recipient.entity_id, entity_ids),
    )
    shown = set(
        session.scalars(
            update(Recipient)
            .where(*mine, Recipient.portal_status.is_(None))
            .values(portal_status=PortalStatus.SENT.value, portal_status_updated_at=now, updated_at=now)
            .returning(Recipient.entity_id)
            .execution_options(synchronize_session=False)
        )
    )
    known = set(shown)
    if len(shown) < len(entity_ids):
        known |= set(session.scalars(select(Recipient.entity_id).where(*mine)))
    note(
        session,
        org_id,
        [Engaged(campaign_id, entity_id, Medium.PORTAL, Kind.SENT, now) for entity_id in sorted(shown)],
    )
    return known


def _away(error: DBAPIError) -> Down:
    return Down("PORTAL_UNREACHABLE", f"the database is away: {_said(error)}")


def _said(error: DBAPIError) -> str:
    """The driver's words in one line, without statement and values."""
    return " ".join(str(error.orig).split())[:300]
