"""`muster api`, `muster worker`, `muster scheduler`: the processes of the Procfile."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from actors.cli.failure import Exit, Failure

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from config.settings import Settings
    from engine.kernel.runtime import Runtime

__all__ = ["MetricsPort", "api", "scheduler", "serving", "worker"]

MetricsPort = Annotated[
    int | None,
    typer.Option(help="Serve Prometheus metrics here. [default: MUSTER_METRICS_PORT]", min=1, max=65535),
]


def api(
    *,
    host: Annotated[
        str | None, typer.Option(help="The address to listen on. [default: MUSTER_API_HOST]")
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(help="The port; 0 for any free one. [default: MUSTER_API_PORT]", min=0, max=65535),
    ] = None,
) -> None:
    """Serve the control API until SIGTERM."""
    with serving("muster-api", broker=False) as runtime:
        from actors.cli.server import ApiService
        from actors.services import run

        settings = runtime.settings
        listens_on = (host or settings.api_host, settings.api_port if port is None else port)
        run(ApiService(runtime, host=listens_on[0], port=listens_on[1]))


def worker(
    *,
    threads: Annotated[
        int | None,
        typer.Option(help="Slices executed at once. [default: MUSTER_WORKER_THREADS]", min=1, max=256),
    ] = None,
    processes: Annotated[
        int, typer.Option(help="Worker processes; more than one run under a supervisor.", min=1, max=64)
    ] = 1,
    metrics_port: MetricsPort = None,
    supervised_by: Annotated[int | None, typer.Option(hidden=True)] = None,
) -> None:
    """Deliver until SIGTERM; then finish what is on the wire and leave."""
    if supervised_by is not None:
        from actors.cli.supervisor import end_with

        end_with(supervised_by)
    changes = {} if threads is None else {"worker_threads": threads}
    with serving("muster-worker", broker=True, changes=changes) as runtime:
        if processes > 1:
            _supervise(runtime.settings, processes, metrics_port)
            return
        from actors.services import WorkerService, run

        port = metrics_port or runtime.settings.metrics_port
        run(WorkerService(runtime.settings, runtime=runtime), metrics_port=port)


def scheduler(*, metrics_port: MetricsPort = None) -> None:
    """Wake what is due and take back what was lost, until SIGTERM. Any number may run; one acts at a time."""
    with serving("muster-scheduler", broker=False) as runtime:
        from actors.services import SchedulerService, run

        port = metrics_port or runtime.settings.metrics_port
        run(SchedulerService(runtime.settings, runtime=runtime), metrics_port=port)


def _supervise(settings: Settings, processes: int, metrics_port: int | None) -> None:
    from actors.cli.supervisor import Supervisor

    if metrics_port or settings.metrics_port:
        raise Failure(
            "one port cannot serve the metrics of several processes",
            "leave out --metrics-port and MUSTER_METRICS_PORT, or run one `muster worker` for each port",
            code=Exit.USAGE,
        )
    command = [sys.executable, "-m", "actors.cli", "worker"]
    command += ["--threads", str(settings.worker_threads), "--supervised-by", str(os.getpid())]
    Supervisor(command, processes, grace=settings.shutdown_grace).run()


@contextmanager
def serving(
    service: str, *, broker: bool, beside_embedded: bool = False, changes: Mapping[str, int] | None = None
) -> Iterator[Runtime]:
    """A runtime for a long-running process, after a look at what it needs: a fault at the start is shown at once.

    Args:
        service: As what it is traced.
        broker: Nothing can be done without one. Otherwise the sweeper makes up for it while it is away.
        beside_embedded: It may run beside `muster dev`, which it wakes through the database.
        changes: Settings of the command line over those of the environment.
    """
    from actors.cli.context import load_settings, misconfigured, open_runtime
    from actors.reporting import reporting
    from config.logging import configure_logging
    from config.settings import EMBEDDED
    from engine.api.brokers import queue_depths
    from engine.kernel.triggers import arm_from_environment

    settings = load_settings()
    if not (beside_embedded and settings.is_embedded):
        # Named, though it may be the default: several processes need a broker that all of them reach.
        settings = settings.model_copy(update={"broker_url": settings.broker, **(changes or {})})
    configure_logging(settings)
    arm_from_environment(os.environ.get("MUSTER_TRIGGER"))
    if settings.broker.startswith(EMBEDDED) and not beside_embedded:
        raise Failure(
            "an embedded broker reaches one process only",
            "run everything in one process with `muster dev`, or set MUSTER_REDIS_URL or MUSTER_BROKER_URL",
            code=Exit.USAGE,
        )
    conflicts = settings.worker_conflicts() if broker else []
    if conflicts:
        raise misconfigured(conflicts)
    with open_runtime(settings) as runtime:
        if broker:
            queue_depths(settings.broker)
        runtime.open_keys()
        with reporting(settings, service):
            yield runtime
