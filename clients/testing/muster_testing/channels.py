"""What every channel promises, whatever it speaks (engine.channels.port): a suite of tests to inherit.

A channel's test module says how its provider is made to fail, and inherits the suite:

    class TestChat(WireConformance):
        scenarios = frozenset(("healthy", "permanent", "down"))

        @pytest.fixture
        def rig(self): ...

`scenarios` are those its provider can be in; a `Rig` brings a provider into one of them. A channel that speaks to a
server inherits `WireConformance`, which adds what is to be said about doubt.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import Counter
from typing import TYPE_CHECKING, Any, ClassVar, Protocol
from uuid import UUID, uuid4

import pytest
import structlog
import uvloop

from engine.channels.port import Deferred, Delivered, Doubtful, Down, Outcome, Rejected, Throttled
from engine.content.message import Content, Message

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping, Sequence

    from engine.channels.port import Channel

__all__ = [
    "EXPECTED",
    "SECRET",
    "Conformance",
    "Report",
    "Rig",
    "WireConformance",
    "message",
    "messages",
    "run",
]

#: The password, token or key that a rig gives its channel, if the kind takes one. It must not show anywhere.
SECRET = "s3cret-of-the-channel"
#: What each scenario's messages end as.
EXPECTED: dict[str, tuple[type, ...]] = {
    "healthy": (Delivered,),
    "permanent": (Rejected,),
    "transient": (Deferred,),
    "throttled": (Throttled,),
    "down": (Down,),
    "reset": (Deferred, Down),
    "accepted_in_silence": (Doubtful,),
}
#: Those in which the provider has nothing afterwards.
EMPTY_HANDED = ("permanent", "transient", "throttled", "down", "reset")


class Rig(Protocol):
    """A channel and the provider it talks to."""

    def channel(self) -> Channel:
        """A fresh channel; made while no answer comes, its time-outs are short enough for a test."""
        ...

    def arrange(self, scenario: str) -> None:
        """Make the provider behave; `healthy` and `slow` (50 ms a message), too."""
        ...

    def accepted(self) -> list[UUID]:
        """The execution ids the provider took, in order."""
        ...

    def wave(self, count: int) -> list[Message]:
        """Messages for addresses of its kind; a rig without this gets mail."""
        ...


def run(work: Coroutine[Any, Any, Any]) -> Any:
    """On the loop that workers use."""
    return uvloop.run(work)


def message(address: str = "ada@x.org", **given: Any) -> Message:
    content = given.pop("content", Content("Hello", "Hello Ada", "<p>Hello Ada</p>"))
    return Message(
        given.pop("execution_id", None) or uuid4(),
        uuid4(),
        given.pop("campaign_id", CAMPAIGN),
        uuid4(),
        address,
        content,
        **given,
    )


CAMPAIGN = UUID("0195a000-0000-7000-8000-00000000000c")


def messages(count: int, rig: Any = None) -> list[Message]:
    """A wave: mail, or what the rig's kind takes."""
    if hasattr(rig, "wave"):
        return list(rig.wave(count))
    return [message(f"user{number}@x.org") for number in range(count)]


class Report:
    """Takes outcomes; a second one for the same message is an error."""

    def __init__(
        self,
        *,
        until: int | None = None,
        stop: threading.Event | None = None,
        reached: asyncio.Event | None = None,
    ) -> None:
        self.outcomes: dict[UUID, Outcome] = {}
        self._until = until
        self._stop = stop
        self._reached = reached

    def __call__(self, sent: Message, outcome: Outcome) -> None:
        assert sent.execution_id not in self.outcomes, "reported twice"
        self.outcomes[sent.execution_id] = outcome
        if len(self.outcomes) == self._until:
            for event in (self._stop, self._reached):
                if event is not None:
                    event.set()

    @property
    def kinds(self) -> Counter[str]:
        return Counter(type(outcome).__name__ for outcome in self.outcomes.values())

    def with_outcome(self, kind: type) -> set[UUID]:
        return {key for key, outcome in self.outcomes.items() if isinstance(outcome, kind)}

    def assert_complete(self, sent: Sequence[Message]) -> None:
        assert self.outcomes.keys() == {item.execution_id for item in sent}


async def send(channel: Channel, wave: Sequence[Message], *, stop: threading.Event | None = None) -> Report:
    report = Report()
    await channel.send(wave, report, stop or threading.Event())
    report.assert_complete(wave)
    return report


async def send_and_close(channel: Channel, wave: Sequence[Message], **options: Any) -> Report:
    try:
        return await send(channel, wave, **options)
    finally:
        await channel.close()


#: What no importer should have let in.
ODD: tuple[dict[str, Any], ...] = (
    {},
    {"email": None},
    {"email": 7, "phone": 1.5},
    {"email": [[], {}], "phone": {"a": []}},
    {"email": {"email": []}},
    {"email": "\ud800@x.org", "phone": "\x00"},
    {"e-mail": "a" * 9000, "email": True},
    {"": "", "Email": ["", None]},
)


class Conformance:
    """The suite. Scenarios beyond `healthy` are the inheriting class's choice."""

    scenarios: ClassVar[frozenset[str]] = frozenset(EXPECTED)
    """Those its provider can be in; each is a test."""
    expected: ClassVar[Mapping[str, tuple[type, ...]]] = EXPECTED
    """What each scenario's messages end as."""
    asks: ClassVar[bool] = True
    """Its provider can be asked whether it is there without sending."""

    def pytest_generate_tests(self, metafunc):
        if "scenario" in metafunc.fixturenames:
            metafunc.parametrize("scenario", sorted(metafunc.cls.scenarios))

    @pytest.fixture(autouse=True)
    def nothing_shows_the_secret(self, caplog, capsys):
        """However a test ends, no log and no output holds the secret."""
        caplog.set_level(logging.DEBUG)
        with structlog.testing.capture_logs() as logged:
            yield
        shown = capsys.readouterr()
        assert SECRET not in f"{logged}{caplog.text}{shown.out}{shown.err}"

    def test_every_message_has_the_one_outcome_that_the_provider_caused(self, rig, scenario):
        rig.arrange(scenario)
        report = run(send_and_close(rig.channel(), messages(25, rig)))
        assert all(isinstance(outcome, self.expected[scenario]) for outcome in report.outcomes.values()), (
            report.kinds
        )
        if scenario in EMPTY_HANDED:
            assert rig.accepted() == []
        if scenario == "healthy":
            assert sorted(rig.accepted()) == sorted(report.outcomes)
        for outcome in report.outcomes.values():
            assert SECRET not in repr(outcome)
            assert getattr(outcome, "code", "X").isupper()

    def test_a_provider_that_recovered_is_used_again(self, rig, scenario):
        async def go():
            rig.arrange(scenario)
            channel = rig.channel()
            rig.arrange("healthy")
            await send(channel, messages(2, rig))
            rig.arrange(scenario)
            await send(channel, messages(5, rig))
            rig.arrange("healthy")
            report = await send(channel, messages(5, rig))
            await channel.close()
            return report

        assert run(go()).kinds == {"Delivered": 5}

    def test_several_waves_at_once_share_the_channel(self, rig):
        waves = [messages(30, rig) for _ in range(4)]

        async def go():
            channel = rig.channel()
            reports = await asyncio.gather(*(send(channel, wave) for wave in waves))
            await channel.close()
            return reports

        assert [report.kinds for report in run(go())] == [{"Delivered": 30}] * 4
        assert len(set(rig.accepted())) == len(rig.accepted()) == 120

    def test_an_empty_wave_is_no_trouble(self, rig):
        assert run(send_and_close(rig.channel(), [])).outcomes == {}

    def test_nothing_is_started_once_stop_is_set(self, rig):
        stop = threading.Event()
        stop.set()
        report = run(send_and_close(rig.channel(), messages(20, rig), stop=stop))
        assert report.kinds == {"Released": 20}
        assert rig.accepted() == []

    def test_stop_in_the_middle_releases_what_was_not_started(self, rig):
        wave = messages(100, rig)
        stop = threading.Event()
        report = Report(until=5, stop=stop)

        async def go():
            channel = rig.channel()
            rig.arrange("slow")
            await channel.send(wave, report, stop)
            await channel.close()

        run(go())
        report.assert_complete(wave)
        assert set(report.kinds) <= {"Delivered", "Released"}
        assert report.with_outcome(Delivered) == set(rig.accepted())

    def test_a_cancelled_wave_leaves_no_message_without_outcome(self, rig):
        wave = messages(60, rig)
        reached = asyncio.Event()
        report = Report(until=5, reached=reached)

        async def go():
            channel = rig.channel()
            rig.arrange("slow")
            task = asyncio.create_task(channel.send(wave, report, threading.Event()))
            await reached.wait()
            task.cancel()
            await asyncio.wait([task], timeout=60)
            report.assert_complete(wave)
            await channel.close()

        run(go())
        delivered, doubtful = report.with_outcome(Delivered), report.with_outcome(Doubtful)
        assert set(report.kinds) <= {"Delivered", "Doubtful", "Deferred", "Released"}
        assert delivered <= set(rig.accepted()) <= delivered | doubtful

    def test_check_says_what_is_wrong_and_only_then(self, rig):
        async def go():
            channel = rig.channel()
            well = await channel.check()
            ill = None
            if asks:
                rig.arrange("down")
                ill = await channel.check()
            await channel.close()
            return well, ill

        asks = self.asks and "down" in self.scenarios
        well, ill = run(go())
        assert well is None
        assert not asks or (ill and SECRET not in ill)

    def test_a_channel_that_is_closed_under_way_finishes_what_it_has(self, rig):
        """That is what happens when an operator changes it."""
        wave = messages(40, rig)
        reached = asyncio.Event()
        report = Report(until=1, reached=reached)

        async def go():
            channel = rig.channel()
            rig.arrange("slow")
            task = asyncio.create_task(channel.send(wave, report, threading.Event()))
            await reached.wait()
            await channel.close()
            await task
            rig.arrange("healthy")
            after = await send(channel, messages(3, rig))  # the slice's next wave
            await channel.close()
            return after

        after = run(go())
        assert (report.kinds, after.kinds) == ({"Delivered": 40}, {"Delivered": 3})

    def test_closing_twice_is_no_trouble(self, rig):
        async def go():
            channel = rig.channel()
            await send(channel, messages(3, rig))
            await channel.close()
            await channel.close()

        run(go())

    def test_its_secret_does_not_show_in_its_representation(self, rig):
        assert SECRET not in repr(rig.channel())
        assert SECRET not in str(vars(rig.channel()))

    def test_it_says_how_doubt_is_resolved(self, rig):
        assert rig.channel().doubt_policy in ("resend", "hold")
        assert rig.channel().kind

    @pytest.mark.parametrize("attributes", ODD)
    def test_whatever_an_entity_holds_it_has_an_address_or_none(self, rig, attributes):
        address = rig.channel().address_of({**attributes, "_id": "0195a000-0000-7000-8000-00000000000e"})
        assert address is None or (isinstance(address, str) and address)


class WireConformance(Conformance):
    """For channels that speak to a server: what silence means, and what comes after it."""

    def test_a_message_sent_again_is_recognisable(self, rig):
        """Accepted, and no answer: in doubt. Sent again, it comes under the same id."""
        (sent,) = messages(1, rig)

        async def go():
            rig.arrange("accepted_in_silence")
            channel = rig.channel()
            first = await send(channel, [sent])
            rig.arrange("healthy")
            second = await send(channel, [sent])
            await channel.close()
            return first, second

        first, second = run(go())
        assert (first.kinds, second.kinds) == ({"Doubtful": 1}, {"Delivered": 1})
        assert rig.accepted() == [sent.execution_id, sent.execution_id]

    def test_a_provider_that_is_down_is_not_asked_for_each_message(self, rig):
        channel = rig.channel()
        rig.arrange("down")
        report = run(send_and_close(channel, messages(100, rig)))
        assert report.kinds == {"Down": 100}
        assert len({repr(outcome) for outcome in report.outcomes.values()}) == 1
