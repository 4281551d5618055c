"""Opens and clicks as they come in: kept in memory for seconds, then recorded together in set operations.

Promises:
- A person who clicks is sent on at once, whatever the database does: taking a hit costs no round trip.
- What one recipient did within a few seconds is looked at together, so that a scanner that follows every link is
  recognised by it (engine.inbound.bots); what it did earlier is read back, should another process have recorded it.
- While the database is away hits are kept, up to `LIMIT`; a process that is killed loses the last seconds of them.
  Counting is worth that much and no more: no campaign waits for it.
- Of one recipient the first `EACH` are recorded: a link that is followed for ever fills no disk.
- Any number of processes may record hits of one recipient at once (engine.engagement.feedback holds its row).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING

import structlog
from sqlalchemy import func, select
from sqlalchemy.exc import InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from engine.engagement.engagement import Kind, Medium
from engine.engagement.feedback import Feedback, take_feedback
from engine.engagement.messages import pairs
from engine.inbound import bots
from engine.kernel.secrets import Secrets
from engine.tracking.tokens import Tokens
from state.sets import among
from state.tables import Campaign, Engagement, Touchpoint

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy.orm import Session

    from engine.engagement.messages import Pair
    from engine.kernel.runtime import Runtime
    from engine.tracking.tokens import What, Who

__all__ = ["EACH", "LIMIT", "MOST", "QUIET", "Hit", "Hits", "record_hits"]

log = structlog.get_logger(__name__)

#: A recipient's hits are recorded when nothing more came for this long …
QUIET = timedelta(seconds=3)
#: … or when the first of them is this old.
MOST = timedelta(seconds=10)
#: Hits kept while the database is away; more are dropped, and counted.
LIMIT = 100_000
#: Recipients whose hits are recorded in one transaction.
_BATCH = 500
_INTERVAL = 1.0
#: Opens and clicks of one recipient that are recorded, scanners' among them. A link can be followed for ever.
EACH = 500


@dataclass(frozen=True, slots=True)
class Hit:
    """Somebody loaded the picture, or followed a link."""

    who: Who
    what: What
    at: datetime
    method: str
    user_agent: str

    @property
    def pair(self) -> Pair:
        """The recipient's key."""
        return self.who.campaign_id, self.who.entity_id


class Hits:
    """The hits of one process."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._lock = Lock()
        self._waiting: dict[Pair, list[Hit]] = {}
        self._count = 0
        self._stopping = Event()
        self._thread: Thread | None = None
        self.recorded = 0
        self.dropped = 0

    @cached_property
    def tokens(self) -> Tokens:
        """What reads the links."""
        settings = self._runtime.settings
        return Tokens(str(settings.public_url), Secrets.of(settings).signing_keys)

    def add(self, who: Who, what: What, *, method: str, user_agent: str) -> None:
        """Take one in. Never waits for anything but other callers of this."""
        hit = Hit(who, what, self._runtime.database.clock.now(), method, user_agent[:300])
        with self._lock:
            if self._count >= LIMIT:
                self.dropped += 1
                return
            waiting = self._waiting.setdefault(hit.pair, [])
            if len(waiting) >= EACH:
                self.dropped += 1
                return
            waiting.append(hit)
            self._count += 1

    def flush(self, *, everything: bool = False) -> int:
        """Record what is ripe, or all of it; returns how many hits. What cannot be written yet is kept."""
        ripe = self._take(everything=everything)
        done = 0
        while ripe:
            batch, ripe = ripe[:_BATCH], ripe[_BATCH:]
            try:
                with self._runtime.database.begin() as session:
                    record_hits(session, [hit for group in batch for hit in group])
            except (OperationalError, InterfaceError, PoolTimeout) as error:
                self._put_back([*batch, *ripe])
                log.warning("hits.waiting", count=self._count, reason=str(error))
                break
            except SQLAlchemyError:
                log.exception("hits.lost", count=sum(map(len, batch)))
                continue
            done += sum(map(len, batch))
        self.recorded += done
        return done

    def start(self) -> None:
        """Record in the background from now on. Safe to call twice."""
        if self._thread is None:
            self._stopping.clear()
            self._thread = Thread(target=self._run, name="hits", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Record what is there, and end. Safe to call twice."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self.flush(everything=True)

    def _run(self) -> None:
        while not self._stopping.wait(_INTERVAL):
            self.flush()

    def _take(self, *, everything: bool) -> list[list[Hit]]:
        now = self._runtime.database.clock.now()
        with self._lock:
            ripe = [
                pair
                for pair, hits in self._waiting.items()
                if everything or now - hits[-1].at >= QUIET or now - hits[0].at >= MOST
            ]
            taken = [self._waiting.pop(pair) for pair in sorted(ripe)]
            self._count -= sum(map(len, taken))
        return taken

    def _put_back(self, groups: list[list[Hit]]) -> None:
        with self._lock:
            for group in groups:
                self._waiting[group[0].pair] = group + self._waiting.get(group[0].pair, [])
                self._count += len(group)


def record_hits(session: Session, hits: list[Hit]) -> int:
    """Write hits of any campaigns; returns how many were about a recipient. The number of statements does not
    depend on theirs.
    """
    owners = dict(
        session.execute(
            select(Campaign.id, Campaign.org_id).where(
                among(session, Campaign.id, {hit.who.campaign_id for hit in hits})
            )
        ).all()
    )
    steps = dict(
        session.execute(
            select(Touchpoint.id, Touchpoint.org_id).where(
                among(session, Touchpoint.id, {hit.what.touchpoint_id for hit in hits})
            )
        ).all()
    )
    # Both halves are ours; those of two organizations are not one link.
    known = [
        hit
        for hit in hits
        if (owner := owners.get(hit.who.campaign_id)) is not None
        and steps.get(hit.what.touchpoint_id, owner) == owner
    ]
    known = _within(session, known)
    if not known:
        return 0
    scanned = _bursts(session, known)
    reports = defaultdict(list)
    for hit in known:
        reports[owners[hit.who.campaign_id]].append(_report(hit, burst=hit.pair in scanned))
    return sum(len(take_feedback(session, org_id, reports[org_id])) for org_id in sorted(reports))


def _within(session: Session, hits: list[Hit]) -> list[Hit]:
    """Those among the first `EACH` of their recipient. Index engagement (campaign_id, entity_id, channel, kind)."""
    if not hits:
        return []
    given = pairs(session, {hit.pair: None for hit in hits})
    recorded = Counter(
        {
            (campaign_id, entity_id): count
            for campaign_id, entity_id, count in session.execute(
                select(Engagement.campaign_id, Engagement.entity_id, func.count())
                .select_from(given)
                .join(
                    Engagement,
                    (Engagement.campaign_id == given.c.campaign_id)
                    & (Engagement.entity_id == given.c.entity_id),
                )
                .where(Engagement.channel == Medium.EMAIL, Engagement.kind.in_((Kind.READ, Kind.CLICKED)))
                .group_by(Engagement.campaign_id, Engagement.entity_id)
            )
        }
    )
    within = []
    for hit in hits:
        if recorded[hit.pair] < EACH:
            recorded[hit.pair] += 1
            within.append(hit)
    return within


def _bursts(session: Session, hits: list[Hit]) -> set[Pair]:
    """Recipients whose links are followed by a program. Index engagement (campaign_id, entity_id, channel, kind)."""
    clicks: dict[Pair, list[tuple[datetime, str]]] = defaultdict(list)
    for hit in hits:
        if hit.what.url:
            clicks[hit.pair].append((hit.at, hit.what.url))
    if not clicks:
        return set()
    given = pairs(session, clicks)
    since = min(at for those in clicks.values() for at, _ in those) - bots.BURST
    for campaign_id, entity_id, at, data in session.execute(
        select(Engagement.campaign_id, Engagement.entity_id, Engagement.happened_at, Engagement.data)
        .select_from(given)
        .join(
            Engagement,
            (Engagement.campaign_id == given.c.campaign_id) & (Engagement.entity_id == given.c.entity_id),
        )
        .where(
            Engagement.channel == Medium.EMAIL,
            Engagement.kind == Kind.CLICKED,
            Engagement.happened_at >= since,
        )
    ):
        clicks[campaign_id, entity_id].append((at, (data or {}).get("url", "")))
    return {pair for pair, those in clicks.items() if bots.burst(those)}


def _report(hit: Hit, *, burst: bool) -> Feedback:
    bot = None
    if bots.is_scanner(hit.method, hit.user_agent):
        bot = "user_agent" if hit.method == "GET" else "head"
    elif hit.at - hit.who.made_at < bots.TOO_SOON:
        bot = "too_soon"
    elif burst:
        bot = "burst"
    return Feedback(
        campaign_id=hit.who.campaign_id,
        entity_id=hit.who.entity_id,
        kind="clicked" if hit.what.url else "opened",
        at=hit.at,
        url=hit.what.url or None,
        touchpoint_id=hit.what.touchpoint_id,
        bot=bot,
        proxy=bots.proxy_of(hit.user_agent),
    )
