"""The plans of the statements that carry the load: EXPLAIN (ANALYZE, BUFFERS), kept as text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import select, text

from bench.results import Row
from engine.audience.targets import audience_page
from engine.delivery.statements import statements
from state.database import Database
from state.sets import among, literal_array
from state.tables import Entity, Job, Recipient, Slice, Target

if TYPE_CHECKING:
    from pathlib import Path
    from uuid import UUID

    from sqlalchemy import Executable
    from sqlalchemy.orm import Session

__all__ = ["measure"]


#: Fewer recipients than this are read whole by any sensible planner.
_LARGE = 100_000


def measure(database_url: str, org_id: UUID, campaign_id: UUID, directory: Path, *, size: int) -> list[Row]:
    """Explain each statement in a transaction that is rolled back; a plan that reads a whole table is a miss."""
    directory.mkdir(exist_ok=True)
    database = Database(database_url)
    rows = []
    with database.engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT").execute(text("VACUUM ANALYZE"))
    for name in ("listing", "listing-by-status", "matching", "planning", "claim", "settle", "wake"):
        with database.begin() as session:
            plan = _explain(session, _statement(session, name, org_id, campaign_id))
            session.rollback()
        (directory / f"{name}.txt").write_text(plan + "\n")
        scans = plan.count("Seq Scan")
        rows.append(
            Row(
                f"plan of {name}",
                scans,
                "sequential scans",
                aim="0",
                met=scans == 0 if size >= _LARGE else None,
            )
        )
    database.close()
    return rows


def _statement(
    session: Session, name: str, org_id: UUID, campaign_id: UUID
) -> tuple[Executable, dict[str, Any]]:
    now = session.info["clock"].now()
    job_id = session.execute(select(Job.id).where(Job.campaign_id == campaign_id)).scalar_one()
    ids = list(
        session.execute(
            select(Recipient.entity_id)
            .where(Recipient.job_id == job_id, Recipient.slice_number == 1)
            .order_by(Recipient.entity_id)
            .limit(100)
        ).scalars()
    )
    middle = ids[50]
    page = select(Recipient).where(Recipient.campaign_id == campaign_id, Recipient.entity_id > middle)
    target = session.execute(select(Target).where(Target.org_id == org_id)).scalar_one()
    wave = {"p_job_id": job_id, "p_number": 1, "p_ids": literal_array(ids), "p_now": now}
    if name == "listing":
        return page.order_by(Recipient.entity_id).limit(25), {}
    if name == "listing-by-status":
        return (
            page.where(Recipient.automation_status == "success").order_by(Recipient.entity_id).limit(25),
            {},
        )
    if name == "matching":
        matched = audience_page(session, org_id, target, after=None, limit=1000, now=now)
        return matched.where(among(session, Entity.id, ids)), {}
    if name == "planning":
        return audience_page(session, org_id, target, after=middle, limit=10_000, now=now), {}
    if name == "claim":
        return statements(session).claim, wave
    if name == "settle":
        return statements(session).settle["success"], {**wave, "p_refund": 0, "p_due_at": None}
    ready = select(Slice.number).where(
        Slice.job_id == job_id, Slice.state == "ready", Slice.woken_at.is_(None), Slice.due_at <= now
    )
    return ready.order_by(Slice.due_at, Slice.number).limit(16), {}


def _explain(session: Session, statement: tuple[Executable, dict[str, Any]]) -> str:
    compiled = statement[0].compile(  # type: ignore[attr-defined]
        dialect=session.get_bind().dialect, compile_kwargs={"render_postcompile": True}
    )
    processors = compiled._bind_processors  # noqa: SLF001 - as the dialect itself would bind them
    values = {
        key: processors[key](value) if key in processors and value is not None else value
        for key, value in {**compiled.params, **statement[1]}.items()
    }
    found = session.connection().exec_driver_sql(f"EXPLAIN (ANALYZE, BUFFERS) {compiled}", values)
    return "\n".join(row[0] for row in found)
