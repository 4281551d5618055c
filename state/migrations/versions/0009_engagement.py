"""engagement"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from state.types import Json, UtcDateTime

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.create_table(
        "taken_event",
        sa.Column("event_id", sa.String(length=255), nullable=False),
        sa.Column("taken_at", UtcDateTime(), nullable=False),
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["org_id"], ["organization.id"], name="fk_taken_event_org_id_organization", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("org_id", "event_id", name="pk_taken_event"),
    )
    op.create_index("ix_taken_event_taken_at", "taken_event", ["taken_at"])
    op.create_table(
        "engagement",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("campaign_id", sa.Uuid(), nullable=False),
        sa.Column("entity_id", sa.Uuid(), nullable=False),
        sa.Column("channel", sa.String(length=16), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("happened_at", UtcDateTime(), nullable=False),
        sa.Column("event_id", sa.String(length=255), nullable=True),
        sa.Column("data", Json, nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("touchpoint_id", sa.Uuid(), nullable=True),
        sa.Column("variant", sa.String(length=64), nullable=True),
        sa.Column("target_id", sa.Uuid(), nullable=True),
        sa.Column("bot", sa.Boolean(), nullable=False),
        sa.Column("revenue", sa.BigInteger(), nullable=True),
        sa.Column("currency", sa.String(length=3), nullable=True),
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["campaign_id"], ["campaign.id"], name="fk_engagement_campaign_id_campaign", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["org_id"], ["organization.id"], name="fk_engagement_org_id_organization", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_engagement"),
        sa.UniqueConstraint("org_id", "event_id", name="uq_engagement_org_id_event_id"),
    )
    op.create_index(
        "ix_engagement_campaign_id_entity_id_channel_kind",
        "engagement",
        ["campaign_id", "entity_id", "channel", "kind"],
    )
    op.create_table(
        "engagement_hour",
        sa.Column("campaign_id", sa.Uuid(), nullable=False),
        sa.Column("channel", sa.String(length=16), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("hour", UtcDateTime(), nullable=False),
        sa.Column("touchpoint_id", sa.Uuid(), nullable=False),
        sa.Column("variant", sa.String(length=64), nullable=False),
        sa.Column("target_id", sa.Uuid(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("events", sa.Integer(), nullable=False),
        sa.Column("recipients", sa.Integer(), nullable=False),
        sa.Column("touchpoint_recipients", sa.Integer(), nullable=False),
        sa.Column("bots", sa.Integer(), nullable=False),
        sa.Column("revenue", sa.BigInteger(), nullable=False),
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["campaign_id"],
            ["campaign.id"],
            name="fk_engagement_hour_campaign_id_campaign",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["org_id"], ["organization.id"], name="fk_engagement_hour_org_id_organization", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint(
            "campaign_id",
            "channel",
            "kind",
            "hour",
            "touchpoint_id",
            "variant",
            "target_id",
            "currency",
            name="pk_engagement_hour",
        ),
    )
