"""Secrets taken out of what others say: error texts, references, whatever may end in a log or a row.

A provider may repeat a secret in its answer, and in another guise than it was given: percent-encoded in a URL,
escaped in JSON, in base64 in a header. A `Scrub` knows the guises of its secrets and shows none of them itself.
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

from pydantic import SecretStr

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["Scrub"]

_HIDDEN = "***"


class Scrub:
    """Replaces secrets by `***`.

    Args:
        secrets: In plain text, or kept as pydantic does; None and empty ones are passed over.
    """

    __slots__ = ("_guises",)

    def __init__(self, secrets: Iterable[str | SecretStr | None] = ()) -> None:
        guises: set[str] = set()
        for secret in secrets:
            plain = secret.get_secret_value() if isinstance(secret, SecretStr) else secret
            if plain:
                guises.update(_guises(plain))
        # The longest first: one may be part of another.
        self._guises = sorted(guises, key=len, reverse=True)

    def __repr__(self) -> str:
        return f"<Scrub of {len(self._guises)} texts>"

    def __call__(self, text: str) -> str:
        """`text` without the secrets."""
        for guise in self._guises:
            if guise in text:
                text = text.replace(guise, _HIDDEN)
        return text


def _guises(plain: str) -> Iterator[str]:
    yield plain
    yield quote(plain)
    yield quote(plain, safe="")
    yield quote_plus(plain)
    yield json.dumps(plain)[1:-1]
    yield json.dumps(plain, ensure_ascii=False)[1:-1]
    yield base64.b64encode(plain.encode()).decode()
