"""Streams of open pages: what changed is sent at once, to who may see it, as long as the session lasts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, update

from engine.api.console import live
from engine.authentication.browser_sessions import end_session, list_sessions
from state.tables import DeliveryHour, Job
from tests.harness.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pytest

    from tests.api.conftest import Api
    from tests.console.conftest import Person
    from tests.console.world import World


def events(lines: Iterator[str]) -> Iterator[tuple[str, str]]:
    """Name and text of each event."""
    name, texts = "", []
    for line in lines:
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            texts.append(line.removeprefix("data: "))
        elif not line and name:
            yield name, "\n".join(texts)
            name, texts = "", []


def test_a_campaigns_numbers_arrive_as_they_change_and_nothing_else(
    api: Api, sign_in: Callable[..., Person], world: World
) -> None:
    person = sign_in("viewer")
    with person.stream("GET", f"/console/campaigns/{world.campaign_id}/live") as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        arriving = events(stream.iter_lines())
        first = dict(next(arriving) for _ in range(7))
        assert set(first) == {"status", "progress", "waiting", "errors", "results", "pace", "actions"}
        assert "<script>window" not in "".join(first.values())
        with api.database.begin() as session:
            session.execute(update(Job).values(success=3, failed=1))
        name, text = next(arriving)
        assert name == "progress"
        assert "Sent <b>3</b>" in text


def test_what_is_counted_later_is_not_called_nothing(
    api: Api, sign_in: Callable[..., Person], world: World
) -> None:
    """Progress is exact at once; sums are of parts of the audience that are over (docs/statistics.md)."""
    person, path = sign_in("viewer"), f"/console/campaigns/{world.campaign_id}"
    with api.database.begin() as session:
        session.execute(delete(DeliveryHour))
        session.execute(update(Job).values(success=0))
    assert "Nothing was sent yet." in person.get(path).text
    with api.database.begin() as session:
        session.execute(update(Job).values(success=3))
    text = person.get(path).text
    assert "Counted when a part of the audience is over" in text
    assert "Nothing was sent yet." not in text


def test_pages_that_show_the_same_are_looked_at_once(
    api: Api, sign_in: Callable[..., Person], world: World
) -> None:
    views = api.app.state.live
    path = f"/console/campaigns/{world.campaign_id}/live"
    with sign_in("viewer").stream("GET", path) as one, sign_in("admin").stream("GET", path) as other:
        streams = [one.iter_lines(), other.iter_lines()]
        assert all(next(events(lines)) for lines in streams)
        assert (views.streams, len(views._polls)) == (2, 1)


def test_a_stream_ends_with_its_session(
    api: Api, sign_in: Callable[..., Person], world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "SESSION_SECONDS", 0.05)
    person = sign_in("viewer")
    with person.stream("GET", "/console/live") as stream:
        lines = stream.iter_lines()
        assert next(events(lines))
        with api.database.begin() as session:
            for row in list_sessions(session, api.org_id):
                end_session(session, api.org_id, row.id)
        assert list(lines) is not None  # it ends


def test_one_organization_never_has_all_open_pages(
    api: Api, sign_in: Callable[..., Person], monkeypatch: pytest.MonkeyPatch
) -> None:
    pages = api.app.state.shares.pages
    monkeypatch.setattr(pages, "each", 1)
    with sign_in("viewer").stream("GET", "/console/live") as stream:
        lines = stream.iter_lines()
        assert next(events(lines))
        assert sign_in("viewer").get("/console/live").status_code == 429
    wait_until(lambda: pages.taken == 0, "the page is closed")
    with sign_in("viewer").stream("GET", "/console/live") as stream:
        assert stream.status_code == 200


def test_streams_end_when_the_process_stops(api: Api, sign_in: Callable[..., Person]) -> None:
    with sign_in("viewer").stream("GET", "/console/live") as stream:
        lines = stream.iter_lines()
        assert next(events(lines))
        api.app.state.live.stop()
        assert list(lines) is not None
    assert sign_in("viewer").get("/console/live").status_code == 503
