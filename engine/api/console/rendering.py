"""Templates, one environment a language, and the headers of every answer of the console."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined, pass_context
from starlette.responses import HTMLResponse

from engine.api.console.assets import asset_url
from engine.api.console.cookies import LANGUAGE, THEME, ZONE
from engine.api.console.formats import Formats
from engine.api.console.paths import ROOT
from engine.api.console.translations import LANGUAGES, Texts, negotiate, texts_of
from engine.limits.zone_names import is_zone

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from starlette.requests import Request
    from starlette.responses import Response

__all__ = ["THEMES", "Look", "render", "secured", "template_part"]

THEMES = ("auto", "light", "dark")
#: Nothing from other hosts, no inline script or style.
_POLICY = (
    "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_HEADERS = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-store",
}
_FILTERS = ("n", "compact", "percent", "when", "clock", "day", "month", "weekday", "span", "money", "rate")


@dataclass(frozen=True, slots=True)
class Look:
    """How somebody wants pages."""

    language: str
    zone: str | None
    """The browser's (IANA); absent: not known yet."""
    theme: str

    @classmethod
    def of(cls, request: Request) -> Look:
        """By the browser's cookies, else by what it accepts."""
        language = request.cookies.get(LANGUAGE, "")
        if language not in LANGUAGES:
            language = negotiate(request.headers.get("accept-language", ""))
        zone, theme = request.cookies.get(ZONE, ""), request.cookies.get(THEME, "")
        return cls(language, zone if is_zone(zone) else None, theme if theme in THEMES else "auto")

    @property
    def texts(self) -> Texts:
        """The texts of its language."""
        return texts_of(self.language)

    def formats(self, home_zone: str | None, now: datetime | None) -> Formats:
        """How it writes values, for an organization of that time zone."""
        home = home_zone or "UTC"
        return Formats(self.texts, self.zone or home, home, now)


def template_part(
    look: Look, template: str, home_zone: str | None, now: datetime | None = None, **values: Any
) -> str:
    """A template's text."""
    formats = look.formats(home_zone, now)
    shared = {"f": formats, "now": now, "look": look, "root": ROOT, "languages": LANGUAGES, "themes": THEMES}
    return _environment(look.language).get_template(template).render(**shared, **values)


def render(
    look: Look,
    template: str,
    home_zone: str | None = None,
    now: datetime | None = None,
    *,
    status: int = 200,
    **values: Any,
) -> HTMLResponse:
    """A page."""
    return HTMLResponse(template_part(look, template, home_zone, now, **values), status)


def secured(response: Response) -> Response:
    """The answer with the headers that all of them have, unless it says otherwise."""
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    return response


@cache
def _environment(language: str) -> Environment:
    environment = Environment(
        loader=PackageLoader("engine.api.console"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        extensions=["jinja2.ext.i18n"],
    )
    environment.install_gettext_translations(texts_of(language), newstyle=True)  # type: ignore[attr-defined]
    environment.globals["asset"] = asset_url
    for name in _FILTERS:
        environment.filters[name] = _of_formats(name)
    return environment


def _of_formats(name: str) -> Callable[..., Any]:
    """A filter that writes as the request's reader does."""

    @pass_context
    def write(context: Any, value: Any, *options: Any) -> Any:
        formats: Formats = context["f"]
        return formats.filters()[name](value, *options)  # type: ignore[operator]

    return write
