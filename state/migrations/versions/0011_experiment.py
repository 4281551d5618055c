"""experiment"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from state.types import Json, UtcDateTime

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.create_table(
        "experiment",
        sa.Column("campaign_id", sa.Uuid(), nullable=False),
        sa.Column("touchpoint_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=150), nullable=False),
        sa.Column("metric", sa.String(length=16), nullable=False),
        sa.Column("sample", sa.Double(), nullable=False),
        sa.Column("holdout", sa.Double(), nullable=False),
        sa.Column("decide_after_seconds", sa.Integer(), nullable=False),
        sa.Column("alpha", sa.Double(), nullable=False),
        sa.Column("when_inconclusive", sa.String(length=8), nullable=False),
        sa.Column("status", sa.String(length=12), nullable=False),
        sa.Column("started_at", UtcDateTime(), nullable=True),
        sa.Column("next_look_at", UtcDateTime(), nullable=True),
        sa.Column("decided_at", UtcDateTime(), nullable=True),
        sa.Column("looks", sa.Integer(), nullable=False),
        sa.Column("spent", sa.Double(), nullable=False),
        sa.Column("winner", sa.String(length=64), nullable=True),
        sa.Column("result", Json, nullable=True),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["campaign_id"], ["campaign.id"], name="fk_experiment_campaign_id_campaign", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["org_id"], ["organization.id"], name="fk_experiment_org_id_organization", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_experiment"),
        sa.UniqueConstraint("campaign_id", name="uq_experiment_campaign_id"),
    )
    op.create_index(
        "ix_experiment_running",
        "experiment",
        ["next_look_at"],
        postgresql_where=sa.text("status = 'running'"),
        sqlite_where=sa.text("status = 'running'"),
    )
