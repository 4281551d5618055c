"""Templates: what they say, what they refuse."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.content import sandbox
from engine.content.templates import RenderError, TemplateError, compile_template

ADA = {"first_name": "Ada", "Last Name": "Lovelace", "E-Mail": "ada@x.org", "city": None, "vip": True, "n": 7}


def text_of(source, attributes=ADA, extras=None, **options):
    return compile_template(text=source, **options).render(attributes, extras or {}).text


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("Hello {{ first_name }}", "Hello Ada"),
        ('{{ entity["Last Name"] }}', "Lovelace"),
        ("{{ last_name }} {{ e_mail }}", "Lovelace ada@x.org"),
        ("{{ entity.first_name }}", "Ada"),
        ("[{{ nobody }}|{{ city }}|{{ nobody.at.all }}|{{ entity.nobody }}]", "[|||]"),
        ("{{ nobody | default: 'friend' }} {{ first_name | default: 'friend' }}", "friend Ada"),
        ("{{ first_name | upcase | append: '!' }}", "ADA!"),
        ("{{ vip }} {{ n }} {{ n | plus: 1 }}", "true 7 8"),
        ("{% if vip %}VIP{% else %}no{% endif %}", "VIP"),
        ("{% for pair in entity limit: 1 %}{{ pair[0] }}={{ pair[1] }}{% endfor %}", "first_name=Ada"),
        ("a{% comment %} not this {% endcomment %}b", "ab"),
        ("{{ entity.size }}", "6"),
    ],
)
def test_a_template_says(source, said):
    assert said == text_of(source)


def test_a_default_stands_in_where_the_attribute_is_absent_null_or_empty():
    defaults = {"first_name": "friend", "City": "your town"}
    template = compile_template(text="{{ first_name }} from {{ city }}", defaults=defaults)
    assert template.render({}).text == "friend from your town"
    assert template.render({"first_name": None, "city": ""}).text == "friend from your town"
    assert template.render({"first_name": "Ada", "city": "London"}).text == "Ada from London"
    assert template.render({"first_name": 0, "city": "False"}).text == "0 from False"
    assert text_of('{{ entity["First Name"] }}', {"First Name": ""}, defaults=defaults) == "friend"


def test_an_exact_name_goes_before_an_alias_and_the_first_alias_before_the_second():
    attributes = {"First Name": "alias", "first_name": "exact", "A b": "one", "a-b": "two"}
    assert text_of("{{ first_name }} {{ a_b }} {{ a-b }}", attributes) == "exact one two"


def test_the_engines_own_names_cannot_be_taken_by_an_attribute():
    attributes = {"unsubscribe_url": "https://evil.example"}
    extras = {"unsubscribe_url": "https://muster.example/u/1", "campaign": {"name": "Spring"}}
    assert (
        text_of("{{ unsubscribe_url }} {{ campaign.name }}", attributes, extras)
        == "https://muster.example/u/1 Spring"
    )


def test_an_attribute_called_partial_or_entity_is_not_hidden():
    assert (
        text_of('{{ partial }} {{ entity["entity"] }}', {"partial": "half", "entity": "thing"})
        == "half thing"
    )


def test_only_the_html_part_is_escaped():
    nasty = {"x": "<b>\"&'"}
    content = compile_template(subject="{{ x }}", html="<p>{{ x }}</p>", text="{{ x }}").render(nasty)
    assert content.html == "<p>&lt;b&gt;&#34;&amp;&#39;</p>"
    assert "<b>\"&'" == content.subject == content.text


@given(st.text())
def test_no_subject_or_sender_name_breaks_out_of_its_header(value):
    template = compile_template(
        subject="Re: {{ x }}", text="-", sender={"email": "a@x.org", "name": "{{ x }} & Co"}
    )
    try:
        content = template.render({"x": value})
    except RenderError:
        assert any("\ud800" <= character <= "\udfff" for character in value)
        return
    for line in (content.subject, content.sender_name or ""):
        assert len(line.splitlines()) <= 1
        assert not any(ord(character) < 32 or ord(character) == 127 for character in line)


def test_the_sender_is_taken_from_the_template():
    content = compile_template(text="x", sender={"email": "News@X.org ", "name": "The {{ n }}"}).render(ADA)
    assert (content.sender_email, content.sender_name) == ("news@x.org", "The 7")
    assert (compile_template(text="x").render({}).sender_email, None) == (None, None)


@pytest.mark.parametrize(
    ("parts", "field", "line", "word"),
    [
        ({"text": "a\nb\n{{ x"}, "text", 3, "end of file"),
        ({"html": "a\n{% if x %}"}, "html", 2, "endif"),
        ({"subject": "{% nonsense %}", "text": "x"}, "subject", 1, "nonsense"),
        ({"text": "a\n\n{{ x | upcaze }}"}, "text", 3, "did you mean 'upcase'"),
        ({"text": "{% include 'other' %}"}, "text", 1, "include"),
        ({"text": "{% render 'other' %}"}, "text", 1, "render"),
        ({"text": "{{ a b }}"}, "text", 1, ""),
        ({"subject": "x"}, "text", 1, "html or text"),
        ({"text": "x", "sender": {"email": "nobody"}}, "sender.email", 1, "nobody"),
        ({"text": "x", "sender": {"email": "a@x.org", "name": "{{"}}, "sender.name", 1, ""),
        ({"text": "x" * (sandbox.SOURCE_LIMIT + 1)}, "text", 1, "longer"),
        ({"text": "\ud800"}, "text", 1, "surrogate"),
        ({"text": "{{ a" + "[a" * 3000 + "]" * 3000 + " }}"}, "text", 1, ""),
        ({"text": "{% if a %}" * 40 + "{% endif %}" * 40}, "text", 1, "nesting"),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_place(parts, field, line, word):
    with pytest.raises(TemplateError) as error:
        compile_template(**parts)
    assert (field, line) == (error.value.field, error.value.line)
    assert word in error.value.message


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "source",
    [
        "{% for i in (1..999999999) %}x{% endfor %}",
        "{% for i in (1..999999999) reversed %}x{% endfor %}",
        "{% for i in (1..n) %}x{% endfor %}",
        "{% for i in (1..300) %}{% for j in (1..300) %}{% endfor %}{% endfor %}",
        "{% for i in (1..9000) %}{% endfor %}{% for i in (1..9000) %}{% endfor %}",
        "{% tablerow i in (1..999999999) %}x{% endtablerow %}",
        "{{ (1..999999999) | join: ',' }}",
        "{{ (1..n) | sort }}",
        "{{ x | concat: (1..999999999) }}",
        "{% if (1..999999999) contains 'x' %}{% endif %}",
        "{% assign r = (1..999999999) %}{{ r | reverse }}",
        "{% case (1..999999999) %}{% when 1 %}{% endcase %}",
        "{{ big | replace: '', big }}",
        "{{ big | split: '' | join: big }}",
        "{{ big | split: '' | size }}",
        "{% assign s = big %}" + "{% assign s = s | append: s %}" * 60,
        "{% capture s %}{{ s }}{{ s }}{{ big }}{% endcapture %}" * 40,
        "{% assign k = 9 %}" + "{% assign k = k | times: k %}" * 60,
        "{{ big }}" * 20,
        "{{ big }}{{ n | plus: 0 }}" * 20,
        "{{ n | divided_by: 0 }}",
        "{{ word | slice: 'x' }}",
        "{{ half }}",
    ],
)
def test_a_template_that_asks_for_too_much_fails_for_the_recipient_alone(source):
    template = compile_template(text=source)
    with pytest.raises(RenderError) as error:
        template.render({"n": 999_999_999, "big": "x" * 100_000, "word": "w", "half": "\udfff", "x": []})
    assert error.value.field == "text"


def test_a_failing_filter_names_its_line_either_way():
    for source in ("\n{{ n | divided_by: 0 }}", "{% if true %}\n{{ n | divided_by: 0 }}{% endif %}"):
        with pytest.raises(RenderError) as error:
            text_of(source)
        assert error.value.line == 2


def test_the_same_template_is_compiled_once():
    one = compile_template(subject="s", text="Hello {{ x }}", defaults={"x": 1})
    assert one is compile_template(subject="s", text="Hello {{ x }}", defaults={"x": 1})
    assert one is not compile_template(subject="s", text="Hello {{ x }}", defaults={"x": 2})


def test_a_template_tells_its_variables_and_what_needs_the_interpreter():
    template = compile_template(subject="{{ a.b }}", html="{% if c %}{{ entity['d'] }}{% endif %}", text="t")
    assert {"a", "c", "entity"} == template.variables
    assert template.interpreted == ("html",)


def test_entities_of_ever_new_shapes_do_not_pile_up():
    template = compile_template(text="{{ name }} of ever new shapes")
    for number in range(3000):
        assert template.render({"name": "x", f"k{number}": 1}).text == "x of ever new shapes"
    assert len(template._bindings) <= 1024
