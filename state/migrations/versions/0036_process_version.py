"""process version"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0036"
down_revision = "0035"


def upgrade() -> None:
    op.add_column(
        "process", sa.Column("version", sa.String(length=32), server_default=sa.text("''"), nullable=False)
    )
