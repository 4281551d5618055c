"""retry span"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    op.add_column(
        "channel", sa.Column("retry_span_seconds", sa.Double(), server_default="3600", nullable=False)
    )
