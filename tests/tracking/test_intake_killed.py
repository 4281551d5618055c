"""`muster intake` as a process that is killed again and again: every event is in the database once."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pika
import pytest
from sqlalchemy import func, select

from engine.organizations import create_organization
from state.database import Database
from state.migrate import upgrade
from state.tables import Entity, TakenEvent
from tests.harness.process import Process
from tests.harness.rabbitmq import RabbitMQ
from tests.harness.waiting import patience, wait_until

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow

EVENTS, KILLS = 6000, 3


def test_every_event_is_taken_once_however_often_the_consumer_is_killed(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/muster.db"
    upgrade(url)
    database = Database(url)
    with database.begin() as session:
        create_organization(session, "acme")

    def taken() -> int:
        with database.read() as session:
            return int(session.scalar(select(func.count()).select_from(TakenEvent)) or 0)

    with RabbitMQ() as vhost, pika.BlockingConnection(pika.URLParameters(vhost.url)) as connection:
        channel = connection.channel()
        channel.queue_declare("events", durable=True)
        for number in range(EVENTS):
            entity = {"external_id": str(number)}
            event = {
                "id": str(number),
                "type": "entity.changed",
                "entity_schema": "contact",
                "entity": entity,
            }
            channel.basic_publish("", "events", json.dumps(event).encode())
        channel.basic_publish("", "events", b"{no json")
        environment = {
            "MUSTER_DATABASE_URL": url,
            "MUSTER_DATA_DIR": str(tmp_path),
            "MUSTER_ORG": "acme",
            "MUSTER_INTAKE": f"{vhost.url}?queue=events",
        }
        with Process("intake", directory=tmp_path, env=environment) as consumer:
            for _ in range(KILLS):
                before = taken()
                wait_until(lambda: taken() > before, "more events", deadline=patience(60))  # noqa: B023 - asked in this round
                consumer.kill()
                consumer.start()
            wait_until(lambda: taken() == EVENTS, "the last event", deadline=patience(120))
            dead = "events.dead"
            wait_until(
                lambda: channel.queue_declare(dead, passive=True).method.message_count == 1,
                "the one that is no JSON",
                deadline=patience(30),
            )
            consumer.terminate()
            assert consumer.wait(patience(60)) == 0
        assert channel.queue_declare("events", passive=True).method.message_count == 0
    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(Entity)) == EVENTS
    database.close()
