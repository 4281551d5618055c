"""Channel kinds: known ones are built, others and what they do not take are refused by name."""

from __future__ import annotations

import pytest

from engine.channels import registry
from engine.channels.registry import InvalidChannel, UnknownKind
from engine.channels.smtp.settings import SmtpSettings
from muster_testing.channels import SECRET
from tests.servers import dialects


def test_the_kit_and_the_servers_of_these_tests_have_one_secret():
    assert SECRET == dialects.SECRET


SMTP = {"host": "mail.x.org", "from_email": "a@x.org"}


def test_every_kind_has_models_and_a_doubt_policy():
    assert {"file", "null", "smtp"} <= set(registry.kinds())
    for kind in registry.kinds():
        assert registry.settings_model(kind).model_config["extra"] == "forbid"
        assert registry.credentials_model(kind).model_config["extra"] == "forbid"
        assert registry.doubt_policy(kind) in ("resend", "hold")


def test_every_kinds_credentials_hide_their_values():
    for kind in registry.kinds():
        for field in registry.credentials_model(kind).model_fields:
            with pytest.raises(InvalidChannel) as error:
                registry.validate(kind, {}, {field: {"not": SECRET}})
            assert SECRET not in f"{error.value!r}{error.value}{error.value.errors}"


@pytest.mark.parametrize("kind", ["smpt", "Smtp", "", "carrier-pigeon"])
def test_an_unknown_kind_is_refused_with_what_there_is(kind):
    for ask in (registry.settings_model, registry.credentials_model, registry.doubt_policy):
        with pytest.raises(UnknownKind, match=r"known: .*smtp"):
            ask(kind)
    with pytest.raises(UnknownKind):
        registry.build(kind, {}, {})


def test_a_mistyped_kind_gets_a_suggestion():
    with pytest.raises(UnknownKind, match="did you mean 'smtp'"):
        registry.build("smpt", {}, {})


@pytest.mark.parametrize(
    ("settings", "credentials", "expected"),
    [
        ({"from_email": "a@x.org"}, {}, {"settings.host": "Field required"}),
        ({**SMTP, "prot": 25}, {}, {"settings.prot": "is no such option; did you mean 'port'?"}),
        ({**SMTP, "port": 70000}, {}, {"settings.port": "65535"}),
        ({**SMTP, "host": "a b"}, {}, {"settings.host": "is not a host name"}),
        ({**SMTP, "helo": "x\r\nRSET"}, {}, {"settings.helo": "is not a host name"}),
        ({**SMTP, "from_email": "nobody"}, {}, {"settings.from_email": "is not an e-mail address"}),
        ({**SMTP, "from_name": "a\nb"}, {}, {"settings.from_name": "line break"}),
        ({**SMTP, "security": "none", "ca_file": "x"}, {}, {"settings": "ca_file"}),
        ({**SMTP, "headers": {"Subject": "x"}}, {}, {"settings": "header 'Subject' cannot be set"}),
        (SMTP, {"username": "a"}, {"credentials": "go together"}),
        (
            {"host": ""},
            {"pasword": SECRET},
            {"settings.host": "", "settings.from_email": "", "credentials.pasword": "password"},
        ),
    ],
)
def test_what_a_kind_does_not_take_is_named(settings, credentials, expected):
    with pytest.raises(InvalidChannel) as error:
        registry.build("smtp", settings, credentials)
    found = dict(error.value.errors)
    assert found.keys() == expected.keys()
    assert all(words in found[field] for field, words in expected.items())
    assert SECRET not in f"{error.value}{error.value.errors}"


def test_durations_are_seconds_or_iso_8601():
    for given in (90, "PT90S", "00:01:30"):
        checked, _ = registry.validate("smtp", {**SMTP, "data_timeout": given}, {})
        assert isinstance(checked, SmtpSettings)
        assert checked.data_timeout.total_seconds() == 90
