"""suppressions by medium, in the form in which addresses are used"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

import idna
import phonenumbers
import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql, sqlite

from state.types import Json, UtcDateTime

if TYPE_CHECKING:
    from collections.abc import Iterator
    from uuid import UUID

revision = "0013"
down_revision = "0012"

_BATCH = 1_000
_PHONE, _CHAT = ("sms", "whatsapp", "voice"), ("telegram",)


def upgrade() -> None:
    connection = op.get_bind()
    op.execute("CREATE TEMPORARY TABLE suppression_before AS SELECT * FROM suppression")
    op.drop_table("suppression")
    table = op.create_table(
        "suppression",
        sa.Column("medium", sa.String(length=8), nullable=False),
        sa.Column("address", sa.String(length=320), nullable=False),
        sa.Column("channel_kind", sa.String(length=32), nullable=True),
        sa.Column("reason", sa.String(length=32), nullable=False),
        sa.Column(
            "campaign_id",
            sa.Uuid(),
            server_default=sa.text("'00000000000000000000000000000000'"),
            nullable=False,
        ),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["org_id"], ["organization.id"], name="fk_suppression_org_id_organization", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_suppression"),
        sa.UniqueConstraint(
            "org_id",
            "address",
            "medium",
            "campaign_id",
            name="uq_suppression_org_id_address_medium_campaign_id",
        ),
    )
    regions = _regions(connection)
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    # Of several spellings the oldest stays, as the first reason does.
    insert = dialect.insert(table).on_conflict_do_nothing()
    for rows in _rows(connection):
        for row in rows:
            row["medium"] = _medium(row["channel_kind"], row["address"])
            row["address"] = _folded(row["medium"], row["address"], regions[row["org_id"]])
        connection.execute(insert, rows)
    op.execute("DROP TABLE suppression_before")


def _rows(connection: sa.Connection) -> Iterator[list[dict[str, Any]]]:
    before = sa.table(
        "suppression_before",
        sa.column("id", sa.Uuid()),
        sa.column("org_id", sa.Uuid()),
        sa.column("channel_kind", sa.String()),
        sa.column("address", sa.String()),
        sa.column("reason", sa.String()),
        sa.column("campaign_id", sa.Uuid()),
        sa.column("created_at", UtcDateTime()),
    )
    key = (before.c.created_at, before.c.id)
    after = None
    while True:
        page = sa.select(before).order_by(*key).limit(_BATCH)
        if after is not None:
            page = page.where(sa.tuple_(*key) > sa.tuple_(*after))
        rows = [dict(row) for row in connection.execute(page).mappings()]
        if not rows:
            return
        yield rows
        last = rows[-1]
        after = (sa.literal(last["created_at"], UtcDateTime()), sa.literal(last["id"], sa.Uuid()))


def _regions(connection: sa.Connection) -> dict[UUID, list[str | None]]:
    """Where phone numbers without a country code are from: the organization's region, then its channels'."""
    organization = sa.table("organization", sa.column("id", sa.Uuid()), sa.column("region", sa.String()))
    channel = sa.table("channel", sa.column("org_id", sa.Uuid()), sa.column("settings", Json))
    found: dict[UUID, list[str | None]] = defaultdict(lambda: [None])
    for org_id, region in connection.execute(sa.select(organization.c.id, organization.c.region)):
        found[org_id] = [region]
    for org_id, settings in connection.execute(sa.select(channel.c.org_id, channel.c.settings)):
        if isinstance(settings, dict) and settings.get("region") not in (None, *found[org_id]):
            found[org_id].append(settings["region"])
    return found


def _medium(kind: str, address: str) -> str:
    if kind in _PHONE:
        return "phone"
    if kind in _CHAT or (address.startswith("@") and kind not in ("smtp", "portal")):
        return "chat"
    if kind == "smtp" or ("@" in address and kind != "portal"):
        return "email"
    return "phone" if address.startswith("+") and kind != "portal" else "other"


def _folded(medium: str, address: str, regions: list[str | None]) -> str:
    """What cannot be read stays as it is."""
    plain = address.strip()
    if medium == "phone":
        numbers = (number for region in regions if (number := _phone(plain, region)) is not None)
        return next(numbers, plain)
    if medium == "other":
        return plain
    plain = plain.lower()
    local, at, domain = plain.rpartition("@")
    if medium == "email" and not domain.isascii():
        try:
            return local + at + idna.encode(domain, uts46=True).decode()
        except UnicodeError:
            return plain
    return plain


def _phone(text: str, region: str | None) -> str | None:
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return None
    if number.extension or not phonenumbers.is_valid_number(number):
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
