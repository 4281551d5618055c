"""Real workers over real channels: what becomes of silence, of being told to wait, and of what a template says."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from tests.channels.house import House
from tests.channels.test_http import HttpRig
from tests.channels.test_sms import TwilioRig
from tests.channels.test_whatsapp import WhatsAppRig


@pytest.fixture
def house(database, org_id, tmp_path):
    houses = []

    def of(rig):
        houses.append(House(database, org_id, rig, tmp_path))
        return houses[-1]

    yield of
    for one in houses:
        one.close()


def test_an_api_that_kept_silent_is_asked_again_with_the_same_key(provider, house):
    rig = HttpRig(provider("http"))
    one = house(rig)
    one.deliver("accepted_in_silence", doubt="resend", max_attempts=3)
    assert one.bench.statuses() == {"pending": 3}
    rig.arrange("healthy")
    one.bench.run_out(step=60)
    assert one.bench.statuses() == {"success": 3}
    keys = Counter(taken["headers"]["idempotency-key"] for taken in rig.provider.taken)
    assert sorted(keys.values()) == [2, 2, 2]
    bodies = {(taken["headers"]["idempotency-key"], taken["text"]) for taken in rig.provider.taken}
    assert len(bodies) == 3, "each repeat says the same"


def test_an_sms_that_may_have_been_sent_is_not_sent_again(provider, house):
    rig = TwilioRig(provider("twilio"))
    one = house(rig)
    one.deliver("accepted_in_silence", doubt="hold", max_attempts=3)
    rig.arrange("healthy")
    one.bench.run_out(step=600)
    assert one.bench.statuses() == {"failed": 3}
    assert {row.error_code for row in one.bench.recipients().values()} == {"OUTCOME_UNKNOWN"}
    assert len(rig.provider.taken) == 3


def test_a_provider_that_asks_for_patience_gets_it_and_everybody_is_served(provider, house):
    rig = HttpRig(provider("http"))
    one = house(rig)
    job_id = one.deliver("throttled", max_attempts=1)
    assert one.bench.statuses() == {"pending": 3}
    waits_until = one.bench.job(job_id).waits_until
    assert waits_until is not None
    assert waits_until > one.bench.database.clock.now()
    rig.arrange("healthy")
    one.bench.run_out(step=60)
    assert one.bench.statuses() == {"success": 3}, "being throttled costs nobody an attempt"


def test_a_template_of_whatsapps_is_filled_for_each_recipient(provider, house):
    rig = WhatsAppRig(provider("whatsapp"))
    one = house(rig)
    template = {"name": "hello", "language": "en", "body": ["{{ email }}"]}
    one.deliver("healthy", data={"whatsapp": {"template": template}})
    assert one.bench.statuses() == {"success": 3}
    said = [json.loads(taken["text"])["components"] for taken in rig.provider.taken]
    assert sorted(component[0]["parameters"][0]["text"] for component in said) == [
        "p0@example.com",
        "p1@example.com",
        "p2@example.com",
    ]
