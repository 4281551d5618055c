"""The apprise channel, sending through ntfy to a server that speaks it."""

from __future__ import annotations

import logging
from typing import ClassVar

import apprise
import pytest

from engine.channels import apprise as apprise_module
from engine.channels import registry
from engine.channels.port import Deferred, Delivered, Doubtful, Down, Rejected, Throttled
from engine.channels.registry import InvalidChannel
from engine.content.message import Content
from muster_testing.channels import SECRET, WireConformance, message
from tests.channels.http_rig import EXPECTED, ApiRig, outcome_in, refusal_in

SCENARIOS = (
    "healthy",
    "permanent",
    "transient",
    "throttled",
    "down",
    "account",
    "reset",
    "accepted_in_silence",
)


class AppriseRig(ApiRig):
    kind = "apprise"

    def __init__(self, provider, **settings):
        super().__init__(
            provider,
            {},
            {"url": f"ntfy://{SECRET}:{SECRET}@127.0.0.1:{provider.port}/{{{{ message.address }}}}"},
        )
        self.settings = {"concurrency": 5, **settings}

    def address(self, number):
        return f"topic{number}"


@pytest.fixture
def rig(provider):
    return AppriseRig(provider("ntfy"))


class TestApprise(WireConformance):
    scenarios = frozenset(SCENARIOS)
    expected: ClassVar = EXPECTED
    asks: ClassVar = False


@pytest.mark.parametrize(
    ("told", "kind", "code"),
    [
        ("healthy", Delivered, None),
        ("permanent", Rejected, "APPRISE_403"),
        ("account", Down, "APPRISE_401"),
        ("transient", Deferred, "APPRISE_500"),
        ("throttled", Throttled, "APPRISE_429"),
        ("down", Down, "APPRISE_UNREACHABLE"),
        ("accepted_in_silence", Doubtful, "APPRISE_RESET"),
    ],
)
def test_what_apprise_lets_know(rig, told, kind, code):
    outcome = outcome_in(rig, told)
    assert (type(outcome), getattr(outcome, "code", None)) == (kind, code)
    assert SECRET not in repr(outcome)
    if code:
        assert "ntfy" in getattr(outcome, "text", "")


def test_the_address_fills_the_url(rig):
    sent = message("ada lovelace/x", content=Content("Title", "Hello 0195a000-0000-7000-8000-0000000000ff"))
    assert outcome_in(rig, "healthy", sent) == Delivered()
    assert rig.provider.taken[0]["to"] in ("ada lovelace/x", "ada", "ada lovelace")


def test_html_or_text(rig):
    rig.settings["format"] = "html"
    assert refusal_in(rig, "healthy", message("t", content=Content("s", "text"))).code == "CONTENT_INVALID"
    assert registry.problems_of("apprise", Content("s", ""), {}) == ["the message has no text"]


def test_what_is_logged_elsewhere_stays_as_it_was(rig, caplog):
    """Only what is logged while it sends for us is held back."""
    caplog.set_level(logging.DEBUG)
    outcome_in(rig, "transient")
    logging.getLogger("urllib3.connectionpool").debug("from somebody else")
    assert "from somebody else" in caplog.text
    assert "POST" not in caplog.text


@pytest.mark.parametrize(
    "parameter",
    ["template=/etc/passwd", "keyfile=/etc/passwd", "subfile=x", "attach=/etc/passwd", "pgppub=x", "Template=x",
     "format=text&%74emplate=/etc/passwd", "overflow=split;keyfile=x", "store=/tmp", "{{ message.address }}=x"],
)  # fmt: skip
def test_no_url_names_a_file_of_the_worker(parameter):
    with pytest.raises(InvalidChannel) as error:
        registry.build("apprise", {}, {"url": f"json://example.com/?{parameter}"})
    ((field, message),) = error.value.errors
    assert field == "credentials.url"
    assert "is not allowed" in message


def test_parameters_that_are_allowed_are_apprises_own_and_others_are_headers():
    known = {name for one in apprise.Apprise().details()["schemas"] for name in one["details"]["args"]}
    assert known | {"cto", "rto"} >= apprise_module._PARAMETERS
    for query in (
        "?format=markdown&overflow=split",
        "?+X-Token=a&-method=b&:key=c",
        "?to={{ message.address }}",
        "",
    ):
        registry.build("apprise", {}, {"url": f"json://example.com/{query}"})


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("", "at least 4"),
        (SECRET, "is not an Apprise URL"),
        (f"nosuch://{SECRET}", "is not a URL that Apprise takes"),
        (f"syslog://{SECRET}", "the worker's own machine"),
        (f"ntfy://{SECRET}/{{{{ x | nope }}}}", "unknown filter"),
    ],
)
def test_a_url_that_is_none_is_refused_and_not_shown(url, words):
    with pytest.raises(InvalidChannel) as error:
        registry.build("apprise", {}, {"url": url})
    ((field, said),) = error.value.errors
    assert field == "credentials.url"
    assert words in said
    assert SECRET not in str(error.value)
