"""Home: what runs and why it waits, what failed in the last day, and a light for every process and channel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from fastapi import APIRouter
from starlette.responses import Response

from engine.api.console.live import LiveViews
from engine.api.console.paths import ROOT
from engine.api.console.view import ConsoleRoute, View, Viewing
from engine.insight.overview import Overview, overview

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from sqlalchemy.orm import Session

__all__ = ["router"]

router = APIRouter(route_class=ConsoleRoute, include_in_schema=False)

#: Seconds between two looks, while something runs and while nothing does.
_OFTEN, _SELDOM = 2.0, 5.0
_PARTS = ("running", "tiles", "failures", "lights")


@router.get(ROOT)
def show(view: Viewing) -> Response:
    """The page."""
    with view.call.read() as session:
        seen = overview(session, view.call.org_id)
        return view.page("home.html", seen=seen)


@router.get(f"{ROOT}/live")
async def live(view: Viewing) -> Response:
    """What changes on it."""
    views: LiveViews = view.request.app.state.live
    return views.response(view, _Home(view.call.org_id))


@router.get(f"{ROOT}/keys")
def keys(view: Viewing) -> Response:
    """The list of keys."""
    return view.page("keys.html")


@dataclass(frozen=True, slots=True)
class _Home:
    """An organization's home page, as a subject of streams."""

    org_id: UUID

    @property
    def key(self) -> Hashable:
        return ("home", self.org_id)

    def look(self, session: Session, before: Overview | None) -> Overview:  # noqa: ARG002 - as the protocol has it
        return overview(session, self.org_id)

    def pause(self, seen: Overview) -> float:
        return _OFTEN if seen.running else _SELDOM

    def parts(self, view: View, seen: Overview) -> Mapping[str, str]:
        return {name: view.part(f"_home_{name}.html", seen=seen) for name in _PARTS}
