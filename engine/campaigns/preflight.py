"""What an activation would do, before anybody is written to: `muster plan`, and `POST /v1/campaign/{id}:plan`.

Promises:
- People whom delivery would take in are looked at as delivery does: address, suppression, holdout, every message
  rendered (engine.campaigns.validation). What is counted here is what is recorded then, if nothing changes in between.
  Conditions of touchpoints depend on what will have happened by then, and let everybody through; so do frequency caps.
- Nothing is written and nothing is sent; channels are not asked.
- People are read a page at a time. Beyond `most` people a sample of so many is looked at, the same one every time, and
  the counts by reason, channel and domain are scaled up to everybody; `looked_at` says of how many they are.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, exists, func, or_, select

from engine.campaigns.feasible import check_budget, check_hours
from engine.campaigns.readiness import targets_of
from engine.campaigns.rehearsed_addresses import RememberedAddresses
from engine.campaigns.run_audience import everybody_of, run_targets, share_of_target
from engine.campaigns.validation import EXTRAS, Rehearsal, attributes_of
from engine.content.templates import RenderError
from engine.content.warnings import message_warnings
from engine.delivery.cancel_codes import HOLDOUT
from engine.delivery.holdout import held_out, holdout_of
from engine.insight.estimate import SAMPLE, Crowd, expected_departures, expected_end
from engine.kernel.inputs import Invalid
from engine.kernel.media import AddressMedium, folded
from engine.kernel.rule_violations import RuleViolation
from engine.limits.effective import read_effective_limits
from engine.limits.zones import zone_of
from state.change import clock_of
from state.sampling import within
from state.tables import Entity, Recipient
from state.transitions import AutomationStatus

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy import ColumnElement
    from sqlalchemy.orm import Session

    from engine.campaigns.validation import Rehearsed
    from engine.channels.port import ChannelContext
    from engine.kernel.secrets import Secrets
    from state.tables import Campaign, Target

__all__ = ["MOST", "ChannelShare", "Exclusion", "Preflight", "RenderedSample", "SharedAddress", "preflight"]

#: People that are looked at one by one, at most.
MOST = 100_000

_PAGE = 500
#: Messages that are shown; entities and addresses that are named of each kind; mail domains that are counted alone.
_SAMPLES, _NAMED, _DOMAINS = 3, 5, 20
#: Reasons for which delivery records a failure; the others are cancelled on purpose.
_FAILURES = frozenset(("TEMPLATE_ERROR", "CONTENT_INVALID"))


@dataclass(slots=True)
class Exclusion:
    """Recipients who would get no message, or not all of them, for one reason."""

    code: str
    """What is recorded of each."""
    message: str
    """Of the first of them."""
    status: str
    """`failed` or `cancelled`."""
    count: int = 0
    entity_ids: list[UUID] = field(default_factory=list)
    """The first few."""


@dataclass(slots=True)
class ChannelShare:
    """What goes over one channel."""

    id: UUID
    name: str
    kind: str
    cost_per_message: float
    messages: int = 0
    domains: dict[str, int] = field(default_factory=dict)
    """Messages by mail domain: the largest, and the others as `other`."""

    @property
    def cost(self) -> float:
        """In the organization's currency."""
        return self.messages * self.cost_per_message


@dataclass(frozen=True, slots=True)
class SharedAddress:
    """An address that several recipients have."""

    address: str
    entity_ids: list[UUID]


@dataclass(frozen=True, slots=True)
class RenderedSample:
    """A message as its recipient would get it."""

    entity_id: UUID
    title: str
    channel: str
    address: str
    sender: str | None
    """The template's; None: the channel's own."""
    subject: str
    text: str | None
    html: str | None


@dataclass(slots=True)
class Preflight:
    """What an activation would do now."""

    campaign_id: UUID
    campaign: str
    status: str
    matched: int = 0
    """In any target, or enrolled by name."""
    beyond_reach: int = 0
    """Of them: not within the part of the audience that is meant."""
    already_reached: int = 0
    """Of them: recipients of an earlier run, who are left alone."""
    recipients: int = 0
    """Whom the run would take in: what its job would count."""
    looked_at: int = 0
    """How many recipients were looked at one by one; fewer than `recipients`: the counts below are scaled up."""
    written_to: int = 0
    """Recipients who would get every message of the flow."""
    excluded: list[Exclusion] = field(default_factory=list)
    channels: list[ChannelShare] = field(default_factory=list)
    shared_addresses: int = 0
    """Addresses that would be written to more than once, because several recipients have them; a campaign that writes
    to each once excludes the others (DUPLICATE_ADDRESS).
    """
    repeated_messages: int = 0
    """First messages to an address that had one already."""
    shared: list[SharedAddress] = field(default_factory=list)
    """The first few of these addresses."""
    without_zone: int = 0
    """Recipients of whom nothing tells the time zone: the organization's is used."""
    hours_matter: bool = False
    """Whether send windows or quiet hours apply, so that a zone matters."""
    cost: float = 0.0
    budget: float | None = None
    begins_at: datetime | None = None
    ends_at: datetime | None = None
    """When the last message would leave, at the usual pace and under the limits; None: nobody can say."""
    departures: list[tuple[datetime, float]] = field(default_factory=list)
    """How many of the first message have left by when (engine.insight.estimate)."""
    samples: list[RenderedSample] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    """Why it could not be activated, or nobody be sent a message."""
    warnings: list[str] = field(default_factory=list)

    @property
    def sampled(self) -> bool:
        """Whether not everybody was looked at."""
        return self.looked_at < self.recipients

    @property
    def fails(self) -> bool:
        """Whether something would fail: the campaign, or the message of somebody who is not excluded on purpose."""
        lost = any(one.status == "failed" or one.code == "NO_ADDRESS" for one in self.excluded)
        return bool(self.errors) or lost or not self.recipients

    @property
    def seconds(self) -> float | None:
        """From the first message to the last."""
        if self.begins_at is None or self.ends_at is None:
            return None
        return (self.ends_at - self.begins_at).total_seconds()

    def as_dict(self) -> dict[str, Any]:
        """As JSON has it, apart from ids and instants."""
        channels = [asdict(one) | {"cost": one.cost} for one in self.channels]
        more = {
            "sampled": self.sampled,
            "fails": self.fails,
            "seconds": self.seconds,
            "departures": [{"at": at, "messages": round(left)} for at, left in self.departures],
        }
        return asdict(self) | {"channels": channels} | more


def preflight(
    session: Session,
    campaign: Campaign,
    *,
    secrets: Secrets,
    channel_context: ChannelContext,
    reach: float | None = None,
    most: int = MOST,
) -> Preflight:
    """Look at everybody whom an activation would take in now. Takes about a second for 10,000 people.

    Args:
        reach: Percent of the audience; None: as far as the campaign was told, else everybody.
        most: People that are looked at one by one.

    Raises:
        FilterError: stored filters cannot be used.
    """
    reach = reach if reach is not None else (campaign.reach or 100.0)
    found = Preflight(campaign.id, campaign.name, campaign.status, budget=campaign.budget)
    _check(session, campaign, found)
    targets = run_targets(session, campaign)
    _count(session, campaign, targets, reach, found)
    rehearsal = Rehearsal(session, campaign, secrets, channel_context, RememberedAddresses(campaign.id))
    found.errors += rehearsal.errors
    if campaign.flow_id is not None and not rehearsal.errors and not rehearsal.steps:
        found.warnings.append("the flow sends no message")
    tally = _Tally(found, rehearsal)
    percent = min(100.0, 100 * most / found.recipients) if found.recipients else 100.0
    for people in _pages(session, campaign, targets, reach, percent):
        tally.take(session, people)
    tally.end()
    _limits(session, campaign, rehearsal, found)
    begin = clock_of(session).now()
    found.begins_at = begin
    crowd = Crowd(found.written_to, lambda: tally.attributes)
    found.ends_at = expected_end(session, campaign, crowd, begin=begin)
    found.departures = expected_departures(session, campaign, crowd, begin=begin)
    if found.budget is not None and found.cost > found.budget:
        found.warnings.append(
            f"it costs {found.cost:,.2f}, more than the budget of {found.budget:,.2f}: it would be paused"
        )
    return found


def _check(session: Session, campaign: Campaign, found: Preflight) -> None:
    try:
        targets_of(session, campaign)
    except RuleViolation as error:
        found.errors.append(f"{error.code}: {error}")
    for check in (check_hours, check_budget):
        try:
            check(session, campaign)
        except Invalid as error:
            found.errors.append(str(error))
    if campaign.flow_id is None:
        found.errors.append(
            "CAMPAIGN_HAS_NO_DELIVERY_METHOD: the campaign has no flow, so it has nothing to send"
        )


def _count(
    session: Session, campaign: Campaign, targets: list[Target], reach: float, found: Preflight
) -> None:
    """How many there are, by statements over everybody."""
    everybody = [_in_run(session, campaign, targets)]
    found.matched = _number(session, *everybody)
    within_reach = _within_reach(session, campaign, reach)
    found.beyond_reach = found.matched - _number(session, *everybody, *within_reach)
    known = _reached(campaign)
    found.already_reached = _number(session, *everybody, *within_reach, known)
    found.recipients = found.matched - found.beyond_reach - found.already_reached
    percent = holdout_of(session, campaign.id)
    if percent:
        held = held_out(session, campaign.id, percent)
        count = _number(session, *everybody, *within_reach, ~known, held, ~_named(campaign))
        if count:
            why = f"{percent:g} % of the audience are left out to compare with"
            found.excluded.append(Exclusion(HOLDOUT, why, "cancelled", count))


def _number(session: Session, *conditions: ColumnElement[bool]) -> int:
    return session.execute(select(func.count()).select_from(Entity).where(*conditions)).scalar_one()


def _in_run(session: Session, campaign: Campaign, targets: list[Target]) -> ColumnElement[bool]:
    return or_(and_(*everybody_of(session, campaign.org_id, targets)), _named(campaign))


def _within_reach(session: Session, campaign: Campaign, reach: float) -> list[ColumnElement[bool]]:
    """Who is enrolled by name is always within reach."""
    sampled = within(session, campaign.id, Entity.id, reach)
    return [] if sampled is None else [or_(sampled, _named(campaign))]


def _named(campaign: Campaign) -> ColumnElement[bool]:
    """Enrolled by name (engine.delivery.enrolled_recipients)."""
    return exists().where(
        Recipient.campaign_id == campaign.id,
        Recipient.org_id == campaign.org_id,
        Recipient.entity_id == Entity.id,
        Recipient.stage.is_not(None),
        Recipient.deleted_at.is_(None),
    )


def _reached(campaign: Campaign) -> ColumnElement[bool]:
    """A recipient of an earlier run who is not taken up again."""
    return exists().where(
        Recipient.campaign_id == campaign.id,
        Recipient.org_id == campaign.org_id,
        Recipient.entity_id == Entity.id,
        Recipient.automation_status.is_not(None),
        or_(Recipient.automation_status != AutomationStatus.CANCELLED, Recipient.error_code == HOLDOUT),
    )


def _pages(
    session: Session, campaign: Campaign, targets: list[Target], reach: float, percent: float
) -> Iterator[list[Entity]]:
    """Those whom a run would send to, each once, as planning walks them; a sample of `percent` of them."""
    org_id, named = campaign.org_id, _named(campaign)
    common = [~_reached(campaign)]
    if percent < 100:  # noqa: PLR2004 - everybody
        chosen = within(session, org_id, Entity.id, percent)
        common += [] if chosen is None else [chosen]
    holdout = holdout_of(session, campaign.id)
    groups = [
        share_of_target(session, org_id, campaign.id, targets, index, reach=reach)
        for index in range(len(targets))
    ]
    if holdout:
        kept = or_(~held_out(session, campaign.id, holdout), named)
        groups = [[*group, kept] for group in groups]
    # Behind the audience: those by name whom no page before has had.
    shares = [and_(*group) for group in groups]
    groups.append([Entity.org_id == org_id, named, *([~or_(*shares)] if shares else [])])
    for group in groups:
        last: UUID | None = None
        while True:
            behind = [] if last is None else [Entity.id > last]
            statement = select(Entity).where(*group, *common, *behind).order_by(Entity.id).limit(_PAGE)
            people = list(session.scalars(statement))
            if people:
                last = people[-1].id
                yield people
            for one in people:
                session.expunge(one)
            if len(people) < _PAGE:
                break


class _Tally:
    """Counts what a rehearsal says."""

    def __init__(self, found: Preflight, rehearsal: Rehearsal) -> None:
        self._found, self._rehearsal = found, rehearsal
        self._excluded: dict[str, Exclusion] = {}
        self._messages: Counter[UUID] = Counter()
        self._domains: dict[UUID, Counter[str]] = defaultdict(Counter)
        self._addresses: dict[tuple[str, str], list[UUID]] = {}
        self._repeated = 0
        self._lost: set[UUID] = set()
        self._seen = self._without_zone = 0
        self.attributes: list[Mapping[str, Any]] = []
        """Of the first of those who were looked at."""

    def take(self, session: Session, people: list[Entity]) -> None:
        """Count a page."""
        self._seen += len(people)
        self._without_zone += sum(zone_of(one.attributes) is None for one in people)
        room = SAMPLE - len(self.attributes)
        self.attributes += [attributes_of(one) for one in people[: max(room, 0)]]
        lost: set[UUID] = set()
        begun: set[UUID] = set()
        for message in self._rehearsal.messages(session, people):
            if message.trouble is not None:
                lost.add(message.entity.id)
                self._exclude(message, *message.trouble)
                continue
            self._send(message, is_first=message.entity.id not in begun)
            begun.add(message.entity.id)
        self._found.written_to += len(people) - len(lost) if self._rehearsal.steps else 0

    def end(self) -> None:
        """Write down the sums; of a sample, as they would be of everybody."""
        found = self._found
        held = sum(one.count for one in found.excluded)
        there = found.recipients - held
        scale = there / self._seen if self._seen and self._seen < there else 1.0

        def scaled(count: int) -> int:
            return round(count * scale)

        found.looked_at = self._seen + held if scale == 1.0 else self._seen
        for exclusion in self._excluded.values():
            exclusion.count = scaled(exclusion.count)
        found.excluded += sorted(self._excluded.values(), key=lambda one: -one.count)
        found.written_to = scaled(found.written_to)
        found.without_zone = scaled(self._without_zone)
        shared = [(key, ids) for key, ids in self._addresses.items() if len(ids) > 1]
        found.shared_addresses, found.repeated_messages = len(shared), self._repeated
        found.shared = [SharedAddress(address, ids) for (_, address), ids in shared[:_NAMED]]
        for row in {step.row.id: step.row for step in self._rehearsal.steps}.values():
            domains = self._domains[row.id]
            largest = dict(domains.most_common(_DOMAINS))
            rest = domains.total() - sum(largest.values())
            share = ChannelShare(
                row.id, row.name, row.kind, row.cost_per_message, scaled(self._messages[row.id])
            )
            share.domains = {name: scaled(count) for name, count in largest.items()}
            if rest:
                share.domains["other"] = scaled(rest)
            found.channels.append(share)
        found.cost = sum(share.cost for share in found.channels)

    def _exclude(self, message: Rehearsed, code: str, why: str) -> None:
        status = "failed" if code in _FAILURES else "cancelled"
        exclusion = self._excluded.setdefault(code, Exclusion(code, why[:1000], status))
        exclusion.count += 1
        if len(exclusion.entity_ids) < _NAMED:
            exclusion.entity_ids.append(message.entity.id)

    def _send(self, message: Rehearsed, *, is_first: bool) -> None:
        row, address = message.step.row, message.address or ""
        self._messages[row.id] += 1
        medium, plain = folded(message.step.channel.medium, address)
        if medium is AddressMedium.EMAIL:
            self._domains[row.id][plain.rpartition("@")[2]] += 1
        if is_first:
            holders = self._addresses.setdefault((medium, plain), [])
            self._repeated += bool(holders)
            if len(holders) <= _NAMED:
                holders.append(message.entity.id)
        if len(self._found.samples) < _SAMPLES and is_first:
            self._show(message, address)

    def _show(self, message: Rehearsed, address: str) -> None:
        template = message.step.templates.get(message.variant)
        if template is None:
            return
        try:
            content = template.render(attributes_of(message.entity), EXTRAS)
        except RenderError:
            return
        url = EXTRAS["unsubscribe_url"] if message.step.channel.links else None
        said = message_warnings(content, unsubscribe_url=url)
        self._found.warnings += [one for one in said if one not in self._found.warnings]
        self._found.samples.append(
            RenderedSample(
                message.entity.id,
                message.entity.title,
                message.step.row.name,
                address,
                content.sender_email,
                content.subject,
                content.text,
                content.html,
            )
        )


def _limits(session: Session, campaign: Campaign, rehearsal: Rehearsal, found: Preflight) -> None:
    """Whether hours and caps apply, and what that means."""
    for row in {step.row.id: step.row for step in rehearsal.steps}.values():
        effective = read_effective_limits(session, campaign.org_id, campaign.id, row.id)
        if effective is not None and effective.hours is not None:
            found.hours_matter = True
        if effective is not None and effective.caps:
            found.warnings.append(
                f"channel {row.name!r}: frequency caps apply, and may hold or exclude some of them"
            )
    if found.hours_matter and found.without_zone:
        found.warnings.append(
            f"{found.without_zone:,} recipients have no time zone that can be read; the organization's is used"
        )
