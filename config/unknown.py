"""Variables that look like settings and are none: a misspelt `MUSTER_DATABSE_URL` would otherwise mean the default."""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import TYPE_CHECKING

from dotenv import dotenv_values

from config.settings import ENV_FILE, Settings

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["unknown_variables"]

_PREFIX = Settings.model_config.get("env_prefix", "")
_KNOWN = frozenset(_PREFIX + name.upper() for name in Settings.model_fields) | {
    "MUSTER_API_KEY",
    "MUSTER_INTAKE",
    "MUSTER_ORG",
    "MUSTER_TRIGGER",
}
#: What Kubernetes and Docker links put beside a process for a service whose name begins with "muster".
_OF_THE_CLUSTER = re.compile(
    r"_SERVICE_HOST|_SERVICE_PORT(_\w+)?|_PORT_\d+_(TCP|UDP|SCTP)(_PROTO|_PORT|_ADDR)?"
)
_ADDRESS = re.compile(r"(tcp|udp|sctp)://")


def unknown_variables(environment: Mapping[str, str]) -> dict[str, str | None]:
    """Names with the prefix of the settings that name none, of the environment and of `.env`.

    Returns:
        Name → the setting that it resembles, or None.
    """
    given = {**dotenv_values(ENV_FILE), **environment}
    found: dict[str, str | None] = {}
    for name, value in sorted(given.items()):
        upper = name.upper()
        if not upper.startswith(_PREFIX) or upper in _KNOWN or _is_of_the_cluster(upper, value or ""):
            continue
        near = get_close_matches(upper, _KNOWN, n=1, cutoff=0.85)
        found[name] = near[0] if near else None
    return found


def _is_of_the_cluster(name: str, value: str) -> bool:
    match = _OF_THE_CLUSTER.search(name)
    return (match is not None and match.end() == len(name)) or (
        name.endswith("_PORT") and _ADDRESS.match(value) is not None
    )
