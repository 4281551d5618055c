"""texts kept from"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from state.types import UtcDateTime

revision = "0032"
down_revision = "0031"


def upgrade() -> None:
    op.add_column("campaign", sa.Column("texts_kept_from", UtcDateTime(), nullable=True))
