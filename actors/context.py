"""What every actor is handed: one process's runtime, executor and postman."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.delivery.execute import Executor
    from engine.events.postman import Postman
    from engine.runtime import Runtime

__all__ = ["Context"]


@dataclass(frozen=True)
class Context:
    """One worker process."""

    runtime: Runtime
    executor: Executor
    postman: Postman
