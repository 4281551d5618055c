"""MJML: compiled once, Liquid kept in place, what cannot be refused with its line."""

from __future__ import annotations

import pytest

from engine.content.errors import TemplateError
from engine.content.markup import compile_mjml
from engine.content.stored import compile_message

AROUND = "<mjml>\n<mj-body>\n<mj-section><mj-column>\n{}\n</mj-column></mj-section></mj-body></mjml>"


def rendered(inner, attributes=None):
    return compile_message({"mjml": AROUND.format(inner)}).render(attributes or {}).html


@pytest.mark.parametrize(
    ("inner", "attributes", "says"),
    [
        ("<mj-text>Hi {{ name | default: 'you' }}</mj-text>", {}, "Hi you"),
        ("<mj-text>Hi {{ name }}</mj-text>", {"name": "<b>"}, "Hi &lt;b&gt;"),
        ("<mj-text>{% if a < b and c != '</x>' %}yes{% endif %}</mj-text>", {"a": 1, "b": 2}, ">yes<"),
        ("{% for i in items %}<mj-text>item {{ i }}</mj-text>{% endfor %}", {"items": [1, 2]}, "item 2"),
        (
            '<mj-button href="https://x.org/?id={{ id }}&b=1">go</mj-button>',
            {"id": 7},
            'href="https://x.org/?id=7&b=1"',
        ),
        (
            '<mj-button href="https://x.org/?a=1&region=5&copy=2&lt=3">go</mj-button>',
            {},
            'href="https://x.org/?a=1&region=5&copy=2&lt=3"',
        ),
        (
            "<mj-image src='https://x.org/{{ pic }}.png'/>",
            {"pic": "a"},
            'src="https://x.org/a.png"',
        ),
        (
            "<mj-table>{% for r in rows %}<tr><td>{{ r }}</td></tr>{% endfor %}</mj-table>",
            {"rows": [5]},
            "<td>5</td>",
        ),
        ("{% comment %}<x>{% endcomment %}<mj-text>{% raw %}{{ x }}{% endraw %}</mj-text>", {}, "{{ x }}"),
        (
            "<mj-raw>{% if no %}</mj-raw><mj-text>no</mj-text><mj-raw>{% else %}shown{% endif %}</mj-raw>",
            {},
            "shown",
        ),
    ],
)
def test_liquid_survives(inner, attributes, says):
    html = rendered(inner, attributes)
    assert says in html
    assert "xliquid" not in html
    assert "\\u{" not in html


def test_what_is_not_plain_ascii_in_an_attribute_reads_as_it_was_written():
    html = rendered("<mj-image src='x' alt='caf\N{LATIN SMALL LETTER E WITH ACUTE}\N{NO-BREAK SPACE}\"\\'/>")
    assert 'alt="caf&#233;&#160;&#34;&#92;"' in html


@pytest.mark.parametrize(
    ("inner", "line", "says"),
    [
        ("<mj-txt>a</mj-txt>", 4, "did you mean 'mj-text'"),
        ("<mj-text>a", 5, "<mj-text> of line 4 is open"),
        ("<mj-text>{{ a\n}}</p></mj-text>", 5, "</p> closes nothing"),
        ("<mj-text>{{ a </mj-text>", 4, "{{ is not closed"),
        ("<mj-text>{% raw %} x</mj-text>", 4, "{% raw %} is not closed"),
        ("<mj-text><a href=x>y</a></mj-text>", 4, "a quote missing"),
        ("<mj-text>1 < 2</mj-text>", 4, "begins no element"),
        ("<mj-include path='/etc/passwd'/>", 4, "not available"),
        ("<mj-image width='{{ w }}px' src='x'/>", 4, "{{ w }} stands where MJML has no place"),
        ("<mj-text {% if a %}color='red'{% endif %}>x</mj-text>", 4, ""),
        ("<mj-text>" + "<div>" * 100_000, 4, "100 elements deep"),
    ],
)
def test_what_cannot_be_is_refused_with_its_line(inner, line, says):
    with pytest.raises(TemplateError) as refused:
        compile_mjml(AROUND.format(inner))
    assert (refused.value.field, refused.value.line) == ("mjml", line)
    assert says in refused.value.message


@pytest.mark.parametrize("source", ["", "hello", "<p>x</p>", "<mjml></mjml>x", "<mjml>", "{{" * 100_000])
def test_what_is_no_mjml_is_refused(source):
    with pytest.raises(TemplateError, match="mjml, line 1"):
        compile_mjml(source)


def test_liquid_that_does_not_parse_is_refused_in_html():
    with pytest.raises(TemplateError, match="html, line"):
        compile_message({"mjml": AROUND.format("<mj-text>{{ a | nonsense }}</mj-text>")})


def test_a_text_is_made_from_it():
    content = compile_message({"mjml": AROUND.format("<mj-text>Hi {{ name }}</mj-text>")}).render(
        {"name": "Ada"}
    )
    assert content.text == "Hi Ada"
