"""HTML as a browser's tokenizer reads it, Liquid in it, in linear time."""

from __future__ import annotations

import sys
from html.entities import html5

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.content.html_tokens import (
    EndTag,
    StartTag,
    Text,
    html_tokens,
    liquid_spans,
    mask_liquid,
    unescape_attribute,
)
from engine.content.plain import html_to_text, text_template

WITHOUT_SEMICOLON = sorted(name for name in html5 if not name.endswith(";"))


def simple(source, **options):
    """The tokens, each as a short text."""
    found = []
    for token in html_tokens(source, **options):
        if isinstance(token, StartTag):
            found.append(" ".join([f"<{token.name}", *(f"{a.name}={a.text}" for a in token.attributes)]))
        else:
            found.append(f"</{token.name}" if isinstance(token, EndTag) else token.raw)
    return found


@pytest.mark.parametrize(
    ("source", "tokens"),
    [
        ("a<b>c</b >d", ["a", "<b", "c", "</b", "d"]),
        ("<A HREF=x CLASS='y z'>", ["<a href=x class=y z"]),
        ("<a\nb = \"1\"c='2'd=3/e/>", ["<a b=1 c=2 d=3/e/"]),
        ("<a =b=1 c>", ["<a =b=1 c="]),
        ('<a x="1" x="2">', ["<a x=1"]),
        ('<a x=">">y', ["<a x=>", "y"]),
        ("1 < 2 <3 <", ["1 < 2 <3 <"]),
        ("x<!-- <a> -->y<!--->z<!-->w<!-- --!>v", ["x", "y", "z", "w", "v"]),
        ("<!doctype html><?xml?></ no>x", ["x"]),
        ("<script>if (a<b) </scripts></SCRIPT >x", ["<script", "</script", "x"]),
        ("<style>x", ["<style"]),
        ("a<b c='d", ["a"]),
        ("a<b c", ["a"]),
        ("a<!-- b", ["a"]),
    ],
)
def test_tokens_are_a_browsers(source, tokens):
    assert tokens == simple(source)


def test_conditional_comments_are_read_where_they_are_wanted():
    source = '<!--[if mso]><a href="x"><![endif]--><!--[if !mso]><!--><b><!--<![endif]-->'
    assert ["<b"] == simple(source)
    assert ["<a href=x", "<b"] == simple(source, conditional_comments=True)


@pytest.mark.parametrize("behind", ["=1", "x", "7", "ion=5"])
def test_no_name_without_semicolon_is_a_reference_before_an_equals_sign_a_letter_or_a_digit(behind):
    for name in WITHOUT_SEMICOLON:
        if f"{name}{behind}" not in html5:
            url = f"https://x.example/?a=1&{name}{behind}"
            assert url == unescape_attribute(url)


@pytest.mark.parametrize(
    ("value", "reads"),
    [
        ("&amp;&lt;&#38;&#x26;&#38x", "&<&&&x"),
        ("&copy;=1&eacute", "©=1é"),
        ("&copy&para", "©¶"),
        ("&copy.&unknown;&unknown&", "©.&unknown;&unknown&"),
        ("&amp=1&AMP", "&amp=1&"),
        ("&hearts&hearts;", "&hearts♥"),
    ],
)
def test_references_in_attributes(value, reads):
    assert reads == unescape_attribute(value)


@pytest.mark.parametrize(
    ("source", "masked"),
    [
        ("a{{ b }}c{% d %}", "a-------c~~~~~~~"),
        ("{{ a {{ b }} c", "------------ c"),
        ("{{ a {% b", "{{ a {% b"),
        ("{{ a {% b %}", "{{ a ~~~~~~~"),
    ],
)
def test_liquid_is_masked_in_place(source, masked):
    assert masked == mask_liquid(source).replace("\ue010", "-").replace("\ue011", "~")


def test_a_tag_of_liquid_stands_between_attributes_and_an_output_within_values():
    source = "<a {% if x > 1 %}class='y'{% endif %} href={{ '>' }}z>"
    (tag,) = html_tokens(mask_liquid(source))
    assert isinstance(tag, StartTag)
    assert [("class", "'y'"), ("href", "{{ '>' }}z")] == [
        (one.name, source[one.start : one.end]) for one in tag.attributes
    ]


@given(
    st.lists(
        st.sampled_from(["<", ">", "a", " ", "=", "'", '"', "/", "!--", "--", "{{", "}}", "{%", "%}", "&"])
    )
)
def test_whatever_the_source_is_no_character_comes_twice(pieces):
    source = "".join(pieces)
    spans = list(liquid_spans(source))
    assert spans == sorted(spans)
    assert len(mask_liquid(source)) == len(source)
    texts = [token.raw for token in html_tokens(source) if isinstance(token, Text)]
    assert sum(map(len, texts)) <= len(source)


def calls_for(function, source):
    """How many Python calls and C calls it takes."""
    count = 0

    def tracer(frame, event, arg):
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(tracer)
    try:
        function(source)
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.parametrize(
    "piece",
    ["<a ", "<a b=' ", "{{", "{%", "{{ a", "<!--", "<div>", "<p><b>", "<table><div>", "</p>", "<li><ul>",
     "<script>", "&copy", "<td style='mso-hide:all'>", '<a href="'],
)  # fmt: skip
@pytest.mark.parametrize(
    "function", [html_to_text, text_template, lambda s: list(html_tokens(mask_liquid(s)))]
)
def test_work_grows_as_the_source_does(function, piece):
    few, many = calls_for(function, piece * 200), calls_for(function, piece * 2000)
    assert many <= 11 * few + 1000
