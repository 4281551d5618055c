"""Text from a file in templates: numbers, dates and comparisons read exactly, or fail their recipient by name."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.content.errors import RenderError
from engine.content.stored import compile_message


def said(source, attributes=None, **options):
    """The text; what the interpreter makes of it is the same."""
    quick = compile_message({"text": source, **options})
    slow = compile_message({"text": "{% if true %}" + source + "{% endif %}", **options})
    text = quick.render(attributes or {}).text
    assert text == slow.render(attributes or {}).text
    return text


def refusal(source, attributes):
    messages = set()
    for text in (source, "{% if true %}" + source + "{% endif %}"):
        with pytest.raises(RenderError) as refused:
            compile_message({"text": text}).render(attributes)
        messages.add(refused.value.message)
    (message,) = messages
    return message


@pytest.mark.parametrize(
    ("source", "attributes", "expected"),
    [
        ("{{ '2.5' | round }} {{ 0.125 | round: 2 }} {{ 1.005 | round: 2 }} {{ 10.5 | round }}", {}, "3 0.13 1.01 11"),
        ("{{ n | round }} {{ 1250 | round: -2 }} {{ 1.2 | round: 3 }}", {"n": "-2.5"}, "-3 1300 1.2"),
        ("{{ n | times: 2 | currency: 'EUR' }}", {"n": " 12.50 "}, "€25.00"),
        ("{{ n | plus: 0.1 }}", {"n": "0.2"}, "0.3"),
        ("{{ n | plus: 0.01 }}", {"n": "12345678901234567.88"}, "12345678901234567.89"),
        ("{{ n | minus: m }}", {"n": "10", "m": "0.9"}, "9.1"),
        ("{{ n | divided_by: 3 }} {{ n | divided_by: 4.0 }} {{ 20 | divided_by: 2.0 }}", {"n": "-10"}, "-4 -2.5 10.0"),
        ("{{ -7 | modulo: 3 }} {{ 7.5 | modulo: 2 }}", {}, "2 1.5"),
        ("{{ n | ceil }} {{ n | floor }} {{ n | abs }}", {"n": "-1.5"}, "-1 -2 1.5"),
        ("{{ n | at_least: '10' }} {{ n | at_most: 10 }}", {"n": "9"}, "10 9"),
        ("{{ a | sum }} {{ b | sum: 'n' }}", {"a": ["1", 2, None, ""], "b": [{"n": "0.1"}, {"n": 0.2}]}, "3 0.3"),
        ("[{{ n | times: 2 | currency: 'EUR' }}]", {"n": ""}, "[]"),
        ("{{ n | plus: 1 }} {{ m | currency: 'EUR' }}", {"n": "\u00a07\ufeff", "m": "\u200b12.5\u202f"}, "8 €12.50"),
        ("[{{ n | times: 2 | default: 'none' }}]", {"n": "\ufeff\u00a0"}, "[none]"),
        ("[{{ nobody | plus: 1 | default: 'none' }}]", {}, "[none]"),
        ("{{ n | times: 1.0 }}", {"n": 100000000000000000000.0 / 2}, "50000000000000000000"),
        ("{{ n | divided_by: 100000000.0 }}", {"n": 1}, "0.00000001"),
    ],
)  # fmt: skip
def test_numbers_are_reckoned_exactly(source, attributes, expected):
    assert expected == said(source, attributes)


@pytest.mark.parametrize(
    "used",
    ["times: 2", "plus: 1", "minus: 1", "divided_by: 2", "modulo: 2", "abs", "ceil", "floor", "round", "at_least: 1",
     "at_most: 1", "times: 2 | currency: 'EUR'", "currency: 'EUR'", "number", "percent"],
)  # fmt: skip
def test_what_is_no_number_fails_its_recipient_by_name(used):
    values: list[Any] = ["12,50", "1.234,50", "€12", "1e5", "0x10", "12 50", "free", "9" * 21, True, [1], {}]
    for value in values:
        message = refusal(f"{{{{ price | {used} }}}}", {"price": value})
        assert message.endswith("is not a number (price)")
        assert "True" not in message


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("{{ n | minus: discount }}", "minus: '5,5' is not a number (discount)"),
        ("{{ wide | plus: 1 }}", "'5<U+00A0>000' is not a number (wide)"),
        ("{{ n | minus: nobody }}", "minus: nothing is not a number (nobody)"),
        ("{{ n | divided_by: zero }}", "divided_by: nothing can be divided by 0 (zero)"),
        ("{{ n | round: discount }}", "round: '5,5' is no number of decimals (discount)"),
        ("{{ n | number: discount }}", "the number of decimals is 0 to 12 (discount)"),
        ("{{ n | currency: 'EUR', digits: discount }}", "the number of decimals is 0 to 12 (discount)"),
        ('{{ entity["First Name"] | plus: 1 }}', "'Ada' is not a number (entity['First Name'])"),
        ("{{ order.total | plus: 1 }}", "'a' is not a number (order.total)"),
        ("{{ flag | date }}", "true is not a date (flag)"),
        ("{{ order | date }}", "an object is not a date (order)"),
        ("{{ flag | concat: 1 }}", "concat cannot use true (flag)"),
        ("{{ mixed | sort }}", "sort cannot use a list (mixed)"),
        ("{{ mixed | sum }}", "'x' is not a number (mixed)"),
    ],
)
def test_an_error_names_the_attribute_and_speaks_no_python(source, message):
    attributes = {"n": "10", "wide": "5\u00a0000", "discount": "5,5", "zero": "0", "First Name": "Ada",
                  "order": {"total": "a"}, "flag": True,
                  "mixed": [1, "x"]}  # fmt: skip
    assert message == refusal(source, attributes)


@pytest.mark.parametrize(
    ("condition", "attributes", "holds"),
    [
        ("points > 100", {"points": "150"}, True),
        ("points > 100", {"points": "90"}, False),
        ("points > 100", {"points": ""}, False),
        ("points <= 100", {"points": " "}, False),
        ("points > 100", {}, False),
        ("points < 10", {"points": "9"}, True),
        ("points < other", {"points": "9", "other": "10"}, True),
        ("points >= '10'", {"points": "9"}, False),
        ("points >= 9.5", {"points": "9.50"}, True),
        ("points <= 9.5", {"points": 10}, False),
        ("points == 9", {"points": "9.0"}, True),
        ("points != 9", {"points": " 9"}, False),
        ("points == '9.0'", {"points": "9"}, False),
        ("zip == '01234'", {"zip": "1234"}, False),
        ("until < '2026-03-02'", {"until": "2026-02-28"}, True),
        ("name > 'B'", {"name": "Charlotte"}, True),
        ("name contains 'x'", {"name": None}, False),
        ("tags contains 'x'", {"tags": ["x"]}, True),
        ("name contains true", {"name": "is true"}, True),
    ],
)
def test_what_reads_as_numbers_is_compared_as_numbers(condition, attributes, holds):
    assert str(holds) == said("{% if " + condition + " %}True{% else %}False{% endif %}", attributes)
    assert str(not holds) == said(
        "{% unless " + condition + " %}True{% else %}False{% endunless %}", attributes
    )


@pytest.mark.parametrize(
    ("day", "holds"),
    [
        ("02.03.2026", False),
        ("02.03.2027", True),
        ("5 March 2027", True),
        ("2026-11-01T10:00:00Z", True),
        ("2026-11-01T00:30:00+02:00", False),
        ("2026-12", True),
        ("", False),
        ("soon", None),
        ("03/02/2027", None),
        ("2027-2-3", None),
    ],
)
def test_dates_are_compared_as_dates_or_fail_their_recipient(day, holds):
    """In whichever way each is written; what could be another day is none."""
    if holds is None:
        assert refusal("{% if d > '2026-11-01' %}y{% endif %}", {"d": day}).endswith(
            f"{day!r} is not a date (d)"
        )
    else:
        assert holds == (said("{% if d > '2026-11-01' %}y{% endif %}", {"d": day}) == "y")
        assert holds == (said("{% if '2026-11-01' < d %}y{% endif %}", {"d": day}) == "y")


def test_a_default_stands_in_for_blanks_too():
    for blank in (" ", "\t", "\u00a0"):
        assert "Dear friend" == said("Dear {{ n | default: 'friend' }}", {"n": blank})
        assert "Dear friend" == said("Dear {{ n }}", {"n": blank}, defaults={"n": "friend"})
    assert "[none]" == said("[{{ n | times: 2 | default: 'none' }}]", {"n": " "})
    assert "false" == said("{{ n | default: 'x', allow_false: true }}", {"n": False})


def test_cases_compare_alike():
    assert "more" == said("{% case n %}{% when 1 %}one{% when 2, 3 %}more{% endcase %}", {"n": "2"})


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ("points > 100", "'1.234,50' is not a number (points)"),
        ("100 < points", "'1.234,50' is not a number (points)"),
        ("points > '100'", "'1.234,50' is not a number (points)"),
        ("order.tags > 1", "a list is not a number (order.tags)"),
        ("vip >= 1", "true is not a number (vip)"),
        ("n contains 'x'", "5 is no text and no list (n)"),
    ],
)
def test_what_cannot_be_compared_fails_its_recipient_by_name(condition, message):
    attributes = {"points": "1.234,50", "order": {"tags": []}, "vip": True, "n": 5}
    assert message == refusal("{% if " + condition + " %}x{% endif %}", attributes)


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ({"a": [1, True, None, "é"]}, '{"a":[1,true,null,"é"]}'),
        (["a", 1.5], '["a",1.5]'),
        (True, "true"),
        (None, ""),
        (1e21, "1000000000000000000000"),
        (1.5e-7, "0.00000015"),
        ([2**70], f"[{2**70}]"),
    ],
)
def test_nothing_is_written_as_python_does(value, written):
    assert written == said("{{ v }}", {"v": value})
    assert written == said("{% echo v %}", {"v": value})
    assert f"-{written}" == said("{{ '-' | append: v }}", {"v": value})
    assert written.upper() == said("{{ v | upcase }}", {"v": value})


def test_a_list_is_joined_without_pythons_words():
    assert 'a, true, , {"b":1}' == said("{{ v | join: ', ' }}", {"v": ["a", True, None, {"b": 1}]})
    html = compile_message({"html": "{{ v }} {{ v | join: '<' }}"}).render({"v": ["<", "&"]}).html
    assert "[&#34;&lt;&#34;,&#34;&amp;&#34;] &lt;<&amp;" == html


def on(language, day, **more):
    return said("{{ d | date: 'yyyy-MM-dd' }}", {"language": language, "d": day, **more})


@pytest.mark.parametrize(
    ("language", "day", "expected"),
    [
        ("en-GB", "03/02/2026", "2026-02-03"),
        ("en-GB", "13/02/2026", "2026-02-13"),
        ("en-US", "03/02/2026", "2026-03-02"),
        ("en-US", "13/02/2026", "13/02/2026"),
        ("en-GB", "02/13/2026", "02/13/2026"),
        ("de", "3/2/2026", "2026-02-03"),
        ("pt-BR", "03/02/2026", "2026-02-03"),
        ("en", "03/02/2026", "03/02/2026"),
        ("en", "13/02/2026", "2026-02-13"),
        ("en", "02/13/2026", "2026-02-13"),
        ("en", "02/02/2026", "2026-02-02"),
        ("en", "31/02/2026", "31/02/2026"),
        ("ja", "03/02/2026", "03/02/2026"),
        ("en-GB", "03/02/26", "03/02/26"),
        ("en-GB", "03/02/2026 14:30", "2026-02-03"),
        ("en", "3.2.26", "3.2.26"),
        ("en", "Sat 03/02/2026", "Sat 03/02/2026"),
        ("en", "10 Mar 12", "10 Mar 12"),
        ("en", "10 March 2012 10:00", "2012-03-10"),
        ("en", "2026-03-02T10:00:00.123456+01:00", "2026-03-02"),
        ("en", "2026-W10-1", "2026-03-02"),
        ("en", "next May 2026", "next May 2026"),
    ],
)
def test_a_date_is_read_by_one_rule_or_left(language, day, expected):
    assert expected == on(language, day)


def test_a_number_is_a_date_where_it_counts_seconds_or_milliseconds():
    assert "20260302" == on("en", 20260302)
    assert "2026-03-02" == on("en", 1772490600)


@given(
    st.text(max_size=12) | st.from_regex(r"[0-9]{1,4}[-/. ][0-9]{1,2}[-/. ][0-9]{1,4}", fullmatch=True),
    st.sampled_from(["en", "en-US", "en-GB", "de", "ja", "ar"]),
)
def test_whatever_the_text_reading_a_date_never_fails(day, language):
    template = compile_message({"text": "{{ d | date: 'short' }}{{ d | time }}"})
    assert template.render({"language": language, "d": day}).text is not None
