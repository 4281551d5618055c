"""From a file of contacts to one recorded outcome each: in production form over Redis and RabbitMQ, and embedded.

In PostgreSQL a trigger of the test's own writes down every status that the job has, because some last for less time
than a poll.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

import httpx
import pytest

from config.settings import Settings
from tests.acceptance.client import signed_in
from tests.acceptance.embedded import Dev
from tests.acceptance.samples import Customers, customers
from tests.harness.account import account
from tests.harness.providers import SmtpSink
from tests.harness.rabbitmq import RabbitMQ
from tests.harness.seeds import smtp_settings
from tests.harness.stack import Stack
from tests.harness.waiting import patience, wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.acceptance.client import Client
    from tests.harness.journal import Journal

pytestmark = pytest.mark.slow

#: Of a worker process, by default; what it has on the wire at most is the product.
WAVE: int = Settings.model_fields["wave_size"].default
THREADS: int = Settings.model_fields["worker_threads"].default

_SUBJECT = "Hello {{ first_name }} {{ last_name }}"
_DIARY = """
CREATE TABLE diary (number serial, status text);
CREATE FUNCTION note() RETURNS trigger AS $$
    BEGIN INSERT INTO diary (status) VALUES (NEW.status); RETURN NEW; END $$ LANGUAGE plpgsql;
CREATE TRIGGER note_new AFTER INSERT ON job FOR EACH ROW EXECUTE FUNCTION note();
CREATE TRIGGER note_moved AFTER UPDATE OF status ON job FOR EACH ROW
    WHEN (OLD.status <> NEW.status) EXECUTE FUNCTION note();
"""


def draft(client: Client, people: Customers, sink: SmtpSink) -> tuple[str, dict[str, str]]:
    """A campaign to the people of some countries; its id, and who is to get it."""
    parameters = {"external_id": "Customer Id", "title": "{First Name} {Last Name}"}
    imported = client.import_csv("contact", people.text, **parameters)
    assert (imported["created"], imported["errors"]) == (len(people.rows), [])
    countries = people.first_countries(0.3)
    expected = people.of(*countries)
    target = client.target("contact", {"key": "Country", "operator": "IS_ONE_OF", "value": countries})
    assert client.ask("POST", f"/v1/target/{target}:count") == {"count": len(expected)}
    channel = client.make("channel", name="mail", kind="smtp", settings=smtp_settings(sink.port))
    campaign = client.campaign(
        target, channel, subject=_SUBJECT, text="Dear {{ first_name }},", html="<p>Dear {{ first_name }},</p>"
    )
    return campaign, expected


def check_journal(journal: Journal, expected: dict[str, str], public_url: str) -> None:
    """One message per recipient, with an id, a name and links of its own."""
    sent = [message.entry for message in journal.sent()]
    assert {entry["rcpt"]: entry["subject"] for entry in sent} == {
        address: f"Hello {name}" for address, name in expected.items()
    }
    assert len(sent) == len(expected)
    assert len({entry["message_id"] for entry in sent}) == len(sent)
    links = {entry["list_unsubscribe"] for entry in sent}
    assert len(links) == len(sent)
    assert all(link.startswith(f"<{public_url}/u/") for link in links)
    assert {entry["list_unsubscribe_post"] for entry in sent} == {"List-Unsubscribe=One-Click"}


def check_diary(stack: Stack) -> None:
    with stack.postgres.connect() as connection:
        noted = [row[0] for row in connection.execute("SELECT status FROM diary ORDER BY number")]
    assert noted == ["queued", "processing", "send_report", "finished"]


def deliver(stack: Stack, client: Client, people: Customers) -> tuple[str, dict[str, str]]:
    """Activate while nobody works, then let two workers work; the campaign and who got it."""
    assert stack.smtp is not None
    campaign, expected = draft(client, people, stack.smtp)
    with stack.postgres.connect() as connection:
        connection.execute(_DIARY)
    assert client.change_status(campaign)["status"] == "activating"
    assert client.job(campaign)["status"] == "queued"
    stack.wait_started(stack.begin_worker(), stack.begin_worker())
    wait_until(
        lambda: client.job(campaign)["status"] != "queued", "the job is begun", deadline=30, interval=0.01
    )
    job = client.finish(campaign)
    assert {name: count for name, count in job["execution_counts"].items() if count} == {
        "success": len(expected)
    }
    assert {one["execution_status"] for one in job["execution_summary"]} == {"success"}
    assert client.ask("GET", f"/v1/campaign/{campaign}")["state"] == "completed"
    check_diary(stack)
    check_journal(stack.smtp.journal, expected, stack.api_url)
    stack.account(UUID(campaign), expected=len(expected)).assert_whole()
    return campaign, expected


@pytest.mark.services
def test_over_redis(tmp_path: Path) -> None:
    with Stack(tmp_path, workers=0, api=True) as stack, signed_in(stack) as client:
        assert stack.smtp is not None
        campaign, expected = deliver(stack, client, customers())
        gone = stack.smtp.journal.sent()[0].entry
        unsubscribe(gone["list_unsubscribe"].strip("<>"))
        again = client.ask("GET", f"/v1/campaign/{campaign}")
        second = client.make(
            "campaign", name="second", target_ids=again["target_ids"], flow_id=again["flow_id"]
        )
        client.change_status(second, "active")
        counts = client.finish(second)["execution_counts"]
        assert (counts["success"], counts["cancelled"]) == (len(expected) - 1, 1)
        assert gone["rcpt"] not in {
            message.entry["rcpt"] for message in stack.smtp.journal.sent()[len(expected) :]
        }


def unsubscribe(link: str) -> None:
    """What a mail program does when its user wants no more (RFC 8058)."""
    answer = httpx.post(link, data={"List-Unsubscribe": "One-Click"}, timeout=patience(60))
    assert answer.is_success, answer.text


@pytest.mark.services
def test_over_rabbitmq(tmp_path: Path) -> None:
    with (
        RabbitMQ() as rabbitmq,
        Stack(tmp_path, workers=0, api=True, env={"MUSTER_BROKER_URL": rabbitmq.url}) as stack,
        signed_in(stack) as client,
    ):
        stack.redis.kill()  # nobody needs it
        deliver(stack, client, customers())


def test_embedded_and_killed_in_the_middle(tmp_path: Path) -> None:
    """The database knows what was due: nobody is lost, and twice goes only what was on the wire."""
    people = customers()
    with (
        SmtpSink(tmp_path, "smtp", "--latency", "0.01") as sink,
        Dev(tmp_path, MUSTER_LEASE="2", MUSTER_SWEEP_INTERVAL="0.5") as dev,
    ):
        campaign, expected = draft(dev.client, people, sink)
        dev.client.change_status(campaign, "active")
        for share in (0.2, 0.5):
            wait_for_sent(sink.journal, int(share * len(expected)))
            dev.process.kill()
            dev.start()
        dev.client.finish(campaign)
        found = account(dev.database, sink.journal, campaign_id=UUID(campaign), expected=len(expected))
        found.assert_whole(duplicated=2 * WAVE * THREADS)
        assert found.statuses == {"success": len(expected)}
        assert {sent.entry["rcpt"] for sent in sink.journal.sent()} == set(expected)


def wait_for_sent(journal: Journal, wanted: int) -> None:
    wait_until(lambda: len(journal.sent()) >= wanted, f"{wanted} messages are sent", deadline=60)
