"""Actions: HTTP requests as touchpoints, against a real server that fails as it is told."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from engine.delivery.sender import Senders
from engine.kernel.secrets import Secrets, channel_place
from state.tables import Channel
from tests.delivery.accounts import check, sent_at
from tests.harness.providers import HttpProvider

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.delivery.kit import Bench


@pytest.fixture
def provider(tmp_path: Path, bench: Bench) -> Iterator[HttpProvider]:
    bench.senders.real = Senders(bench.settings, bench.loop, bench.database)
    with HttpProvider(tmp_path) as provider:
        yield provider
    bench.senders.real.close()


def action(provider: HttpProvider) -> dict[str, Any]:
    body = {"who": "{{ _id }}", "name": "{{ _title }}"}
    return {"type": "action", "settings": {"url": provider.url, "method": "POST", "body": body}}


def test_an_action_is_made_once_for_everybody_on_the_way(bench: Bench, provider: HttpProvider) -> None:
    people = bench.entities(12)
    campaign = bench.campaign()
    first, request, last = bench.sequence(campaign, {}, action(provider), {})
    bench.activate(campaign)
    bench.run_out()
    assert {"success": 12} == bench.statuses()
    assert Counter(people) == sent_at(bench, first) == sent_at(bench, last)
    assert {1} == set(provider.journal.deliveries().values())
    assert 12 == len(provider.journal.deliveries())
    assert {first: (12, 0, 0), request: (12, 0, 0), last: (12, 0, 0)} == check(bench, campaign)


def test_an_action_makes_the_request_of_the_channel_that_it_names(
    bench: Bench, provider: HttpProvider
) -> None:
    """With the channel's credentials, which the flow does not hold."""
    people = bench.entities(4)
    campaign = bench.campaign()
    body = {"who": "{{ _id }}", "token": "{{ secrets.token }}"}
    channel_id = bench.second_channel("http", settings={"url": provider.url, "body": body})
    with bench.database.begin() as session:
        row = session.get_one(Channel, channel_id)
        secrets = Secrets.of(bench.settings)
        row.credentials = secrets.seal({"secrets": {"token": "t0ken"}}, channel_place(channel_id))
    _, request = bench.sequence(campaign, {}, {"type": "action", "channel_id": channel_id})
    bench.activate(campaign)
    bench.run_out()
    assert {"success": 4} == bench.statuses()
    assert 4 == len(provider.journal.deliveries())
    assert (4, 0, 0) == check(bench, campaign)[request]
    sent = [json.loads(sent.entry["body"]) for sent in provider.journal.sent()]
    assert sorted(map(str, people)) == sorted(body["who"] for body in sent)
    assert {"t0ken"} == {body["token"] for body in sent}


def test_an_action_reaches_no_address_that_is_not_allowed(bench: Bench, provider: HttpProvider) -> None:
    """A name was not looked at when it was written; the address that it has is, when it is connected to."""
    allowed, bench.senders.real = bench.senders.real, _strict(bench)
    bench.entities(3)
    campaign = bench.campaign()
    inwards = action(provider)
    inwards["settings"]["url"] = provider.url.replace("127.0.0.1", "localhost")
    bench.sequence(campaign, {}, inwards)
    bench.activate(campaign)
    bench.work()
    assert {"in_progress": 3} == bench.statuses()
    assert not provider.journal.deliveries()
    bench.senders.real.close()
    bench.senders.real = allowed
    bench.run_out()
    assert {"success": 3} == bench.statuses()
    assert {1} == {row.attempt for row in bench.recipients().values()}
    assert 3 == len(provider.journal.deliveries())


def _strict(bench: Bench) -> Senders:
    settings = bench.settings.model_copy(update={"channel_allowed_networks": ""})
    return Senders(settings, bench.loop, bench.database)


def test_a_server_that_is_down_keeps_its_own_recipients_and_costs_nobody(
    bench: Bench, provider: HttpProvider, clock
) -> None:
    bench.entities(12)
    campaign = bench.campaign()
    _, request, last = bench.sequence(campaign, {}, action(provider), {})
    provider.fault("status", status=429, retry_after=120)
    job = bench.activate(campaign)
    bench.work()
    assert {"in_progress": 12} == bench.statuses()
    assert bench.job(job).waits_until is None
    assert all(piece.due_at > clock.now() for piece in bench.slices(job))
    assert not sent_at(bench, last)
    provider.heal()
    bench.run_out()
    assert {"success": 12} == bench.statuses()
    assert {1} == {row.attempt for row in bench.recipients().values()}
    assert (12, 0, 0) == check(bench, campaign)[request]
