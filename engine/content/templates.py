"""Message templates: Liquid over an entity's attributes, compiled once, rendered for each recipient.

Promises:
- What does not parse is refused when the template is saved, with field and line (`TemplateError`); nothing a
  recipient's data holds can do more than fail that recipient (`RenderError`). Bounds:
  `engine.content.sandbox`.
- Variables are escaped in the HTML part, and only there. A subject or sender name never holds a line break
  or another control character, whatever the data holds.
- A variable that an entity lacks is empty, or its default; how names are found: `engine.content.names`.
- A template without a text part gets one made from its HTML (`engine.content.plain`).
"""

from __future__ import annotations

import json
import re
from collections import OrderedDict
from threading import Lock
from typing import TYPE_CHECKING, Any

from liquid.exceptions import LiquidError

from engine.channels.addresses import normalise_email
from engine.channels.port import Content
from engine.content import fast, sandbox
from engine.content.errors import RenderError, TemplateError
from engine.content.names import Layout
from engine.content.plain import html_to_text, text_template

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["CompiledTemplate", "RenderError", "TemplateError", "compile_template"]

#: What ends or disturbs a header line: controls, and the line separators of Unicode.
_UNFIT = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")

_NOTHING: Mapping[str, Any] = {}
_KEPT = 256
_LAYOUTS_KEPT = 1024


class _Part:
    """One field of a template."""

    __slots__ = ("_plan", "_template", "constant", "field", "variables")

    def __init__(self, field: str, source: str, *, html: bool = False) -> None:
        self.field = field
        try:
            self._template = sandbox.parse(source, html=html)
            self._plan = fast.plan(self._template, html=html)
        except LiquidError as error:
            raise TemplateError(field, _line(error, source) or 1, str(error.message)) from error
        except UnicodeEncodeError as error:
            raise TemplateError(field, 1, "holds half of a surrogate pair") from error
        except RecursionError as error:
            raise TemplateError(field, 1, "nests too deeply") from error
        self.constant = self._plan.constant if self._plan is not None else None
        self.variables = frozenset(self._template.global_variables())

    @property
    def interpreted(self) -> bool:
        return self._plan is None

    def bind(self, layout: Layout, extras: frozenset[str]) -> fast.Bound | None:
        return None if self._plan is None or self.constant is not None else self._plan.bind(layout, extras)

    def interpret(self, scope: Mapping[str, Any]) -> str:
        return self._template.render_scope(scope)


class _Binding:
    """The parts of a template for entities of one layout: what is known, and how to find out the rest."""

    __slots__ = ("bound", "known", "layout")

    def __init__(self, parts: tuple[_Part | None, ...], layout: Layout, extras: frozenset[str]) -> None:
        self.layout = layout
        self.known = [part.constant if part is not None else None for part in parts]
        self.bound = [
            (slot, part.bind(layout, extras))
            for slot, part in enumerate(parts)
            if part is not None and part.constant is None
        ]


class CompiledTemplate:
    """A template that parses. Immutable but for its caches; may be shared by threads."""

    def __init__(
        self,
        subject: str,
        html: str | None,
        text: str | None,
        defaults: Mapping[str, Any],
        sender: Mapping[str, Any],
    ) -> None:
        self._defaults = dict(defaults)
        self._bindings: dict[tuple[tuple[str, ...], tuple[str, ...]], _Binding] = {}
        self._sender_email = _sender_email(sender)
        self._sender_name = _Part("sender.name", str(sender["name"])) if sender.get("name") else None
        self._subject = _Part("subject", subject)
        self._html = _Part("html", html, html=True) if html else None
        self._text = _Part("text", text) if text else None
        if self._html is None and self._text is None:
            raise TemplateError("text", 1, "a template needs html or text")
        self._derived = False
        if self._text is None:
            self._text = _derive(html or "")
            self._derived = self._text is not None
        self._parts = (self._subject, self._html, self._text, self._sender_name)

    @property
    def variables(self) -> frozenset[str]:
        """The names it reads from an entity; `entity` when it reads some by their exact name."""
        return frozenset().union(*(part.variables for part in self._parts if part is not None))

    @property
    def interpreted(self) -> tuple[str, ...]:
        """The fields that need the interpreter, for whoever wonders about speed."""
        return tuple(part.field for part in self._parts if part is not None and part.interpreted)

    def render(self, attributes: Mapping[str, Any], extras: Mapping[str, Any] = _NOTHING) -> Content:
        """What the template says to one recipient.

        Args:
            attributes: The entity's.
            extras: Names of the engine's own, such as `unsubscribe_url`; an attribute cannot take their
                place.

        Raises:
            RenderError: it cannot be said to this recipient; others are not concerned.
        """
        key = (tuple(attributes), tuple(extras))
        binding = self._bindings.get(key) or self._bind(key)
        said = binding.known.copy()
        scope: dict[str, Any] | None = None
        slot = 0
        try:
            for slot, bound in binding.bound:
                if bound is not None:
                    said[slot] = bound.render(attributes, extras)
                else:
                    scope = scope or binding.layout.scope(attributes, extras)
                    said[slot] = self._interpret(slot, scope)
        except LiquidError as error:
            raise RenderError(self._field(slot), _line(error), str(error.message)) from error
        except Exception as error:  # filters meet values nobody foresaw
            raise RenderError(self._field(slot), None, f"{type(error).__name__}: {error}") from error
        subject, html, text, name = said
        if text is None:
            text = html_to_text(html or "")
        elif self._derived:
            text = text.strip("\n")
        return Content(
            _one_line(subject or ""),
            text,
            html,
            self._sender_email,
            None if name is None else _one_line(name),
        )

    def _interpret(self, slot: int, scope: Mapping[str, Any]) -> str:
        part = self._parts[slot]
        return part.interpret(scope) if part is not None else ""

    def _field(self, slot: int) -> str:
        part = self._parts[slot]
        return part.field if part is not None else ""

    def _bind(self, key: tuple[tuple[str, ...], tuple[str, ...]]) -> _Binding:
        names, extras = key
        binding = _Binding(self._parts, Layout(names, self._defaults), frozenset(extras))
        if len(self._bindings) >= _LAYOUTS_KEPT:
            self._bindings = {}  # entities that share no names: no use in remembering them all
        self._bindings[key] = binding
        return binding


_compiled: OrderedDict[tuple[str, ...], CompiledTemplate] = OrderedDict()
_lock = Lock()


def compile_template(
    subject: str = "",
    html: str | None = None,
    text: str | None = None,
    defaults: Mapping[str, Any] | None = None,
    sender: Mapping[str, Any] | None = None,
) -> CompiledTemplate:
    """Parse a template. The latest 256 are remembered by what they say, so asking again costs microseconds.

    Args:
        subject: One line; other channels than e-mail may ignore it.
        html: Escapes its variables. Absent or empty: the message has no such part.
        text: Escapes nothing. Absent or empty: made from the HTML.
        defaults: Values for variables that an entity lacks.
        sender: `{"email", "name"}` of the From header; both may be absent. The name may hold variables.

    Raises:
        TemplateError: it cannot be used; names field and line.
    """
    key = (subject, html or "", text or "", _said(defaults), _said(sender))
    with _lock:
        known = _compiled.get(key)
        if known is not None:
            _compiled.move_to_end(key)
            return known
    compiled = CompiledTemplate(subject, html, text, defaults or {}, sender or {})
    with _lock:
        _compiled[key] = compiled
        while len(_compiled) > _KEPT:
            _compiled.popitem(last=False)
    return compiled


def _derive(html: str) -> _Part | None:
    source = text_template(html)
    if source is None:
        return None
    try:
        return _Part("text", source)
    except TemplateError:  # Liquid across HTML's own structure: converted when it is rendered
        return None


def _sender_email(sender: Mapping[str, Any]) -> str | None:
    given = sender.get("email")
    if not given:
        return None
    email = normalise_email(given) if isinstance(given, str) else None
    if email is None:
        raise TemplateError("sender.email", 1, f"{given!r} is not an e-mail address")
    return email


def _one_line(value: str) -> str:
    return value.strip() if value.isprintable() else _UNFIT.sub(" ", value).strip()


def _said(values: Mapping[str, Any] | None) -> str:
    return json.dumps(values or {}, sort_keys=True, default=repr)


def _line(error: LiquidError, source: str = "") -> int | None:
    """The line of an error, counted from 1; upstream gives the end of the source no place."""
    if error.token is None:
        return None
    try:
        context = error.context()
    except ValueError:
        context = None
    return context[0] if context is not None else source.count("\n") + 1
