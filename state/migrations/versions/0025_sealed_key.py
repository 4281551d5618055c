"""sealed key"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

import state.types

revision = "0025"
down_revision = "0024"


def upgrade() -> None:
    op.create_table(
        "sealed_key",
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", state.types.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_sealed_key"),
    )
