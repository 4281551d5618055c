"""Carrying out a dry run: everybody in the audience is looked at, every message rendered; nothing is sent, and nothing
written but the findings, and while it runs who has which address (docs/contract/campaigns-api.md `testMode`).

A page is one transaction with its checkpoint. A run works for a few seconds and then wakes itself, so that it never
keeps others from the worker; one that went silent is woken by the sweeper. What is wrong with the campaign itself, a
channel that cannot be built, a template that does not compile, fails the run at once and says so.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any
from uuid import UUID

import structlog
from sqlalchemy import delete, select, update

from config.errors import MusterError
from engine.campaigns.dry_runs import OPEN
from engine.campaigns.rehearsed_addresses import KeptAddresses
from engine.campaigns.run_audience import run_targets, share_of_target
from engine.campaigns.validation import Finding, Rehearsal
from engine.channels.port import ChannelContext
from engine.filters.filters import FilterError
from engine.kernel.commands import RunDry
from engine.kernel.runtime import wake
from engine.kernel.secrets import Secrets
from state.change import clock_of
from state.tables import Campaign, DryRun, Entity, RecipientAddress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sqlalchemy import ColumnElement
    from sqlalchemy.orm import Session

    from engine.kernel.runtime import Runtime

__all__ = ["run_dry"]

log = structlog.get_logger(__name__)

_PAGE = 500
#: Recipients that are named with each error.
_SHOWN = 5
#: How long a run works before it lets others to the worker, in seconds.
_STINT = 5.0


def run_dry(
    runtime: Runtime, org_id: UUID, run_id: UUID, *, ticks: Callable[[], float] = time.monotonic
) -> bool:
    """Carry on a dry run; whether it is over now. A repeated wake-up of a run that is over changes nothing.

    Args:
        ticks: Seconds, monotonic.
    """
    until = ticks() + _STINT
    rehearsal: Rehearsal | None = None
    while True:
        with runtime.transaction() as session:
            row = session.execute(
                select(DryRun).where(DryRun.id == run_id, DryRun.org_id == org_id).with_for_update()
            ).scalar_one_or_none()
            if row is None or row.status not in OPEN:
                return True
            campaign = session.get_one(Campaign, row.campaign_id)
            try:
                rehearsal = rehearsal or _rehearsal(session, runtime, campaign, run_id)
                more = _page(session, row, campaign, rehearsal)
            except (FilterError, _Impossible) as error:
                _end(session, row, "failed", str(error))
                return True
            if not more:
                _end(session, row, "completed", None)
                return True
            if ticks() > until:
                wake(session, RunDry(org_id=org_id, run_id=run_id))
                return False


class _Impossible(MusterError):
    """Nobody could be sent to, and why."""


def _rehearsal(session: Session, runtime: Runtime, campaign: Campaign, run_id: UUID) -> Rehearsal:
    if campaign.flow_id is None:
        raise _Impossible("the campaign has no message")
    settings = runtime.settings
    channel_context = ChannelContext.of(settings, runtime.database)
    rehearsal = Rehearsal(session, campaign, Secrets.of(settings), channel_context, KeptAddresses(run_id))
    if rehearsal.errors:
        raise _Impossible("; ".join(rehearsal.errors)[:2000])
    return rehearsal


def _page(session: Session, row: DryRun, campaign: Campaign, rehearsal: Rehearsal) -> bool:
    """Look at the next page; whether there may be more."""
    now = clock_of(session).now()
    position: dict[str, Any] = row.checkpoint or {"target": 0, "after": None}
    if row.status == "queued":
        row.status, row.started_at = "running", now
    targets = run_targets(session, campaign)
    index: int = position["target"]
    if index >= len(targets):
        return False
    share = share_of_target(session, row.org_id, row.campaign_id, targets, index, reach=row.reach)
    people = session.scalars(
        select(Entity).where(*share, *_behind(position["after"])).order_by(Entity.id).limit(_PAGE)
    ).all()
    findings = rehearsal.page(session, people)
    row.total += len(people)
    row.successful += len(people) - len({finding.entity_id for finding in findings})
    row.findings = _counted(row.findings, findings)
    row.checkpoint = (
        {"target": index, "after": str(people[-1].id)}
        if len(people) == _PAGE
        else {"target": index + 1, "after": None}
    )
    row.touched_at = row.updated_at = now
    session.flush()
    session.expunge_all()
    return True


def _behind(after: str | None) -> list[ColumnElement[bool]]:
    return [] if after is None else [Entity.id > UUID(after)]


def _counted(known: dict[str, Any], findings: Iterable[Finding]) -> dict[str, Any]:
    """What was found so far, and what was found now."""
    counted = {code: {**found} for code, found in known.items()}
    for finding in findings:
        its = counted.setdefault(
            finding.code, {"count": 0, "message": finding.message[:1000], "recipients": []}
        )
        its["count"] += 1
        if len(its["recipients"]) < _SHOWN:
            its["recipients"] = [*its["recipients"], str(finding.entity_id)]
    return counted


def _end(session: Session, row: DryRun, status: str, error: str | None) -> None:
    now = clock_of(session).now()
    session.execute(delete(RecipientAddress).where(RecipientAddress.campaign_id == row.id))
    session.execute(
        update(DryRun)
        .where(DryRun.id == row.id, DryRun.org_id == row.org_id)
        .values(status=status, error=error, finished_at=now, touched_at=now, updated_at=now)
        .execution_options(synchronize_session=False)
    )
    log.info("dry_run.ended", run_id=str(row.id), status=status, reason=error)
