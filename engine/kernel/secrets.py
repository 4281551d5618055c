"""Secrets at rest, channel credentials and others: AES-256-GCM under the operator's key.

The key is `MUSTER_SECRET_KEY` (base64 of 32 bytes), or, when that is not set, one that is made once and kept
in `data_dir/secret.key`, readable by its owner alone. Several keys, separated by commas, allow a change of
key: the first seals, all of them open, and `stale` tells what is still sealed with another.

A sealed value begins with a format byte and the key's fingerprint, so that a wrong key is distinguished from damage. It
is bound to its place, the table, column and row that it was sealed for: copied to another row it opens nowhere. Values
of the first format are bound to no place; they open, and are stale.

What cannot be opened is a `SecretsError`; no message ever holds a credential or a key.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import os
import secrets
import stat
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from config.errors import MusterError
from config.private_files import make_private_folder

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from uuid import UUID

    from config.settings import Settings

__all__ = ["KEY_FILE", "Place", "Secrets", "SecretsError", "channel_place", "new_key"]

KEY_FILE = "secret.key"

_UNBOUND = b"\x01"
_FORMAT = b"\x02"
_FINGERPRINT = 4
_NONCE = 12
_KEY = 32


class SecretsError(MusterError, ValueError):
    """A key that cannot be used, or credentials that cannot be opened."""


def new_key() -> str:
    """A fresh key, as `MUSTER_SECRET_KEY` takes it."""
    return base64.b64encode(secrets.token_bytes(_KEY)).decode()


class Place(NamedTuple):
    """Where a sealed value stands."""

    table: str
    column: str
    row: UUID | str
    """The row's primary key."""

    @property
    def bound(self) -> bytes:
        """What the value is authenticated with besides its head."""
        return f"{self.table}.{self.column}:{self.row}".encode()


def channel_place(channel_id: UUID) -> Place:
    """Where a channel's credentials stand."""
    return Place("channel", "credentials", channel_id)


class Secrets:
    """Seals and opens credentials.

    Args:
        keys: The first seals, all open; base64, usual or URL-safe, of 32 bytes each.

    Raises:
        SecretsError: a key is none.
    """

    def __init__(self, keys: Sequence[str]) -> None:
        if not keys:
            raise SecretsError("there is no key")
        decoded = [_decoded(key) for key in keys]
        self._keys = {_fingerprint(key): AESGCM(key) for key in decoded}
        self._first = _fingerprint(decoded[0])
        self.signing_keys = [hmac.digest(key, b"muster links", hashlib.sha256) for key in decoded]
        """Keys for signed links, one derived from each; never used to encrypt."""
        self.request_keys = [hmac.digest(key, b"muster requests", hashlib.sha256) for key in decoded]
        """The same, for fingerprints of requests (engine.kernel.idempotency)."""

    @classmethod
    def of(cls, settings: Settings) -> Secrets:
        """With the settings' key, or the key file's, which is made when there is none.

        Raises:
            SecretsError: the key is none, or others can read the key file.
            OSError: the key file can be neither read nor made.
        """
        if settings.secret_key is not None:
            given = settings.secret_key.get_secret_value()
        else:
            given = _key_from_file(settings.data_dir)
        return cls([key for key in (part.strip() for part in given.split(",")) if key])

    def __repr__(self) -> str:
        return f"<Secrets with {len(self._keys)} keys>"

    def seal(self, credentials: Mapping[str, Any], place: Place) -> bytes:
        """Encrypt credentials for one column of one row."""
        nonce = secrets.token_bytes(_NONCE)
        head = _FORMAT + self._first
        cipher = self._keys[self._first]
        return (
            head + nonce + cipher.encrypt(nonce, json.dumps(dict(credentials)).encode(), head + place.bound)
        )

    def open(self, sealed: bytes, place: Place) -> dict[str, Any]:
        """Decrypt what `seal` made for this place.

        Raises:
            SecretsError: it was sealed with a key that is not here, or for another place, or is damaged.
        """
        head, nonce, rest = _split(sealed)
        cipher = self._keys.get(head[len(_FORMAT) :])
        if cipher is None:
            raise SecretsError("the credentials were encrypted with another key than MUSTER_SECRET_KEY")
        bound = head if head.startswith(_UNBOUND) else head + place.bound
        try:
            opened = json.loads(cipher.decrypt(nonce, rest, bound))
        except (InvalidTag, ValueError):
            raise SecretsError("the credentials are damaged") from None
        return dict(opened)

    def knows_key_of(self, sealed: bytes) -> bool:
        """Whether the key that it was sealed with is here."""
        return _split(sealed)[0][len(_FORMAT) :] in self._keys

    def stale(self, sealed: bytes) -> bool:
        """Whether it was sealed with another key than the first, or for no place: open and seal it again."""
        return _split(sealed)[0] != _FORMAT + self._first


def _split(sealed: bytes) -> tuple[bytes, bytes, bytes]:
    head = len(_FORMAT) + _FINGERPRINT
    if sealed[: len(_FORMAT)] not in (_UNBOUND, _FORMAT) or len(sealed) <= head + _NONCE:
        raise SecretsError("the credentials are damaged")
    return sealed[:head], sealed[head : head + _NONCE], sealed[head + _NONCE :]


def _decoded(key: str) -> bytes:
    try:
        decoded = base64.b64decode(key.replace("-", "+").replace("_", "/"), validate=True)
    except (binascii.Error, ValueError):
        decoded = b""
    if len(decoded) != _KEY:
        raise SecretsError(f"MUSTER_SECRET_KEY: a key is base64 of {_KEY} bytes") from None
    return decoded


def _fingerprint(key: bytes) -> bytes:
    return hashlib.sha256(b"muster key " + key).digest()[:_FINGERPRINT]


def _key_from_file(directory: Path) -> str:
    """The key kept in `directory`. Of several processes that start at once one makes it, and all use it."""
    path = directory / KEY_FILE
    if not path.exists():
        make_private_folder(directory)
        draft = directory / f".{KEY_FILE}.{secrets.token_hex(8)}"
        handle = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        try:
            os.write(handle, new_key().encode() + b"\n")
            os.fsync(handle)
        finally:
            os.close(handle)
        try:
            os.link(draft, path)  # whole or not at all, and never over another's
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    if sys.platform != "win32" and path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise SecretsError(
            f"{path} can be read by others: chmod 600 it, and change the credentials it protects"
        )
    return path.read_text()
