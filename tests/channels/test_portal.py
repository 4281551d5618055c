"""The portal channel: a status in the database, given once."""

from __future__ import annotations

from uuid import uuid4

import pytest
from sqlalchemy import select

from engine.channels import registry
from engine.channels.port import ChannelContext, Delivered, Down, Rejected
from engine.content.message import Content, Message
from engine.engagement.engagement import Kind, Medium, sums
from muster_testing.channels import Conformance, message, messages, run, send_and_close
from state.database import Database
from state.tables import Campaign, Engagement, Recipient


class PortalRig:
    """Every message is for a recipient that is made with it."""

    def __init__(self, database, org_id):
        self.database, self.org_id = database, org_id
        self.away = False
        now = database.clock.now()
        with database.begin() as session:
            campaign = Campaign(org_id=org_id, name="c", created_at=now, updated_at=now)
            session.add(campaign)
            session.flush()
            self.campaign_id = campaign.id
        self.sent = {}

    def channel(self):
        lent = ChannelContext(database=_Away(self))  # type: ignore[arg-type]
        return registry.build("portal", {}, {}, lent)

    def arrange(self, scenario):
        self.away = scenario == "down"

    def wave(self, count):
        now = self.database.clock.now()
        made = [
            Message(uuid4(), self.org_id, self.campaign_id, entity_id := uuid4(), str(entity_id), Content())
            for _ in range(count)
        ]
        with self.database.begin() as session:
            session.add_all(
                Recipient(
                    campaign_id=self.campaign_id,
                    entity_id=one.entity_id,
                    org_id=self.org_id,
                    entity_schema="contact",
                    created_at=now,
                    updated_at=now,
                )
                for one in made
            )
        self.sent |= {one.entity_id: one.execution_id for one in made}
        return made

    def statuses(self):
        with self.database.read() as session:
            found = session.execute(select(Recipient.entity_id, Recipient.portal_status))
            return {entity_id: status for entity_id, status in found}  # noqa: C416

    def accepted(self):
        return [self.sent[entity_id] for entity_id, status in self.statuses().items() if status == "sent"]


class _Away:
    """The rig's database, or one that nobody answers for."""

    def __init__(self, rig):
        self._rig = rig
        self._nobody = Database("postgresql+psycopg://nobody@127.0.0.1:9/none", pool_size=1)

    def __getattr__(self, name):
        return getattr(self._nobody if self._rig.away else self._rig.database, name)


@pytest.fixture
def rig(database, org_id):
    return PortalRig(database, org_id)


class TestPortal(Conformance):
    scenarios = frozenset({"healthy", "down"})

    @pytest.fixture
    def rig(self, database, org_id):
        return PortalRig(database, org_id)


def outcomes(rig, wave):
    return list(run(send_and_close(rig.channel(), wave)).outcomes.values())


def test_everybody_is_shown_the_campaign_once(rig, database, org_id):
    wave = rig.wave(5)
    assert outcomes(rig, wave) == [Delivered()] * 5
    assert outcomes(rig, wave) == [Delivered()] * 5, "sent again is sent once"
    assert set(rig.statuses().values()) == {"sent"}
    with database.read() as session:
        assert sums(session, org_id, rig.campaign_id, Medium.PORTAL) == {Kind.SENT: (5, 5)}
        assert len(session.execute(select(Engagement.id)).all()) == 5


@pytest.mark.parametrize("status", ["sent", "seen", "dismissed", "clicked"])
def test_whoever_has_a_status_keeps_it(rig, status):
    wave = rig.wave(2)
    with rig.database.begin() as session:
        row = session.get_one(Recipient, (rig.campaign_id, wave[0].entity_id))
        row.portal_status = status
    assert outcomes(rig, wave) == [Delivered()] * 2
    assert rig.statuses() == {wave[0].entity_id: status, wave[1].entity_id: "sent"}


def test_whoever_is_gone_is_told_apart(rig):
    wave = [*rig.wave(1), message()]
    wave[1] = Message(uuid4(), rig.org_id, rig.campaign_id, uuid4(), "x", Content())
    assert outcomes(rig, wave) == [
        Delivered(),
        Rejected("PORTAL_NO_RECIPIENT", "the recipient does not exist any more"),
    ]


def test_another_organizations_recipients_are_none(rig):
    (mine,) = rig.wave(1)
    stranger = Message(uuid4(), uuid4(), mine.campaign_id, mine.entity_id, mine.address, Content())
    assert isinstance(outcomes(rig, [stranger])[0], Rejected)
    assert rig.statuses() == {mine.entity_id: None}


def test_several_campaigns_in_one_wave(database, org_id):
    first, second = PortalRig(database, org_id), PortalRig(database, org_id)
    wave = [*first.wave(3), *second.wave(3)]
    assert outcomes(first, wave) == [Delivered()] * 6


def test_a_database_that_is_away_is_down_and_tells_no_statement(rig):
    wave = rig.wave(2)
    rig.arrange("down")
    found = outcomes(rig, wave)
    assert [type(one) for one in found] == [Down, Down]
    assert "UPDATE" not in repr(found)
    assert "database" in (run(rig.channel().check()) or "")
    assert messages(0, rig) == []
