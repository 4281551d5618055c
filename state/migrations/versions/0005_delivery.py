"""delivery"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from state.types import Json, UtcDateTime

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "execution",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("campaign_id", sa.Uuid(), nullable=False),
        sa.Column("entity_id", sa.Uuid(), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=True),
        sa.Column("status", sa.String(length=12), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("error_code", sa.String(length=64), nullable=True),
        sa.Column("error_text", sa.Text(), nullable=True),
        sa.Column("ended_at", UtcDateTime(), nullable=False),
        sa.Column("touchpoint_id", sa.Uuid(), nullable=True),
        sa.Column("step", sa.Integer(), nullable=True),
        sa.Column("variant", sa.String(length=64), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_execution"),
    )
    op.create_index(
        "ix_execution_campaign_id_entity_id_ended_at", "execution", ["campaign_id", "entity_id", "ended_at"]
    )
    op.create_table(
        "recipient",
        sa.Column("campaign_id", sa.Uuid(), nullable=False),
        sa.Column("entity_id", sa.Uuid(), nullable=False),
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("entity_schema", sa.String(length=64), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=True),
        sa.Column("slice_number", sa.Integer(), nullable=True),
        sa.Column("automation_status", sa.String(length=12), nullable=True),
        sa.Column("execution_id", sa.Uuid(), nullable=True),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("in_flight", sa.Boolean(), nullable=False),
        sa.Column("due_at", UtcDateTime(), nullable=True),
        sa.Column("error_code", sa.String(length=64), nullable=True),
        sa.Column("error_text", sa.Text(), nullable=True),
        sa.Column("step", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("touchpoint_id", sa.Uuid(), nullable=True),
        sa.Column("sent_at", UtcDateTime(), nullable=True),
        sa.Column("variant", sa.String(length=64), nullable=True),
        sa.Column("target_id", sa.Uuid(), nullable=True),
        sa.Column("portal_status", sa.String(length=12), nullable=True),
        sa.Column("portal_status_updated_at", UtcDateTime(), nullable=True),
        sa.Column("portal_state", Json, nullable=True),
        sa.Column("execution_alias", sa.Text(), nullable=True),
        sa.Column("execution_alias_of", sa.Uuid(), nullable=True),
        sa.Column("entity_ui_status", sa.String(length=12), nullable=True),
        sa.Column("entity_ui_status_updated_at", UtcDateTime(), nullable=True),
        sa.Column("entity_ui_status_before_dismiss", sa.String(length=12), nullable=True),
        sa.Column("email_status", sa.String(length=12), nullable=True),
        sa.Column("email_status_updated_at", UtcDateTime(), nullable=True),
        sa.Column("email_bounce_type", sa.String(length=12), nullable=True),
        sa.Column("email_feedback", Json, nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.Column("stage", sa.String(length=64), nullable=True),
        sa.Column("deleted_at", UtcDateTime(), nullable=True),
        sa.Column("assigned_agent_id", sa.Uuid(), nullable=True),
        sa.Column("calls_made", sa.Integer(), nullable=True),
        sa.Column("whatsapp_sent", sa.Integer(), nullable=True),
        sa.Column("email_sent", sa.Integer(), nullable=True),
        sa.Column("last_contacted_at", UtcDateTime(), nullable=True),
        sa.Column("last_email_at", UtcDateTime(), nullable=True),
        sa.Column("last_conv_id", sa.String(length=255), nullable=True),
        sa.Column("contact_keys", Json, nullable=True),
        sa.Column("ai_label", sa.String(length=16), nullable=True),
        sa.Column("ai_score", sa.Double(), nullable=True),
        sa.Column("follow_up_required", sa.Boolean(), nullable=True),
        sa.Column("callback_requested", sa.Boolean(), nullable=True),
        sa.Column("escalation_required", sa.Boolean(), nullable=True),
        sa.Column("campaign_goal_result", sa.String(length=32), nullable=True),
        sa.Column("campaign_goal_score", sa.Double(), nullable=True),
        sa.Column("campaign_sentiment", sa.String(length=32), nullable=True),
        sa.Column("customer_sentiment", sa.String(length=32), nullable=True),
        sa.Column("analysis_source", sa.String(length=64), nullable=True),
        sa.Column("analysis", Json, nullable=True),
        sa.Column("analysis_updated_at", UtcDateTime(), nullable=True),
        sa.Column("campaign_analysis_updated_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("campaign_id", "entity_id", name="pk_recipient"),
    )
    op.create_index(
        "ix_recipient_analysed",
        "recipient",
        [
            "campaign_id",
            "ai_label",
            "follow_up_required",
            "callback_requested",
            "escalation_required",
            "campaign_goal_result",
            "campaign_sentiment",
            "customer_sentiment",
            "entity_id",
        ],
        postgresql_where=sa.text("ai_label IS NOT NULL AND deleted_at IS NULL"),
        sqlite_where=sa.text("ai_label IS NOT NULL AND deleted_at IS NULL"),
    )
    op.create_index(
        "ix_recipient_campaign_id_automation_status_entity_id",
        "recipient",
        ["campaign_id", "automation_status", "entity_id"],
    )
    op.create_index(
        "ix_recipient_deleted",
        "recipient",
        ["campaign_id", "created_at", "entity_id"],
        postgresql_where=sa.text("deleted_at IS NOT NULL"),
        sqlite_where=sa.text("deleted_at IS NOT NULL"),
    )
    op.create_index(
        "ix_recipient_email_status",
        "recipient",
        ["campaign_id", "email_status", "entity_id", "automation_status", "email_bounce_type"],
        postgresql_where=sa.text("email_status IS NOT NULL"),
        sqlite_where=sa.text("email_status IS NOT NULL"),
    )
    op.create_index(
        "ix_recipient_enrolled",
        "recipient",
        ["campaign_id", "created_at", "entity_id"],
        postgresql_where=sa.text("stage IS NOT NULL AND deleted_at IS NULL"),
        sqlite_where=sa.text("stage IS NOT NULL AND deleted_at IS NULL"),
    )
    op.create_index(
        "ix_recipient_failed",
        "recipient",
        ["campaign_id", "error_code"],
        postgresql_where=sa.text("automation_status = 'failed'"),
        sqlite_where=sa.text("automation_status = 'failed'"),
    )
    op.create_index(
        "ix_recipient_job_id_slice_number_entity_id", "recipient", ["job_id", "slice_number", "entity_id"]
    )
    op.create_index(
        "ix_recipient_portal_status",
        "recipient",
        ["campaign_id", "portal_status", "entity_id"],
        postgresql_where=sa.text("portal_status IS NOT NULL"),
        sqlite_where=sa.text("portal_status IS NOT NULL"),
    )
    op.create_index(
        "ix_recipient_stage",
        "recipient",
        ["campaign_id", "stage", "created_at", "entity_id"],
        postgresql_where=sa.text("stage IS NOT NULL AND deleted_at IS NULL"),
        sqlite_where=sa.text("stage IS NOT NULL AND deleted_at IS NULL"),
    )
    op.create_index(
        "ix_recipient_unplanned",
        "recipient",
        ["campaign_id", "automation_status"],
        postgresql_where=sa.text("job_id IS NULL"),
        sqlite_where=sa.text("job_id IS NULL"),
    )
    op.create_table(
        "delivery_hour",
        sa.Column("campaign_id", sa.Uuid(), nullable=False),
        sa.Column("hour", UtcDateTime(), nullable=False),
        sa.Column("touchpoint_id", sa.Uuid(), nullable=False),
        sa.Column("variant", sa.String(length=64), nullable=False),
        sa.Column("target_id", sa.Uuid(), nullable=False),
        sa.Column("sent", sa.Integer(), nullable=False),
        sa.Column("failed", sa.Integer(), nullable=False),
        sa.Column("cancelled", sa.Integer(), nullable=False),
        sa.Column("cost", sa.Double(), server_default=sa.text("0"), nullable=False),
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["campaign_id"], ["campaign.id"], name="fk_delivery_hour_campaign_id_campaign", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["org_id"], ["organization.id"], name="fk_delivery_hour_org_id_organization", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint(
            "campaign_id", "hour", "touchpoint_id", "variant", "target_id", name="pk_delivery_hour"
        ),
    )
    op.create_table(
        "job",
        sa.Column("campaign_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("held", sa.Boolean(), nullable=False),
        sa.Column("waits_until", UtcDateTime(), nullable=True),
        sa.Column("waits_reason", sa.Text(), nullable=True),
        sa.Column("waits_for", sa.String(length=16), nullable=True),
        sa.Column("token", sa.String(length=64), nullable=True),
        sa.Column("window", sa.Integer(), nullable=False),
        sa.Column("pace", sa.Integer(), nullable=True),
        sa.Column("priority", sa.String(length=8), server_default="normal", nullable=False),
        sa.Column("reach", sa.Double(), server_default="100", nullable=False),
        sa.Column("flow_id", sa.Uuid(), nullable=True),
        sa.Column("target_ids", Json, nullable=False),
        sa.Column("planned", sa.Boolean(), nullable=False),
        sa.Column("checkpoint", Json, nullable=True),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("success", sa.Integer(), nullable=False),
        sa.Column("failed", sa.Integer(), nullable=False),
        sa.Column("cancelled", sa.Integer(), nullable=False),
        sa.Column("in_progress", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("slices_total", sa.Integer(), nullable=False),
        sa.Column("slices_done", sa.Integer(), nullable=False),
        sa.Column("touched_at", UtcDateTime(), nullable=True),
        sa.Column("started_at", UtcDateTime(), nullable=True),
        sa.Column("finished_at", UtcDateTime(), nullable=True),
        sa.Column("report", Json, nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["campaign_id"], ["campaign.id"], name="fk_job_campaign_id_campaign", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["org_id"], ["organization.id"], name="fk_job_org_id_organization", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_job"),
    )
    op.create_index(
        "ix_job_open",
        "job",
        ["status"],
        postgresql_where=sa.text("status IN ('queued', 'processing', 'send_report')"),
        sqlite_where=sa.text("status IN ('queued', 'processing', 'send_report')"),
    )
    op.create_index("ix_job_org_id_campaign_id_created_at", "job", ["org_id", "campaign_id", "created_at"])
    op.create_index(
        "ix_job_stopped",
        "job",
        ["touched_at"],
        postgresql_where=sa.text("status IN ('cancelled', 'failed')"),
        sqlite_where=sa.text("status IN ('cancelled', 'failed')"),
    )
    op.create_table(
        "job_pace",
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("processed", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name="fk_job_pace_job_id_job", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("job_id", "at", name="pk_job_pace"),
    )
    op.create_table(
        "slice",
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("due_at", UtcDateTime(), nullable=False),
        sa.Column("waits_for", sa.String(length=16), nullable=True),
        sa.Column("woken_at", UtcDateTime(), nullable=True),
        sa.Column("lease_epoch", sa.Integer(), nullable=False),
        sa.Column("lease_expires_at", UtcDateTime(), nullable=True),
        sa.Column("lease_owner", sa.String(length=128), nullable=True),
        sa.Column("in_progress", sa.Integer(), nullable=False),
        sa.Column("in_progress_folded", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("success", sa.Integer(), nullable=False),
        sa.Column("failed", sa.Integer(), nullable=False),
        sa.Column("cancelled", sa.Integer(), nullable=False),
        sa.Column("sent", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("target_id", sa.Uuid(), nullable=True),
        sa.Column("touchpoint_id", sa.Uuid(), nullable=True),
        sa.Column("variant", sa.String(length=64), nullable=True),
        sa.Column("hour", UtcDateTime(), nullable=True),
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name="fk_slice_job_id_job", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["org_id"], ["organization.id"], name="fk_slice_org_id_organization", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("job_id", "number", name="pk_slice"),
    )
    op.create_index(
        "ix_slice_in_flight",
        "slice",
        ["job_id", "woken_at"],
        postgresql_where=sa.text("state <> 'done' AND woken_at IS NOT NULL"),
        sqlite_where=sa.text("state <> 'done' AND woken_at IS NOT NULL"),
    )
    op.create_index(
        "ix_slice_lease",
        "slice",
        ["lease_expires_at"],
        postgresql_where=sa.text("state = 'leased'"),
        sqlite_where=sa.text("state = 'leased'"),
    )
    op.create_index(
        "ix_slice_ready",
        "slice",
        ["job_id", "due_at", "number"],
        postgresql_where=sa.text("state = 'ready'"),
        sqlite_where=sa.text("state = 'ready'"),
    )
