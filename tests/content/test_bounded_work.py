"""Whatever a template and a recipient's data hold, the work is bounded: in parsing, in rendering, and in size."""

from __future__ import annotations

import pytest
from liquid.exceptions import LiquidSyntaxError

from engine.content import sandbox
from engine.content.budget import SECONDS_LIMIT, STEP_LIMIT, Budget, WorkLimitError
from engine.content.errors import RenderError, TemplateError
from engine.content.templates import CompiledTemplate, compile_template


@pytest.mark.parametrize(
    "source",
    [
        "{{" * 10_000,
        "a {{" + " " * 50_000 + "x",
        "{{ x }}" + "{{ y " * 10_000,
        "{{" + " " * 50_000 + "}}",
        "{%" * 10_000,
        "{% {{ %}" * 10_000,
        "{% else" + " " * 50_000 + "%}",
        "{%" + " " * 50_000 + "else%}",
        "{% liquid \n" + "   \n" * 10_000 + "%}",
        "{% raw %}" * 10_000,
        "{% doc %}" * 10_000,
        "{% comment %}" + "{{" * 10_000 + "{% endcomment %}",
    ],
)
def test_what_the_lexer_would_look_at_again_and_again_is_refused_before_it(source, monkeypatch):
    monkeypatch.setattr(sandbox, "_ENVIRONMENTS", {})  # the parser is not reached
    with pytest.raises(LiquidSyntaxError):
        sandbox.parse(source, html=False)
    monkeypatch.undo()
    with pytest.raises(TemplateError, match=r"^text, line 1: "):
        compile_template(text=source)


@pytest.mark.parametrize(
    "source",
    [
        "{% raw %}{{ {% {% endraw %}",
        "{{- a -}}",
        "{% # a note %}",
        "{%- if a -%}{%- endif -%}",
        "{% liquid\n                  assign a = 1\n            echo a\n          %}",
        "{ { a } } {",
        "{{ '{%' }}",
        "{% assign a = '{{' %}",
        "{% if a" + " " * 100 + "%}{% endif %}",
    ],
)
def test_what_is_well_written_is_taken(source):
    assert compile_template(text=source).render({"a": 1}).text is not None


def test_a_text_has_so_many_outputs_and_tags_and_no_more():
    """Each takes a while to compile, however plain it is."""
    compile_template(text="{{ a }}" * 100)
    with pytest.raises(TemplateError, match="more than 5,000 outputs and tags"):
        compile_template(text="{{ a }}{% if a %}{% endif %}" * 1_700)


def test_the_refusal_names_the_line():
    with pytest.raises(TemplateError) as refused:
        compile_template(text="{% raw %}\n{{\n{% endraw %}\n{{ a }}{% if b")
    assert 4 == refused.value.line


def steps_of(source, **attributes):
    """How many steps a part takes, or those after which it was stopped."""
    budget = Budget(clock=lambda: 0.0)
    template = sandbox.parse(source, html=False)
    try:
        template.render_scope(attributes, None, budget)
    except WorkLimitError:
        assert budget.steps > STEP_LIMIT
    return budget.steps


def test_steps_are_nodes_in_blocks_filters_and_what_filters_give():
    assert 0 == steps_of("{{ a }}" * 50)
    assert 10 * 3 == steps_of("{% for i in (1..10) %}{{ i }}, {% endfor %}")
    assert 2 == steps_of("{{ 'a' | upcase | downcase }}")
    assert 100 <= steps_of("{{ a | upcase }}", a="x" * 102_400) <= 101
    assert steps_of("{% case a %}{% when 1 %}{% when 2, 3 %}{% endcase %}", a=9) == 3


@pytest.mark.parametrize(
    "body",
    [
        "{% if a %}{% endif %}" * 500,
        "{% if a %}b{% elsif c %}{% endif %}" * 300,
        "{% unless a %}{% endunless %}{{ a }}" * 250,
        "{% case a %}" + "{% when 1 %}" * 500 + "{% endcase %}",
        "{% assign x = big" + " | upcase" * 1_000 + " %}",
        "{% capture x %}{{ big | strip | size }}{% endcapture %}" * 100,
        "x" * 100_000,
    ],
)
def test_a_loop_over_a_long_body_stops_and_fails_that_recipient(body):
    source = "{% for i in (1..9999) %}" + body + "{% endfor %}"
    template = compile_template(text=source)
    with pytest.raises(RenderError, match=r"takes more than|output stream limit"):
        template.render({"a": "", "big": "x" * 50_000})
    assert "ok" == compile_template(text="ok").render({}).text


def test_the_parts_of_a_message_share_one_budget():
    loop = "{% for i in (1..9000) %}{{ i | plus: 1 | minus: 1 }}{% assign x = i | times: 2 %}{% endfor %}"
    parts = {f"X-{number}": loop for number in range(5)}
    one = compile_template(text=loop)
    assert one.render({}).text
    with pytest.raises(RenderError, match="takes more than"):
        CompiledTemplate("", None, loop, {}, {}, headers=parts).render({})


def test_the_clock_counts_where_steps_are_few():
    now = iter(range(1000))
    budget = Budget(clock=lambda: float(next(now)) * SECONDS_LIMIT / 2)
    budget.spend(64)
    budget.spend(64)
    budget.spend(64)
    with pytest.raises(WorkLimitError, match=r"takes more than 1 s"):
        budget.spend(64)


def test_many_outputs_of_a_long_value_are_never_put_together():
    template = compile_template(text="{{ a }}{{ a | upcase }}" * 500)
    assert template.interpreted == ()
    with pytest.raises(RenderError, match="output stream limit"):
        template.render({"a": "x" * 500_000})
    with pytest.raises(RenderError, match="output stream limit"):
        compile_template(text="{{ a }}" * 1_000).render({"a": "é" * 500_000})


def test_uniq_and_strip_html_are_linear_and_say_what_they_said():
    says = compile_template(
        text="{{ v | uniq | join: ' ' }}|{{ o | uniq: 'k' | map: 'n' | join: ' ' }}"
    ).render(
        {
            "v": [1, "1", 1, "a", "a", None, {"k": 1}, {"k": 1}],
            "o": [{"k": 1, "n": "a"}, {"k": 1, "n": "b"}, {"n": "c"}],
        }
    )
    assert '1 1 a  {"k":1}|a c' == says.text
    text = compile_template(text="{{ h | strip_html }}").render(
        {"h": "a <b>c</b><!-- x -->d<script>e</script> 1 < 2"}
    )
    assert "a cd 1 < 2" == text.text
