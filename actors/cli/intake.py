"""`muster intake`: events from a broker."""

from __future__ import annotations

from typing import Annotated

import typer

from actors.cli.failure import Exit, Failure
from actors.cli.processes import MetricsPort, serving

__all__ = ["intake"]

#: Seconds that the first round waits for a message: what is wrong with the source is shown at once.
_FIRST_LOOK = 0.1


def intake(
    context: typer.Context,
    source: Annotated[
        str,
        typer.Argument(
            help="redis://…?stream=NAME, amqp://…?queue=NAME or nats://…?stream=NAME.", envvar="MUSTER_INTAKE"
        ),
    ],
    *,
    metrics_port: MetricsPort = None,
) -> None:
    """Take events from a broker for one organization until SIGTERM (docs/intake.md). Any number may run."""
    from actors.cli.context import resolve
    from actors.services import run
    from engine.inbound.intake.connect_source import connect_source
    from engine.inbound.intake.intake import Intake
    from engine.inbound.intake.source import SourceAway, SourceMisnamed

    try:
        opened_source = connect_source(source)
    except (SourceMisnamed, ValueError) as error:
        raise Failure(f"this is no source of events: {error}", code=Exit.USAGE) from error
    with serving("muster-intake", broker=False, beside_embedded=True) as runtime:
        with runtime.database.read() as session:
            org_id, _ = resolve(session, context.obj.org)
        service = Intake(runtime, org_id, opened_source)
        try:
            service.take(_FIRST_LOOK)
        except SourceMisnamed as error:
            raise Failure(str(error), code=Exit.USAGE) from error
        except SourceAway as error:
            raise Failure(f"the broker cannot be reached: {error}", code=Exit.UNREACHABLE) from error
        run(service, metrics_port=metrics_port or runtime.settings.metrics_port)
