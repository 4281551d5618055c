"""campaign"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from state.types import Json, UtcDateTime

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "channel",
        sa.Column("name", sa.String(length=150), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("settings", Json, nullable=False),
        sa.Column("credentials", sa.LargeBinary(), nullable=True),
        sa.Column("is_default", sa.Boolean(), nullable=False),
        sa.Column("tracking", Json, nullable=True),
        sa.Column("doubt_policy", sa.String(length=8), nullable=False),
        sa.Column("max_attempts", sa.Integer(), nullable=False),
        sa.Column("retry_base_seconds", sa.Double(), nullable=False),
        sa.Column("cost_per_message", sa.Double(), server_default="0", nullable=False),
        sa.Column("blocked_until", UtcDateTime(), nullable=True),
        sa.Column("blocked_reason", sa.Text(), nullable=True),
        sa.Column("consecutive_failures", sa.Integer(), nullable=False),
        sa.Column("breaker_opened_at", UtcDateTime(), nullable=True),
        sa.Column("limits", Json, nullable=True),
        sa.Column("throttled_at", UtcDateTime(), nullable=True),
        sa.Column("throttled_rate", sa.Double(), nullable=True),
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
        sa.Column("campaign_id", sa.Uuid(), nullable=True),
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
        sa.Column("mjml", sa.Text(), nullable=True),
        sa.Column("headers", Json, nullable=True),
        sa.Column("data", Json, nullable=True),
        sa.Column("language", sa.String(length=35), nullable=True),
        sa.Column("translations", Json, nullable=True),
        sa.Column("language_attribute", sa.String(length=255), nullable=True),
        sa.Column("time_zone", sa.String(length=64), nullable=True),
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
        sa.Column("limits", Json, nullable=True),
        sa.Column("type", sa.String(length=32), server_default="message", nullable=False),
        sa.Column("goals", Json, nullable=True),
        sa.Column("strategy", Json, nullable=True),
        sa.Column("budget", sa.Double(), nullable=True),
        sa.Column("starts_at", UtcDateTime(), nullable=True),
        sa.Column("ends_at", UtcDateTime(), nullable=True),
        sa.Column("misfire_hours", sa.Double(), server_default="6", nullable=False),
        sa.Column("reach", sa.Double(), server_default="100", nullable=False),
        sa.Column("paused_at", UtcDateTime(), nullable=True),
        sa.Column("paused_by", sa.String(length=150), nullable=True),
        sa.Column("created_by", sa.String(length=150), nullable=True),
        sa.Column("audience", Json, nullable=True),
        sa.Column("carried", Json, nullable=True),
        sa.Column("tracking", Json, nullable=True),
        sa.Column("attribution_days", sa.Integer(), server_default="7", nullable=False),
        sa.Column("next_best_action", Json, nullable=True),
        sa.Column("first_contact", Json, nullable=True),
        sa.Column("extras", sa.JSON(none_as_null=True), nullable=False),
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
        "template_attachment",
        sa.Column("template_id", sa.Uuid(), nullable=False),
        sa.Column("filename", sa.String(length=255), nullable=False),
        sa.Column("content_type", sa.String(length=127), nullable=False),
        sa.Column("content_id", sa.String(length=127), nullable=True),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["org_id"],
            ["organization.id"],
            name="fk_template_attachment_org_id_organization",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["template_id"],
            ["template.id"],
            name="fk_template_attachment_template_id_template",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_template_attachment"),
        sa.UniqueConstraint(
            "template_id", "content_id", name="uq_template_attachment_template_id_content_id"
        ),
        sa.UniqueConstraint("template_id", "filename", name="uq_template_attachment_template_id_filename"),
    )
    op.create_table(
        "touchpoint",
        sa.Column("flow_id", sa.Uuid(), nullable=True),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("type", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=150), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("status", sa.String(length=16), server_default="active", nullable=False),
        sa.Column("condition", Json, nullable=True),
        sa.Column("settings", Json, server_default="{}", nullable=False),
        sa.Column("content", Json, nullable=True),
        sa.Column("variants", Json, nullable=True),
        sa.Column("channel_id", sa.Uuid(), nullable=True),
        sa.Column("template_id", sa.Uuid(), nullable=True),
        sa.Column("extras", sa.JSON(none_as_null=True), nullable=False),
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
