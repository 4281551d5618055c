"""The messages that producers send, and nothing else: queue names, actor names and payloads.

A command is a wake-up: it says where work may be. Losing, repeating or reordering one is harmless, because its
receiver claims rows in the database. Any Python program is a producer by importing this module and
`engine.kernel.wakeups`; any dramatiq program by the names below.

| command | queue | actor | says |
|---|---|---|---|
| `Activate` | activation | activate | job J may have an audience to plan |
| `Cancel` | activation | cancel | job J was cancelled; its pending recipients are to be recorded so |
| `Execute` | delivery | execute | slice N of job J may be ready |
| `Retrigger` | activation | retrigger | job J repeats failed recipients and may be started |
| `RunDry` | reports | run_dry | dry run R may be carried on |
| `Report` | reports | report | job J may wait for its report |
| `Sweep` | activation | sweep | something may be due or expired |
| `Distribute` | webhooks | distribute | events may wait to be handed to those who subscribe |
| `Notify` | webhooks | notify | webhook W may have something due about campaign C |
"""

from __future__ import annotations

from typing import ClassVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

__all__ = [
    "COMMANDS",
    "QUEUES",
    "Activate",
    "Cancel",
    "Command",
    "Distribute",
    "Execute",
    "Notify",
    "Report",
    "Retrigger",
    "RunDry",
    "Sweep",
]


class Command(BaseModel):
    """A wake-up of one actor."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    queue: ClassVar[str]
    actor: ClassVar[str]


class _JobCommand(Command):
    org_id: UUID
    job_id: UUID


class Activate(_JobCommand):
    """Plan a job's audience, a page at a time."""

    queue = "activation"
    actor = "activate"


class Cancel(_JobCommand):
    """Record the pending recipients of a cancelled job as cancelled."""

    queue = "activation"
    actor = "cancel"


class Execute(_JobCommand):
    """Deliver one slice."""

    queue = "delivery"
    actor = "execute"

    number: int = Field(ge=0)


class Retrigger(_JobCommand):
    """Start a job that repeats failed recipients."""

    queue = "activation"
    actor = "retrigger"


class Report(_JobCommand):
    """Build and hand out a job's report."""

    queue = "reports"
    actor = "report"


class RunDry(Command):
    """Carry on a dry run."""

    queue = "reports"
    actor = "run_dry"

    org_id: UUID
    run_id: UUID


class Sweep(Command):
    """Wake what is due, take back what expired."""

    queue = "activation"
    actor = "sweep"


class Distribute(Command):
    """Give new events their place, and hand them to subscribers."""

    queue = "webhooks"
    actor = "distribute"


class Notify(Command):
    """Tell a webhook what it waits for about one campaign (all zeros: about none)."""

    queue = "webhooks"
    actor = "notify"

    org_id: UUID
    webhook_id: UUID
    campaign_id: UUID


COMMANDS: tuple[type[Command], ...] = (
    Activate,
    Cancel,
    Execute,
    Retrigger,
    Report,
    RunDry,
    Sweep,
    Distribute,
    Notify,
)
QUEUES = tuple(dict.fromkeys(command.queue for command in COMMANDS))
