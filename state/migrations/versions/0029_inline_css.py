"""inline css"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"


def upgrade() -> None:
    op.add_column(
        "template", sa.Column("inline_css", sa.Boolean(), server_default=sa.false(), nullable=False)
    )
