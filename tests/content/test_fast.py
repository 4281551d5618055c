"""The fast way of rendering says exactly what python-liquid says, errors included."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from engine.content import fast, sandbox
from engine.content.names import Layout
from engine.content.templates import compile_template

names = st.sampled_from(
    ["name", "First Name", "e-mail", "size", "first", "a", "b", "partial", "entity", "_x", "ü"]
)
paths = st.sampled_from(
    [
        "name",
        "first_name",
        "e_mail",
        "e-mail",
        "a",
        "a.b",
        "a.b.c",
        "a.size",
        "a.first",
        "b[0]",
        "size",
        "x",
        "entity.name",
        'entity["First Name"]',
        "entity['nobody']",
        "entity.a.b",
        "entity",
        "entity.size",
        "ü",
        "partial",
        "nobody",
        '["First Name"]',
        "a[name]",
        "extra",
        "extra.a",
        "nobody.size",
        "true",
        "nil",
        "'s'",
    ]
)
filters = st.sampled_from(
    [
        "upcase",
        "downcase",
        "capitalize",
        "default: 'd<'",
        "default: 3",
        "default: name",
        "append: '&'",
        "size",
        "escape",
        "strip",
        "plus: 1",
        "times: 2.5",
        "first",
        "join: ', '",
        "date: '%Y'",
        "truncate: 3",
        "safe",
        "replace: 'a', '<'",
        "slice: 0",
        "newline_to_br",
        "url_encode",
        "default: 'x', allow_false: true",
        "sort",
    ]
)
outputs = st.builds(
    lambda open_, path, used, close: "".join([open_, path, *(f" | {name}" for name in used), close]),
    st.sampled_from(["{{ ", "{{- "]),
    paths,
    st.lists(filters, max_size=2),
    st.sampled_from([" }}", " -}}"]),
)
literals = st.text(st.characters(exclude_characters="{}%", exclude_categories=["Cs"]), max_size=8)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-9, 9)
    | st.floats(allow_nan=False)
    | st.text(max_size=6)
    | st.sampled_from(["<i>&\"'", "Ada", "now", "", "2026-01-02"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=6,
)


@given(
    source=st.lists(literals | outputs, max_size=6).map("".join),
    attributes=st.dictionaries(names, values, max_size=6),
    defaults=st.dictionaries(names, values, max_size=2),
    extras=st.dictionaries(st.sampled_from(["extra", "name"]), values, max_size=1),
    html=st.booleans(),
)
@example(
    source="{{ name }}",
    attributes={"name": "x" * sandbox.OUTPUT_LIMIT + "é"},
    defaults={},
    extras={},
    html=True,
)
@example(
    source="{{ name }}", attributes={"name": "x" * sandbox.OUTPUT_LIMIT}, defaults={}, extras={}, html=False
)
def test_the_fast_way_says_exactly_what_liquid_says(source, attributes, defaults, extras, html):
    template = sandbox.parse(source, html=html)
    plan = fast.plan(template, html=html)
    if plan is None:
        return
    layout = Layout(tuple(attributes), defaults)

    def outcome(render):
        try:
            return render()
        except Exception as error:  # noqa: BLE001 - the kind of failure is what is compared
            return type(error)

    def liquid():
        return template.render_scope(layout.scope(attributes, extras))

    def quick():
        if plan.constant is not None:
            return plan.constant
        return plan.bind(layout, frozenset(extras)).render(attributes, extras)

    assert outcome(liquid) == outcome(quick)


@pytest.mark.parametrize(
    "source",
    [
        "Hello {{ first_name }}",
        "{{ entity['A b'] | default: 'x' }}",
        "{{ a.b.c | upcase }}",
        "x{% comment %}{% endcomment %}",
    ],
)
def test_plain_templates_need_no_interpreter(source):
    assert compile_template(text=source).interpreted == ()


@pytest.mark.parametrize(
    "source", ["{% if a %}{% endif %}", "{{ now }}", "{{ a.size }}", "{{ a[0] }}", "{{ a | default: b }}"]
)
def test_others_do(source):
    assert compile_template(text=source).interpreted == ("text",)
