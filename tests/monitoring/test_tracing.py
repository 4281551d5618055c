"""One activation is one trace: request, plan, slices, waves, and what the provider is asked; errors go to Sentry."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from config.settings import Settings
from engine.kernel import tracing
from tests.acceptance.client import signed_in
from tests.harness.child import clean_environment
from tests.harness.stack import Stack
from tests.harness.waiting import wait_until
from tests.servers.telemetry import TelemetryReceiver

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers.telemetry import ReceivedSpan

PEOPLE = 1200


def parent_names(spans: list[ReceivedSpan]) -> Counter[tuple[str, str]]:
    """(name of a span, name of its parent) → how many; the parent of the first is empty."""
    names = {span.span_id: span.name for span in spans}
    return Counter((span.name, names.get(span.parent_id, "")) for span in spans)


@pytest.mark.slow
@pytest.mark.services
def test_an_activation_is_one_tree_from_the_request_to_the_provider(tmp_path: Path) -> None:
    with (
        TelemetryReceiver() as receiver,
        Stack(
            tmp_path,
            api=True,
            smtp=False,
            http=True,
            env={"MUSTER_TRACES_URL": f"http://127.0.0.1:{receiver.port}", "MUSTER_WINDOW": "1"},
        ) as stack,
        signed_in(stack) as client,
    ):
        assert stack.http is not None
        rows = "".join(f"{number},p{number}@d.example\n" for number in range(PEOPLE))
        client.import_csv("contact", f"id,email\n{rows}".encode(), external_id="id", title="{email}")
        target = client.target("contact", {"key": "email", "operator": "NOT_EMPTY"})
        channel = client.make("channel", name="provider", kind="http", settings={"url": stack.http.url})
        campaign = client.campaign(target, channel, text="Dear {{ email }}")
        client.change_status(campaign, "active")
        client.finish(campaign)
        for process in (*stack.workers, stack.scheduler, stack.api):
            assert process is not None
            process.terminate()  # it sends what it has
            assert process.wait(30) == 0
        (request,) = [
            span for span in receiver.spans if span.name == "POST /v1/campaign/{campaign_id}/status"
        ]
        trace = [span for span in receiver.spans if span.trace_id == request.trace_id]
        assert {span.service for span in trace} == {"muster-api", "muster-worker"}
        found = parent_names(trace)
        assert found["POST /v1/campaign/{campaign_id}/status", ""] == 1
        assert found["activate", "POST /v1/campaign/{campaign_id}/status"] == 1
        assert found["plan.page", "activate"] >= 2
        slices = found["execute", "activate"]
        assert slices >= 3, "slices that other slices woke are children of the plan as well"
        waves = found["wave", "execute"]
        assert found["channel.send", "wave"] == waves
        assert PEOPLE / 100 <= waves < PEOPLE / 10, "a span a wave, and none a recipient"
        sends = [span.attributes for span in trace if span.name == "channel.send"]
        assert sum(span["muster.delivered"] for span in sends) == PEOPLE
        assert {span["muster.channel"] for span in sends} == {"http"}
        seen = {entry.entry["traceparent"].split("-")[1] for entry in stack.http.journal.sent()}
        assert seen == {request.trace_id}, "the provider is told which trace its request belongs to"
        lines = [
            line for line in stack.workers[0].events("slice.closed") if line["trace_id"] == request.trace_id
        ]
        assert len(lines) >= slices
        assert receiver.spans[0].attributes is not None


def test_nothing_is_traced_unless_a_receiver_is_named() -> None:
    stop = tracing.start_tracing(Settings(), "test")
    with tracing.span("nothing", messages=1) as span:
        span.note(delivered=1)
        assert tracing.outgoing() is None
    stop()


@pytest.mark.parametrize(
    "traceparent", [None, "", "00-zz", "00-" + "0" * 32 + "-" + "1" * 16 + "-01", "x" * 10_000]
)
def test_a_traceparent_that_is_none_begins_a_trace(traceparent: str | None) -> None:
    with TelemetryReceiver() as receiver:
        stop = tracing.start_tracing(Settings(traces_url=f"http://127.0.0.1:{receiver.port}"), "test")
        with tracing.span("work", parent=traceparent):
            assert tracing.outgoing() is not None
        stop()
        (span,) = receiver.spans
        assert span.parent_id == ""


@pytest.mark.parametrize(("share", "kept"), [(0.0, 0), (1.0, 20)])
def test_which_part_of_the_traces_is_kept_is_no_clients_to_say(share: float, kept: int) -> None:
    with TelemetryReceiver() as receiver:
        settings = Settings(traces_url=f"http://127.0.0.1:{receiver.port}", traces_share=share)
        stop = tracing.start_tracing(settings, "test")
        for number in range(1, 21):
            with tracing.span("work", parent=f"00-{number:032x}-{number:016x}-01"):
                assert tracing.outgoing() is not None
        stop()
        assert len(receiver.spans) == kept


def test_a_receiver_that_is_away_costs_nothing_but_the_traces() -> None:
    stop = tracing.start_tracing(Settings(traces_url="http://127.0.0.1:1"), "test")
    with pytest.raises(ZeroDivisionError), tracing.span("work"):
        raise ZeroDivisionError
    stop()


_FAILS = """
import structlog
from actors.reporting import reporting
from config.logging import configure_logging
from config.settings import Settings
settings = Settings()
configure_logging(settings)
with reporting(settings, "muster-worker"):
    password = "hunter2"
    try:
        raise ValueError("it broke")
    except ValueError as error:
        structlog.get_logger("x").error("actor.failed", exc_info=error)
    import sentry_sdk
    sentry_sdk.flush(10)
"""


def test_errors_go_to_sentry_without_variables(tmp_path: Path) -> None:
    with TelemetryReceiver() as receiver:
        dsn = f"http://key@127.0.0.1:{receiver.port}/1"
        environment = clean_environment({"MUSTER_SENTRY_DSN": dsn})
        subprocess.run([sys.executable, "-c", _FAILS], check=True, env=environment, timeout=120)
        wait_until(lambda: receiver.envelopes, "an error is reported", deadline=20)
    (told,) = [text for text in receiver.envelopes if '"exception"' in text]
    assert "it broke" in told
    assert '"message":"actor.failed"' in told
    assert "muster-worker" in told
    assert "hunter2" not in told
    assert tmp_path.exists()


def test_a_dsn_that_is_none_is_refused_in_words() -> None:
    environment = clean_environment({"MUSTER_SENTRY_DSN": "nonsense"})
    ended = subprocess.run(
        [sys.executable, "-c", _FAILS],
        check=False,
        env=environment,
        timeout=120,
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 1
    assert "MUSTER_SENTRY_DSN: " in ended.stderr.splitlines()[-1]
