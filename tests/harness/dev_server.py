"""`muster dev` as a process: API, worker and scheduler over SQLite, with a `file` channel."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import httpx

from tests.harness.ports import free_port
from tests.harness.process import Process
from tests.harness.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["dev_server"]

_OK = 200


@contextmanager
def dev_server(directory: Path, key: str, **settings: str) -> Iterator[str]:
    """Its URL, once it is ready; it ends with the block.

    Args:
        directory: Where its data lies.
        key: The API key of its organization.
        settings: Further environment: `MUSTER_SWEEP_INTERVAL="0.2"`.

    Raises:
        RuntimeError: the process ended; shows what it said.
        TimeoutError: it is not ready within a minute.
    """
    port = free_port()
    process = Process(
        "dev", "--port", str(port), "--data", str(directory / "data"),
        directory=directory,
        env={"MUSTER_DEV_API_KEY": key, **settings},
    )  # fmt: skip
    url = f"http://127.0.0.1:{port}"

    def ready() -> bool:
        try:
            return httpx.get(f"{url}/health/ready", timeout=5).status_code == _OK
        except httpx.TransportError:
            if not process.alive:
                raise RuntimeError(f"muster dev ended\n{process.tail()}") from None
            return False

    with process:
        wait_until(ready, "muster dev is ready", deadline=60)
        yield url
