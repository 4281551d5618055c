"""Under which conditions something was measured."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

from bench.ground import POSTGRESQL

__all__ = ["conditions", "load"]


def conditions(postgresql: str | None = None) -> dict[str, str]:
    """Name → what it is: machine, software, settings, and what else the machine was doing."""
    found = {
        "processor": f"{os.cpu_count()} × {_processor()}",
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        **{name: version(name) for name in ("sqlalchemy", "psycopg", "dramatiq", "redis")},
        "redis-server": _first_line("redis-server", "--version"),
        "postgresql.conf": ", ".join(f"{name}={value}" for name, value in POSTGRESQL.items()),
        "load": load(),
    }
    return found if postgresql is None else {"postgresql": postgresql, **found}


def load() -> str:
    """How many programs wanted the processor of late; what is measured is among them."""
    return "{:.1f} {:.1f} {:.1f} (1, 5, 15 minutes)".format(*os.getloadavg())


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "?")


def _first_line(*command: str) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[0]
    except (OSError, subprocess.CalledProcessError, IndexError):
        return "?"
