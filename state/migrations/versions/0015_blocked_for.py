"""blocked for"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    op.add_column("channel", sa.Column("blocked_for", sa.String(length=16), nullable=True))
