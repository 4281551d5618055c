"""The public keys of an OpenID provider (a JWK set, RFC 7517), read from a URL or a file and kept in memory.

Promises:
- No request waits for the provider: the set is kept, and read again once it is `FILE_AGE` or `URL_AGE` old. Requests
  meanwhile go on with the old one after `PATIENCE`.
- A token that names a key which is not in the set has it read again at once, but at most once in `UNKNOWN_EVERY`,
  whatever clients send.
- What cannot be read as a set of usable keys, as a file that is half written, changes nothing.
"""

from __future__ import annotations

import asyncio
import json
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import structlog
from anyio.to_thread import run_sync
from joserfc.errors import JoseError, SecurityWarning
from joserfc.jwk import ECKey, JWKRegistry, OKPKey, RSAKey

from config.errors import MusterError

if TYPE_CHECKING:
    from collections.abc import Callable

    from joserfc.jwk import Key

__all__ = ["FILE_AGE", "UNKNOWN_EVERY", "URL_AGE", "KeysAway", "TokenKeys"]

log = structlog.get_logger(__name__)

#: Seconds after which a set is read again, from a file and from a URL.
FILE_AGE = 30.0
URL_AGE = 300.0
#: Seconds between two readings because of keys that are not in the set.
UNKNOWN_EVERY = 30.0
#: Seconds that a request waits for a newer set while there is an older one.
PATIENCE = 1.0
#: Seconds for reading the set once, and until a set that could not be read is asked for again.
_TIMEOUT = 5.0
_RETRY = 5.0
#: Bytes of a set, and keys of one.
_LARGEST = 1024 * 1024
_MOST = 100
_SHORTEST_RSA = 2048
_OK = 200


class KeysAway(MusterError):
    """The provider's keys have not been read yet, and cannot be read now."""


class TokenKeys:
    """The keys of one provider. Used on one event loop.

    Args:
        where: An `https://` or `http://` URL, else the path of a file.
        monotonic: The clock of its ages, in seconds.
    """

    def __init__(self, where: str, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._where = where
        self._is_url = where.startswith(("https://", "http://"))
        self._monotonic = monotonic
        self._keys: tuple[Key, ...] | None = None
        self._due = float("-inf")
        """When the set is read again."""
        self._unknown_due = float("-inf")
        """When an unknown key may have it read again."""
        self._reading: asyncio.Task[None] | None = None

    async def find(self, kid: str | None) -> list[Key]:
        """The keys of that id; all of them where a token names none.

        Raises:
            KeysAway: no set could be read so far.
        """
        now = self._monotonic()
        if now >= self._due:
            await self._read(None if self._keys is None else PATIENCE)
        found = self._named(kid)
        if not found and now >= self._unknown_due and self._keys is not None:
            self._unknown_due = now + UNKNOWN_EVERY
            await self._read(None)
            found = self._named(kid)
        return found

    def _named(self, kid: str | None) -> list[Key]:
        if self._keys is None:
            raise KeysAway("the keys of the token's issuer cannot be read at the moment")
        return [key for key in self._keys if kid is None or key.get("kid") == kid]

    async def _read(self, patience: float | None) -> None:
        """Read the set, together with the others who wait for it; give up waiting after `patience` seconds."""
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._refresh())
        await asyncio.wait({self._reading}, timeout=patience)

    async def _refresh(self) -> None:
        try:
            async with asyncio.timeout(_TIMEOUT):
                read = self._fetched if self._is_url else self._of_file
                text = await run_sync(read, abandon_on_cancel=True)
            self._keys = _usable(text)
        except (OSError, ValueError, httpx.HTTPError, httpx.InvalidURL) as error:
            self._due = self._monotonic() + (_RETRY if self._keys is None else UNKNOWN_EVERY)
            log.warning("token_keys.unreadable", where=self._where, reason=str(error) or type(error).__name__)
        else:
            self._due = self._monotonic() + (URL_AGE if self._is_url else FILE_AGE)

    def _fetched(self) -> bytes:
        text = b""
        with (
            httpx.Client(timeout=_TIMEOUT, follow_redirects=False) as client,
            client.stream("GET", self._where, headers={"accept": "application/json"}) as answer,
        ):
            if answer.status_code != _OK:
                raise ValueError(f"it was answered {answer.status_code}")
            for piece in answer.iter_bytes():
                text += piece
                if len(text) > _LARGEST:
                    raise ValueError(f"it is longer than {_LARGEST} bytes")
        return text

    def _of_file(self) -> bytes:
        path = Path(self._where)
        if not path.is_file():
            raise ValueError("there is no such file")
        with path.open("rb") as file:
            return file.read(_LARGEST)


def _usable(text: bytes) -> tuple[Key, ...]:
    """The keys of a set that signatures can be checked with; others are passed over (RFC 7517, section 5).

    Raises:
        ValueError: it is no set, or none of its keys is usable.
    """
    read = json.loads(text)
    listed = read.get("keys") if isinstance(read, dict) else None
    if not isinstance(listed, list):
        raise ValueError('it is no JSON object with "keys"')  # noqa: TRY004 - one error for all that is wrong with it
    keys = tuple(key for one in listed[:_MOST] if (key := _key(one)) is not None)
    if not keys:
        raise ValueError("it holds no key that signatures can be checked with")
    return keys


def _key(given: object) -> Key | None:
    if not isinstance(given, dict) or given.get("kty") not in ("RSA", "EC", "OKP"):
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SecurityWarning)  # too short ones are passed over
            key = JWKRegistry.import_key(given)
            key.check_use("sig")
            key.check_key_op("verify")
            too_short = isinstance(key, RSAKey) and key.public_key.key_size < _SHORTEST_RSA
    except (JoseError, ValueError, TypeError):
        return None
    return key if isinstance(key, RSAKey | ECKey | OKPKey) and not too_short else None
