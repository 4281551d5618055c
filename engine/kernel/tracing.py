"""Traces (OpenTelemetry): a request, what it wakes, the pages of a plan, waves, and what channels do with them.

Off unless `MUSTER_TRACES_URL` names a receiver of OTLP over HTTP; then a process calls `start_tracing`, which needs the
packages of `muster-engine[tracing]`. A trace goes on through wake-ups: each carries a W3C `traceparent` among its
message's options, and the sweeper's begin traces of their own. There is a span a wave, never one a recipient.

Whether a trace is kept follows from its id and `MUSTER_TRACES_SHARE` alone, so that every process decides alike and a
client cannot make Muster keep more by sending `traceparent`.

While tracing is off, `span` costs a comparison.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Literal

from config.errors import MusterError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from config.settings import Settings

__all__ = ["Span", "TracingUnavailable", "exemplar", "outgoing", "span", "start_tracing"]

#: https://www.w3.org/TR/trace-context/#traceparent-header
_TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_TIMEOUT = 5.0

SpanKind = Literal["internal", "server", "client", "producer", "consumer"]


class TracingUnavailable(MusterError):
    """`MUSTER_TRACES_URL` is set, and the packages that send traces are not installed."""

    def __init__(self) -> None:
        super().__init__("MUSTER_TRACES_URL needs the packages of muster-engine[tracing]")


class Span:
    """What is being traced; of nothing, while tracing is off."""

    def __init__(self, recorded: Any = None) -> None:
        self._recorded = recorded

    def note(self, **attributes: str | float | bool) -> None:
        """Say more about it: `messages=100` becomes `muster.messages`."""
        if self._recorded is not None:
            for name, value in attributes.items():
                self._recorded.set_attribute(f"muster.{name}", value)

    def rename(self, name: str) -> None:
        """Give it the name that is known by now."""
        if self._recorded is not None:
            self._recorded.update_name(name)


_NOTHING = Span()
_tracer: Any = None
#: The traceparent that wake-ups carry, where it is not the current span's.
_forwarded: ContextVar[str | None] = ContextVar("forwarded", default=None)


def start_tracing(settings: Settings, service: str) -> Callable[[], None]:
    """Trace this process from now on, if the settings name a receiver; returns what sends the rest and ends it.

    Args:
        service: What the process is: `muster-api`, `muster-worker`.

    Raises:
        TracingUnavailable: the packages are not installed.
    """
    if settings.traces_url is None:
        return _do_nothing
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415 - optional
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
        from opentelemetry.sdk.trace.sampling import TraceIdRatioBased  # noqa: PLC0415
    except ImportError:
        raise TracingUnavailable from None
    global _tracer  # noqa: PLW0603 - a process is traced or not, as it logs or not
    provider = TracerProvider(
        sampler=TraceIdRatioBased(settings.traces_share),
        resource=Resource.create({"service.name": service}),
        shutdown_on_exit=False,
    )
    exporter = OTLPSpanExporter(f"{str(settings.traces_url).rstrip('/')}/v1/traces", timeout=_TIMEOUT)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    _tracer = provider.get_tracer("muster")

    def stop() -> None:
        global _tracer  # noqa: PLW0603 - as above
        _tracer = None
        provider.shutdown()

    return stop


def _do_nothing() -> None:
    """There is nothing to end."""


@contextmanager
def span(
    name: str,
    *,
    kind: SpanKind = "internal",
    parent: str | None = None,
    forwards: bool = False,
    **attributes: str | float | bool,
) -> Iterator[Span]:
    """Trace what the block does; an error that leaves it is noted.

    Args:
        parent: The traceparent that it continues; None, or none that is valid: the current span.
        forwards: What is woken within continues `parent` too, beside this span: slices that wake the next are then
            children of one plan, and not each of the one before.
    """
    if _tracer is None:
        yield _NOTHING
        return
    from opentelemetry.trace import SpanKind as Kinds  # noqa: PLC0415 - installed, or there is no tracer
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator  # noqa: PLC0415

    is_valid = parent is not None and _TRACEPARENT.fullmatch(parent) is not None
    context = TraceContextTextMapPropagator().extract({"traceparent": parent}) if is_valid else None
    token = _forwarded.set(parent if forwards and is_valid else None)
    try:
        with _tracer.start_as_current_span(
            name,
            context=context,
            kind=Kinds[kind.upper()],
            attributes={f"muster.{key}": value for key, value in attributes.items()},
        ) as recorded:
            yield Span(recorded)
    finally:
        _forwarded.reset(token)


def outgoing(*, current: bool = False) -> str | None:
    """The traceparent of what is sent from here; None: nothing is traced.

    Args:
        current: That of the current span, also where wake-ups continue another.
    """
    if _tracer is None:
        return None
    forwarded = None if current else _forwarded.get()
    if forwarded is not None:
        return forwarded
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator  # noqa: PLC0415

    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier)
    return carrier.get("traceparent")


def exemplar() -> dict[str, str] | None:
    """What a histogram keeps of an observation, so that its trace is found; None: nothing is traced."""
    traceparent = outgoing(current=True)
    return None if traceparent is None else {"trace_id": traceparent.split("-")[1]}
