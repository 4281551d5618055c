"""Whether a message would do what it is to do, found out without sending it."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import pytest

from engine.audience.entities import upsert_entity
from engine.audience.suppression_list import SuppressionInput, suppress
from engine.campaigns import campaigns, channels, flows, templates
from engine.campaigns.rehearsed_addresses import RememberedAddresses
from engine.campaigns.validation import Rehearsal, Said, examine, sample_of
from engine.channels.asking import ask
from engine.channels.port import ChannelContext
from engine.delivery.variants import Variants
from engine.filters.targets import TargetInput, create_target
from engine.kernel.inputs import read
from engine.kernel.secrets import Secrets, new_key
from engine.organizations import create_organization
from state.tables import Campaign, Channel, Entity, Touchpoint
from tests.delivery.kit import ScriptedChannel

EVERYBODY = {"filter": {"items": [{"key": "email", "operator": "NOT_EMPTY"}], "combination": "AND"}}

NONSENSE = {"filter": {"items": [{"key": "engagement.clickd", "operator": "EMPTY"}], "combination": "AND"}}


@pytest.fixture
def secrets():
    return Secrets([new_key()])


@pytest.fixture
def lent(tmp_path):
    return ChannelContext(tmp_path)


@pytest.fixture
def channel_id(database, org_id, secrets):
    with database.begin() as session:
        given = read(channels.ChannelInput, {"name": "out", "kind": "file", "is_default": True})
        return channels.create_channel(session, org_id, given, secrets).id


@pytest.fixture
def target_id(database, org_id):
    with database.begin() as session:
        for number in range(3):
            body = {"email": f"p{number}@x.org", "First Name": "Ada", "n": number, "language": "de"}
            upsert_entity(session, org_id, "contact", body)
        upsert_entity(session, org_id, "contract", {"email": "c@x.org", "kind": "power"})
        given = {"name": "all", "entity_schema": "contact", "entity_filters": EVERYBODY}
        return create_target(session, org_id, read(TargetInput, given)).id


def template(session, org_id, **given):
    return templates.create_template(
        session, org_id, read(templates.TemplateInput, {"name": "t", **given})
    ).id


@pytest.fixture
def errors_of(database, org_id, secrets, lent, target_id):
    def errors_of(said, targets=None):
        with database.begin() as session:
            sample = sample_of(session, org_id, [target_id] if targets is None else targets)
            return examine(session, org_id, said, sample, secrets=secrets, channel_context=lent).errors

    return errors_of


def test_a_message_that_works_has_nothing_wrong(
    database, org_id, channel_id, errors_of, secrets, lent, target_id
):
    with database.begin() as session:
        template_id = template(
            session,
            org_id,
            subject="Hi {{ first_name | possessive }}",
            text="{{ entity['First Name'] }} {{ n | number }} {{ unsubscribe_url }} {{ _title }}"
            "{% if nick %}{{ nick }}{% endif %}{{ alias | default: 'x' }}{{ city }}",
            defaults={"City": "here"},
            translations={"de": {"subject": "Hallo {{ first_name }}"}},
        )
    said = Said(template_id=template_id)
    assert errors_of(said) == []
    with database.read() as session:
        found = examine(
            session,
            org_id,
            said,
            sample_of(session, org_id, [target_id]),
            secrets=secrets,
            channel_context=lent,
        )
        assert found.channel is not None
        assert asyncio.run(ask(found.channel)) is None


def test_without_entities_nobody_can_say_what_a_variable_will_be(database, org_id, channel_id, secrets, lent):
    with database.begin() as session:
        said = Said(content={"text": "{{ anything }}"})
        sample = sample_of(session, org_id, [])
        assert sample.known is None
        assert examine(session, org_id, said, sample, secrets=secrets, channel_context=lent).errors == []


@pytest.mark.parametrize(
    ("said", "errors"),
    [
        ({}, ["message: there is none"]),
        ({"template_id": uuid4()}, ["template_id: template "]),
        ({"content": {"text": "{{"}}, ["text, line 1: "]),
        (
            {"content": {"text": "x"}, "condition": NONSENSE},
            ["condition.filter.items[0].key"],
        ),
        (
            {"content": {"text": "{{ nick }}\n{{ entity['Nick Name'] }} {{ kind }}"}},
            ['entity["Nick Name"]: is no attribute of contact', "kind: is no", "nick: is no"],
        ),
        (
            {"content": {"text": "{{ first_name | currency: 'EUR' }}"}},
            ["text, line 1: 'Ada' is not a number (first_name)"],
        ),
        (
            {
                "content": {
                    "text": "x",
                    "language": "en",
                    "translations": {"fr": {"text": "{{ first_name | number }}"}},
                }
            },
            ["fr: translations.fr.text, line 1: 'Ada' is not a number (first_name)"],
        ),
        ({"content": {"text": "x"}, "channel_id": uuid4()}, ["channel_id: does not exist"]),
        (
            {
                "variants": [
                    {"id": "a", "content": {"text": "ok"}},
                    {"id": "b", "content": {"text": "{{ who }}"}},
                    {"id": "c", "template_id": "nonsense"},
                ]
            },
            ["variants[1].who: is no attribute", "variants[2].template_id: template nonsense does not exist"],
        ),
    ],
)
def test_everything_that_is_wrong_is_told(channel_id, errors_of, said, errors):
    found = errors_of(Said(**said))
    assert len(found) == len(errors), found
    for one, begins in zip(found, errors, strict=True):
        assert one.startswith(begins)


def test_a_channel_that_cannot_be_built_or_reached_is_told(
    database, org_id, channel_id, errors_of, secrets, lent, target_id
):
    with database.begin() as session:
        session.get_one(Channel, channel_id).settings = {"format": "nonsense"}
    assert errors_of(Said(content={"text": "x"}))[0].startswith("channel 'out': settings.format")
    with database.begin() as session:
        given = {
            "name": "mail",
            "kind": "smtp",
            "settings": {"host": "127.0.0.1", "port": 1, "security": "none", "from_email": "a@x.org"},
        }
        mail = channels.create_channel(session, org_id, read(channels.ChannelInput, given), secrets).id
        said = Said(content={"subject": "s", "text": "x"}, channel_id=mail)
        found = examine(
            session,
            org_id,
            said,
            sample_of(session, org_id, [target_id]),
            secrets=secrets,
            channel_context=lent,
        )
    assert found.errors == []
    assert found.channel is not None
    assert str(asyncio.run(ask(found.channel))).startswith("SMTP_")


class Silent(ScriptedChannel):
    closed = False

    async def check(self):
        await asyncio.Event().wait()

    async def close(self):
        self.closed = True


def test_a_provider_that_keeps_silent_is_waited_for_no_longer_than_said():
    silent = Silent()
    assert asyncio.run(ask(silent, within=0.01)) == "no answer in 0 seconds"
    assert silent.closed


def test_nothing_of_another_organization_is_seen(database, org_id, channel_id, target_id, secrets, lent):
    with database.begin() as session:
        template_id = template(session, org_id, text="x")
        other = create_organization(session, "other").id
        sample = sample_of(session, other, [target_id])
        assert sample.known is None
        said = Said(template_id=template_id, channel_id=channel_id)
        errors = examine(session, other, said, sample, secrets=secrets, channel_context=lent).errors
    assert errors == ["channel_id: does not exist", f"template_id: template {template_id} does not exist"]


def campaign(session, org_id, flow_id):
    given = read(campaigns.CampaignInput, {"name": "spring", "flow_id": flow_id})
    return campaigns.create_campaign(session, org_id, given).id


def test_a_rehearsal_gives_everybody_the_variant_that_they_would_be_sent(
    database, org_id, channel_id, secrets, lent, target_id
):
    variants = [
        {"id": "good", "weight": 1, "content": {"text": "x"}},
        {"id": "bad", "weight": 1, "content": {"text": "{{ email | number }}"}},
    ]
    step = {"variants": variants}
    with database.begin() as session:
        given = read(flows.FlowInput, {"name": "f", "touchpoints": [step, step]})
        campaign_id = campaign(session, org_id, flows.create_flow(session, org_id, given).id)
        for number in range(40):
            upsert_entity(session, org_id, "contact", {"email": f"v{number}@x.org"})
    with database.read() as session:
        people = list(session.query(Entity))
        rehearsal = Rehearsal(
            session, session.get_one(Campaign, campaign_id), secrets, lent, RememberedAddresses(campaign_id)
        )
        assert rehearsal.errors == []
        found = {one.entity_id for one in rehearsal.page(session, people)}
    chosen = {one.id: Variants(variants).of(campaign_id, one.id, None) for one in people}
    assert found == {key for key, name in chosen.items() if name == "bad"}
    assert 0 < len(found) < len(people)


def test_a_rehearsal_finds_everybody_who_would_fail_and_why(database, org_id, channel_id, secrets, lent):
    with database.begin() as session:
        people = [
            upsert_entity(session, org_id, "contact", body)[0]
            for body in (
                {"email": "ok@x.org", "sum": 1},
                {"sum": 1},
                {"email": "gone@x.org", "sum": 1},
                {"email": "bad@x.org", "sum": "many"},
            )
        ]
        ids = [one.id for one in people]
        given = read(channels.ChannelChange, {"settings": {"format": "eml"}})
        channels.update_channel(session, org_id, channel_id, given, secrets)
        suppress(session, org_id, read(SuppressionInput, {"channel_kind": "file", "address": "gone@x.org"}))
        template_id = template(session, org_id, text="{{ sum | currency: 'EUR' }}")
        flow = read(flows.FlowInput, {"name": "f", "touchpoints": [{"template_id": template_id}]})
        campaign_id = campaign(session, org_id, flows.create_flow(session, org_id, flow).id)
        touchpoint = session.query(Touchpoint).one()
    with database.read() as session:
        rehearsal = Rehearsal(
            session, session.get_one(Campaign, campaign_id), secrets, lent, RememberedAddresses(campaign_id)
        )
        assert rehearsal.errors == []
        entities = list(session.query(Entity).where(Entity.id.in_(ids)))
        findings = {one.entity_id: one for one in rehearsal.page(session, entities)}
    assert [getattr(findings.get(key), "code", None) for key in ids] == [
        None,
        "NO_ADDRESS",
        "SUPPRESSED",
        "TEMPLATE_ERROR",
    ]
    assert {one.touchpoint_id for one in findings.values()} == {touchpoint.id}
    assert "'many' is not a number" in findings[ids[3]].message
    assert asyncio.run(rehearsal.unreachable()) == []


def test_a_rehearsal_says_what_nobody_could_be_sent(database, org_id, secrets, lent):
    with database.begin() as session:
        template_id = template(session, org_id, text="x")
        given = read(
            flows.FlowInput, {"name": "f", "touchpoints": [{"template_id": template_id, "name": "hello"}]}
        )
        campaign_id = campaign(session, org_id, flows.create_flow(session, org_id, given).id)
        rehearsal = Rehearsal(
            session, session.get_one(Campaign, campaign_id), secrets, lent, RememberedAddresses(campaign_id)
        )
    assert rehearsal.errors == ["hello: channel_id: there is no channel"]
