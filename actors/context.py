"""What every actor is handed: one process's runtime, executor and dispatcher."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.delivery.lease import Executor
    from engine.events.webhook_dispatcher import WebhookDispatcher
    from engine.kernel.runtime import Runtime

__all__ = ["Context"]


@dataclass(frozen=True)
class Context:
    """One worker process."""

    runtime: Runtime
    executor: Executor
    dispatcher: WebhookDispatcher
