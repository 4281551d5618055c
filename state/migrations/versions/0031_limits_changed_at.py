"""limits changed at"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from state.types import UtcDateTime

revision = "0031"
down_revision = "0030"


def upgrade() -> None:
    op.add_column("organization", sa.Column("limits_changed_at", UtcDateTime(), nullable=True))
