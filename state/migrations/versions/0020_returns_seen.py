"""returns seen"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from state.types import Json

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    op.add_column("campaign", sa.Column("returns_seen", Json, nullable=True))
