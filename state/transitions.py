"""The words every status may be, and every move that is allowed between them (docs/contract/states.md).

These tables are the only place where a move is made legal. `state.change` turns a row of them into a
compare-and-set, so a status that moved under somebody's hands is noticed and never overwritten.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "AUTOMATION",
    "CAMPAIGN",
    "ENTITY_UI",
    "JOB",
    "MACHINES",
    "OPEN",
    "PORTAL",
    "SENDING",
    "SLICE",
    "STAGE",
    "STOPPED",
    "AutomationStatus",
    "CampaignStatus",
    "EntityUiStatus",
    "JobStatus",
    "Machine",
    "PortalStatus",
    "SliceState",
    "TargetStage",
]


class CampaignStatus(StrEnum):
    """What a campaign is; each dialect's words are a projection of it."""

    DRAFT = "draft"
    ACTIVATING = "activating"
    ACTIVE = "active"
    PAUSED = "paused"
    COMPLETED = "completed"
    CANCELLED = "cancelled"


class JobStatus(StrEnum):
    """How far one delivery run is."""

    QUEUED = "queued"
    PROCESSING = "processing"
    SEND_REPORT = "send_report"
    FINISHED = "finished"
    CANCELLED = "cancelled"
    FAILED = "failed"


class AutomationStatus(StrEnum):
    """What happened to one recipient."""

    PENDING = "pending"
    IN_PROGRESS = "in_progress"
    SUCCESS = "success"
    FAILED = "failed"
    CANCELLED = "cancelled"


class PortalStatus(StrEnum):
    """What one recipient did with the portal widget."""

    SENT = "sent"
    SEEN = "seen"
    DISMISSED = "dismissed"
    CLICKED = "clicked"


class EntityUiStatus(StrEnum):
    """What agents did with a next best action of one recipient. There is no `sent`: it begins when it is seen."""

    SEEN = "seen"
    DISMISSED = "dismissed"
    CLICKED = "clicked"


class TargetStage(StrEnum):
    """How far Muster itself got with an enrolled target; any other stage is a word that a person set by hand."""

    NEW = "new"
    CONTACTED = "contacted"
    """A provider took a message for it, or a call was placed."""
    ENGAGED = "engaged"
    """It answered: a reply, a click, a conversion, a call that was completed."""
    GOAL_MET = "goal_met"
    """verify-goal found so; likewise the next."""
    GOAL_MISSED = "goal_missed"
    UNREACHABLE = "unreachable"
    """Its delivery failed for good before anything was taken."""


class SliceState(StrEnum):
    """Whether a slice waits for a worker, has one, or needs none any more."""

    READY = "ready"
    LEASED = "leased"
    DONE = "done"


@dataclass(frozen=True)
class Machine:
    """One state machine: what the entity is called, and which moves it may make."""

    entity: str
    states: type[StrEnum]
    moves: Mapping[str, frozenset[str]]

    def sources(self, wanted: str) -> frozenset[str]:
        """The states from which `wanted` may be reached in one move."""
        return frozenset(source for source, targets in self.moves.items() if wanted in targets)

    def allows(self, current: str, wanted: str) -> bool:
        """Whether `current` may become `wanted`. Staying is not a move."""
        return wanted in self.moves[current]

    def is_final(self, state: str) -> bool:
        """Whether nothing may follow `state`."""
        return not self.moves[state]


def _machine(entity: str, states: type[StrEnum], moves: Mapping[str, str]) -> Machine:
    return Machine(entity, states, {str(state): frozenset(moves.get(state, "").split()) for state in states})


#: draft may be active at once when there is nothing to send (portal only); completed may run again.
CAMPAIGN = _machine(
    "campaign",
    CampaignStatus,
    {
        "draft": "activating active cancelled",
        "activating": "active paused cancelled",
        "active": "paused completed cancelled",
        "paused": "activating active completed cancelled",
        "completed": "activating",
    },
)

#: `held` (paused) is a flag of the row, not a state: a held job is still processing.
JOB = _machine(
    "job",
    JobStatus,
    {
        "queued": "processing cancelled failed",
        "processing": "send_report cancelled failed",
        "send_report": "finished failed",
    },
)

#: What a recipient's row holds. A claim moves nobody: it stands on the slice (state/tables/delivery.py), and answers
#: call recipients that are claimed and have no outcome in_progress. So pending → success, failed or cancelled is the
#: outcome of what was claimed, a retry or a release leaves the status as it is, and in_progress is stored of those who
#: have a touchpoint behind them and another before them. failed → pending happens by retrigger only, cancelled →
#: pending by re-activation only. A caller that reports on recipients (engine.campaigns.recipients) may tell any move:
#: it happened elsewhere.
AUTOMATION = _machine(
    "automation",
    AutomationStatus,
    {
        "pending": "in_progress success failed cancelled",
        "in_progress": "success failed cancelled",
        "failed": "pending",
        "cancelled": "pending",
    },
)

#: Jobs that may still send, and may be stopped.
SENDING = (JobStatus.QUEUED, JobStatus.PROCESSING)
#: Jobs that are not over.
OPEN = (*SENDING, JobStatus.SEND_REPORT)
#: Jobs that ended before they were done: what they left pending is recorded as cancelled.
STOPPED = (JobStatus.CANCELLED, JobStatus.FAILED)

PORTAL = _machine(
    "portal",
    PortalStatus,
    {"sent": "seen dismissed clicked", "seen": "dismissed clicked"},
)

#: Out of dismissed by restoring only.
ENTITY_UI = _machine(
    "entity_ui",
    EntityUiStatus,
    {"seen": "clicked dismissed", "clicked": "dismissed", "dismissed": "seen clicked"},
)

#: By PATCH a target moves to any stage, and verify-goal moves it out of any.
STAGE = _machine(
    "stage",
    TargetStage,
    {
        "new": "contacted unreachable engaged goal_met goal_missed",
        "unreachable": "contacted engaged goal_met goal_missed",
        "contacted": "engaged goal_met goal_missed",
        "engaged": "goal_met goal_missed",
        "goal_met": "goal_missed",
        "goal_missed": "goal_met",
    },
)

#: leased → ready: released, expired, or waiting for a retry; ready → done: its job was cancelled.
SLICE = _machine(
    "slice",
    SliceState,
    {"ready": "leased done", "leased": "ready done"},
)

MACHINES = (CAMPAIGN, JOB, AUTOMATION, PORTAL, ENTITY_UI, STAGE, SLICE)
