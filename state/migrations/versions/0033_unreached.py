"""of a job's cancelled, those whom stopping it left; hours' sums no longer count them as excluded"""

from __future__ import annotations

from collections import Counter
from datetime import UTC
from typing import Any

import sqlalchemy as sa
from alembic import op

from state.types import NIL_UUID, UtcDateTime

revision = "0033"
down_revision = "0032"

_RECIPIENT = sa.table(
    "recipient",
    sa.column("campaign_id", sa.Uuid()),
    sa.column("job_id", sa.Uuid()),
    sa.column("automation_status", sa.String()),
    sa.column("error_code", sa.String()),
    sa.column("touchpoint_id", sa.Uuid()),
    sa.column("variant", sa.String()),
    sa.column("target_id", sa.Uuid()),
    sa.column("updated_at", UtcDateTime()),
)
_HOUR = sa.table(
    "delivery_hour",
    sa.column("campaign_id", sa.Uuid()),
    sa.column("hour", UtcDateTime()),
    sa.column("touchpoint_id", sa.Uuid()),
    sa.column("variant", sa.String()),
    sa.column("target_id", sa.Uuid()),
    sa.column("cancelled", sa.Integer()),
)


def upgrade() -> None:
    op.add_column("job", sa.Column("unreached", sa.Integer(), server_default=sa.text("0"), nullable=False))
    op.execute(
        """
        UPDATE job SET unreached = (
            SELECT count(*) FROM recipient
            WHERE recipient.job_id = job.id AND recipient.automation_status = 'cancelled'
            AND recipient.error_code = 'JOB_CANCELLED'
        ) WHERE status IN ('cancelled', 'failed') AND cancelled > 0
        """
    )
    connection = op.get_bind()
    row = _RECIPIENT.c
    unreached = sa.select(
        row.campaign_id, row.updated_at, row.touchpoint_id, row.variant, row.target_id
    ).where(row.job_id.is_not(None), row.automation_status == "cancelled", row.error_code == "JOB_CANCELLED")
    counts: Counter[Any] = Counter(
        (campaign_id, at.astimezone(UTC).replace(minute=0, second=0, microsecond=0), *place)
        for campaign_id, at, *place in connection.execute(unreached)
    )
    for key, count in counts.items():
        _take_out(connection, *key, count=count)


def _take_out(
    connection: sa.Connection,
    campaign_id: Any,
    hour: Any,
    touchpoint_id: Any,
    variant: str | None,
    target_id: Any,
    *,
    count: int,
) -> None:
    """From the sum that counts them. Who had come to no touchpoint was counted at the flow's first, and at one without
    variants under none.
    """
    sums = _HOUR.c
    of_them = [
        sums.campaign_id == campaign_id,
        sums.hour == hour,
        sums.target_id == (target_id or NIL_UUID),
        sums.variant.in_(["", variant or ""]),
    ]
    if touchpoint_id is not None:
        of_them.append(sums.touchpoint_id == touchpoint_id)
    largest = sa.select(sums.touchpoint_id, sums.variant).where(*of_them).order_by(sums.cancelled.desc())
    found = connection.execute(largest.limit(1)).first()
    if found is not None:
        at = (sums.touchpoint_id == found.touchpoint_id, sums.variant == found.variant)
        connection.execute(sa.update(_HOUR).where(*of_them, *at).values(cancelled=sums.cancelled - count))
