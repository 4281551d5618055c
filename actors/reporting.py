"""What a process tells others of itself while it runs: traces to a receiver, errors to Sentry; each where it is set."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from config.errors import MusterError
from config.version import version
from engine.kernel.tracing import start_tracing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from config.settings import Settings

__all__ = ["SentryUnavailable", "reporting"]


class SentryUnavailable(MusterError):
    """`MUSTER_SENTRY_DSN` cannot be used."""


@contextmanager
def reporting(settings: Settings, service: str) -> Iterator[None]:
    """Report while the block runs; what waits to be sent is sent when it ends.

    Args:
        service: What the process is: `muster-api`, `muster-worker`, `muster-scheduler`.

    Raises:
        TracingUnavailable, SentryUnavailable: a package is not installed, or the DSN is none.
    """
    stop = start_tracing(settings, service)
    if settings.sentry_dsn is not None:
        _start_sentry(settings.sentry_dsn.get_secret_value(), service)
    try:
        yield
    finally:
        stop()


def _start_sentry(dsn: str, service: str) -> None:
    """Errors that are logged go to Sentry with their tracebacks, without variables, bodies or addresses of people."""
    try:
        import sentry_sdk  # noqa: PLC0415 - optional
    except ImportError:
        raise SentryUnavailable("MUSTER_SENTRY_DSN needs the packages of muster-engine[sentry]") from None
    try:
        sentry_sdk.init(
            dsn,
            release=f"muster@{version()}",
            server_name=service,
            send_default_pii=False,
            include_local_variables=False,
            include_source_context=False,
            max_request_body_size="never",
            max_breadcrumbs=0,
            before_send=_as_logged,
        )
    except sentry_sdk.utils.BadDsn as error:
        raise SentryUnavailable(f"MUSTER_SENTRY_DSN: {error}") from None


def _as_logged(event: Any, hint: dict[str, Any]) -> Any:
    """Sentry's event for a line of our log: its stable name, and the error with its traceback."""
    import sentry_sdk  # noqa: PLC0415 - it is there, or nobody calls this
    from sentry_sdk.utils import event_from_exception  # noqa: PLC0415

    record = hint.get("log_record")
    line = getattr(record, "msg", None)
    if not isinstance(line, dict):
        return event
    error = line.get("exc_info")
    if error is True:
        error = sys.exc_info()[1]
    made = {key: value for key, value in event.items() if key != "logentry"} | {"message": line["event"]}
    if isinstance(error, BaseException):
        made |= event_from_exception(error, client_options=sentry_sdk.get_client().options)[0]
    return made
