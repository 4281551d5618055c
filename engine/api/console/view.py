"""One request of somebody who is signed in: the session behind it, the form in it, and the page that answers it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import parse_qsl

from anyio.to_thread import run_sync
from fastapi import Depends, Request
from fastapi.routing import APIRoute
from markupsafe import Markup
from sqlalchemy.exc import DBAPIError
from starlette.responses import RedirectResponse, Response

from engine.api.bodies import LONG_BODY
from engine.api.console.cookies import (
    SAID,
    SESSION,
    csrf_token,
    drop_cookie,
    is_token_of,
    read_said,
    set_said,
)
from engine.api.console.errors import error_page, is_part
from engine.api.console.navigation import navigation, section_of
from engine.api.console.rendering import Look, render, secured, template_part
from engine.api.errors import Forbidden, RequestError, Unauthorized
from engine.api.route import Route
from engine.authentication.browser_sessions import SignedIn, note_seen, seen_is_stale, session_of
from engine.kernel.principal import Role

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from datetime import datetime

    from engine.api.call import Call
    from engine.kernel.principal import Principal
    from engine.kernel.runtime import Runtime

__all__ = [
    "AdminRoute",
    "ConsoleRoute",
    "FileRoute",
    "LongFormRoute",
    "OpenRoute",
    "View",
    "Viewing",
    "signed_in_now",
]

#: Fields of a form.
_MOST_FIELDS = 2000
_TOKEN = "csrf"  # noqa: S105 - a field's name


class View:
    """What an endpoint answers with."""

    def __init__(self, request: Request, call: Call, signed_in: SignedIn) -> None:
        self.request = request
        self.call = call
        self.signed_in = signed_in
        self.look = Look.of(request)
        self.form: dict[str, list[str]] = getattr(request.state, "form", {})

    @property
    def now(self) -> datetime:
        """By the database's clock."""
        return self.call.runtime.database.clock.now()

    def gettext(self, message: str) -> str:
        """A text in the reader's language."""
        return self.look.texts.gettext(message)

    def ngettext(self, one: str, many: str, count: int) -> str:
        """A text for so many, in the reader's language."""
        return self.look.texts.ngettext(one, many, count)

    def field(self, name: str, default: str = "") -> str:
        """A field of the form, without blanks around it."""
        values = self.form.get(name)
        return values[-1].strip() if values else default

    def fields(self, name: str) -> list[str]:
        """All values of a field."""
        return self.form.get(name, [])

    def can(self, role: str) -> bool:
        """Whether the person who is signed in has that role, or a higher one."""
        return self.signed_in.principal.role >= Role[role.upper()]

    def page(self, template: str, *, status: int = 200, **values: Any) -> Response:
        """A page, or the part of it that a script asked for: then `base.html` leaves the frame out."""
        response = render(
            self.look,
            template,
            self.signed_in.time_zone,
            self.now,
            status=status,
            said=read_said(self.request),
            dialog=is_part(self.request),
            path=self.request.url.path,
            **self.shared(),
            **values,
        )
        if SAID in self.request.cookies and not is_part(self.request):
            drop_cookie(response, SAID)
        return response

    def part(self, template: str, **values: Any) -> str:
        """The text of a template that begins with `_`."""
        home_zone = self.signed_in.time_zone
        return template_part(self.look, template, home_zone, self.now, **self.shared(), **values)

    def go(self, path: str, said: str = "") -> Response:
        """To a page, which shows `said` once."""
        response: Response
        if is_part(self.request):
            response = Response(status_code=204, headers={"hx-redirect": path})
        else:
            response = RedirectResponse(path, 303)
        if said:
            set_said(self.request, response, said)
        return response

    def shared(self) -> dict[str, Any]:
        """What every template may use."""
        token = csrf_token(self.request.cookies.get(SESSION, ""))
        field = Markup('<input type="hidden" name="{}" value="{}">').format(_TOKEN, token)
        return {
            "me": self.signed_in,
            "can": self.can,
            "csrf": token,
            "csrf_field": lambda: field,
            "navigation": navigation(self.look.texts),
            "here": section_of(self.request.url.path),
        }


def _view(request: Request) -> View:
    return View(request, request.state.call, request.state.signed_in)


Viewing = Annotated[View, Depends(_view)]


class OpenRoute(APIRoute):
    """A route of the console that needs no session."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's handler; errors become pages."""
        return _handled(super().get_route_handler())


class ConsoleRoute(Route):
    """A route of the console: it needs a session, and a change needs the token of that session's pages."""

    most_values = None

    async def identify(self, request: Request) -> Principal:
        """Whose session it is; `request.state.signed_in` has all of it."""
        signed_in = await signed_in_now(request)
        if signed_in is None:
            raise Unauthorized("nobody is signed in")
        request.state.signed_in = signed_in
        return signed_in.principal

    def take_body(self, request: Request, body: bytes) -> None:
        """Read a form, and refuse it unless it is of a page of this session."""
        try:
            pairs = parse_qsl(
                body.decode(), keep_blank_values=True, strict_parsing=False, max_num_fields=_MOST_FIELDS
            )
        except ValueError:
            raise RequestError("the form cannot be read") from None
        form: dict[str, list[str]] = {}
        for name, value in pairs:
            form.setdefault(name, []).append(value)
        given = request.headers.get("x-csrf-token") or "".join(form.pop(_TOKEN, [])[:1])
        _check_token(request, given)
        request.state.form = form

    def admit(self, request: Request, principal: Principal) -> None:  # noqa: ARG002 - as every route has it
        """Refuse a file that is no page's of this session before it is read: its token is in a header."""
        if self.streams and request.method == "POST":
            _check_token(request, request.headers.get("x-csrf-token", ""))

    def answer(self, error: Exception) -> Response:
        """See `error_page`, which `get_route_handler` calls with the request."""
        raise error

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler of every route; errors become pages."""
        return _handled(super().get_route_handler())


class AdminRoute(ConsoleRoute):
    """Everybody may look; a change is an admin's."""

    role = Role.ADMIN


class LongFormRoute(ConsoleRoute):
    """A route whose form may hold a long message."""

    longest = LONG_BODY


class FileRoute(ConsoleRoute):
    """A route whose body is a file of at most `longest` bytes; its token is in a header."""

    def admit(self, request: Request, principal: Principal) -> None:  # noqa: ARG002 - as every route has it
        """Refuse a file that is no page's of this session before it is read."""
        if request.method == "POST":
            _check_token(request, request.headers.get("x-csrf-token", ""))

    def take_body(self, request: Request, body: bytes) -> None:
        """It is no form."""


class StreamedFormRoute(ConsoleRoute):
    """A route whose body is a file of any size, read while it arrives; its token is in a header."""

    streams = True


def _check_token(request: Request, given: str) -> None:
    if not is_token_of(request.cookies.get(SESSION, ""), given):
        raise Forbidden("this form is not of your session; open its page again")


def _handled(
    inner: Callable[[Request], Coroutine[Any, Any, Response]],
) -> Callable[[Request], Coroutine[Any, Any, Response]]:
    async def handle(request: Request) -> Response:
        try:
            return secured(await inner(request))
        except Exception as error:  # noqa: BLE001 - every one is answered
            return error_page(request, error)

    return handle


async def signed_in_now(request: Request) -> SignedIn | None:
    """The session of a request's cookie, if it is valid at this moment."""
    token = request.cookies.get(SESSION)
    if not token:
        return None
    runtime: Runtime = request.app.state.runtime
    address = request.client.host if request.client is not None else None
    return await run_sync(_look_up, runtime, token, address)


def _look_up(runtime: Runtime, token: str, address: str | None) -> SignedIn | None:
    with runtime.database.read() as session:
        signed_in = session_of(session, token, address)
    if signed_in is not None and seen_is_stale(signed_in, runtime.database.clock.now()):
        try:
            with runtime.database.begin(waits=False) as session:
                note_seen(session, signed_in)
        except DBAPIError:  # the next request notes it
            pass
    return signed_in
