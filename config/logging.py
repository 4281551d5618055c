"""Structured logs: one JSON object a line in production, coloured columns for people.

Event names are stable ids (`slice.claimed`, `recipient.failed`), the same as in metrics, webhooks and docs.
Values under secret-bearing keys never reach the output.
"""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from structlog.typing import EventDict, Processor, WrappedLogger

    from config.settings import Settings

__all__ = ["configure_logging"]

#: A key that contains one of these is masked, however deep the caller put it.
SECRET_WORDS = ("password", "secret", "token", "api_key", "authorization", "credential")


def _mask_secrets(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    for key in event:
        if any(word in key.lower() for word in SECRET_WORDS):
            event[key] = "***"
    return event


def _add_trace(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """The ids of the trace that the line belongs to, in a process that is traced."""
    trace = sys.modules.get("opentelemetry.trace")
    if trace is not None:
        context = trace.get_current_span().get_span_context()
        if context.is_valid:
            event["trace_id"], event["span_id"] = f"{context.trace_id:032x}", f"{context.span_id:016x}"
    return event


def configure_logging(settings: Settings) -> None:
    """Set up structlog and route the standard library's loggers (dramatiq, uvicorn) through it, to stderr."""
    level = getattr(logging, settings.log_level.upper())
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        _add_trace,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _mask_secrets,
    ]
    console = settings.log_format == "console"
    renderer: Processor = (
        # Not the default formatter: it prints local variables, and credentials are among them.
        structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
        if console
        else structlog.processors.JSONRenderer(default=str)
    )
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    tail: list[Processor] = [structlog.stdlib.ProcessorFormatter.remove_processors_meta]
    if not console:
        tail.append(structlog.processors.format_exc_info)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=[*tail, renderer])
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    # Every refused connection to RabbitMQ is logged once, by us; pika would add three lines and a traceback.
    logging.getLogger("pika").setLevel(logging.CRITICAL)
    # It tells of each detector that it runs, and of what one trips over, which is taken for no bounce.
    logging.getLogger("flufl.bounce").setLevel(logging.CRITICAL + 1)
    for noisy in ("httpx", "aiosmtpd", "alembic.runtime.plugins"):
        logging.getLogger(noisy).setLevel(max(level, logging.WARNING))
