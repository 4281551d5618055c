"""The keys of the installation, and a change of MUSTER_SECRET_KEY."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import pytest
from sqlalchemy import LargeBinary, select

from engine.events.webhooks import secret_place
from engine.kernel import sealing
from engine.kernel.keyring import ERASED, open_keyring, read_key
from engine.kernel.sealing import SEALED, Resealed, reseal
from engine.kernel.secrets import Secrets, SecretsError, channel_place, new_key
from state.tables import Base, Channel, Webhook

if TYPE_CHECKING:
    from state.database import Database

#: Bytes that are no secret, or not sealed: digests, files, and answers, which hold no secret.
_NOT_SEALED = {
    "api_key.digest", "idempotency_key.fingerprint", "idempotency_key.answer", "template_attachment.content",
    "browser_session.digest", "sign_in_code.digest",
    "picture.content", "picture.digest",
}  # fmt: skip


def add_channel(database: Database, org_id: UUID, secrets: Secrets) -> UUID:
    now, channel_id = database.clock.now(), uuid4()
    with database.begin() as session:
        session.add(
            Channel(
                id=channel_id,
                org_id=org_id,
                name="c",
                kind="smtp",
                doubt_policy="resend",
                created_at=now,
                updated_at=now,
                credentials=secrets.seal({"password": "p"}, channel_place(channel_id)),
            )
        )
    return channel_id


def add_webhook(database: Database, org_id: UUID, secrets: Secrets) -> UUID:
    now, webhook_id = database.clock.now(), uuid4()
    with database.begin() as session:
        session.add(
            Webhook(
                id=webhook_id,
                org_id=org_id,
                url="https://a.example",
                events=["*"],
                created_at=now,
                updated_at=now,
                secret=secrets.seal({"secret": "s"}, secret_place(webhook_id)),
                previous_secret=secrets.seal({"secret": "before"}, secret_place(webhook_id)),
            )
        )
    return webhook_id


def test_every_column_of_bytes_is_sealed_again_or_holds_no_secret():
    columns = {
        f"{table.name}.{column.name}"
        for table in Base.metadata.sorted_tables
        for column in table.columns
        if isinstance(column.type, LargeBinary)
    }
    assert columns == _NOT_SEALED | {one.name for one in SEALED}


def test_a_change_of_key_seals_everything_again_and_the_ring_keeps_its_keys(database, org_id, monkeypatch):
    monkeypatch.setattr(sealing, "SLICE", 2)
    old, new = new_key(), new_key()
    before, both, after = Secrets([old]), Secrets([new, old]), Secrets([new])
    open_keyring(database, before)
    channels = [add_channel(database, org_id, before) for _ in range(5)]
    webhook_id = add_webhook(database, org_id, before)
    with database.read() as session:
        ring = read_key(session, before, ERASED)
    open_keyring(database, both)

    assert Resealed(sealed=8) == reseal(database, both)
    assert Resealed(kept=8) == reseal(database, both)
    open_keyring(database, after)
    with database.read() as session:
        assert ring == read_key(session, after, ERASED)
        for row in session.scalars(select(Channel)):
            assert row.id in channels
            assert after.open(row.credentials, channel_place(row.id)) == {"password": "p"}
        webhook = session.get_one(Webhook, webhook_id)
        assert after.open(webhook.secret, secret_place(webhook_id)) == {"secret": "s"}
        assert after.open(webhook.previous_secret, secret_place(webhook_id)) == {"secret": "before"}


def test_what_no_key_opens_is_counted_and_left(database, org_id):
    add_channel(database, org_id, Secrets([new_key()]))
    assert Resealed(lost=1) == reseal(database, Secrets([new_key()]))


def test_another_key_is_refused_at_the_start(database):
    open_keyring(database, Secrets([new_key()]))
    with pytest.raises(SecretsError, match="another key than the one that this database was set up with"):
        open_keyring(database, Secrets([new_key()]))


def test_a_database_without_a_ring_is_known_by_its_channels(database, org_id):
    own = Secrets([new_key()])
    add_channel(database, org_id, own)
    with pytest.raises(SecretsError, match="another key"):
        open_keyring(database, Secrets([new_key()]))
    open_keyring(database, own)
