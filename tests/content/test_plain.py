"""The text part that is made from HTML."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.content.plain import html_to_text, text_template
from engine.content.templates import compile_template


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>Hello</p><p>World</p>", "Hello\n\nWorld"),
        ("one<br>two<br/>three", "one\ntwo\nthree"),
        ("<p>a\n   b&nbsp;&amp;&#8364;</p>", "a b &\u20ac"),
        (
            'See <a href="https://x.org/a?b=1&amp;c=2">our site</a>.',
            "See our site (https://x.org/a?b=1&c=2).",
        ),
        ('<a href="https://x.org">https://x.org</a>', "https://x.org"),
        ('<a href="mailto:a@x.org">a@x.org</a> <a href="#top">up</a>', "a@x.org up"),
        ('<a href="https://x.org"><img src="b.png" alt="Buy"></a>', "Buy (https://x.org)"),
        ('<a href="https://x.org"><img src="b.png"></a>', "https://x.org"),
        ("<ul><li>a<li>b</ul>c", "- a\n- b\n\nc"),
        ("<ol><li>a</li><li>b<ul><li>c</li></ul></li><li>d</li></ol>", "1. a\n2. b\n  - c\n3. d"),
        ("<table><tr><td>a</td><td>b</td></tr><tr><td>c</td></tr></table>", "a b\nc"),
        ("<h1>Title</h1>text<hr>more", "Title\n\ntext\n---\nmore"),
        ("<pre>a\n  b\n\nc</pre>d", "a\n  b\n\nc\n\nd"),
        ("<head><title>x</title><style>p{}</style></head><body>y<script>1<2</script></body>", "y"),
        ('<div style="display: none">preheader<p>x</p></div>seen', "seen"),
        ('<span style="max-height: 0px !important">pre<b>header</b></span>seen', "seen"),
        ('<div style="VISIBILITY:hidden;">a <i style="visibility:visible">b</i></div>', "b"),
        ('<div style="opacity:0.0"><p style="opacity:1">x</p></div>y', "y"),
        ('<td style="font-size:0px"><div style="font-size:13px">a</div> b</td>', "a"),
        ('<p style="font-size:0">x <a href="https://x.org"><img alt="Buy"></a></p>', "Buy (https://x.org)"),
        ('<span style="mso-hide:all">preheader</span><p>x</p>', "x"),
        ('<a style="mso-hide:all" href="https://x.org">Buy</a>', "Buy (https://x.org)"),
        ('<div style="mso-hide:all"><p>More <a href="https://x.org">here</a></p></div>',
         "More here (https://x.org)"),
        ('<div style="height:0;overflow:hidden">x</div><div style="height:0">y</div>', "y"),
        ('<div style="display:none!important;display:block">x</div>y', "y"),
        ('<div style="display:none;display:block">x</div>y', "x\ny"),
        ('<div style="/* display:none */ opacity:.5">x</div>', "x"),
        ('<div style="display&colon;none">x</div>y', "y"),
        ('<p style="text-indent:-9999px;overflow:hidden">x</p>y', "y"),
        ('<p style="text-indent:-20px">x</p>y', "x\n\ny"),
        ('<div style="position:absolute; left:-10000px; top:auto">x</div>y', "y"),
        ('<div style="left:-10000px">x</div>y', "x\ny"),
        ('<div style="margin-left:-999em">x</div>y', "y"),
        ('<div style="position:absolute;clip:rect(0 0 0 0)">x</div>y', "y"),
        ('<div style="position:absolute;clip:rect(1px, 1px, 1px, 1px)">x</div>y', "y"),
        ('<div style="clip-path:inset(50%)">x</div>y', "y"),
        ('<div style="transform: scale(0)">x</div><div style="transform:scale(0.5)">y</div>', "y"),
        ('<span style="color:transparent">x <i style="color:red">a</i></span>y', "ay"),
        ('<span style="font-size:1px;color:#ffffff;line-height:1px">x</span>y', "y"),
        ('<div style="font:0/0 a">x</div>y', "y"),
        ('<div style="font:0/0 a;font-size:14px">x</div>y', "x\ny"),
        ('<div style="font:bold 12px/30px Georgia, serif">x</div>y', "x\ny"),
        ("<div><span hidden>not closed</div>y", "y"),
        ('<p style="display:none">x<p>y', "y"),
        ('<ul><li style="display:none">x<li>y</ul>', "- y"),
        ("<head><title>x</title><body>y", "y"),
        ("<div><div>a</div><div>b</div></div>", "a\nb"),
        ('<a href="https://x.org/?a=1&region=5&copy=2&para&not=3">x</a>',
         "x (https://x.org/?a=1&region=5&copy=2\u00b6&not=3)"),
        ("<b>&copy=1 &region</b>", "\u00a9=1 \u00aeion"),
        ('<a href="https://x.org">one<a href="https://y.org">two', "one (https://x.org)two (https://y.org)"),
        ("a <b>bold</b>, <i> i </i>!", "a bold, i !"),
        ("<p>un<b>closed <p>&unknown; <", "unclosed\n\n&unknown; <"),
        ("</ul></a></pre>x", "x"),
        ("", ""),
    ],
)  # fmt: skip
def test_html_reads_like_text(html, text):
    assert html_to_text(html) == text


@given(
    st.text()
    | st.lists(
        st.sampled_from(["<p>", "</p>", "<a href=", "'x'", ">", "<li>", "<!--", "-->", "a", "&#"])
    ).map("".join)
)
def test_no_html_is_too_broken(html):
    assert isinstance(html_to_text(html), str)


@pytest.mark.parametrize(
    ("html", "attributes", "text"),
    [
        ("<p>Hi {{ n }},</p><p>bye</p>", {"n": "<Ada>"}, "Hi <Ada>,\n\nbye"),
        ("<p>A</p>{% if x %}<p>B</p>{% endif %}<p>C</p>", {"x": True}, "A\n\nB\n\nC"),
        ("<p>A</p>{% if x %}<p>B</p>{% endif %}<p>C</p>", {}, "A\n\nC"),
        ("{% if x %}<p>A</p>{% endif %}<p>B</p>", {}, "B"),
        ("<p>Hi{% if n %} {{ n }}{% endif %}!</p>", {"n": "Ada"}, "Hi Ada!"),
        ("<p>Hi{% if n %} {{ n }}{% endif %}!</p>", {}, "Hi!"),
        ("<ul>{% for i in xs %}<li>{{ i }}</li>{% endfor %}</ul>", {"xs": ["a", "b"]}, "- a\n- b"),
        ('<a href="{{ u }}">shop</a>', {"u": "https://x.org/?a=1&b=2"}, "shop (https://x.org/?a=1&b=2)"),
        ('<p style="color:{{ c }}">x</p>', {"c": "red"}, "x"),
        (
            '<a href="https://x.org/?e={{ e | url_encode }}&region=5">x</a>',
            {"e": "a@b"},
            "x (https://x.org/?e=a%40b&region=5)",
        ),
    ],
)
def test_the_text_template_is_made_once(html, attributes, text):
    assert text_template(html) is not None
    assert compile_template(html=html).render(attributes).text == text


@pytest.mark.parametrize(
    ("html", "attributes", "text"),
    [
        ("<p>{{ x | safe }}</p>", {"x": "<b>bold</b>"}, "bold"),
        ("<p>{{ x | escape }}</p>", {"x": "a & b"}, "a & b"),
        ("<ol>{% for i in xs %}<li>{{ i }}</li>{% endfor %}</ol>", {"xs": ["a", "b"]}, "1. a\n2. b"),
        ("{% assign s = '<i>hi</i>' %}{{ s }}", {}, "hi"),
        ("<p>a</p>\n{%- if x %}<p>b</p>{% endif %}", {"x": 1}, "a\n\nb"),
        ("<p {% if x %}class=b{% endif %}>b</p>", {"x": 1}, "b"),
        ('<p style="display:{{ x }}">a</p>b', {"x": "none"}, "b"),
        ('<p style="{{ x }}">a</p>b', {"x": "opacity:0"}, "b"),
        ("{% raw %}{{ x }}{% endraw %}", {}, "{{ x }}"),
        ("&#123;&#123; x }}", {"x": "never"}, "{{ x }}"),
        ("<p>\ue000{{ x }}</p>", {"x": 1}, "\ue0001"),
    ],
)
def test_where_that_could_differ_the_rendered_html_is_converted(html, attributes, text):
    assert text_template(html) is None
    assert compile_template(html=html).render(attributes).text == text


def test_a_text_part_of_ones_own_is_left_alone():
    content = compile_template(html="<p>{{ x }}</p>", text="own {{ x }}\n").render({"x": 1})
    assert (content.html, content.text) == ("<p>1</p>", "own 1\n")
    assert compile_template(text="only text").render({}).html is None
