"""limits"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from state.types import UtcDateTime

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "contact",
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("entity_id", sa.Uuid(), nullable=False),
        sa.Column("sent_at", UtcDateTime(), nullable=False),
        sa.Column("campaign_id", sa.Uuid(), nullable=False),
        sa.Column("channel_id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("org_id", "entity_id", "sent_at", "campaign_id", name="pk_contact"),
    )
    op.create_index("ix_contact_sent_at", "contact", ["sent_at"])
    op.create_table(
        "domain_throttle",
        sa.Column("channel_id", sa.Uuid(), nullable=False),
        sa.Column("domain", sa.String(length=255), nullable=False),
        sa.Column("throttled_at", UtcDateTime(), nullable=False),
        sa.Column("throttled_until", UtcDateTime(), nullable=False),
        sa.Column("rate", sa.Double(), nullable=False),
        sa.Column("failures", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["channel_id"], ["channel.id"], name="fk_domain_throttle_channel_id_channel", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["org_id"], ["organization.id"], name="fk_domain_throttle_org_id_organization", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("channel_id", "domain", name="pk_domain_throttle"),
    )
