"""The smtp channel against a real server on loopback: what it promises beyond the port."""

from __future__ import annotations

import asyncio
import base64
import threading
from email.policy import SMTP

import pytest

from engine.channels import registry
from engine.channels.port import (
    Deferred,
    Delivered,
    Doubtful,
    Down,
    Rejected,
    Released,
    SenderRefused,
    Throttled,
)
from engine.channels.registry import InvalidChannel
from engine.content.links import read_return_path
from engine.content.message import Content
from muster_testing.channels import (
    SECRET,
    Report,
    WireConformance,
    message,
    messages,
    run,
    send,
    send_and_close,
)
from tests.channels.http_rig import SILENCE
from tests.channels.smtp_rig import SETTINGS
from tests.harness.waiting import wait_until


class TestSmtp(WireConformance):
    @pytest.fixture
    def rig(self, smtp):
        return smtp(users={"muster": SECRET}, credentials={"username": "muster", "password": SECRET})


class TestSmtpWithoutPipelining(WireConformance):
    @pytest.fixture
    def rig(self, smtp):
        return smtp(pipelining=False)


class TestSmtpOverTls(WireConformance):
    scenarios = frozenset({"healthy", "reset", "accepted_in_silence"})

    @pytest.fixture
    def rig(self, smtp, certificate):
        context, trusted = certificate
        return smtp(
            tls=context,
            settings={"security": "starttls"},
            credentials={"ca_certificates": trusted.read_text()},
        )


def outcomes(rig, wave):
    return list(run(send_and_close(rig.channel(), wave)).outcomes.values())


@pytest.mark.parametrize("pipelining", [True, False])
@pytest.mark.parametrize(
    ("stage", "reply", "kind", "code"),
    [
        ("mail", "550 5.7.1 not from you", SenderRefused, "SMTP_550"),
        ("mail", "530 5.7.0 log in first", Down, "SMTP_530"),
        ("mail", "452 4.3.1 disk full", Throttled, "SMTP_452"),
        ("mail", "421 4.7.0 later", Throttled, "SMTP_421"),
        ("rcpt", "550 5.1.1 nobody", Rejected, "SMTP_550"),
        ("rcpt", "450 4.2.0 greylisted", Deferred, "SMTP_450"),
        ("rcpt", "421 4.7.0 later", Throttled, "SMTP_421"),
        ("data", "451 4.3.0 later", Throttled, "SMTP_451"),
        ("data", "554 5.5.1 no", Rejected, "SMTP_554"),
        ("message", "554 5.7.1 spam", Rejected, "SMTP_554"),
        ("message", "451 4.3.0 later", Throttled, "SMTP_451"),
        ("rcpt", "450 4.7.1 too fast", Throttled, "SMTP_450"),
        ("rcpt", "454 4.7.0 later", Throttled, "SMTP_454"),
        ("message", "452 4.3.1 disk full", Throttled, "SMTP_452"),
        ("message", "421 4.3.2 going down", Throttled, "SMTP_421"),
        ("message", "accept, reset", Doubtful, "SMTP_RESET"),
        ("message", "accept, stall", Doubtful, "SMTP_TIMEOUT"),
        ("message", "close", Doubtful, "SMTP_RESET"),
        ("mail", "reset", Deferred, "SMTP_RESET"),
        ("rcpt", "close", Deferred, "SMTP_RESET"),
        ("data", "stall", Deferred, "SMTP_TIMEOUT"),
        ("greeting", "421 4.7.0 too many", Throttled, "SMTP_421"),
        ("greeting", "554 5.7.1 go away", Throttled, "SMTP_554"),
        ("greeting", "close", Throttled, "SMTP_NO_GREETING"),
        ("ehlo", "421 4.3.2 going down", Throttled, "SMTP_421"),
    ],
)
def test_a_servers_answer_has_its_outcome(smtp, pipelining, stage, reply, kind, code):
    silent = {"command_timeout": SILENCE, "data_timeout": SILENCE} if "stall" in reply else {}
    rig = smtp(pipelining=pipelining, settings=silent)
    rig.server.rule(stage, reply)
    for outcome in outcomes(rig, messages(3)):
        assert (type(outcome), outcome.code) == (kind, code)
        assert reply[:3] not in ("550", "451") or reply[4:] in outcome.text


@pytest.mark.parametrize(
    ("stage", "reply", "why"),
    [
        ("rcpt", "550 5.1.1 nobody", "hard_bounce"),
        ("rcpt", "551 5.1.6 moved", "hard_bounce"),
        ("rcpt", "556 5.1.10 null MX", "hard_bounce"),
        ("message", "550 5.2.1 disabled", "hard_bounce"),
        ("rcpt", "550 no", None),
        ("rcpt", "550 5.7.1 we do not know you", None),
        ("rcpt", "552 5.2.2 mailbox full", None),
    ],
)
def test_only_a_server_that_knows_nobody_there_says_so_of_an_address(smtp, stage, reply, why):
    rig = smtp()
    rig.server.rule(stage, reply)
    (outcome,) = outcomes(rig, messages(1))
    assert (type(outcome), outcome.suppress) == (Rejected, why)


def test_a_silent_greeting_is_a_server_that_is_down(smtp):
    rig = smtp(settings={"connect_timeout": 0.2})
    rig.server.rule("greeting", "stall")
    assert [(type(outcome), outcome.code) for outcome in outcomes(rig, messages(1))] == [
        (Down, "SMTP_TIMEOUT")
    ]


def test_a_host_that_does_not_exist_is_down(smtp):
    rig = smtp(settings={"host": "muster.invalid"})
    assert [(type(outcome), outcome.code) for outcome in outcomes(rig, messages(2))] == [
        (Down, "SMTP_UNREACHABLE")
    ] * 2


def test_refused_credentials_are_down_and_do_not_show(smtp):
    rig = smtp(users={"muster": "other"}, credentials={"username": "muster", "password": SECRET})
    rig.server.rule("auth", f"535 5.7.8 {SECRET} and {base64.b64encode(SECRET.encode()).decode()} are wrong")
    (outcome,) = outcomes(rig, messages(1))
    assert (type(outcome), outcome.code) == (Down, "SMTP_LOGIN")
    assert "*** and *** are wrong" in outcome.text


def test_some_are_refused_and_the_others_arrive(smtp):
    rig = smtp(
        refuse_domains=frozenset({"bad.org"}),
        defer_domains=frozenset({"slow.org"}),
        settings={"concurrency": 2},
    )
    wave = [
        message(f"u{number}@{domain}") for number in range(20) for domain in ("bad.org", "x.org", "slow.org")
    ]
    report = run(send_and_close(rig.channel(), wave))
    assert report.kinds == {"Rejected": 20, "Delivered": 20, "Deferred": 20}
    assert set(rig.accepted()) == report.with_outcome(Delivered)
    assert rig.server.stats["connections"] <= 2
    deferred = [item for item in wave if item.execution_id in report.with_outcome(Deferred)]
    assert run(send_and_close(rig.channel(), deferred)).kinds == {"Delivered": 20}


def test_a_server_that_wants_content_for_nobody_gets_none(smtp):
    rig = smtp(lenient=True, refuse_domains=frozenset({"bad.org"}), settings={"concurrency": 1})
    wave = [message(f"u{number}@{domain}") for number in range(5) for domain in ("bad.org", "x.org")]
    assert run(send_and_close(rig.channel(), wave)).kinds == {"Rejected": 5, "Delivered": 5}
    assert len(rig.accepted()) == 5


NASTY = "From here\n.\n..two dots\n\n--\n" + "x" * 3000 + "\né\r.\r\nend"


def test_what_arrives_is_what_was_said(smtp):
    rig = smtp(
        settings={"return_path": "bounces@muster.example", "from_name": "Müller", "reply_to": "re@x.org"}
    )
    content = Content("Grüße 🎉", NASTY, "<p>.\n</p>")
    wave = [message("ada@xn--mller-kva.de", content=content, unsubscribe_url="https://u.example/1")]
    (outcome,) = outcomes(rig, wave)
    assert "queued as 1" in outcome.reference
    (parsed,) = rig.messages
    assert (parsed["Subject"], parsed["To"]) == ("Grüße 🎉", "ada@xn--mller-kva.de")
    assert parsed["From"] == "Müller <news@muster.example>"
    assert parsed["List-Unsubscribe"] == "<https://u.example/1>"
    text, html = parsed.iter_parts()
    assert text.get_content().replace("\r\n", "\n") == NASTY.replace("\r\n", "\n").replace("\r", "\n") + "\n"
    assert html.get_content() == "<p>.\r\n</p>\r\n"
    (taken,) = rig.server.messages
    assert (taken.sender, taken.rcpt) == ("bounces@muster.example", "ada@xn--mller-kva.de")


def test_the_return_path_may_hold_the_recipient(smtp):
    rig = smtp(settings={"return_path": "b@bounces.example", "verp": True})
    (one,) = wave = [message("a@x.org")]
    outcomes(rig, wave)
    (taken,) = rig.server.messages
    assert taken.sender.endswith("@bounces.example")
    assert read_return_path(taken.sender) == (one.campaign_id, one.entity_id)
    for settings, field in (
        ({"verp": True}, "return_path"),
        ({"verp": True, "return_path": "bounces-of-ours@x.org"}, "11"),
    ):
        with pytest.raises(InvalidChannel, match=field):
            registry.validate("smtp", {**rig.settings, "return_path": None, **settings}, {})


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ("550 5.1.1 no such user", "hard_bounce"),
        ("550 5.2.1 mailbox disabled", "hard_bounce"),
        ("552 5.2.2 mailbox full", None),
        ("550 5.7.1 blocked by policy", None),
        ("550 go away", None),
    ],
)
def test_an_address_is_given_up_only_when_the_server_says_it_is_gone(smtp, reply, reason):
    rig = smtp()
    rig.server.rule("rcpt", reply)
    (outcome,) = outcomes(rig, [message("a@x.org")])
    assert (type(outcome), outcome.suppress) == (Rejected, reason)


def test_a_message_that_could_break_out_is_refused_alone(smtp):
    rig = smtp()
    bad = [
        message("a@x.org\r\nRCPT TO:<b@x.org>"),
        message("a@x.org", content=Content("a\nBcc: b@x.org", "x")),
    ]
    report = run(send_and_close(rig.channel(), [*messages(3), *bad, *messages(3)]))
    assert report.kinds == {"Delivered": 6, "Rejected": 2}
    assert {outcome.code for outcome in report.outcomes.values() if isinstance(outcome, Rejected)} == {
        "CONTENT_INVALID"
    }
    assert len(rig.accepted()) == 6


LARGE = Content("Large", "line of a large message\n" * 200_000)


def test_a_large_message_arrives_whole(smtp):
    rig = smtp()
    assert [type(outcome) for outcome in outcomes(rig, [message(content=LARGE), *messages(3)])] == [
        Delivered
    ] * 4
    assert max(len(taken.raw) for taken in rig.server.messages) > 4_000_000


def test_a_large_message_that_is_cut_off_is_not_in_doubt(smtp):
    rig = smtp(settings={"concurrency": 1})
    rig.server.rule("content", "reset")
    (outcome,) = outcomes(rig, [message(content=LARGE)])
    assert (type(outcome), outcome.code) == (Deferred, "SMTP_RESET")
    assert rig.server.stats["connections"] == 2


def test_a_server_may_refuse_a_large_message_before_its_end(smtp):
    rig = smtp(settings={"concurrency": 1})
    rig.server.rule("content", "552 5.3.4 too big", times=1)
    (outcome,) = outcomes(rig, [message(content=LARGE)])
    assert (type(outcome), outcome.code) == (Rejected, "SMTP_552")


def test_a_message_beyond_the_servers_size_is_refused_by_its_size(smtp):
    (outcome,) = outcomes(smtp(size=1000), [message(content=Content("s", "x\n" * 2000))])
    assert (type(outcome), outcome.code) == (Rejected, "SMTP_552")


@pytest.mark.parametrize("stage", ["mail", "rcpt", "data"])
def test_a_reset_before_the_content_costs_nothing_but_a_connection(smtp, stage):
    rig = smtp(settings={"concurrency": 1})
    rig.server.rule(stage, "reset", times=1)
    assert [type(outcome) for outcome in outcomes(rig, messages(5))] == [Delivered] * 5
    assert len(set(rig.accepted())) == len(rig.accepted()) == 5
    assert rig.server.stats["connections"] == 2


def test_connections_are_used_again_and_recycled(smtp):
    rig = smtp(settings={"concurrency": 1})

    async def go(channel):
        for _ in range(3):
            assert (await send(channel, messages(10))).kinds == {"Delivered": 10}
        await channel.close()

    run(go(rig.channel()))
    assert rig.server.stats["connections"] == rig.server.stats["quits"] == 1
    rig.settings["messages_per_connection"] = 4
    run(go(rig.channel()))
    assert rig.server.stats["connections"] == rig.server.stats["quits"] == 1 + 8  # 30 messages


def test_connections_that_the_server_found_idle_are_replaced(smtp):
    rig = smtp()

    async def go():
        channel = rig.channel()
        for _ in range(3):
            assert (await send(channel, messages(20))).kinds == {"Delivered": 20}
            rig.server.drop_connections()
        await channel.close()

    run(go())
    assert len(set(rig.accepted())) == len(rig.accepted()) == 60


def test_idle_connections_are_given_back(smtp):
    rig = smtp(settings={"idle_timeout": 0.05})

    async def go():
        channel = rig.channel()
        await send(channel, messages(20))
        stats = rig.server.stats
        given_back = lambda: stats["quits"] >= stats["connections"]  # noqa: E731
        await asyncio.to_thread(wait_until, given_back, "idle connections are given back", deadline=60)
        assert (await send(channel, messages(20))).kinds == {"Delivered": 20}
        await channel.close()

    run(go())


def test_a_worn_connection_is_replaced_and_nobody_is_throttled(smtp):
    rig = smtp(settings={"concurrency": 1})

    async def go():
        channel = rig.channel()
        await send(channel, messages(3))
        rig.server.rule("mail", "421 4.7.0 enough on this connection", times=1)
        report = await send(channel, messages(3))
        await channel.close()
        return report

    assert run(go()).kinds == {"Delivered": 3}
    assert rig.server.stats["connections"] == 2


@pytest.mark.parametrize("pipelining", [True, False])
def test_a_servers_limit_of_connections_is_not_an_error(smtp, pipelining):
    rig = smtp(connections=2, pipelining=pipelining, settings={"concurrency": 10})

    async def go():
        channel = rig.channel()
        reports = await asyncio.gather(*(send(channel, messages(50)) for _ in range(3)))
        reports.append(await send(channel, messages(50)))
        await channel.close()
        return reports

    assert [report.kinds for report in run(go())] == [{"Delivered": 50}] * 4


@pytest.mark.parametrize("where", ["greeting", "mail", "message"])
def test_stop_releases_what_waits_while_the_server_is_silent(smtp, where):
    rig = smtp(settings={"connect_timeout": 60, "command_timeout": 60, "data_timeout": 60})
    rig.server.rule(where, "stall")
    wave, stop, most_released = messages(50), threading.Event(), asyncio.Event()
    report = Report(until=50 - 2 * 5, reached=most_released)

    async def go():
        channel = rig.channel()
        task = asyncio.create_task(channel.send(wave, report, stop))
        silent = lambda: rig.server.stats["faults"]  # noqa: E731
        await asyncio.to_thread(wait_until, silent, "the server is silent")
        stop.set()
        async with asyncio.timeout(30):  # half of what the channel waits for the server
            await most_released.wait()
        assert len(report.with_outcome(Released)) >= 50 - 2 * 5
        task.cancel()
        await asyncio.wait([task])
        await channel.close()

    run(go())
    report.assert_complete(wave)
    assert set(report.kinds) == (
        {"Released"}
        if where == "greeting"
        else {"Released", "Deferred"}
        if where == "mail"
        else {"Released", "Deferred", "Doubtful"}
    )


def test_an_error_inside_the_channel_leaves_no_message_without_outcome(smtp):
    rig = smtp()
    channel = rig.channel()
    built, wave = channel._mime.built, messages(40)
    poison = {wave[number].execution_id for number in (7, 20, 33)}

    async def broken(given):
        if given.execution_id in poison:
            raise RuntimeError("a bug")
        return await built(given)

    channel._mime.built = broken
    report = run(send_and_close(channel, wave))
    assert poison <= report.with_outcome(Deferred)
    assert (
        report.with_outcome(Delivered)
        <= set(rig.accepted())
        <= report.with_outcome(Delivered) | report.with_outcome(Doubtful)
    )
    assert {outcome.code for outcome in report.outcomes.values() if not isinstance(outcome, Delivered)} == {
        "CHANNEL_ERROR"
    }


@pytest.mark.parametrize("words", ["garbage", "220", "250-" * 10, "ä"])
def test_a_server_that_speaks_something_else_is_an_outcome(smtp, words):
    rig = smtp(settings={"concurrency": 1})
    rig.server.rule("mail", "999 x\r\n" + words)
    (outcome,) = outcomes(rig, messages(1))
    assert isinstance(outcome, (Rejected, Deferred))


def test_a_server_that_knows_no_ehlo_is_greeted_the_old_way(smtp):
    rig = smtp()
    rig.server.rule("ehlo", "502 5.5.1 what?", match="EHLO")
    assert [type(outcome) for outcome in outcomes(rig, messages(3))] == [Delivered] * 3


class TestTls:
    def test_starttls_and_tls_with_a_certificate_that_is_trusted(self, smtp, certificate):
        context, trusted = certificate
        for security, implicit in (("starttls", False), ("opportunistic", False), ("tls", True)):
            rig = smtp(
                tls=context,
                implicit_tls=implicit,
                settings={"security": security},
                credentials={"ca_certificates": trusted.read_text()},
            )
            assert [type(outcome) for outcome in outcomes(rig, messages(20))] == [Delivered] * 20
            assert implicit or rig.server.stats["tls"]

    def test_a_certificate_that_nobody_trusts(self, smtp, certificate):
        for security, implicit in (("starttls", False), ("tls", True)):
            rig = smtp(tls=certificate[0], implicit_tls=implicit, settings={"security": security})
            (outcome,) = outcomes(rig, messages(1))
            assert (type(outcome), outcome.code) == (Down, "SMTP_TLS")
            rig.settings["verify_certificate"] = False
            assert [type(outcome) for outcome in outcomes(rig, messages(1))] == [Delivered]

    def test_a_server_without_starttls_gets_nothing(self, smtp):
        rig = smtp(settings={"security": "starttls"})
        (outcome,) = outcomes(rig, messages(1))
        assert isinstance(outcome, Down)
        assert rig.accepted() == []

    def test_opportunistic_does_without(self, smtp):
        assert [
            type(outcome) for outcome in outcomes(smtp(settings={"security": "opportunistic"}), messages(1))
        ] == [Delivered]

    @pytest.mark.parametrize("security", ["none", "opportunistic"])
    def test_a_password_does_not_travel_in_the_open(self, security):
        given = {**SETTINGS, "host": "mail.x.org", "security": security}
        credentials = {"username": "muster", "password": SECRET}
        with pytest.raises(InvalidChannel) as error:
            registry.build("smtp", given, credentials)
        assert error.value.errors[0][0] == "settings.security"
        assert SECRET not in str(error.value)
        registry.build("smtp", {**given, "insecure_login": True}, credentials)


def test_bodies_need_no_eight_bit_transport(smtp):
    rig = smtp()
    outcomes(rig, [message(content=Content("é", "é" * 50, "<p>日本</p>" * 50))])
    assert rig.server.messages[0].raw.isascii()
    assert rig.messages[0].policy == SMTP
