"""returns to rate"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    op.add_column("channel", sa.Column("returns_to_rate", sa.Double(), nullable=True))
