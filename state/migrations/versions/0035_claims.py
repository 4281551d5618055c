"""a claim stands on the slice, and recipients are written once"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from state.types import Keys

revision = "0035"
down_revision = "0034"


def upgrade() -> None:
    op.add_column("slice", sa.Column("claimed", Keys(), nullable=True))
    op.add_column("slice", sa.Column("claimed_step", sa.Integer(), nullable=True))
    _claim()
    _open_again()
    op.drop_column("recipient", "in_flight")


def _claim() -> None:
    """Whom the leases have on the wire."""
    keys = (
        "array_agg(entity_id)"
        if op.get_bind().dialect.name == "postgresql"
        else "json_group_array(entity_id)"
    )
    here = """
        FROM recipient
        WHERE recipient.job_id = slice.job_id AND recipient.slice_number = slice.number AND in_flight
            AND automation_status = 'in_progress'
    """
    op.execute(
        f"""
        UPDATE slice
        SET claimed = (SELECT {keys} {here}),
            claimed_step = (SELECT max(CASE WHEN touchpoint_id IS NOT NULL THEN step END) {here})
        WHERE state = 'leased' AND EXISTS (SELECT 1 {here})
        """  # noqa: S608 - words of this file
    )


def _open_again() -> None:
    """Their attempt is counted when it ends; those without a touchpoint behind them are pending until then."""
    op.execute(
        """
        UPDATE recipient
        SET attempt = attempt - 1,
            automation_status = CASE WHEN step > 0 THEN automation_status ELSE 'pending' END
        WHERE in_flight AND automation_status = 'in_progress'
        """
    )
