"""Filters: dates, numbers, money and names as each language writes them; values nobody foresaw."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.content.errors import RenderError, TemplateError
from engine.content.stored import compile_message

MOMENT = "2026-03-02T22:30:00Z"


def said(source, attributes=None, **options):
    return compile_message({"text": source, **options}).render(attributes or {}).text


def of(language, **attributes):
    return {"language": language, **attributes}


@pytest.mark.parametrize(
    ("source", "attributes", "expected"),
    [
        ("{{ d | date }}", of("en", d="2026-03-02"), "Mar 2, 2026"),
        ("{{ d | date: 'long' }}", of("de", d="2026-03-02"), "2. März 2026"),
        ("{{ d | date: 'full' }}", of("fr", d="2026-03-02"), "lundi 2 mars 2026"),
        ("{{ d | date: 'short' }}", of("en-GB", d="02.03.2026"), "02/03/2026"),
        ("{{ d | date: 'short' }}", of("en-US", d="02-03-2026"), "3/2/26"),
        ("{{ d | date: '%A, %-d. %B %Y' }}", of("de", d="2026-03-02"), "Montag, 2. März 2026"),
        ("{{ d | date: '%a %b %% %p' }}", of("es", d=MOMENT), "lun mar % p.\N{NO-BREAK SPACE}m."),
        ("{{ d | date: 'EEEE, d. MMMM' }}", of("de", d="2026-03-02"), "Montag, 2. März"),
        ("{{ d | date: 'long' }}", of("en", d=MOMENT, time_zone="Asia/Tokyo"), "March 3, 2026"),
        ("{{ d | date: 'long' }}", of("en", d=MOMENT, timezone="nonsense"), "March 2, 2026"),
        ("{{ d | time: 'short' }}", of("de", d=MOMENT, country="Germany"), "23:30"),
        ("{{ d | date: 'long' }}", of("en", d="2026-03-02", timezone="Asia/Tokyo"), "March 2, 2026"),
        ("{{ d | time: 'short' }}", of("de", d=MOMENT, timezone="Europe/Berlin"), "23:30"),
        ("{{ d | datetime: 'short' }}", of("de", d=MOMENT, timezone="Europe/Berlin"), "02.03.26, 23:30"),
        ("{{ d | datetime: 'long' }}", of("de", d="2026-03-02"), "2. März 2026"),
        ("[{{ d | time }}]", of("de", d="2026-03-02"), "[]"),
        ("{{ d | date: 'long' }}", {"d": 1772490600}, "March 2, 2026"),
        ("{{ d | date: 'long' }}", {"d": 1772490600000}, "March 2, 2026"),
        ("{{ d | date: 'long' }}", {"d": "1772490600"}, "March 2, 2026"),
        ("{{ d | date: 'long' }}", {"d": "March 2, 2026"}, "March 2, 2026"),
        ("{{ d | date: 'long' }}", {"d": "Mon, 02 Mar 2026 22:30:00 +0000"}, "March 2, 2026"),
        ("{{ d | date: 'long' }}", {"d": "soon"}, "soon"),
        ("{{ d | date: 'long' }}", {"d": "31-02-2026"}, "31-02-2026"),
        ("{{ d | date: 'long' }}", {"d": "12:30"}, "12:30"),
        ("{{ d | date: 'long' }}", {"d": "TODAY"}, "TODAY"),
        ("[{{ d | date }}{{ nobody | date: 'long' | default: 'never' }}]", {"d": None}, "[never]"),
        ("{{ n | number }}", of("de", n=1234567.5), "1.234.567,5"),
        ("{{ n | number: 2 }}", of("en", n="1234.5"), "1,234.50"),
        (
            "{{ n | number }}",
            of("fr-CH", n=1234567),
            "1\N{NARROW NO-BREAK SPACE}234\N{NARROW NO-BREAK SPACE}567",
        ),
        ("{{ n | percent: 1 }}", of("de", n=0.125), "12,5\N{NO-BREAK SPACE}%"),
        ("{{ n | currency: 'EUR' }}", of("de", n=1234.5), "1.234,50\N{NO-BREAK SPACE}€"),
        ("{{ n | currency: 'eur' }}", of("en", n="1234.5"), "€1,234.50"),
        ("{{ n | currency: 'JPY' }}", of("ja", n=1234.5), "￥1,235"),
        ("{{ n | currency: 'EUR' }}", of("en", n="1.005"), "€1.01"),
        ("{{ n | currency: 'EUR' }}", of("en", n="-0.004"), "€0.00"),
        ("{{ n | percent }} {{ n | number: 2 }}", of("en", n="0.125"), "13% 0.13"),
        ("{{ n | currency: 'USD', digits: 0 }}", of("en", n=-1999.9), "-$2,000"),
        ("{{ n | currency: unit }}", of("en", n=5, unit="GBP"), "£5.00"),
        ("[{{ n | currency: 'EUR' }}{{ n | number | default: '-' }}]", {"n": ""}, "[-]"),
        ("{{ n | number }}", {"n": 2**63 - 1}, "9,223,372,036,854,775,807"),
        ("{{ n | possessive }}", of("en", n="Ada"), "Ada's"),
        ("{{ n | possessive }}", of("en", n="James"), "James'"),
        ("{{ n | possessive }}", of("de", n="Ada"), "Adas"),
        ("{{ n | possessive }}", of("de", n="Hans"), "Hans'"),
        ("{{ n | possessive }}", of("de-AT", n="Beatrice"), "Beatrice'"),
        ("{{ n | possessive }}", of("nl", n="Anna"), "Anna's"),
        ("{{ n | possessive }}", of("nl", n="Jan"), "Jans"),
        ("{{ n | possessive }}", of("sv", n="Lars"), "Lars"),
        ("{{ n | possessive }}", of("da", n="Lars"), "Lars'"),
        ("{{ n | possessive }}", of("fr", n="Ada"), "d’Ada"),
        ("{{ n | possessive }}", of("fr", n="James"), "de James"),
        ("{{ n | possessive }}", of("it", n="Ada"), "di Ada"),
        ("{{ n | possessive }}", of("ja", n="Ada"), "Ada"),
        ("[{{ n | possessive }}]", of("en", n=" "), "[]"),
        ("{{ n | titlecase }}", {"n": "ADA O'NEILL-LOVELACE"}, "Ada O'Neill-Lovelace"),
        ("{{ n | titlecase }}", {"n": "élodie d'arcy don't"}, "Élodie D'Arcy Don't"),
        ("{{ n | titlecase }}", {"n": "McDonald MÜLLER"}, "McDonald Müller"),
        ("{{ n | default: 'friend' | titlecase }}", {}, "Friend"),
    ],
)
def test_a_filter_says(source, attributes, expected):
    assert expected == said(source, attributes)
    assert expected == said("{% if true %}" + source + "{% endif %}", attributes), "so does the interpreter"


def test_a_templates_own_language_goes_before_the_recipients():
    source = "{{ d | date: 'long' }}"
    assert said(source, of("fr", d="2026-03-02"), language="de") == "2. März 2026"
    assert said(source, of("fr", d="2026-03-02")) == "2 mars 2026"
    assert said("{{ d | date: 'short' }}", of("en-GB", d="2026-03-02"), language="en") == "02/03/2026"


def test_the_templates_time_zone_is_for_those_who_have_none():
    source = "{{ d | time: 'short' }}"
    assert said(source, of("de", d=MOMENT), time_zone="Europe/Berlin") == "23:30"
    assert said(source, of("de", d=MOMENT, time_zone="UTC"), time_zone="Europe/Berlin") == "22:30"


def test_now_is_now_in_the_recipients_time_zone():
    before = datetime.now(UTC)
    shown = said("{{ 'now' | date: '%Y-%m-%dT%H:%M:%S%z' }}", {"time_zone": "Asia/Tokyo"})
    again = said("{{ now | date: '%Y-%m-%dT%H:%M:%S%z' }}", {"time_zone": "Asia/Tokyo"})
    for one in (shown, again):
        assert one.endswith("+0900")
        assert 0 <= (datetime.fromisoformat(one) - before.replace(microsecond=0)).total_seconds() < 60


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("{{ n | currency }}", "ISO 4217"),
        ("{{ n | currency: 'EURO' }}", "'EURO'"),
        ("{{ n | currency: 'EUR', digit: 2 }}", "no such option: digit"),
        ("{{ n | currency: 'EUR', place: 1 }}", "no such option: place"),
        ("{{ n | number, context: 1 }}", ""),
        ("{{ n | number: 99 }}", "0 to 12"),
        ("{{ n | number: 'x' }}", "0 to 12"),
        ("{{ d | date: 5 }}", "100 characters"),
        ("{{ d | date: 'QQQQQQQQ' }}", "date format"),
        ("{% assign x = d | date: 5 %}", "100 characters"),
        ("{{ d | dat: 'long' }}", "did you mean 'date'"),
    ],
)
def test_arguments_that_can_work_for_nobody_are_refused_with_the_line(source, says):
    with pytest.raises(TemplateError, match=r"text, line 2") as refused:
        compile_message({"text": "\n" + source})
    assert says in str(refused.value)


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("{{ n | currency: 'EUR' }}", "12 EUR"),
        ("{{ n | currency: 'EUR' }}", "1.234,50"),
        ("{{ n | currency: 'EUR' }}", True),
        ("{{ n | currency: 'EUR' }}", [1]),
        ("{{ n | number }}", "1e999999999"),
        ("{{ n | number }}", "9" * 1000),
        ("{{ n | number }}", 1e300),
        ("{{ n | number }}", float("nan")),
        ("{{ n | number }}", {}),
        ("{{ d | date: n }}", "%Y" * 1000),
        ("{{ n | date }}", ["2026-03-02"]),
    ],
)
def test_a_value_that_would_make_a_wrong_message_fails_the_recipient(source, value):
    with pytest.raises(RenderError):
        said(source, {"n": value, "d": "2026-03-02"})


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats()
    | st.text(max_size=70)
    | st.sampled_from(["0001-01-01", "9999-12-31T23:59:59Z", "-1", "99999999999999999999", "%", "now"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=3,
)


@given(
    value=anything,
    language=anything
    | st.sampled_from(["de", "ar", "hi-IN", "zh-Hant-TW", "xx-YY", "en_US_POSIX", "German"]),
    zone=anything | st.sampled_from(["Pacific/Kiritimati", "../../etc/passwd", "America/New_York"]),
    source=st.sampled_from(
        [
            "{{ v | date: 'full' }}",
            "{{ v | time: 'long' }}",
            "{{ v | datetime }}",
            "{{ v | date: '%c %A' }}",
            "{{ v | date: v }}",
            "{{ v | number: 3 }}",
            "{{ v | currency: 'EUR' }}",
            "{{ v | currency: v }}",
            "{{ v | percent }}",
            "{{ v | possessive }}",
            "{{ v | titlecase }}",
        ]
    ),
)
def test_hostile_values_are_said_or_fail_their_recipient_alone(value, language, zone, source):
    template = compile_message({"text": source, "html": source})
    try:
        content = template.render({"v": value, "language": language, "time_zone": zone})
    except RenderError:
        return
    assert content.text is not None
    assert len(content.text) < 2000
    assert content.html is not None
    assert "<" not in content.html
