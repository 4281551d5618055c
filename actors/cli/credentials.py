"""Credentials come from a file or from standard input, never from the command line, which others can read."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from actors.cli.failure import Exit, Failure

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["read_credentials"]


def read_credentials(path: Path) -> dict[str, Any]:
    """A JSON object; `-` is standard input.

    Raises:
        Failure: it cannot be read; the message holds nothing of what was read.
    """
    # The message holds nothing of what was read: it may be a password.
    try:
        said = json.loads(sys.stdin.read() if str(path) == "-" else path.read_text())
    except OSError as error:
        raise Failure(f"{path} cannot be read: {error.strerror}", code=Exit.USAGE) from None
    except ValueError:
        raise Failure(f"{path} holds no JSON", code=Exit.USAGE) from None
    if not isinstance(said, dict):
        raise Failure(f"{path} holds no JSON object", code=Exit.USAGE)
    return said
