"""asked at"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from state.types import UtcDateTime

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    op.add_column("scheduled_run", sa.Column("asked_at", UtcDateTime(), nullable=True))
    # What waits for another time than its campaign's start was asked for by time.
    op.execute(
        "UPDATE scheduled_run SET asked_at = due_at WHERE status = 'waiting' AND NOT EXISTS ("
        "SELECT 1 FROM campaign WHERE campaign.id = scheduled_run.campaign_id"
        " AND campaign.starts_at = scheduled_run.due_at)"
    )
