"""Templates, flows, portals: closed, checked against what exists, of one organization."""

from __future__ import annotations

from uuid import uuid4

import pytest

from engine.campaigns import flows, portals, templates
from engine.kernel.inputs import InUse, Invalid, read
from engine.organizations import create_organization
from state.errors import NotFound
from state.tables import Template, Touchpoint


@pytest.fixture
def template_id(database, org_id):
    with database.begin() as session:
        given = read(templates.TemplateInput, {"name": "t", "subject": "Hi {{ name }}", "text": "Hello"})
        return templates.create_template(session, org_id, given).id


@pytest.fixture
def flow_id(database, org_id, template_id):
    with database.begin() as session:
        given = read(flows.FlowInput, {"name": "f", "touchpoints": [{"template_id": template_id}]})
        return flows.create_flow(session, org_id, given).id


@pytest.mark.parametrize(
    ("given", "field", "says"),
    [
        ({"name": "t", "text": "{{ name "}, "text", "line 1"),
        ({"name": "t", "text": "a\n{% if x %}"}, "text", "line 2"),
        ({"name": "t", "html": "{{ x | upcse }}"}, "html", "did you mean 'upcase'"),
        ({"name": "t", "text": "{% for i in (1..1000000000) %}x{% endfor %}"}, "text", "range"),
        (
            {
                "name": "t",
                "text": "{% for i in (1..9999) %}{% for j in (1..9999) %}x{% endfor %}{% endfor %}",
            },
            "text",
            "",
        ),
        ({"name": "t", "subject": "only"}, "text", "html or text"),
        ({"name": "t", "text": "x", "sender": {"email": "nobody"}}, "sender.email", "e-mail"),
        ({"name": "t", "text": "x", "subjcet": "y"}, "subjcet", "did you mean 'subject'"),
        ({"name": "t", "text": "x", "sender": {"emial": "y"}}, "sender.emial", "did you mean 'email'"),
        ({"text": "x"}, "name", "required"),
        ({"name": " ", "text": "x"}, "name", "at least 1"),
        ({"name": "t", "text": "a\0b"}, "text", "NUL"),
        ({"name": "t", "text": "\ud800"}, "text", "surrogate"),
        ({"name": "t", "text": "x", "defaults": {"a": [1, {"b": "\0"}]}}, "defaults.a[1].b", "NUL"),
        ({"name": "t", "text": "x", "defaults": {"a": float("nan")}}, "defaults.a", "finite"),
    ],
)
def test_a_template_that_cannot_be_rendered_is_refused_and_not_kept(database, org_id, given, field, says):
    with pytest.raises(Invalid) as refused, database.begin() as session:
        templates.create_template(session, org_id, read(templates.TemplateInput, given))
    assert field == refused.value.field
    assert says in str(refused.value)
    with database.read() as session:
        assert templates.list_templates(session, org_id).total == 0


def test_nesting_has_an_end(database, org_id):
    deep: object = "x"
    for _ in range(2000):
        deep = [deep]
    with pytest.raises(Invalid, match="nests more than"):
        read(templates.TemplateInput, {"name": "t", "text": "x", "defaults": {"a": deep}})


def test_a_template_that_needs_attributes_is_kept(database, org_id):
    given = {"name": "t", "text": "{{ 100 | divided_by: parts }}"}
    with database.begin() as session:
        kept = templates.create_template(session, org_id, read(templates.TemplateInput, given)).id
    with database.read() as session:
        assert given["text"] == session.get_one(Template, kept).text


def test_an_update_changes_what_is_given_and_always_moves_updated_at(database, org_id, template_id):
    with database.begin() as session:
        before = templates.get_template(session, org_id, template_id).updated_at
    stamps = {before}
    for subject in ("a", "b", "c"):
        with database.begin() as session:
            change = read(templates.TemplateChange, {"subject": subject})
            changed = templates.update_template(session, org_id, template_id, change)
            assert ("t", subject, "Hello") == (changed.name, changed.subject, changed.text)
            stamps.add(changed.updated_at)
    assert len(stamps) == 4, "workers cache by updated_at, also within one tick of the clock"


@pytest.mark.parametrize("change", [{"text": None}, {"subject": "{{"}, {"name": None}, {"sender": None}])
def test_a_bad_update_changes_nothing(database, org_id, template_id, change):
    with pytest.raises(Invalid), database.begin() as session:
        templates.update_template(session, org_id, template_id, read(templates.TemplateChange, change))
    with database.read() as session:
        kept = templates.get_template(session, org_id, template_id)
        assert (kept.subject, kept.text) == ("Hi {{ name }}", "Hello")


def test_a_template_in_use_stays(database, org_id, template_id, flow_id):
    with pytest.raises(InUse, match="'f'"), database.begin() as session:
        templates.delete_template(session, org_id, template_id)
    with database.begin() as session:
        flows.delete_flow(session, org_id, flow_id)
        templates.delete_template(session, org_id, template_id)
        assert session.get(Template, template_id) is None


@pytest.mark.parametrize(
    ("touchpoints", "field"),
    [
        ([], "touchpoints"),
        ([{}], "touchpoints[0].template_id"),
        ([{"template_id": "nope"}], "touchpoints[0].template_id"),
        ([{"template_id": str(uuid4())}], "touchpoints[0].template_id"),
        ([{"template_id": "T", "type": "wait"}], "touchpoints[0].template_id"),
        ([{"template_id": "T", "type": "weight"}], "touchpoints[0].type"),
        ([{"type": "wait"}], "touchpoints[0].settings"),
        ([{"type": "wait", "settings": {"day": 2}}], "touchpoints[0].settings.day"),
        ([{"type": "wait", "settings": {"days": -2}}], "touchpoints[0].settings.days"),
        ([{"type": "wait", "settings": {"days": 10_000}}], "touchpoints[0].settings.days"),
        ([{"type": "wait", "settings": {"until": "soon"}}], "touchpoints[0].settings.until"),
        ([{"type": "wait", "settings": {"until": "2026-05-04", "days": 1}}], "touchpoints[0].settings"),
        ([{"type": "action", "settings": {"url": "ftp://x"}}], "touchpoints[0].settings.url"),
        ([{"template_id": "T"}, {"content": {"subject": "{{"}}], "touchpoints[1].content.subject"),
        ([{"content": {"text": "x", "tekst": "y"}}], "touchpoints[0].content.tekst"),
        ([{"variants": [{"id": "a", "weight": 0}]}], "touchpoints[0].variants"),
        ([{"variants": [{"id": "a"}]}], "touchpoints[0].variants[0].template_id"),
        ([{"template_id": "T", "variants": [{"id": "a"}, {"id": "a"}]}], "touchpoints[0].variants[1].id"),
        (
            [{"variants": [{"id": "a", "template_id": str(uuid4())}]}],
            "touchpoints[0].variants[0].template_id",
        ),
        ([{"template_id": "T", "condition": {"filters": {}}}], "touchpoints[0].condition.filters"),
        ([{"template_id": "T", "id": str(uuid4())}], "touchpoints[0].id"),
        ([{"template_id": "T", "channel_id": str(uuid4())}], "touchpoints[0].channel_id"),
        ([{"template_id": "T", "chanel_id": None}], "touchpoints[0].chanel_id"),
    ],
)
def test_a_touchpoint_that_cannot_be_run_is_refused(database, org_id, template_id, touchpoints, field):
    given = [
        {key: str(template_id) if value == "T" else value for key, value in touchpoint.items()}
        for touchpoint in touchpoints
    ]
    with pytest.raises(Invalid) as refused, database.begin() as session:
        flows.create_flow(session, org_id, read(flows.FlowInput, {"name": "f", "touchpoints": given}))
    assert field == refused.value.field
    with database.read() as session:
        assert flows.list_flows(session, org_id).total == 0


def test_a_flows_touchpoints_are_replaced_whole(database, org_id, template_id, flow_id):
    with database.begin() as session:
        change = {"touchpoints": [{"template_id": template_id, "name": "second"}]}
        flows.update_flow(session, org_id, flow_id, read(flows.FlowChange, change))
        steps = flows.touchpoints_of(session, org_id, [flow_id])[flow_id]
        assert [step.name for step in steps] == ["second"]
        assert session.query(Touchpoint).count() == 1
        flows.update_flow(session, org_id, flow_id, read(flows.FlowChange, {"name": "renamed"}))
        assert len(flows.touchpoints_of(session, org_id, [flow_id])[flow_id]) == 1


def test_a_touchpoint_that_stays_keeps_its_id(database, org_id, template_id):
    """By which recipients know where they are."""
    message = {"template_id": str(template_id)}
    wait = {"type": "wait", "settings": {"days": 2}}
    own = {
        "content": {"subject": "Hello", "text": "{{ name }}"},
        "variants": [{"id": "a"}, {"id": "b", "weight": 2}],
    }
    with database.begin() as session:
        given = read(flows.FlowInput, {"name": "f", "touchpoints": [message, wait, own]})
        flow = flows.create_flow(session, org_id, given)

        def change(*touchpoints):
            flows.update_flow(session, org_id, flow.id, read(flows.FlowChange, {"touchpoints": touchpoints}))
            return [row.id for row in flows.touchpoints_of(session, org_id, [flow.id])[flow.id]]

        ids = [row.id for row in flows.touchpoints_of(session, org_id, [flow.id])[flow.id]]
        assert ids == change(message, {**wait, "settings": {"hours": 1}}, own)
        assert [ids[2], ids[1], ids[0]] == change(
            {**own, "id": str(ids[2])}, {**wait, "id": str(ids[1])}, {**message, "id": str(ids[0])}
        )
        *rest, new = change({**own, "id": str(ids[2])}, {**message, "id": str(ids[0])}, wait)
        assert [ids[2], ids[0]] == rest
        assert new not in ids
        rows = flows.touchpoints_of(session, org_id, [flow.id])[flow.id]
        assert [0, 1, 2] == [row.position for row in rows]
        assert {"subject": "Hello", "text": "{{ name }}"} == rows[0].content
        assert [1, 2] == [variant["weight"] for variant in rows[0].variants or []]


def test_a_template_of_a_variant_is_in_use(database, org_id, template_id):
    variants = [{"id": "a", "content": {"text": "x"}}, {"id": "b", "template_id": str(template_id)}]
    with database.begin() as session:
        given = read(flows.FlowInput, {"name": "f", "touchpoints": [{"variants": variants}]})
        flows.create_flow(session, org_id, given)
    with pytest.raises(InUse, match="'f'"), database.begin() as session:
        templates.delete_template(session, org_id, template_id)


def test_nothing_of_another_organization_is_there(database, org_id, template_id, flow_id):
    with database.begin() as session:
        other = create_organization(session, "other").id
        portal = portals.create_portal(session, org_id, read(portals.PortalInput, {"name": "p"}))
        widget = portals.create_widget(session, org_id, portal.id, portals.WidgetInput())
    with database.begin() as session:
        for attempt in (
            lambda: templates.get_template(session, other, template_id),
            lambda: templates.update_template(
                session, other, template_id, read(templates.TemplateChange, {"name": "x"})
            ),
            lambda: templates.delete_template(session, other, template_id),
            lambda: flows.get_flow(session, other, flow_id),
            lambda: flows.delete_flow(session, other, flow_id),
            lambda: portals.get_portal(session, other, portal.id),
            lambda: portals.list_widgets(session, other, portal.id),
            lambda: portals.create_widget(session, other, portal.id, portals.WidgetInput()),
            lambda: portals.delete_widget(session, other, portal.id, widget.id),
        ):
            with pytest.raises(NotFound):
                attempt()
        with pytest.raises(Invalid, match="does not exist"):
            flows.create_flow(
                session,
                other,
                read(flows.FlowInput, {"name": "f", "touchpoints": [{"template_id": template_id}]}),
            )
        assert templates.list_templates(session, other).total == 0


def test_widgets_belong_to_a_portal_and_show_a_campaign_that_exists(database, org_id):
    with database.begin() as session:
        one = portals.create_portal(session, org_id, read(portals.PortalInput, {"name": "one"}))
        two = portals.create_portal(session, org_id, read(portals.PortalInput, {"name": "two"}))
        given = read(portals.WidgetInput, {"headline": {"de": "Hallo"}})
        widget = portals.create_widget(session, org_id, one.id, given)
        assert widget.headline == {"de": "Hallo"}
        with pytest.raises(NotFound):
            portals.get_widget(session, org_id, two.id, widget.id)
        with pytest.raises(Invalid, match="campaign_id"):
            portals.create_widget(session, org_id, one.id, portals.WidgetInput(campaign_id=uuid4()))
        changed = portals.update_widget(
            session, org_id, one.id, widget.id, read(portals.WidgetChange, {"type": "OTHER"})
        )
        assert (changed.type, changed.headline) == ("OTHER", {"de": "Hallo"})
        portals.delete_portal(session, org_id, one.id)
        with pytest.raises(NotFound):
            portals.get_widget(session, org_id, one.id, widget.id)
