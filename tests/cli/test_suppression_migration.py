"""Suppressions that stand in a database of before are kept in the form in which addresses are used."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from alembic import command

from state import migrate
from state.database import Database
from state.tables import Suppression
from state.types import UtcDateTime
from tests.cli.test_migrations import new_url  # noqa: F401 - a fixture

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.slow

ORGANIZATION = sa.table(
    "organization",
    *(sa.column(name, kind) for name, kind in (
        ("id", sa.Uuid()), ("name", sa.String()), ("region", sa.String()), ("created_at", UtcDateTime()),
        ("limits_epoch", sa.Integer()),
    )),
)  # fmt: skip
SUPPRESSION = sa.table(
    "suppression",
    *(sa.column(name, kind) for name, kind in (
        ("id", sa.Uuid()), ("org_id", sa.Uuid()), ("channel_kind", sa.String()), ("address", sa.String()),
        ("reason", sa.String()), ("campaign_id", sa.Uuid()), ("created_at", UtcDateTime()),
    )),
)  # fmt: skip
BEFORE = (
    ("sms", "+49 151 12345678", "unsubscribe"),
    ("whatsapp", "0151/12345678", "manual"),
    ("sms", "no number", "manual"),
    ("smtp", "ada@xn--mller-kva.de", "hard_bounce"),
    ("file", "ada@xn--mller-kva.de", "manual"),
    ("http", "Bo@Müller.de", "manual"),
    ("telegram", "12345", "manual"),
    ("portal", "5b0c", "manual"),
)


def test_what_is_stored_takes_the_form_of_its_medium(new_url: Callable[[], str]) -> None:  # noqa: F811
    url, org_id, at = new_url(), uuid4(), datetime(2026, 1, 1, tzinfo=UTC)
    database = Database(url, pool_size=1)
    with database.engine.begin() as connection:
        config = migrate.configuration()
        config.attributes["connection"] = connection
        command.upgrade(config, "0012")
        connection.execute(
            ORGANIZATION.insert(),
            {"id": org_id, "name": "shop", "region": "DE", "created_at": at, "limits_epoch": 0},
        )
        connection.execute(
            SUPPRESSION.insert(),
            [
                {
                    "id": uuid4(),
                    "org_id": org_id,
                    "channel_kind": kind,
                    "address": address,
                    "reason": reason,
                    "campaign_id": UUID(int=0),
                    "created_at": at + timedelta(seconds=number),
                }
                for number, (kind, address, reason) in enumerate(BEFORE)
            ],
        )
    migrate.upgrade(url)
    with database.read() as session:
        kept = {
            (row.medium, row.address, row.reason, row.org_id)
            for row in session.scalars(sa.select(Suppression))
        }
    database.close()
    assert kept == {
        ("phone", "+4915112345678", "unsubscribe", org_id),
        ("phone", "no number", "manual", org_id),
        ("email", "ada@xn--mller-kva.de", "hard_bounce", org_id),
        ("email", "bo@xn--mller-kva.de", "manual", org_id),
        ("chat", "12345", "manual", org_id),
        ("other", "5b0c", "manual", org_id),
    }
