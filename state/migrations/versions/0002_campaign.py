"""campaign"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from state.types import Json, UtcDateTime

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "channel",
        sa.Column("name", sa.String(length=150), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("settings", Json, nullable=False),
        sa.Column("credentials", sa.LargeBinary(), nullable=True),
        sa.Column("is_default", sa.Boolean(), nullable=False),
        sa.Column("doubt_policy", sa.String(length=8), nullable=False),
        sa.Column("max_attempts", sa.Integer(), nullable=False),
        sa.Column("retry_base_seconds", sa.Double(), nullable=False),
        sa.Column("blocked_until", UtcDateTime(), nullable=True),
        sa.Column("blocked_reason", sa.Text(), nullable=True),
        sa.Column("consecutive_failures", sa.Integer(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["org_id"], ["organization.id"], name="fk_channel_org_id_organization", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_channel"),
    )
    op.create_index("ix_channel_org_id_id", "channel", ["org_id", "id"])
    op.create_table(
        "flow",
        sa.Column("name", sa.String(length=150), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["org_id"], ["organization.id"], name="fk_flow_org_id_organization", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_flow"),
    )
    op.create_index("ix_flow_org_id_id", "flow", ["org_id", "id"])
    op.create_table(
        "template",
        sa.Column("name", sa.String(length=150), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("html", sa.Text(), nullable=True),
        sa.Column("text", sa.Text(), nullable=True),
        sa.Column("sender", Json, nullable=False),
        sa.Column("defaults", Json, nullable=False),
        sa.Column("extras", Json, nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["org_id"], ["organization.id"], name="fk_template_org_id_organization", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_template"),
    )
    op.create_index("ix_template_org_id_id", "template", ["org_id", "id"])
    op.create_table(
        "campaign",
        sa.Column("name", sa.String(length=150), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("goal", sa.Text(), nullable=True),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("ends", sa.String(length=16), nullable=False),
        sa.Column("start_date", sa.Date(), nullable=True),
        sa.Column("end_date", sa.Date(), nullable=True),
        sa.Column("target_ids", Json, nullable=False),
        sa.Column("flow_id", sa.Uuid(), nullable=True),
        sa.Column("job_id", sa.Uuid(), nullable=True),
        sa.Column("activated_at", UtcDateTime(), nullable=True),
        sa.Column("next_best_action", Json, nullable=True),
        sa.Column("extras", Json, nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["flow_id"], ["flow.id"], name="fk_campaign_flow_id_flow"),
        sa.ForeignKeyConstraint(
            ["org_id"], ["organization.id"], name="fk_campaign_org_id_organization", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_campaign"),
    )
    op.create_index("ix_campaign_org_id_created_at_id", "campaign", ["org_id", "created_at", "id"])
    op.create_index("ix_campaign_status_end_date", "campaign", ["status", "end_date"])
    op.create_table(
        "touchpoint",
        sa.Column("flow_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("type", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=150), nullable=False),
        sa.Column("channel_id", sa.Uuid(), nullable=True),
        sa.Column("template_id", sa.Uuid(), nullable=True),
        sa.Column("extras", Json, nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["channel_id"], ["channel.id"], name="fk_touchpoint_channel_id_channel"),
        sa.ForeignKeyConstraint(
            ["flow_id"], ["flow.id"], name="fk_touchpoint_flow_id_flow", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["org_id"], ["organization.id"], name="fk_touchpoint_org_id_organization", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["template_id"], ["template.id"], name="fk_touchpoint_template_id_template"),
        sa.PrimaryKeyConstraint("id", name="pk_touchpoint"),
    )
    op.create_index("ix_touchpoint_org_id_flow_id_position", "touchpoint", ["org_id", "flow_id", "position"])
