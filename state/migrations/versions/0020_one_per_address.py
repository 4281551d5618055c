"""one per address"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    op.add_column(
        "campaign", sa.Column("one_per_address", sa.Boolean(), server_default=sa.false(), nullable=False)
    )
    op.create_table(
        "recipient_address",
        sa.Column("campaign_id", sa.Uuid(), nullable=False),
        sa.Column("digest", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("entity_id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("campaign_id", "digest", name="pk_recipient_address"),
    )
