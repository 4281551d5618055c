"""portal"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from state.types import Json, UtcDateTime

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.create_table(
        "portal",
        sa.Column("name", sa.String(length=150), nullable=False),
        sa.Column("origin", sa.String(length=64), nullable=True),
        sa.Column("domain", sa.String(length=255), nullable=True),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["org_id"], ["organization.id"], name="fk_portal_org_id_organization", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_portal"),
    )
    op.create_index("ix_portal_org_id_id", "portal", ["org_id", "id"])
    op.create_table(
        "journey_link",
        sa.Column("campaign_id", sa.Uuid(), nullable=False),
        sa.Column("journey_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["campaign_id"], ["campaign.id"], name="fk_journey_link_campaign_id_campaign", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["org_id"], ["organization.id"], name="fk_journey_link_org_id_organization", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_journey_link"),
        sa.UniqueConstraint("campaign_id", "journey_id", name="uq_journey_link_campaign_id_journey_id"),
    )
    op.create_table(
        "product_recommendation",
        sa.Column("campaign_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("source_product_id", sa.Uuid(), nullable=True),
        sa.Column("source_price_id", sa.Uuid(), nullable=True),
        sa.Column("offers", Json, nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["campaign_id"],
            ["campaign.id"],
            name="fk_product_recommendation_campaign_id_campaign",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["org_id"],
            ["organization.id"],
            name="fk_product_recommendation_org_id_organization",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_product_recommendation"),
    )
    op.create_index(
        "ix_product_recommendation_org_id_campaign_id", "product_recommendation", ["org_id", "campaign_id"]
    )
    op.create_table(
        "widget",
        sa.Column("portal_id", sa.Uuid(), nullable=False),
        sa.Column("campaign_id", sa.Uuid(), nullable=True),
        sa.Column("type", sa.String(length=64), nullable=False),
        sa.Column("headline", Json, nullable=True),
        sa.Column("extras", Json, nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["campaign_id"], ["campaign.id"], name="fk_widget_campaign_id_campaign", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["org_id"], ["organization.id"], name="fk_widget_org_id_organization", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["portal_id"], ["portal.id"], name="fk_widget_portal_id_portal", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_widget"),
    )
    op.create_index("ix_widget_org_id_campaign_id", "widget", ["org_id", "campaign_id"])
