"""The mailbox of a channel, as it is set: what cannot be is refused by its name."""

from __future__ import annotations

import pytest

from engine.channels import registry
from engine.channels.mailbox_settings import MailboxSettings
from engine.channels.port import ChannelContext
from engine.channels.registry import InvalidChannel
from engine.kernel.outbound import AddressRefused, Guard

MAIL = {"host": "mail.example", "from_email": "news@shop.example"}


def build(mailbox, credentials=None, **settings):
    given = {"mailbox_password": "x"} if credentials is None else credentials
    return registry.build(
        "smtp", {**MAIL, **settings, "mailbox": mailbox}, given, ChannelContext(guard=Guard())
    )


@pytest.mark.parametrize(
    ("given", "port", "when_taken"),
    [
        ({}, 993, "move"),
        ({"security": "starttls"}, 143, "move"),
        ({"protocol": "pop3"}, 995, "delete"),
        ({"protocol": "pop3", "security": "starttls"}, 110, "delete"),
        ({"when_taken": "mark", "port": 1993}, 1993, "mark"),
    ],
)
def test_defaults_are_the_protocols(given, port, when_taken):
    settings = MailboxSettings(host="imap.example", username="b", **given)
    assert (port, when_taken) == (settings.effective_port, settings.effective_when_taken)


@pytest.mark.parametrize(
    ("mailbox", "credentials", "named"),
    [
        ({"host": "imap.example", "username": "b"}, {}, "mailbox_password"),
        (None, {"mailbox_password": "x"}, "mailbox"),
        ({"host": "imap.example"}, None, "mailbox.username"),
        ({"host": "a b", "username": "b"}, None, "mailbox.host"),
        ({"host": "imap.example", "username": "b\r\nLOGOUT"}, None, "mailbox.username"),
        ({"host": "imap.example", "username": "b", "folder": "a\nb"}, None, "mailbox.folder"),
        ({"host": "imap.example", "username": "b", "colour": "red"}, None, "mailbox.colour"),
        (
            {"host": "imap.example", "username": "b", "protocol": "pop3", "when_taken": "move"},
            None,
            "when_taken",
        ),
        ({"host": "imap.example", "username": "b", "done_folder": "inbox"}, None, "done_folder"),
        ({"host": "imap.example", "username": "b", "security": "none"}, None, "security"),
        ({"host": "10.0.0.1", "username": "b"}, None, "host"),
        ({"host": "9.9.9.9", "port": 22, "username": "b"}, None, "host"),
    ],
)
def test_what_cannot_be_is_refused_by_its_name(mailbox, credentials, named):
    with pytest.raises(InvalidChannel) as refused:
        build(mailbox, credentials)
    field, message = refused.value.errors[0]
    assert named in f"{field}: {message}"


def test_another_port_is_for_addresses_that_the_operator_allows():
    from ipaddress import ip_network  # noqa: PLC0415

    guard = Guard([ip_network("10.0.0.0/8")])
    usual, other = guard.for_port(993, frozenset({993})), guard.for_port(22, frozenset({993}))
    usual.check_address("9.9.9.9")
    other.check_address("10.0.0.1")
    with pytest.raises(AddressRefused):
        other.check_address("9.9.9.9")
