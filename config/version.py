"""Which version this is, as the installed distribution says."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed_version

__all__ = ["DISTRIBUTION", "version"]

#: What pip installs; `muster` is somebody else's.
DISTRIBUTION = "muster-engine"


def version() -> str:
    """`0.1.0`; `0` in a checkout that was not installed."""
    try:
        return installed_version(DISTRIBUTION)
    except PackageNotFoundError:
        return "0"
