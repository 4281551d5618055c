"""One conformance suite for every way a wake-up travels: Redis, RabbitMQ, and the Redis inside the process."""

from __future__ import annotations

from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
import redis
from dramatiq import Worker

from actors import registry
from actors.broker import connect as connect_broker
from actors.middleware import standard
from config.settings import EMBEDDED
from engine.kernel.commands import COMMANDS, QUEUES, Activate, Execute, Sweep
from engine.kernel.connect_wakeups import connect
from engine.kernel.redis_wakeups import redis_client
from engine.kernel.wakeups import WakeupError
from tests.conftest import REDIS, missing_service
from tests.harness.rabbitmq import RabbitMQ

if TYPE_CHECKING:
    from collections.abc import Iterator

    from engine.kernel.commands import Command


@pytest.fixture(params=["redis", "rabbitmq", "embedded"])
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    if request.param == "embedded":
        redis_client(EMBEDDED, give_up=1).flushall()
        yield EMBEDDED
    elif request.param == "redis":
        client = redis.Redis.from_url(REDIS)
        try:
            client.flushdb()
        except redis.ConnectionError as error:
            missing_service("Redis", error)
        yield REDIS
        client.flushdb()
        client.close()
    else:
        with RabbitMQ() as rabbitmq:
            yield rabbitmq.url


@pytest.fixture
def received(url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[SimpleQueue[Command]]:
    """What a running worker is handed."""
    inbox: SimpleQueue[Command] = SimpleQueue()
    for command in registry.ACTORS:
        monkeypatch.setitem(registry.ACTORS, command, lambda _, received: inbox.put(received))
    broker = connect_broker(url, standard())
    registry.register(broker, None)  # type: ignore[arg-type]
    worker = Worker(broker, worker_threads=2, worker_timeout=50)
    worker.start()
    yield inbox
    worker.stop()
    broker.close()


def test_every_command_arrives_as_it_was_sent(url: str, received: SimpleQueue[Command]) -> None:
    wakeups = connect(url)
    sent: list[Command] = [
        command(**{name: 7 if name == "number" else uuid4() for name in command.model_fields})
        for command in COMMANDS
    ]
    wakeups.send(sent)
    got = [received.get(timeout=10) for _ in sent]
    assert sorted(map(repr, sent)) == sorted(map(repr, got))
    wakeups.close()
    wakeups.close()


def test_many_in_one_call_all_arrive(url: str, received: SimpleQueue[Command]) -> None:
    wakeups = connect(url)
    ids = {"org_id": uuid4(), "job_id": uuid4()}
    wakeups.send([Execute(**ids, number=number) for number in range(500)])
    assert set(range(500)) == {received.get(timeout=10).number for _ in range(500)}  # type: ignore[attr-defined]
    with pytest.raises(Empty):
        received.get_nowait()
    wakeups.close()


def test_a_payload_that_is_no_command_is_dropped_and_the_next_one_arrives(
    url: str, received: SimpleQueue[Command]
) -> None:
    class Wrong(Activate):
        nonsense: str = "x"

    wakeups = connect(url)
    ids = {"org_id": uuid4(), "job_id": uuid4()}
    wakeups.send([Wrong(**ids), Activate(**ids)])
    assert Activate(**ids) == received.get(timeout=10)
    wakeups.close()


@pytest.mark.parametrize("nowhere", ["redis://127.0.0.1:1/0", "amqp://guest:guest@127.0.0.1:1/"])
def test_a_broker_that_is_away_says_so_at_once(nowhere: str) -> None:
    wakeups = connect(nowhere)
    with pytest.raises(WakeupError, match="did not take 1 wake-ups"):
        wakeups.send([Sweep()])
    wakeups.close()


def test_queues_are_by_purpose() -> None:
    """Documented names: producers in other code bases rely on them."""
    assert ("activation", "delivery", "reports", "webhooks") == QUEUES
    assert {command.actor for command in COMMANDS} == {
        "activate",
        "cancel",
        "distribute",
        "execute",
        "notify",
        "report",
        "retrigger",
        "run_dry",
        "sweep",
    }
