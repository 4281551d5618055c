"""The suppression list as people keep it: look, add, remove, import, export.

Adding what is there changes nothing, so importing a list again is safe. An address is kept in the one form of its
medium (engine.kernel.media), which is the form that channels use; what is no address of its medium is refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Self
from uuid import UUID  # noqa: TC003 - pydantic reads it

from pydantic import Field, field_validator, model_validator
from sqlalchemy import or_, select, tuple_

from engine.channels import registry
from engine.engagement.suppression import Barred, bar
from engine.kernel import listing
from engine.kernel.erased_addresses import digests_of
from engine.kernel.inputs import Input, Invalid
from engine.kernel.media import (
    AddressMedium,
    FoldedAddress,
    Regions,
    fold_address,
    medium_of_kind,
    medium_of_text,
)
from engine.kernel.suggestions import did_you_mean
from state.tables import Campaign, Channel, Organization, Suppression
from state.types import NIL_UUID

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.orm import Session

    from state.database import Database

__all__ = [
    "BATCH",
    "COLUMNS",
    "SuppressionInput",
    "export_suppressions",
    "list_suppressions",
    "read_address",
    "regions_of",
    "remove_suppression",
    "suppress",
]

#: Of the CSV form, in and out.
COLUMNS = ("channel_kind", "address", "reason", "campaign_id", "medium")
#: Rows of one transaction of an import, and of one read of an export.
BATCH = 1_000

_WHAT = {
    AddressMedium.EMAIL: "an e-mail address",
    AddressMedium.PHONE: "a phone number; one without a country code needs the organization's region",
    AddressMedium.CHAT: "a Telegram chat's id or @name",
    AddressMedium.OTHER: "an address: it is empty, or holds white space",
}


class SuppressionInput(Input):
    """An address, and why it must not be used."""

    channel_kind: str | None = Field(default=None, max_length=32)
    """A kind of channel, which says the medium; every channel of that medium must not use the address."""
    medium: AddressMedium | None = None
    """email, phone, chat or other; absent: the channel kind's, or what the address looks like."""
    address: str = Field(min_length=1, max_length=400)
    reason: Literal["unsubscribe", "hard_bounce", "complaint", "manual"] = "manual"
    campaign_id: UUID = NIL_UUID
    """The one campaign that must not use it; absent: none of the organization may."""

    @field_validator("channel_kind")
    @classmethod
    def _known(cls, kind: str | None) -> str | None:
        known = registry.kinds()
        if kind is not None and kind not in known:
            raise ValueError(f"{kind!r} is none of {', '.join(known)}{did_you_mean(kind, known)}")
        return kind

    @model_validator(mode="after")
    def _says_what(self) -> Self:
        if self.channel_kind is None and self.medium is None:
            raise ValueError("channel_kind: is required, or medium")
        own = medium_of_kind(self.channel_kind or "")
        if own is not None and self.medium not in (None, own):
            raise ValueError(f"medium: {self.channel_kind} writes to {own.value}")
        return self

    def barred(self, regions: Regions) -> Barred:
        """As it is written. Raises Invalid."""
        medium = self.medium or medium_of_kind(self.channel_kind or "")
        key = read_address(medium, self.address, regions)
        return Barred(*key, self.reason, self.campaign_id, self.channel_kind)


def read_address(medium: AddressMedium | None, text: str, regions: Regions) -> FoldedAddress:
    """An address in the one form of its medium.

    Args:
        medium: None: the form says what it is.

    Raises:
        Invalid: it is none.
    """
    medium = medium or medium_of_text(text)
    address = fold_address(medium, text, regions)
    if address is None:
        raise Invalid("address", f"{text.strip()[:320]!r} is not {_WHAT[medium]}")
    return FoldedAddress(medium, address)


def regions_of(session: Session, org_id: UUID) -> Regions:
    """Where an organization's phone numbers without a country code are from. Two statements."""
    own = session.scalar(select(Organization.region).where(Organization.id == org_id))
    settings = session.scalars(select(Channel.settings).where(Channel.org_id == org_id))
    return Regions(own, tuple(sorted({region for one in settings if (region := one.get("region"))})))


def list_suppressions(
    session: Session,
    org_id: UUID,
    *,
    limit: int = 25,
    next: str | None = None,  # noqa: A002
    channel_kind: str | None = None,
    medium: AddressMedium | None = None,
    address: str | None = None,
) -> listing.Page[Suppression]:
    """Newest first; of one medium, of what channels of one kind must not use, or of one address in any spelling, if
    asked for.
    """
    conditions = []
    if medium is not None:
        conditions.append(Suppression.medium == medium)
    if channel_kind is not None:
        own = medium_of_kind(channel_kind)
        conditions.append(
            Suppression.channel_kind == channel_kind if own is None else Suppression.medium == own
        )
    if address is not None:
        regions = regions_of(session, org_id)
        spelled = {
            FoldedAddress(one, fold_address(one, address, regions) or address.strip())
            for one in AddressMedium
        }
        erased = digests_of(session, org_id, spelled)
        spelled |= {FoldedAddress(one.medium, digest) for one, digest in erased.items()}
        conditions.append(
            or_(
                *(
                    (Suppression.medium == known) & (Suppression.address == folded)
                    for known, folded in sorted(spelled)
                )
            )
        )
    return listing.page(session, Suppression, org_id, *conditions, limit=limit, next=next)


def suppress(session: Session, org_id: UUID, given: SuppressionInput) -> tuple[Suppression, bool]:
    """Put an address on the list; returns its row and whether it is new. The first reason stays.

    Raises:
        Invalid: the address is none, or the campaign does not exist.
    """
    if given.campaign_id != NIL_UUID:
        known = select(Campaign.id).where(Campaign.id == given.campaign_id, Campaign.org_id == org_id)
        if session.execute(known).first() is None:
            raise Invalid("campaign_id", f"campaign {given.campaign_id} does not exist")
    barred = given.barred(regions_of(session, org_id))
    created = bar(session, org_id, [barred])
    digests = digests_of(session, org_id, [FoldedAddress(barred.medium, barred.address)])  # of who was erased
    rows = session.scalars(
        select(Suppression).where(
            Suppression.org_id == org_id,
            Suppression.medium == barred.medium,
            Suppression.address.in_([barred.address, *digests.values()]),
            Suppression.campaign_id.in_([given.campaign_id, NIL_UUID]),
        )
    ).all()
    row = min(rows, key=lambda one: (one.campaign_id != given.campaign_id, one.address != barred.address))
    return row, bool(created)


def remove_suppression(session: Session, org_id: UUID, suppression_id: UUID) -> None:
    """Take an address off the list. Raises NotFound."""
    session.delete(listing.find(session, Suppression, org_id, suppression_id, lock=True))
    session.flush()


def export_suppressions(database: Database, org_id: UUID) -> Iterator[list[Suppression]]:
    """The whole list by its key, 1,000 rows at a time, each read in a transaction of its own."""
    key = (Suppression.address, Suppression.medium, Suppression.campaign_id)
    after: tuple[str, str, UUID] | None = None
    while True:
        statement = select(Suppression).where(Suppression.org_id == org_id)
        if after is not None:
            statement = statement.where(tuple_(*key) > after)
        statement = statement.order_by(*key).limit(BATCH)
        with database.read() as session:
            rows = list(session.execute(statement).scalars())
        if not rows:
            return
        yield rows
        after = (rows[-1].address, rows[-1].medium, rows[-1].campaign_id)
