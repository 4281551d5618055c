"""Erasing a person: nothing that says who they are is left, and every count stays true.

`begin_erasure` is one transaction: the entity is gone, their addresses stay barred as keyed digests, and the erasure is
a row that stays as the proof. `go_on` does the rest in slices, each a transaction that is bounded by what it reads; a
process that dies is followed by the sweeper, which goes on where the row says.

| part | what is done |
|---|---|
| campaigns | their recipients, executions, attempts and engagement lose every text; keys and addresses are let go of |
| files | messages that `file` channels wrote are taken out of the outbox |
| shared | rows about others too (events, kept answers, errors, filters) lose the person's texts |

On SQLite what the file still holds of rows that are gone is overwritten at the end (`Database.overwrite_deleted`).

Rows are kept where something was counted: the same recipients, outcomes and engagements by id, without a word about
whom. What was under way meanwhile (a message on the wire, an answer being written) is found by a second look, `AGAIN`
after the first; until then their texts are kept in the erasure's row, encrypted for that row, and forgotten then.
What is reported of an erased person afterwards is counted and its texts are not kept (engine.engagement.erased).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID, uuid4

from sqlalchemy import delete, select, update

from engine.audience.entities import find_for_update
from engine.channels.file import FileChannel
from engine.delivery.address_claims import address_digest
from engine.delivery.enrol import guard
from engine.engagement.suppression import Barred, bar
from engine.enrolled import keys
from engine.events.outbox import record
from engine.kernel.erased_addresses import ERASED_REASON, digests_of
from engine.kernel.secrets import Place
from engine.people.outbox_files import erase_messages
from engine.people.person import Person, person_of
from engine.people.recipient_texts import TEXTS
from engine.people.shared import redact_slice
from state.change import clock_of
from state.errors import NotFound
from state.sets import among
from state.tables import (
    Campaign,
    Channel,
    Contact,
    Entity,
    Erasure,
    Execution,
    FormerEntity,
    Recipient,
    RecipientAddress,
    Suppression,
    TopicOptOut,
)
from state.types import NIL_UUID

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sqlalchemy.orm import Session

    from engine.kernel.runtime import Runtime
    from engine.kernel.secrets import Secrets

__all__ = ["AGAIN", "begin_erasure", "erasure_json", "find_erasure", "go_on", "go_on_with_due"]

#: When what was under way at the first look has ended.
AGAIN = timedelta(minutes=2)
#: Campaigns of one slice: as many primary keys are looked up.
_CAMPAIGNS = 500
#: What is cleared of rows that are the person's alone: all texts, and by what others know the person.
_CLEARED = {
    **TEXTS,
    Recipient: {
        **TEXTS[Recipient],
        **dict.fromkeys(("execution_alias", "email_feedback", "contact_keys", "last_conv_id")),
    },
}


def erasure_place(erasure_id: UUID) -> Place:
    """Where the texts of a person who is being erased stand."""
    return Place("erasure", "person", erasure_id)


def begin_erasure(
    session: Session, org_id: UUID, schema: str, entity_id: UUID, *, by: str, secrets: Secrets
) -> Erasure:
    """Remove an entity for good, and bar its addresses; `go_on` does the rest. Asked again: the erasure that there is.

    Args:
        session: A writing transaction of a process that has opened its keys (`Runtime.open_keys`).
        org_id: Whose entity it is.
        schema: Its schema.
        entity_id: Its id.
        by: Who asks, as the audit log names them.
        secrets: What the person's texts are kept under meanwhile.

    Raises:
        NotFound: there is none of that id in the schema, and never was one that was erased.
    """
    guard(session, org_id, activates=True)  # nobody enrols them meanwhile
    now = clock_of(session).now()
    entity = find_for_update(session, org_id, schema, entity_id)
    if entity is None:
        return find_erasure(session, org_id, entity_id, schema=schema)
    person = person_of(session, entity)
    erasure_id = uuid4()
    erasure = Erasure(
        id=erasure_id,
        org_id=org_id,
        entity_id=entity_id,
        schema=schema,
        state="running",
        asked_at=now,
        asked_by=by[:255],
        due_at=now,
        person=secrets.seal(person.as_json(), erasure_place(erasure_id)),
        counts={},
    )
    session.add(erasure)
    _bar(session, org_id, person)
    session.execute(
        delete(FormerEntity).where(FormerEntity.org_id == org_id, FormerEntity.entity_id == entity_id)
    )
    session.execute(delete(Contact).where(Contact.org_id == org_id, Contact.entity_id == entity_id))
    session.execute(delete(Entity).where(Entity.id == entity_id, Entity.org_id == org_id))
    session.flush()
    return erasure


def _bar(session: Session, org_id: UUID, person: Person) -> None:
    """Digests on the suppression list in place of the addresses."""
    digests = digests_of(session, org_id, person.addresses)
    if person.addresses and not digests:
        raise RuntimeError("this process has not opened its keys")
    bar(session, org_id, [Barred(one.medium, digest, ERASED_REASON) for one, digest in digests.items()])
    tables: tuple[Any, ...] = (Suppression, TopicOptOut)
    for one in sorted(person.addresses):
        for table in tables:
            session.execute(
                delete(table)
                .where(table.org_id == org_id, table.address == one.address, table.medium == one.medium)
                .execution_options(synchronize_session=False)
            )


def find_erasure(session: Session, org_id: UUID, entity_id: UUID, *, schema: str | None = None) -> Erasure:
    """The erasure of an entity, of that schema if one is given. Raises NotFound: there is none."""
    wanted = [Erasure.org_id == org_id, Erasure.entity_id == entity_id]
    if schema is not None:
        wanted.append(Erasure.schema == schema)
    found = session.execute(
        select(Erasure).where(*wanted).execution_options(populate_existing=True)
    ).scalar_one_or_none()
    if found is None:
        raise NotFound("entity", entity_id)
    return found


def erasure_json(erasure: Erasure) -> dict[str, Any]:
    """An erasure as the API and the command line show it."""
    shown = {
        "_id": str(erasure.id),
        "entity_id": str(erasure.entity_id),
        "schema": erasure.schema,
        "status": erasure.state,
        "asked_at": erasure.asked_at.isoformat(),
        "asked_by": erasure.asked_by,
        "erased_at": None if erasure.erased_at is None else erasure.erased_at.isoformat(),
        "last_look_at": None if erasure.state == "done" else erasure.due_at.isoformat(),
        "counts": erasure.counts,
    }
    return {name: value for name, value in shown.items() if value is not None}


def go_on_with_due(runtime: Runtime, *, within: timedelta) -> None:
    """Go on with erasures that are due, of every organization, until none is or `within` is over."""
    clock = runtime.database.clock
    until = clock.now() + within
    with runtime.database.read() as session:
        due = select(Erasure.id).where(Erasure.state != "done", Erasure.due_at <= clock.now())
        ids = session.scalars(due.order_by(Erasure.due_at).limit(100)).all()
    for erasure_id in ids:
        go_on(runtime, erasure_id, until_done=lambda: clock.now() >= until)
        if clock.now() >= until:
            return


def go_on(runtime: Runtime, erasure_id: UUID, *, until_done: Callable[[], bool] = lambda: False) -> str:
    """Do slices of an erasure that is due until it is not; returns its state.

    Args:
        runtime: The process.
        erasure_id: Which.
        until_done: Asked between two slices: whether the rest is left to the next round.
    """
    while True:
        with runtime.transaction() as session:
            state = _slice(session, runtime, erasure_id)
        if state is not None:
            runtime.database.overwrite_deleted()
            return state
        if until_done():
            return "running"


def _slice(session: Session, runtime: Runtime, erasure_id: UUID) -> str | None:
    """One slice; None: there is more to do now. The row is held, so that of two processes one works."""
    erasure = session.execute(
        select(Erasure)
        .where(Erasure.id == erasure_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).scalar_one()
    if erasure.person is None or erasure.due_at > clock_of(session).now():
        return erasure.state
    person = Person.from_json(runtime.secrets.open(erasure.person, erasure_place(erasure.id)))
    place = erasure.checkpoint or {"part": _PARTS[0]}
    part, counts = place["part"], Counter(erasure.counts)
    after = _DO[part](session, runtime, _Look(erasure.org_id, person, counts), place.get("after"))
    erasure.counts = dict(counts)
    if after is not None:
        erasure.checkpoint = {"part": part, "after": after}
        return None
    if part != _PARTS[-1]:
        erasure.checkpoint = {"part": _PARTS[_PARTS.index(part) + 1]}
        return None
    _end_look(session, erasure, under_way=counts["under_way"] > 0)
    return erasure.state


class _Look(NamedTuple):
    """One look for a person."""

    org_id: UUID
    person: Person
    counts: Counter[str]


def _campaigns(session: Session, _: Runtime, look: _Look, after: Any) -> str | None:
    """What some campaigns keep of the person. Primary keys, and index engagement (campaign_id, entity_id, …)."""
    org_id, person, counts = look
    if after is None:
        counts["under_way"] = 0
    campaigns = _some_campaigns(session, org_id, after)
    whose = (Recipient.org_id == org_id, Recipient.entity_id == person.entity_id)
    rows = session.execute(
        select(Recipient.campaign_id, Recipient.contact_keys, Recipient.deleted_at, Recipient.in_flight)
        .where(*whose, among(session, Recipient.campaign_id, campaigns))
        .order_by(Recipient.campaign_id)
        .with_for_update()
    ).all()
    digests = [address_digest(one.medium, one.address) for one in person.addresses]
    for row in rows:
        counts["under_way"] += row.in_flight
        if row.deleted_at is None and row.contact_keys:
            keys.release(session, org_id, row.campaign_id, row.contact_keys)
    if rows:
        ids = [row.campaign_id for row in rows]
        for table, values in _CLEARED.items():
            session.execute(
                update(table)
                .where(
                    table.org_id == org_id,
                    table.entity_id == person.entity_id,
                    among(session, table.campaign_id, ids),
                )
                .values(values)
                .execution_options(synchronize_session=False)
            )
        session.execute(
            delete(RecipientAddress)
            .where(
                among(session, RecipientAddress.campaign_id, ids),
                among(session, RecipientAddress.digest, digests),
                RecipientAddress.entity_id == person.entity_id,
            )
            .execution_options(synchronize_session=False)
        )
        counts["campaigns"] += len(rows)
    return str(campaigns[-1]) if len(campaigns) == _CAMPAIGNS else None


def _files(session: Session, runtime: Runtime, look: _Look, after: Any) -> str | None:
    """What `file` channels of the organization wrote on this machine."""
    org_id, person, counts = look
    settings = session.scalars(
        select(Channel.settings).where(Channel.org_id == org_id, Channel.kind == FileChannel.kind)
    ).all()
    if not settings:
        return None
    campaigns = _some_campaigns(session, org_id, after)
    executions: dict[UUID, list[UUID]] = defaultdict(list)
    for table, column in ((Recipient, Recipient.current_execution_id), (Execution, Execution.id)):
        found = select(table.campaign_id, column).where(
            table.org_id == org_id,
            table.entity_id == person.entity_id,
            among(session, table.campaign_id, campaigns),
        )
        for campaign_id, execution_id in session.execute(found):
            executions[campaign_id] += [] if execution_id is None else [execution_id]
    if after is None:
        executions[NIL_UUID] = []  # what test sends wrote
    for campaign_id, ids in executions.items():
        for one in settings:
            counts["messages_in_files"] += erase_messages(
                runtime.settings.data_dir, one, campaign_id, ids, person
            )
    return str(campaigns[-1]) if len(campaigns) == _CAMPAIGNS else None


def _shared(session: Session, _: Runtime, look: _Look, after: Any) -> Any:
    """Rows about others too."""
    return redact_slice(session, look.org_id, look.person, after, look.counts)


_DO: Mapping[str, Callable[[Session, Runtime, _Look, Any], Any]] = {
    "campaigns": _campaigns,
    "files": _files,
    "shared": _shared,
}
_PARTS = tuple(_DO)


def _some_campaigns(session: Session, org_id: UUID, after: str | None) -> list[UUID]:
    wanted = select(Campaign.id).where(Campaign.org_id == org_id).order_by(Campaign.id).limit(_CAMPAIGNS)
    if after is not None:
        wanted = wanted.where(Campaign.id > UUID(after))
    return list(session.scalars(wanted))


def _end_look(session: Session, erasure: Erasure, *, under_way: bool) -> None:
    """The first look ends as `erased`, the last as `done`, which forgets the person's texts as well."""
    now = clock_of(session).now()
    first = erasure.erased_at is None
    erasure.checkpoint = None
    if first or under_way:
        erasure.state, erasure.due_at = "erased", now + AGAIN
    else:
        erasure.state, erasure.person = "done", None
    if first:
        erasure.erased_at = now
        erasure.counts = {name: count for name, count in erasure.counts.items() if name != "under_way"}
        record(
            session, erasure.org_id, "person.erased", entity_id=str(erasure.entity_id), schema=erasure.schema
        )
