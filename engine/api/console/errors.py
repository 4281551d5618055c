"""What is answered when a page cannot be: a page that says why, in the reader's language.

| what | status |
|---|---|
| nobody is signed in | 303 to the sign-in page, which leads back; 401 for a part of a page |
| the role does not reach that far, or the form is not of this session | 403 |
| there is no such page, campaign … | 404 |
| a rule of the campaign's life forbids it, something else needs it | 409 |
| a value cannot be used | 400, naming the field |
| the database is away | 503 |
| a bug | 500, logged with its stack |
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

import structlog
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from engine.api.console.cookies import SESSION
from engine.api.console.paths import SIGN_IN
from engine.api.console.rendering import Look, render, secured
from engine.api.errors import Forbidden, RequestError, Unauthorized
from engine.filters.filters import FilterError
from engine.kernel.inputs import InUse, Invalid
from engine.kernel.rule_violations import RuleViolation
from state.database import is_connection_loss
from state.errors import IllegalTransition, NotFound

if TYPE_CHECKING:
    from starlette.requests import Request

    from engine.api.console.translations import Texts

__all__ = ["error_page", "is_part", "missing_page"]

log = structlog.get_logger(__name__)

_NOT_FOUND = 404


def error_page(request: Request, error: Exception) -> Response:
    """The answer to `error`."""
    if isinstance(error, Unauthorized):
        return _to_sign_in(request)
    look = Look.of(request)
    status, title, text = _explained(look.texts, error)
    if status == 500:  # noqa: PLR2004 - a bug
        log.error("api.bug", exc_info=error)
    template = "_error.html" if is_part(request) else "error.html"
    return secured(render(look, template, status=status, status_code=status, title=title, text=text))


def missing_page(request: Request) -> Response:
    """The answer where no route is."""
    return error_page(request, HTTPException(_NOT_FOUND))


def is_part(request: Request) -> bool:
    """Whether a script of the page asks, for a part of it."""
    return request.headers.get("hx-request") == "true"


def _explained(texts: Texts, error: Exception) -> tuple[int, str, str]:
    """Status, headline, and what is known."""
    _ = texts.gettext
    if isinstance(error, Forbidden):
        return 403, _("Not allowed"), str(error)
    if isinstance(error, NotFound):
        return 404, _("Not found"), str(error)
    if isinstance(error, RequestValidationError) or (
        isinstance(error, HTTPException) and error.status_code == _NOT_FOUND
    ):
        return 404, _("Not found"), _("There is no such page.")
    if isinstance(error, RuleViolation):
        return 409, _("Not possible now"), f"{error} ({error.code})"
    if isinstance(error, InUse | IllegalTransition):
        return 409, _("Not possible now"), str(error)
    if isinstance(error, Invalid | FilterError):
        return 400, _("This cannot be used"), str(error)
    if isinstance(error, RequestError):
        return error.status, _("This cannot be used"), str(error)
    if isinstance(error, HTTPException):
        return error.status_code, _("This cannot be used"), str(error.detail)
    if isinstance(error, PoolTimeout) or is_connection_loss(error):
        log.warning("database.away", reason=str(getattr(error, "orig", error)))
        return 503, _("The database does not answer"), _("Nothing is lost. Try again in a moment.")
    return 500, _("Something went wrong"), _("It is in the log, with the id of this request.")


def _to_sign_in(request: Request) -> Response:
    """To the sign-in page, and back from there to what was wanted."""
    back = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    place = f"{SIGN_IN}?next={quote(back, safe='')}" if request.method == "GET" else SIGN_IN
    if SESSION in request.cookies:
        place += ("&" if "?" in place else "?") + "ended=1"
    if is_part(request):
        return secured(Response(status_code=401, headers={"hx-redirect": SIGN_IN}))
    return secured(RedirectResponse(place, 303))
