"""slices count their recipients by status, and no index of recipients holds the status"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from state.types import Derived, UtcDateTime

revision = "0021"
down_revision = "0020"

_INDEXES = {
    "in_flight": (("job_id", "woken_at"), "state <> 'done' AND woken_at IS NOT NULL"),
    "lease": (("lease_expires_at",), "state = 'leased'"),
    "ready": (("job_id", "due_at", "number"), "state = 'ready'"),
    "pending": (("campaign_id", "job_id", "number"), "size > success + failed + cancelled + in_progress"),
    "in_progress": (("campaign_id", "job_id", "number"), "in_progress > 0"),
    "success": (("campaign_id", "job_id", "number"), "success > 0"),
    "failed": (("campaign_id", "job_id", "number"), "failed > 0"),
    "cancelled": (("campaign_id", "job_id", "number"), "cancelled > 0"),
}


def upgrade() -> None:
    op.execute("CREATE TEMPORARY TABLE slice_before AS SELECT * FROM slice")
    op.drop_table("slice")
    _make_slices()
    _count_recipients()
    op.execute("DROP TABLE slice_before")
    _change_recipients()


def _make_slices() -> None:
    zero = sa.text("0")
    op.create_table(
        "slice",
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("campaign_id", sa.Uuid(), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("due_at", UtcDateTime(), nullable=False),
        sa.Column("waits_for", sa.String(length=16), nullable=True),
        sa.Column("woken_at", UtcDateTime(), nullable=True),
        sa.Column("lease_epoch", sa.Integer(), nullable=False),
        sa.Column("lease_expires_at", UtcDateTime(), nullable=True),
        sa.Column("lease_owner", sa.String(length=128), nullable=True),
        sa.Column("in_progress", sa.Integer(), nullable=False),
        sa.Column("in_progress_folded", sa.Integer(), server_default=zero, nullable=False),
        sa.Column("success", sa.Integer(), nullable=False),
        sa.Column("success_folded", sa.Integer(), server_default=zero, nullable=False),
        sa.Column("failed", sa.Integer(), nullable=False),
        sa.Column("failed_folded", sa.Integer(), server_default=zero, nullable=False),
        sa.Column("cancelled", sa.Integer(), nullable=False),
        sa.Column("cancelled_folded", sa.Integer(), server_default=zero, nullable=False),
        sa.Column("sent", sa.Integer(), server_default=zero, nullable=False),
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
    for name, (columns, where) in _INDEXES.items():
        op.create_index(
            f"ix_slice_{name}",
            "slice",
            list(columns),
            postgresql_where=sa.text(where),
            sqlite_where=sa.text(where),
        )


def _count_recipients() -> None:
    """What a slice held under a lease had not been folded into its job; the rest of its recipients was."""
    op.execute(
        """
        INSERT INTO slice (
            job_id, number, campaign_id, state, due_at, waits_for, woken_at, lease_epoch, lease_expires_at,
            lease_owner, sent, target_id, touchpoint_id, variant, hour, org_id, size,
            in_progress, in_progress_folded, success, success_folded, failed, failed_folded,
            cancelled, cancelled_folded
        )
        SELECT
            old.job_id, old.number, job.campaign_id, old.state, old.due_at, old.waits_for, old.woken_at,
            old.lease_epoch, old.lease_expires_at, old.lease_owner, old.sent, old.target_id, old.touchpoint_id,
            old.variant, old.hour, old.org_id, coalesce(held.size, 0),
            coalesce(held.in_progress, 0), old.in_progress_folded,
            coalesce(held.success, 0), coalesce(held.success, 0) - old.success,
            coalesce(held.failed, 0), coalesce(held.failed, 0) - old.failed,
            coalesce(held.cancelled, 0), coalesce(held.cancelled, 0) - old.cancelled
        FROM slice_before AS old
        JOIN job ON job.id = old.job_id
        LEFT JOIN (
            SELECT job_id, slice_number, count(*) AS size,
                count(CASE WHEN automation_status = 'in_progress' THEN 1 END) AS in_progress,
                count(CASE WHEN automation_status = 'success' THEN 1 END) AS success,
                count(CASE WHEN automation_status = 'failed' THEN 1 END) AS failed,
                count(CASE WHEN automation_status = 'cancelled' THEN 1 END) AS cancelled
            FROM recipient
            WHERE job_id IS NOT NULL AND slice_number IS NOT NULL
            GROUP BY job_id, slice_number
        ) AS held ON held.job_id = old.job_id AND held.slice_number = old.number
        """
    )


def _change_recipients() -> None:
    """PostgreSQL writes all pages anew for the column: as full as later ones will be."""
    for index in ("campaign_id_automation_status_entity_id", "email_status", "failed", "unplanned"):
        op.drop_index(f"ix_recipient_{index}", "recipient")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER TABLE recipient SET (fillfactor = 50)")
    op.add_column(
        "recipient",
        sa.Column(
            "unsliced_status",
            sa.String(length=12),
            Derived("CASE WHEN slice_number IS NULL THEN automation_status END"),
            nullable=True,
        ),
    )
    for name, columns, where in (
        ("email_status", ("email_status", "entity_id", "email_bounce_type"), "email_status IS NOT NULL"),
        ("failed", ("error_code",), "error_code IS NOT NULL"),
        ("unplanned", ("unsliced_status",), "job_id IS NULL"),
        ("unsliced", ("unsliced_status", "entity_id"), "unsliced_status IS NOT NULL"),
    ):
        op.create_index(
            f"ix_recipient_{name}",
            "recipient",
            ["campaign_id", *columns],
            postgresql_where=sa.text(where),
            sqlite_where=sa.text(where),
        )
