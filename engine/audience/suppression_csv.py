"""The suppression list as CSV, in the form that the import takes."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

from engine.audience.suppression_list import COLUMNS, export_suppressions
from engine.kernel.csv_cells import defused
from state.types import NIL_UUID

if TYPE_CHECKING:
    from collections.abc import Iterator
    from uuid import UUID

    from state.database import Database

__all__ = ["suppressions_as_csv"]


def suppressions_as_csv(database: Database, org_id: UUID) -> Iterator[str]:
    """The header, and then the lines, a piece at a time."""
    yield ",".join(COLUMNS) + "\r\n"
    for rows in export_suppressions(database, org_id):
        text = io.StringIO()
        csv.writer(text).writerows(
            [
                row.channel_kind or "",
                defused(row.address),
                row.reason,
                "" if row.campaign_id == NIL_UUID else row.campaign_id,
                row.medium,
            ]
            for row in rows
        )
        yield text.getvalue()
