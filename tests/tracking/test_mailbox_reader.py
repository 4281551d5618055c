"""Mailboxes as the way in for mail that comes back: a real server, read over and over, and nothing is lost."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy.exc import OperationalError

from engine.channels import mailboxes
from engine.channels.mailboxes import MailboxAccess, check_mailbox
from engine.channels.trust import Trust
from engine.inbound import mailbox_reader
from engine.inbound.mailbox_reader import MailboxReader, read_mailboxes
from engine.inbound.returned_mail import take_inbound
from tests.channels.certificate import self_signed
from tests.harness.waiting import wait_until
from tests.servers.dovecot import PASSWORD, Dovecot, is_installed
from tests.tracking.letters import answer, block, delivery_report, original

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.tracking.world import Mailing

pytestmark = pytest.mark.skipif(
    not is_installed(), reason="Dovecot is not installed (Debian: dovecot-imapd, and dovecot-pop3d for POP3)"
)
ADA, BO = "ada@x.example", "bo@x.example"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Dovecot, str]]:
    """The server, and the certificate to trust."""
    _, trusted = self_signed(tmp_path_factory.mktemp("certificate"))
    dovecot = Dovecot(trusted)
    yield dovecot, trusted.read_text()
    dovecot.close()


class Post:
    """A mailbox of a channel of the organization, and what comes into it."""

    def __init__(self, world: Mailing, server: tuple[Dovecot, str], campaign_id: UUID) -> None:
        self.world, self.campaign_id = world, campaign_id
        self.dovecot, self.certificate = server
        self.user = uuid4().hex
        self.people = world.sent(campaign_id, ADA, BO)

    def channel(self, *, password: str = PASSWORD, **mailbox: Any) -> UUID:
        """A channel that sends nothing, and whose mail comes back into this mailbox."""
        security, protocol = mailbox.get("security", "tls"), mailbox.get("protocol", "imap")
        if not is_installed(protocol):
            pytest.skip("POP3 is not installed (Debian: dovecot-pop3d)")
        port = self.dovecot.ports[protocol + ("s" if security == "tls" else "")]
        given = {"host": "127.0.0.1", "port": port, "username": self.user} | mailbox
        credentials = {"ca_certificates": self.certificate, "mailbox_password": password}
        return self.world.channel(
            "smtp",
            settings={"host": "127.0.0.1", "from_email": "news@shop.example", "mailbox": given},
            credentials=credentials,
        )

    def bounce(self, entity_id: UUID, address: str) -> bytes:
        returned = original(to=address, message_id=self.world.message_id(self.campaign_id, entity_id))
        return delivery_report(block(address), returned=returned)

    def reply(self, entity_id: UUID) -> bytes:
        return answer(self.world.message_id(self.campaign_id, entity_id))

    def deliver(self, *messages: bytes) -> None:
        self.dovecot.deliver(self.user, *messages)

    def folders(self) -> dict[str, list[str]]:
        return self.dovecot.folders(self.user)

    def read(self) -> int:
        return read_mailboxes(self.world.api.runtime)


@pytest.fixture
def post(world: Mailing, server: tuple[Dovecot, str], campaign_id: UUID) -> Post:
    return Post(world, server, campaign_id)


@pytest.mark.parametrize(
    ("settings", "left"),
    [
        ({}, {"INBOX": [], "Muster": ["", ""]}),
        (
            {"security": "starttls", "done_folder": "Zurück & gelesen"},
            {"INBOX": [], "Zur&APw-ck &- gelesen": ["", ""]},
        ),
        ({"security": "none", "when_taken": "mark"}, {"INBOX": ["\\Seen", "\\Seen"]}),
        ({"when_taken": "delete"}, {"INBOX": []}),
        ({"protocol": "pop3"}, {"INBOX": []}),
        ({"protocol": "pop3", "security": "starttls"}, {"INBOX": []}),
    ],
    ids=["imap-move", "imap-starttls", "imap-mark", "imap-delete", "pop3", "pop3-starttls"],
)
def test_what_came_back_is_taken_and_put_away(
    post: Post, settings: dict[str, Any], left: dict[str, list[str]]
) -> None:
    ada, bo = post.people
    post.channel(**settings)
    post.deliver(post.bounce(ada, ADA), post.reply(bo))
    assert 2 == post.read()
    assert [(ADA, "hard_bounce")] == post.world.suppressed()
    assert {("email", "bounced"), ("email", "replied")} == set(post.world.log(post.campaign_id))
    assert left.items() <= post.folders().items()
    assert 0 == post.read(), "there is nothing more"
    post.deliver(post.reply(ada))
    assert 1 == post.read()


def test_what_is_read_again_is_taken_once(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mailbox breaks off behind the commit, and before the message is put away."""
    post.channel()
    post.deliver(post.bounce(post.people[0], ADA))

    def breaks(*_: object) -> None:
        raise OSError("the cable is cut")

    with monkeypatch.context() as broken:
        broken.setattr(mailboxes._Imap, "done", breaks)
        assert 0 == post.read()
    assert [("email", "bounced")] == post.world.log(post.campaign_id)
    assert [""] == post.folders()["INBOX"], "it is still there"
    assert 1 == post.read()
    assert [("email", "bounced")] == post.world.log(post.campaign_id)
    post.world.check_sums()


def test_while_the_database_is_away_everything_stays(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    post.channel(protocol="pop3")
    post.deliver(post.bounce(post.people[0], ADA), post.reply(post.people[1]))

    def away(*_: object, **__: object) -> None:
        raise OperationalError("INSERT", {}, OSError("gone"))

    with monkeypatch.context() as outage:
        outage.setattr(mailbox_reader, "take_inbound", away)
        assert 0 == post.read()
    assert 2 == len(post.folders()["INBOX"])
    assert 2 == post.read()


def test_what_cannot_be_taken_is_left_for_a_person_and_stops_no_other(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mailboxes, "LONGEST", 3000)
    poison = post.reply(post.people[0])

    def fails_at_poison(*given: Any, **more: Any) -> Any:
        if given[2] == poison:
            raise ZeroDivisionError
        return take_inbound(*given, **more)

    monkeypatch.setattr(mailbox_reader, "take_inbound", fails_at_poison)
    post.channel()
    post.deliver(b"\r\nno headers\r\n", poison, b"A: b\r\n\r\n" + b"x" * 4000, post.reply(post.people[1]))
    assert 1 == post.read()
    assert [("email", "replied")] == post.world.log(post.campaign_id)
    assert ["\\Flagged"] * 3 == post.folders()["INBOX"]
    assert 0 == post.read()


def test_a_mailbox_that_cannot_be_read_stops_no_other(post: Post) -> None:
    post.channel(password="a secret that is wrong")
    post.channel(username=post.user, folder="Nowhere")
    post.channel()
    post.deliver(post.bounce(post.people[0], ADA))
    assert 1 == post.read()


def test_another_organizations_mailbox_takes_nothing_of_ours(post: Post, stranger: Any) -> None:
    post.channel()
    strange = original(message_id=post.world.message_id(uuid4(), uuid4()))
    post.deliver(delivery_report(block(), returned=strange))
    assert 1 == post.read(), "it is read, and about nobody"
    assert [] == post.world.suppressed()


def access(post: Post, **changes: Any) -> MailboxAccess:
    channel_id = post.channel(**changes)
    found = mailbox_reader._watched(post.world.api.runtime)
    return next(one.access for one in found if one.channel_id == channel_id)


def test_a_check_says_what_is_wrong_and_no_password(post: Post) -> None:
    assert check_mailbox(access(post)) is None
    told = check_mailbox(access(post, password="a secret that is wrong"))
    assert told is not None
    assert "imap 127.0.0.1" in told
    assert "a secret" not in told
    assert "Nowhere" in str(check_mailbox(access(post, folder="Nowhere")))
    strange = replace(access(post), trust=Trust())
    assert "certificate" in str(check_mailbox(strange))


def test_the_reader_reads_at_its_interval_until_it_is_stopped(post: Post) -> None:
    runtime = post.world.api.runtime
    runtime.settings = runtime.settings.model_copy(
        update={"mailbox_interval": runtime.settings.flush_interval}
    )
    post.channel()
    reader = MailboxReader(runtime)
    reader.start()
    reader.start()
    post.deliver(post.bounce(post.people[0], ADA))
    wait_until(lambda: post.world.log(post.campaign_id), "the bounce is taken", deadline=60)
    assert reader.is_alive()
    reader.stop()
    reader.stop()
    assert not reader.is_alive()
