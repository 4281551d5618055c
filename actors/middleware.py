"""What happens around every message: log context, metrics, and an end to errors.

Nothing here touches delivery; a message that fails leaves work for the sweeper, never a retry in the broker.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import structlog
from dramatiq.middleware import CurrentMessage, Middleware

from engine.kernel import metrics
from state.database import is_connection_loss

if TYPE_CHECKING:
    import dramatiq

__all__ = ["LogContext", "Metrics", "standard"]

log = structlog.get_logger(__name__)

_WAKEUPS = metrics.WAKEUPS.counter()
_SECONDS = metrics.WAKEUP_SECONDS.histogram()


class LogContext(Middleware):
    """Binds actor and message id to every log line of a message, and unbinds them behind it."""

    def before_process_message(self, broker: dramatiq.Broker, message: Any) -> None:  # noqa: ARG002
        """Bind."""
        structlog.contextvars.bind_contextvars(actor=message.actor_name, message_id=message.message_id)

    def after_process_message(
        self,
        broker: dramatiq.Broker,  # noqa: ARG002
        message: Any,  # noqa: ARG002
        *,
        result: Any = None,  # noqa: ARG002
        exception: BaseException | None = None,
    ) -> None:
        """Say what went wrong, once, and unbind."""
        if isinstance(exception, Exception):
            if is_connection_loss(exception):
                log.warning("database.away", reason=str(exception))
            else:
                log.error("actor.failed", exc_info=exception)
        structlog.contextvars.clear_contextvars()


class Metrics(Middleware):
    """Counts and times wake-ups by actor."""

    def before_process_message(self, broker: dramatiq.Broker, message: Any) -> None:  # noqa: ARG002
        """Start the clock."""
        message.options["started"] = time.perf_counter()

    def after_process_message(
        self,
        broker: dramatiq.Broker,  # noqa: ARG002
        message: Any,
        *,
        result: Any = None,  # noqa: ARG002
        exception: BaseException | None = None,
    ) -> None:
        """Count."""
        _SECONDS.labels(message.actor_name).observe(time.perf_counter() - message.options.pop("started"))
        _WAKEUPS.labels(message.actor_name, "failed" if exception else "done").inc()


def standard() -> list[Middleware]:
    """The middleware of every Muster worker. dramatiq's own (retries, time limits …) is left out on purpose."""
    return [CurrentMessage(), LogContext(), Metrics()]
