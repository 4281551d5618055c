"""CSS in the elements' own style: what a mail program shows that drops style sheets, with Liquid where it was."""

from __future__ import annotations

import socket

import pytest

from engine.content.errors import TemplateError
from engine.content.inlining import inline_styles
from engine.content.stored import compile_message

HTML = """<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Transitional//EN" "http://www.w3.org/TR/xhtml1/DTD/xhtml1-transitional.dtd">
<html><head><title>{{ title }}</title><style>p { color: {{ color }}; margin: 0 } td.x { padding: 2px }
a:hover { color: blue } @media (max-width: 600px) { p { color: red } }</style></head><body>
{% if points > 100 %}<p title="{{ name | default: "you" }}">Hi {{ name }}</p>{% endif %}
<table>{% for i in items %}<tr><td class="x">{{ i }}</td></tr>{% endfor %}</table>
<!--[if mso]><b>{{ name }}</b><![endif]--><a href="https://x.example/?a=1&region=5">l</a></body></html>"""


def rendered(html: str, **attributes: object) -> str:
    message = compile_message({"subject": "s", "html": html, "inline_css": True})
    return message.render(attributes).html or ""


def test_styles_stand_in_the_elements_and_liquid_where_it_was() -> None:
    made = rendered(HTML, points=150, name="Ada", color="green", title="T", items=[1, 2])
    assert '<p title="Ada" style="color: green;margin: 0;">Hi Ada</p>' in made
    assert 2 == made.count('<td class="x" style="padding: 2px;">')
    assert "<table><tr><td" in made
    assert "<!--[if mso]><b>Ada</b><![endif]-->" in made
    assert "<title>T</title>" in made
    assert made.startswith('<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Transitional//EN"')
    assert "Hi" not in rendered(HTML, points=5, items=[])


def test_what_no_element_can_have_stays_in_the_style_sheet() -> None:
    made = rendered(HTML, points=5, items=[])
    assert "a:hover" in made
    assert "@media (max-width: 600px)" in made
    assert "td.x {" not in made


def test_html_without_a_style_sheet_stays_as_it_is() -> None:
    assert "<p {% if x %}a{% endif %}>" == inline_styles("<p {% if x %}a{% endif %}>", field="html")


@pytest.mark.parametrize(
    ("html", "line", "says"),
    [
        (
            '<style>p{color:red}</style>\n<p {% if x %}class="a"{% endif %}>',
            2,
            "outside of an attribute's value",
        ),
        ("<style>{% if x %}p{color:red}{% endif %}</style><p>a", 1, "has no place for it"),
        ("<style>p{color:red}</style>\n\n{{ x", 3, "is not closed"),
        ("<style>" + "p{color:red}" * 5000 + "</style>" + "<p>" * 5000, 1, "too many"),
    ],
)
def test_what_cannot_be_inlined_is_refused_with_its_line(html: str, line: int, says: str) -> None:
    with pytest.raises(TemplateError, match=says) as refused:
        compile_message({"html": html, "inline_css": True})
    assert ("html", line) == (refused.value.field, refused.value.line)


def test_nothing_is_fetched() -> None:
    """A linked style sheet stays a link."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        server.settimeout(0.2)
        url = f"http://127.0.0.1:{server.getsockname()[1]}/x.css"
        sheet = f'<link rel="stylesheet" href="{url}"><style>@import url({url}); p{{color:red}}</style><p>a'
        made = inline_styles(sheet, field="html")
        with pytest.raises(TimeoutError):
            server.accept()
    assert url in made


def test_mjml_and_translations_are_inlined_too() -> None:
    mjml = (
        "<mjml><mj-head><mj-style>.q { color: green }</mj-style></mj-head><mj-body><mj-section><mj-column>"
        "<mj-text><span class='q'>{{ name }}</span></mj-text></mj-column></mj-section></mj-body></mjml>"
    )
    message = compile_message(
        {
            "subject": "s",
            "mjml": mjml,
            "inline_css": True,
            "translations": {"de": {"html": "<style>p{color:red}</style><p>Hallo {{ name }}"}},
        }
    )
    assert 'style="color: green;">Ada</span>' in (
        message.in_language("en").render({"name": "Ada"}).html or ""
    )
    assert '<p style="color: red;">Hallo Ada' in (
        message.in_language("de").render({"name": "Ada"}).html or ""
    )
