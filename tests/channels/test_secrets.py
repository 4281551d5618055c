"""Credentials at rest."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import sys
from multiprocessing import get_context
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from config.settings import Settings
from engine.kernel.secrets import KEY_FILE, Place, Secrets, SecretsError, new_key

PLACE = Place("channel", "credentials", UUID(int=1))
CREDENTIALS = {"username": "muster", "password": "pässword"}


@given(
    st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"])), st.text(st.characters(exclude_categories=["Cs"]))
    )
)
def test_what_is_sealed_can_be_opened(credentials):
    vault = Secrets([new_key()])
    assert vault.open(vault.seal(credentials, PLACE), PLACE) == credentials


def test_nothing_of_it_can_be_read_and_no_two_are_alike():
    vault = Secrets([new_key()])
    one, two = vault.seal(CREDENTIALS, PLACE), vault.seal(CREDENTIALS, PLACE)
    assert one != two
    assert b"muster" not in one


def test_a_new_key_opens_what_the_old_one_sealed():
    old, new = new_key(), new_key()
    sealed = Secrets([old]).seal(CREDENTIALS, PLACE)
    both = Secrets([new, old])
    assert both.open(sealed, PLACE) == CREDENTIALS
    assert both.stale(sealed)
    again = both.seal(both.open(sealed, PLACE), PLACE)
    assert not both.stale(again)
    assert Secrets([new]).open(again, PLACE) == CREDENTIALS


def test_another_key_opens_nothing():
    sealed = Secrets([new_key()]).seal(CREDENTIALS, PLACE)
    with pytest.raises(SecretsError, match="another key"):
        Secrets([new_key()]).open(sealed, PLACE)


@pytest.mark.parametrize(
    "damage",
    [
        lambda raw: raw[:-1] + bytes([raw[-1] ^ 1]),
        lambda raw: raw[:10],
        lambda _: b"",
        lambda raw: b"\x01" + raw[1:],
        lambda raw: b"\x03" + raw[1:],
    ],
)
def test_damage_is_noticed(damage):
    vault = Secrets([new_key()])
    with pytest.raises(SecretsError, match="damaged"):
        vault.open(damage(vault.seal(CREDENTIALS, PLACE)), PLACE)


@pytest.mark.parametrize("key", ["", "short", base64.b64encode(b"x" * 31).decode(), "!" * 44, "ä" * 44])
def test_a_key_that_is_none_is_refused_without_being_shown(key):
    with pytest.raises(SecretsError) as error:
        Secrets([key])
    assert not key or key not in str(error.value)


def test_there_must_be_a_key():
    with pytest.raises(SecretsError):
        Secrets([])
    with pytest.raises(SecretsError):
        Secrets.of(Settings(secret_key=SecretStr(" , ")))


def test_url_safe_keys_are_taken():
    raw = b"\xfb\xff" * 16
    sealed = Secrets([base64.b64encode(raw).decode()]).seal(CREDENTIALS, PLACE)
    assert Secrets([base64.urlsafe_b64encode(raw).decode()]).open(sealed, PLACE) == CREDENTIALS


def test_the_settings_keys_are_used(tmp_path):
    old, new = new_key(), new_key()
    sealed = Secrets([old]).seal(CREDENTIALS, PLACE)
    settings = Settings(secret_key=SecretStr(f"{new}, {old}"), data_dir=tmp_path)
    assert Secrets.of(settings).open(sealed, PLACE) == CREDENTIALS
    assert list(tmp_path.iterdir()) == []


def test_without_one_a_key_is_made_once_for_its_owner_alone(tmp_path):
    settings = Settings(secret_key=None, data_dir=tmp_path / "data")
    sealed = Secrets.of(settings).seal(CREDENTIALS, PLACE)
    assert Secrets.of(settings).open(sealed, PLACE) == CREDENTIALS
    (path,) = (tmp_path / "data").iterdir()
    assert path.name == KEY_FILE
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other permissions")
def test_a_key_file_that_others_can_read_is_refused(tmp_path):
    settings = Settings(secret_key=None, data_dir=tmp_path)
    Secrets.of(settings)
    (tmp_path / KEY_FILE).chmod(0o640)
    with pytest.raises(SecretsError, match="chmod 600"):
        Secrets.of(settings)


def seal_in_a_process(directory):
    return Secrets.of(Settings(secret_key=None, data_dir=directory)).seal({"pid": str(os.getpid())}, PLACE)


def test_processes_that_start_at_once_share_one_key(tmp_path):
    with get_context("spawn").Pool(3) as pool:
        sealed = pool.map(seal_in_a_process, [tmp_path] * 6, chunksize=1)
    vault = Secrets.of(Settings(secret_key=None, data_dir=tmp_path))
    assert all("pid" in vault.open(item, PLACE) for item in sealed)


def test_a_key_does_not_show():
    key = new_key()
    assert key not in f"{Secrets([key])!r}{vars(Secrets([key]))}"


@pytest.mark.parametrize(
    "other",
    [
        Place("channel", "credentials", UUID(int=2)),
        Place("webhook", "credentials", UUID(int=1)),
        Place("channel", "settings", UUID(int=1)),
    ],
)
def test_what_is_sealed_opens_in_its_place_alone(other):
    vault = Secrets([new_key()])
    sealed = vault.seal(CREDENTIALS, PLACE)
    with pytest.raises(SecretsError, match="damaged"):
        vault.open(sealed, other)


def test_what_was_sealed_for_no_place_opens_and_is_stale():
    key = new_key()
    raw = base64.b64decode(key)
    head = b"\x01" + hashlib.sha256(b"muster key " + raw).digest()[:4]
    nonce = bytes(12)
    sealed = head + nonce + AESGCM(raw).encrypt(nonce, json.dumps(CREDENTIALS).encode(), head)
    vault = Secrets([key])
    assert vault.open(sealed, PLACE) == CREDENTIALS
    assert vault.stale(sealed)
    assert not vault.stale(vault.seal(CREDENTIALS, PLACE))
