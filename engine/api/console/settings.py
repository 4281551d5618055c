"""Settings: the organization, its API keys, the browsers that are signed in, and the audit log."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter
from starlette.responses import Response

from engine.api.console.paths import ROOT
from engine.api.console.view import AdminRoute, View, Viewing
from engine.audit import list_records
from engine.authentication.api_keys import create_key, list_keys, revoke_key
from engine.authentication.browser_sessions import end_session, list_sessions
from engine.kernel.inputs import Invalid, read
from engine.kernel.principal import Role
from engine.organization_settings import OrganizationChange, update_organization
from engine.organizations import get_organization

__all__ = ["ROUTERS"]


class _ClosedRoute(AdminRoute):
    """Looking is an admin's too."""

    def needs(self, method: str) -> Role:  # noqa: ARG002 - every method
        """An admin."""
        return Role.ADMIN


_shown = APIRouter(route_class=AdminRoute, include_in_schema=False)
_closed = APIRouter(route_class=_ClosedRoute, include_in_schema=False)

_PATH = f"{ROOT}/settings"
_SIZE = 50
#: Keys that are listed, the newest.
_MOST = 200


@_shown.get(_PATH)
def show(view: Viewing) -> Response:
    """The organization."""
    return _organization(view)


@_shown.post(_PATH, name="console.update_organization")
def change(view: Viewing) -> Response:
    """Change its time zone or its country."""
    try:
        given = read(OrganizationChange, {name: view.field(name) or None for name in ("time_zone", "region")})
        with view.call.transaction() as session:
            update_organization(session, view.call.org_id, given)
    except Invalid as error:
        return _organization(view, error)
    return view.go(_PATH, view.gettext("The changes are kept."))


@_closed.get(f"{_PATH}/keys")
def keys(view: Viewing) -> Response:
    """API keys, and who is signed in."""
    return _keys(view)


@_closed.post(f"{_PATH}/keys", name="console.create_key")
def make_key(view: Viewing) -> Response:
    """Make a key; it is shown once."""
    try:
        with view.call.transaction() as session:
            _, plain = create_key(session, view.call.org_id, view.field("name"), view.field("role"))
    except Invalid as error:
        return _keys(view, error=error)
    return _keys(view, plain=plain)


@_closed.post(f"{_PATH}/keys/{{key_id}}/revoke", name="console.revoke_key")
def revoke(view: Viewing, key_id: UUID) -> Response:
    """Shut a key out, and every browser that signed in with it."""
    with view.call.transaction() as session:
        revoke_key(session, view.call.org_id, key_id)
    return view.go(f"{_PATH}/keys", view.gettext("The key opens nothing any more."))


@_closed.post(f"{_PATH}/sessions/{{session_id}}/end", name="console.end_session")
def end(view: Viewing, session_id: UUID) -> Response:
    """Sign a browser out."""
    with view.call.transaction() as session:
        end_session(session, view.call.org_id, session_id)
    return view.go(f"{_PATH}/keys", view.gettext("That browser is signed out."))


@_closed.get(f"{_PATH}/audit")
def audit(view: Viewing, operation: str = "", next: str = "") -> Response:  # noqa: A002
    """Who changed what."""
    with view.call.read() as session:
        found = list_records(
            session, view.call.org_id, limit=_SIZE, next=next or None, operation=operation.strip() or None
        )
        return view.page(
            "audit.html",
            rows=found.results,
            total=found.total,
            operation=operation.strip(),
            first=not next,
            older=found.next or "",
        )


def _organization(view: View, error: Invalid | None = None) -> Response:
    with view.call.read() as session:
        row = get_organization(session, view.call.org_id)
        return view.page("settings.html", status=200 if error is None else 400, row=row, error=error)


def _keys(view: View, *, error: Invalid | None = None, plain: str = "") -> Response:
    with view.call.read() as session:
        return view.page(
            "settings_keys.html",
            status=200 if error is None else 400,
            keys=list_keys(session, view.call.org_id, limit=_MOST).results,
            sessions=list_sessions(session, view.call.org_id),
            roles=[role.word for role in Role],
            plain=plain,
            error=error,
        )


ROUTERS = (_shown, _closed)
