"""Message templates: Liquid over an entity's attributes, compiled once, rendered for each recipient.

Promises:
- What does not parse is refused when the template is saved, with field and line (`TemplateError`); nothing a
  recipient's data holds can do more than fail that recipient (`RenderError`). Bounds:
  `engine.content.sandbox`.
- Variables are escaped in the HTML part, and only there. A subject or sender name never holds a line break
  or another control character, whatever the data holds.
- A variable that an entity lacks is empty, or its default; how names are found: `engine.content.names`.
- A template without a text part gets one made from its HTML (`engine.content.plain`).
- Dates, numbers and names are written as the recipient's language does, in its time zone (`engine.content.filters`);
  a template whose language is known writes them in that language, so that one message is in one language.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Mapping
from threading import Lock
from typing import TYPE_CHECKING, Any

from liquid.exceptions import LiquidError

from engine.content import fast, sandbox
from engine.content.budget import Budget
from engine.content.enclosed import Attachment, Enclosed
from engine.content.errors import RenderError, TemplateError, unforeseen
from engine.content.filters import SAMPLE_PLACE
from engine.content.headers import check_header, one_line
from engine.content.mailboxes import normalise_mailboxes
from engine.content.message import Content
from engine.content.names import ENTITY, Layout
from engine.content.places import Places
from engine.content.plain import html_to_text, text_template
from engine.kernel.addresses import normalise_email

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Sequence

    from engine.content.locales import Place

__all__ = ["CompiledTemplate", "RenderError", "TemplateError", "compile_template"]

_NOTHING: Mapping[str, Any] = {}
#: Names that Liquid knows by itself.
_BUILT_IN = ("now", "today")
_KEPT = 256
#: Slots of a template's parts; the headers follow.
_SUBJECT, _HTML, _TEXT, _NAME, _REPLY_TO, _HEADERS = range(6)
_LAYOUTS_KEPT = 1024


class _Part:
    """One field of a template."""

    __slots__ = ("_plan", "_template", "constant", "field", "located", "needs", "variables")

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
        self.needs = self._template.needs()
        self.located = self._template.located

    @property
    def interpreted(self) -> bool:
        return self._plan is None

    def bind(self, layout: Layout, extras: frozenset[str]) -> fast.Bound | None:
        return None if self._plan is None or self.constant is not None else self._plan.bind(layout, extras)

    def interpret(self, scope: Mapping[str, Any], place: Place, budget: Budget) -> str:
        return self._template.render_scope(scope, place, budget)


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
        *,
        headers: Mapping[str, str] = _NOTHING,
        data: Mapping[str, Any] | None = None,
        places: Places | None = None,
        attachments: Sequence[Attachment] = (),
        within: str = "",
    ) -> None:
        self._defaults = dict(defaults)
        self._bindings: dict[tuple[tuple[str, ...], tuple[str, ...]], _Binding] = {}
        self._sender_email = _sender_email(sender)
        self._enclosed = Enclosed(attachments) if attachments else None
        subject_part = _Part(f"{within}subject", subject)
        html_part = _Part(f"{within}html", html, html=True) if html else None
        text_part = _Part(f"{within}text", text) if text else None
        if html_part is None and text_part is None and not data:
            raise TemplateError(f"{within}text", 1, "a template needs html or text")
        self._derived = False
        if text_part is None and html is not None:
            text_part = _derive(html)
            self._derived = text_part is not None
        self._header_names = tuple(headers)
        self._shape = data or None
        self._parts = (
            subject_part,
            html_part,
            text_part,
            _Part("sender.name", str(sender["name"])) if sender.get("name") else None,
            _reply_to(str(sender["reply_to"])) if sender.get("reply_to") else None,
            *(_header(name, source) for name, source in headers.items()),
            *(_Part(field, source) for field, source in _texts("data", data or {})),
        )
        self._is_plain = not any(self._parts[_REPLY_TO:]) and not data and self._enclosed is None
        #: Absent: it says the same at every place.
        self._places = None
        if any(part.located for part in self._parts if part is not None):
            self._places = places or Places()

    @property
    def variables(self) -> frozenset[str]:
        """The names it reads from an entity; `entity` when it reads some by their exact name."""
        return frozenset().union(*(part.variables for part in self._parts if part is not None))

    def unknown(self, names: Sequence[str], extras: Container[str] = ()) -> frozenset[str]:
        """What it says of an entity that has none of these attributes, no default and nobody asks about.

        Args:
            names: The attributes' names.
            extras: Names of the engine's own.
        """
        layout = Layout(names, self._defaults)
        unknown = set()
        for root, *rest in frozenset[tuple[str, ...]]().union(
            *(part.needs for part in self._parts if part is not None)
        ):
            if root == ENTITY:
                if rest and layout.exactly(rest[0]) is None:
                    unknown.add(f'{ENTITY}["{rest[0]}"]')
            elif root not in extras and root not in _BUILT_IN and layout.find(root) is None:
                unknown.add(root)
        return frozenset(unknown)

    @property
    def interpreted(self) -> tuple[str, ...]:
        """The fields that need the interpreter, for questions of speed."""
        return tuple(part.field for part in self._parts if part is not None and part.interpreted)

    @property
    def languages(self) -> tuple[str | None, ...]:
        """It has one; see `TranslatedTemplate`."""
        return (None,)

    def in_language(self, language: str | None) -> CompiledTemplate:  # noqa: ARG002 - it has one
        """Itself; see `TranslatedTemplate`."""
        return self

    @property
    def enclosed(self) -> Enclosed | None:
        """The files that go with every message."""
        return self._enclosed

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
        place = self._places.of(attributes) if self._places is not None else SAMPLE_PLACE
        scope: dict[str, Any] | None = None
        budget: Budget | None = None
        slot = 0
        try:
            for slot, bound in binding.bound:
                if bound is not None:
                    said[slot] = bound.render(attributes, extras, place)
                else:
                    scope = scope or binding.layout.scope(attributes, extras)
                    budget = budget or Budget()
                    said[slot] = self._interpret(slot, scope, place, budget)
        except LiquidError as error:
            raise RenderError(self._field(slot), _line(error), str(error.message)) from error
        except Exception as error:  # filters meet values nobody foresaw
            raise RenderError(self._field(slot), None, unforeseen(error)) from error
        html, text, name = said[_HTML], said[_TEXT], said[_NAME]
        if text is None:
            text = None if html is None else html_to_text(html)
        elif self._derived:
            text = text.strip("\n")
        subject = one_line(said[_SUBJECT] or "")
        name = None if name is None else one_line(name)
        if self._is_plain:
            return Content(subject, text, html, self._sender_email, name)
        try:
            reply_to = normalise_mailboxes(given) if (given := one_line(said[_REPLY_TO] or "")) else None
        except ValueError as error:
            raise RenderError(self._field(_REPLY_TO), None, str(error)) from None
        return Content(
            subject,
            text,
            html,
            self._sender_email,
            name,
            self._data(said) if self._shape is not None else None,
            reply_to,
            self._headers(said) if self._header_names else (),
            self._enclosed,
        )

    def _headers(self, said: list[str | None]) -> tuple[tuple[str, str], ...]:
        """Those that say something."""
        values = (one_line(value or "") for value in said[_HEADERS : _HEADERS + len(self._header_names)])
        return tuple((name, value) for name, value in zip(self._header_names, values, strict=True) if value)

    def _data(self, said: list[str | None]) -> dict[str, Any]:
        texts = iter(said[_HEADERS + len(self._header_names) :])
        filled: dict[str, Any] = _filled(self._shape, texts)
        return filled

    def _interpret(self, slot: int, scope: Mapping[str, Any], place: Place, budget: Budget) -> str:
        part = self._parts[slot]
        return part.interpret(scope, place, budget) if part is not None else ""

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

    `engine.content.stored` compiles all that a stored template may have.

    Args:
        subject: One line; other channels than e-mail may ignore it.
        html: Escapes its variables. Absent or empty: the message has no such part.
        text: Escapes nothing. Absent or empty: made from the HTML.
        defaults: Values for variables that an entity lacks.
        sender: `{"email", "name", "reply_to"}` of the headers From and Reply-To; all may be absent. Name and
            `reply_to` may hold variables.

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


def _header(name: str, source: str) -> _Part:
    trouble = check_header(name)
    if trouble is not None:
        raise TemplateError(f"headers.{name}", 1, trouble)
    return _Part(f"headers.{name}", source)


def _reply_to(source: str) -> _Part:
    part = _Part("sender.reply_to", source)
    if part.constant is not None and part.constant.strip():
        try:
            normalise_mailboxes(one_line(part.constant))
        except ValueError as error:
            raise TemplateError(part.field, 1, str(error)) from None
    return part


def _texts(path: str, value: Any) -> Iterator[tuple[str, str]]:
    """Every text in a JSON value, and where it is."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _texts(f"{path}.{key}", inner)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _texts(f"{path}[{index}]", inner)


def _filled(value: Any, texts: Iterator[str | None]) -> Any:
    """A JSON value with each of its texts replaced by the next of `texts`."""
    if isinstance(value, str):
        return next(texts)
    if isinstance(value, Mapping):
        return {key: _filled(inner, texts) for key, inner in value.items()}
    if isinstance(value, list):
        return [_filled(inner, texts) for inner in value]
    return value


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
