"""`muster intake` over real brokers: each event once, dead letters with their reason, and outages of either side."""

from __future__ import annotations

import asyncio
import json
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Protocol
from uuid import uuid4

import nats
import pika
import pytest
import redis
from sqlalchemy import func, select
from sqlalchemy.exc import OperationalError

from engine.answers.classify import classifier_of
from engine.inbound.ingest import take_events
from engine.inbound.intake import intake as module
from engine.inbound.intake.connect_source import connect_source
from engine.inbound.intake.intake import Intake
from engine.inbound.intake.jetstream import JetStream
from engine.inbound.intake.redis_streams import RedisStream
from engine.inbound.intake.source import SourceAway, SourceMisnamed
from engine.organizations import create_organization
from state.tables import Entity, TakenEvent
from tests.conftest import REDIS
from tests.harness.ports import free_port
from tests.harness.rabbitmq import RabbitMQ
from tests.harness.waiting import patience
from tests.servers import nats as nats_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from uuid import UUID

    from engine.inbound.intake.source import Source
    from tests.api.conftest import Api


class Broker(Protocol):
    """A queue of the test's own."""

    url: str

    def publish(self, *bodies: bytes, **headers: str) -> None: ...

    def dead(self) -> list[tuple[bytes, str]]: ...

    def left(self) -> int:
        """Messages that nobody finished."""
        ...

    def source(self) -> Source:
        """A consumer that takes over at once what another one did not finish."""
        ...


class Redis:
    def __init__(self) -> None:
        self.stream = f"events-{uuid4().hex[:8]}"
        self.url = f"{REDIS}?stream={self.stream}"
        self.client = redis.Redis.from_url(REDIS)

    def publish(self, *bodies: bytes, **headers: str) -> None:
        with self.client.pipeline() as pipeline:
            for body in bodies:
                fields: Any = {"body": body, **headers}
                pipeline.xadd(self.stream, fields)
            pipeline.execute()

    def dead(self) -> list[tuple[bytes, str]]:
        entries: Any = self.client.xrange(f"{self.stream}.dead")
        return [(fields[b"body"], fields[b"reason"].decode()) for _, fields in entries]

    def left(self) -> int:
        [group] = self.client.xinfo_groups(self.stream)
        return int(group["pending"]) + int(group["lag"])

    def source(self) -> Source:
        return RedisStream(self.url, idle=timedelta(0))

    def close(self) -> None:
        self.client.delete(self.stream, f"{self.stream}.dead")
        self.client.close()


class Rabbit:
    def __init__(self, vhost: RabbitMQ) -> None:
        self.queue = f"events-{uuid4().hex[:8]}"
        self.url = f"{vhost.url}?queue={self.queue}"
        self.connection = pika.BlockingConnection(pika.URLParameters(vhost.url))
        self.channel = self.connection.channel()
        self.channel.queue_declare(self.queue, durable=True)

    def publish(self, *bodies: bytes, **headers: str) -> None:
        for body in bodies:
            self.channel.basic_publish("", self.queue, body, pika.BasicProperties(headers=dict(headers)))

    def dead(self) -> list[tuple[bytes, str]]:
        found = []
        while (got := self.channel.basic_get(f"{self.queue}.dead", auto_ack=True))[0] is not None:
            found.append((got[2], str(got[1].headers["x-reason"])))
        return found

    def left(self) -> int:
        """Also of those that are unacknowledged: the connection of their consumer has ended."""
        return int(self.channel.queue_declare(self.queue, passive=True).method.message_count)

    def source(self) -> Source:
        return connect_source(self.url)

    def close(self) -> None:
        self.connection.close()


class Nats:
    def __init__(self, server: nats_server.NatsServer) -> None:
        self.name = f"events{uuid4().hex[:8]}"
        self.url = f"{server.url}?stream={self.name}"
        self.loop = asyncio.new_event_loop()
        self.connection = self.run(nats.connect(server.url))
        self.streams = self.connection.jetstream()
        self.run(self.streams.add_stream(name=self.name, subjects=[self.name]))

    def run(self, work: Any) -> Any:
        return self.loop.run_until_complete(work)

    def publish(self, *bodies: bytes, **headers: str) -> None:
        for body in bodies:
            self.run(self.streams.publish(self.name, body, headers=headers or None))

    def dead(self) -> list[tuple[bytes, str]]:
        count = self.run(self.streams.stream_info(f"{self.name}-dead")).state.messages
        found = [self.run(self.streams.get_msg(f"{self.name}-dead", one)) for one in range(1, count + 1)]
        return [(one.data or b"", one.headers["Reason"]) for one in found]

    def left(self) -> int:
        info = self.run(self.streams.consumer_info(self.name, "muster"))
        return int(info.num_pending + info.num_ack_pending)

    def source(self) -> Source:
        return JetStream(self.url, ack_seconds=0.2)

    def close(self) -> None:
        self.run(self.connection.close())
        self.loop.close()


@pytest.fixture(scope="module")
def vhost() -> Iterator[RabbitMQ]:
    with RabbitMQ() as vhost:
        yield vhost


@pytest.fixture(scope="module")
def nats_with_streams(tmp_path_factory: pytest.TempPathFactory) -> Iterator[nats_server.NatsServer]:
    if not nats_server.is_installed():
        pytest.skip("NATS is not installed (Debian: nats-server)")
    with nats_server.NatsServer(tmp_path_factory.mktemp("nats")) as server:
        yield server


@pytest.fixture(params=["redis", "rabbitmq", "nats"])
def broker(request: pytest.FixtureRequest) -> Iterator[Broker]:
    made: Redis | Rabbit | Nats
    if request.param == "redis":
        made = Redis()
    elif request.param == "rabbitmq":
        made = Rabbit(request.getfixturevalue("vhost"))
    else:
        made = Nats(request.getfixturevalue("nats_with_streams"))
    yield made
    made.close()


def changed(key: str, **attributes: Any) -> dict[str, Any]:
    entity = {"external_id": key, **attributes}
    return {"id": f"evt-{key}", "type": "entity.changed", "entity_schema": "contact", "entity": entity}


def encoded(*events: Any) -> list[bytes]:
    return [json.dumps(event).encode() for event in events]


@contextmanager
def consumer(api: Api, broker: Broker, org_id: UUID | None = None) -> Iterator[Callable[[int], None]]:
    """Takes until so many events came."""
    source = broker.source()
    intake = Intake(api.runtime, org_id or api.org_id, source)

    def take(count: int) -> None:
        while count > 0:
            count -= intake.take(patience(5))
        assert count == 0

    yield take
    source.close()


def keys(api: Api, org_id: UUID | None = None) -> list[str | None]:
    with api.database.read() as session:
        query = select(Entity.external_id).where(Entity.org_id == (org_id or api.org_id))
        return sorted(session.scalars(query), key=str)


def taken(api: Api) -> int:
    with api.database.read() as session:
        return int(session.scalar(select(func.count()).select_from(TakenEvent)) or 0)


def test_events_are_taken_once_and_off_the_queue(api: Api, broker: Broker) -> None:
    broker.publish(*encoded(changed("a"), [changed("b"), changed("c")], changed("a")))
    with consumer(api, broker) as take:
        take(4)
        assert keys(api) == ["a", "b", "c"]
        broker.publish(*encoded(changed("b"), changed("d")))
        take(2)
    assert (keys(api), taken(api), broker.left()) == (["a", "b", "c", "d"], 4, 0)


def test_what_a_killed_consumer_had_goes_to_another_one_once(api: Api, broker: Broker) -> None:
    broker.publish(*encoded(*(changed(str(number)) for number in range(20))))
    source = broker.source()
    received: Sequence[Any] = ()
    while len(received) < 20:  # it reads, commits, and is gone before it says so
        received = [*received, *source.receive(20, patience(2))]
    with api.runtime.transaction() as session:
        events = [json.loads(one.body) for one in received[:10]]
        take_events(session, api.org_id, events, classifier_of(None))
    source.close()
    with consumer(api, broker) as take:
        take(20)
    assert len(keys(api)) == taken(api) == 20
    assert broker.left() == 0


def test_what_cannot_be_used_is_among_the_dead_letters_alone(api: Api, broker: Broker) -> None:
    wrong = {**changed("x"), "type": "entity.chnaged"}
    broker.publish(b"{nonsense", b"[" + b"1," * 1000 + b"1]", b"")
    broker.publish(*encoded([changed("a"), wrong, changed("b")], changed("c")))
    with consumer(api, broker) as take:
        take(4)
    assert (keys(api), broker.left()) == (["a", "b", "c"], 0)
    dead = broker.dead()
    assert [body for body, _ in dead if b"chnaged" in body] == [
        json.dumps(wrong, separators=(",", ":")).encode()
    ]
    reasons = sorted(reason for _, reason in dead)
    assert len(reasons) == 4
    assert "did you mean 'entity.changed'" in "".join(reasons)
    assert sum("is no JSON" in reason for reason in reasons) == 2
    assert any("at most 1000" in reason for reason in reasons)


def test_cloud_events_in_headers(api: Api, broker: Broker) -> None:
    attributes = {"specversion": "1.0", "id": "1", "source": "/crm", "type": "com.example.entity.changed"}
    event = changed("a")
    data = {"entity_schema": event["entity_schema"], "entity": event["entity"]}
    broker.publish(*encoded(data), **{f"ce-{name}": value for name, value in attributes.items()})
    broker.publish(*encoded({**attributes, "data": data}))
    with consumer(api, broker) as take:
        take(2)
    assert (keys(api), taken(api)) == (["a"], 1)


def test_another_organization_gets_nothing(api: Api, broker: Broker) -> None:
    with api.database.begin() as session:
        other = create_organization(session, "other").id
    broker.publish(*encoded(changed("a")))
    with consumer(api, broker, other) as take:
        take(1)
    assert (keys(api), keys(api, other)) == ([], ["a"])


def test_while_the_database_is_away_the_batch_waits(
    api: Api, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_PAUSE", 0.001)
    attempts = []

    def away(*args: Any) -> Any:
        attempts.append(args)
        if len(attempts) < 4:
            raise OperationalError("INSERT", {}, Exception("the connection was closed"))
        return take_events(*args)

    monkeypatch.setattr(module, "take_events", away)
    broker.publish(*encoded(changed("a")))
    with consumer(api, broker) as take:
        take(1)
    assert (keys(api), len(attempts), broker.left()) == (["a"], 4, 0)


def test_a_fault_of_ours_puts_aside_what_it_is_about(
    api: Api, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(session: Any, org_id: UUID, items: Sequence[Any], classifier: Any) -> Any:
        if any(item["id"] == "evt-b" for item in items):
            raise RuntimeError("broken")
        return take_events(session, org_id, items, classifier)

    monkeypatch.setattr(module, "take_events", broken)
    broker.publish(*encoded(changed("a"), changed("b"), changed("c")))
    with consumer(api, broker) as take:
        take(3)
    assert (keys(api), broker.left()) == (["a", "c"], 0)
    [(body, reason)] = broker.dead()
    assert (json.loads(body)["id"], reason) == ("evt-b", "a fault of Muster's own: RuntimeError")


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("redis://127.0.0.1/0", "stream= is missing"),
        ("redis://127.0.0.1/0?stream=a&steam=b", r"\?steam= is unknown"),
        ("amqp://127.0.0.1/", "queue= is missing"),
        ("nats://127.0.0.1", "stream= is missing"),
        ("kafka://127.0.0.1?topic=a", "'kafka' is none of"),
        ("events", "'events' is none of"),
    ],
)
def test_an_address_that_is_none_is_refused(url: str, reason: str) -> None:
    with pytest.raises(SourceMisnamed, match=reason):
        connect_source(url)


@pytest.mark.parametrize("scheme", ["redis://{}?stream=a", "amqp://{}/?queue=a", "nats://{}?stream=a"])
def test_a_broker_that_is_not_there_is_away(scheme: str) -> None:
    source = connect_source(scheme.format(f"127.0.0.1:{free_port()}"))
    with pytest.raises(SourceAway):
        source.receive(1, 0.1)
    source.close()
    source.close()
