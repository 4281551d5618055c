"""The rules as data: what ships decides its own examples, and what an operator adds is checked and comes first."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.answers.classify import classifier_of
from engine.answers.meanings import Meaning, Phase, Protocol, ProviderAnswer, Scope
from engine.answers.page import page
from engine.answers.reading import read_event, read_line
from engine.answers.rules import InvalidRules, read_rules, shipped_rules
from tests.harness.child import ROOT

RULE = """
[[rule]]
name = "{name}"
source = "a test"
code = "450"
text = "queue of .* is full"
scope = "channel"
meaning = "slow"
duration = "30s"
"""


def read_example(line: str) -> ProviderAnswer:
    """An example of a rule: `dsn: 550 …`, `event: CATEGORY`, `http: 429 …`, `mail: 450 …`, `550 …`."""
    if line.startswith("event:"):
        return read_event(line.removeprefix("event:").strip() or None, None, permanent=True)
    for protocol in (Protocol.DSN, Protocol.HTTP):
        if line.startswith(f"{protocol}: "):
            return read_line(line.removeprefix(f"{protocol}: "), protocol=protocol)
    return read_line(line)


@pytest.mark.parametrize("rule", shipped_rules(), ids=lambda rule: rule.name)
def test_a_rule_decides_its_own_examples(rule):
    """Otherwise a rule before it has grown too wide, or one of its patterns is wrong."""
    for example in rule.examples:
        assert rule.name == classifier_of().classify(read_example(example)).rule.name, example
    assert rule.examples or rule.api, "a rule without an example proves nothing"


def test_no_two_shipped_rules_have_one_name():
    """A name is what an operator replaces a rule by."""
    names = [rule.name for rule in shipped_rules()]
    assert len(names) == len(set(names))


def test_the_page_is_made_from_the_rules():
    """`make answers` writes it."""
    assert page() == (ROOT / "docs" / "answers.md").read_text(encoding="utf-8")


def test_an_operators_rule_comes_first(tmp_path):
    """Also before a rule that ships and would match."""
    answer = read_line("rcpt: 450 4.2.0 queue of relay2 is full")
    assert Scope.MAILBOX == classifier_of().classify(answer).scope
    path = tmp_path / "rules.toml"
    path.write_text(RULE.format(name="our-relay"))
    verdict = classifier_of(path).classify(answer)
    assert ("our-relay", Scope.CHANNEL, Meaning.SLOW) == (verdict.rule.name, verdict.scope, verdict.meaning)
    assert timedelta(seconds=30) == verdict.duration


def test_words_alone_do_not_take_back_what_a_server_accepted(tmp_path):
    """RFC 5321 §4.2.1: it has the message, and whoever sent it again would send it twice. An operator whose server says
    250 to what it throws away names the code.
    """
    path = tmp_path / "rules.toml"
    words = RULE.format(name="full").replace('code = "450"\n', "")
    path.write_text(
        words + RULE.format(name="thrown-away").replace("450", "250").replace("queue of", "thrown")
    )
    classifier = classifier_of(path)

    def rule_of(text: str) -> str:
        return classifier.classify(ProviderAnswer(Protocol.SMTP, 250, None, text, Phase.END)).rule.name

    assert rule_of("Ok, the queue of news is full") == "accepted"
    assert rule_of("Ok, this account has been closed") == "accepted"
    assert rule_of("Ok, thrown away, it is full") == "thrown-away"


def test_an_operators_rule_replaces_the_one_of_its_name(tmp_path):
    """So that a rule that ships can be taken away."""
    path = tmp_path / "rules.toml"
    path.write_text(RULE.format(name="ses-rate"))
    verdict = classifier_of(path).classify(
        read_line("end: 454 Throttling failure: Maximum sending rate exceeded")
    )
    assert "ses-throttling" == verdict.rule.name


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (('meaning = "slow"', 'meaning = "fast"'), "meaning"),
        (('scope = "channel"', 'scope = "planet"'), "scope"),
        (('text = "queue of .* is full"', 'text = "("'), "text"),
        (('duration = "30s"', 'duration = "soon"'), "duration"),
        (('duration = "30s"', 'trigger = "often"'), "trigger"),
        (('duration = "30s"', "bar = true"), "bar"),
        (('meaning = "slow"', 'meaning = "sender_fault"'), "advice"),
        (('duration = "30s"', 'durations = "30s"'), "durations"),
        (('source = "a test"\n', ""), "source"),
        (('name = "mine"', 'name = "My Rule"'), "name"),
    ],
)
def test_what_is_wrong_with_a_rule_is_named(change, named):
    """The file, the rule and the field."""
    with pytest.raises(InvalidRules, match=rf"(?s)mine\.toml.*{named}"):
        read_rules(RULE.format(name="mine").replace(*change), "mine.toml")


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    """Whatever is wrong with it."""
    for name, data in (("absent.toml", None), ("bytes.toml", b"\xff\xfe"), ("broken.toml", b"[[rule]")):
        path = tmp_path / name
        if data is not None:
            path.write_bytes(data)
        with pytest.raises(InvalidRules, match=name):
            classifier_of(path)
    with pytest.raises(InvalidRules, match="more than one rule is called 'twice'"):
        read_rules(RULE.format(name="twice") * 2, "x.toml")


@given(
    st.builds(
        ProviderAnswer,
        protocol=st.sampled_from(Protocol),
        code=st.none() | st.integers(100, 599),
        status=st.none() | st.from_regex(r"\A[245]\.\d{1,3}\.\d{1,3}\Z"),
        text=st.text(max_size=300),
        phase=st.none() | st.sampled_from(Phase),
        provider=st.none() | st.sampled_from(["twilio", "whatsapp"]),
        error=st.none() | st.integers(0, 200_000).map(str),
    )
)
def test_every_answer_has_a_verdict(answer):
    """And only a refusal bars."""
    verdict = classifier_of().classify(answer)
    assert not verdict.bar or verdict.meaning is Meaning.REFUSE
    assert verdict.rule in [*shipped_rules(), verdict.rule]


@given(code=st.integers(400, 499), text=st.text(max_size=80), phase=st.sampled_from(Phase))
def test_nothing_transient_fails_or_bars(code, text, phase):
    """4yz: trying again may help (RFC 5321 §4.2.1), whatever is said beside it."""
    verdict = classifier_of().classify(read_line(f"{phase}: {code} {text}".strip()))
    assert verdict.meaning in (Meaning.DEFER, Meaning.SLOW, Meaning.QUOTA, Meaning.DOWN, Meaning.SENDER_FAULT)


@pytest.mark.parametrize(
    "name", ["whitelist", "spam", "no.such.user", "mittente", "quota-24hours", "dynamic"]
)
def test_what_an_address_is_called_says_nothing(name):
    """Whether it is the recipient's or that of a postmaster to ask."""
    for words, bar in (
        ("550 5.1.1 <{}@x.example>: User unknown", True),
        ("550 refused: ask {}@x.example", False),
    ):
        assert bar is classifier_of().classify(read_example(f"rcpt: {words.format(name)}")).bar
