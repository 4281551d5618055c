"""erasure"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

import state.types

revision = "0027"
down_revision = "0026"

_JSON = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")


def upgrade() -> None:
    op.create_table(
        "erasure",
        sa.Column("entity_id", sa.Uuid(), nullable=False),
        sa.Column("schema", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("asked_at", state.types.UtcDateTime(), nullable=False),
        sa.Column("asked_by", sa.String(length=255), nullable=False),
        sa.Column("due_at", state.types.UtcDateTime(), nullable=False),
        sa.Column("erased_at", state.types.UtcDateTime(), nullable=True),
        sa.Column("checkpoint", _JSON, nullable=True),
        sa.Column("person", sa.LargeBinary(), nullable=True),
        sa.Column("counts", _JSON, nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["org_id"], ["organization.id"], name="fk_erasure_org_id_organization", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_erasure"),
        sa.UniqueConstraint("org_id", "entity_id", name="uq_erasure_org_id_entity_id"),
    )
    op.create_index(
        "ix_erasure_open",
        "erasure",
        ["due_at"],
        postgresql_where=sa.text("state <> 'done'"),
        sqlite_where=sa.text("state <> 'done'"),
    )
