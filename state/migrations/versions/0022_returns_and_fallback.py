"""returns and fallback"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from state.types import Json

revision = "0022"
down_revision = "0021"


def upgrade() -> None:
    op.add_column("campaign", sa.Column("returns_seen", Json, nullable=True))
    op.add_column("channel", sa.Column("fallback_channel_id", sa.Uuid(), nullable=True))
