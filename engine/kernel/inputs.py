"""What callers hand in: closed models, and errors that name the field.

Every service takes such a model. What it does not know is refused with a suggestion; what the databases
cannot store (NUL characters, halves of surrogate pairs, NaN, nesting without end) is refused before anything
is written.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self, TypeVar, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    ModelWrapValidatorHandler,
    PrivateAttr,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    model_validator,
)
from pydantic_core import PydanticCustomError

from config.errors import MusterError
from engine.kernel.suggestions import did_you_mean
from state.errors import StateError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = [
    "AdminsOnly",
    "InUse",
    "Input",
    "Invalid",
    "LongText",
    "Name",
    "Rewritable",
    "above_zero",
    "check_name",
    "explain",
    "read",
    "unstorable",
]

#: Levels of lists and objects in one another.
MAX_DEPTH = 32
#: What every JSON reader gives back as it was.
_SMALLEST, _LARGEST = -(2**63), 2**63 - 1

Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=150)]
LongText = Annotated[str, StringConstraints(max_length=10_000)]

_name: TypeAdapter[str] = TypeAdapter(Name)

Model = TypeVar("Model", bound=BaseModel)


def above_zero(number: float) -> float:
    """The number, which is above 0: for what is left out where there is none of it.

    Raises:
        ValueError: it is not.
    """
    if number <= 0:
        raise ValueError("must be above 0; leave it out for none")
    return number


class Invalid(MusterError, ValueError):
    """A value cannot be used. Nothing was changed."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        """A path into what was given: `touchpoints[0].template_id`."""
        self.message = message


class AdminsOnly(Invalid):
    """A value that is an admin's to give."""


class InUse(StateError):
    """Something else needs the row that was to be deleted. Nothing was changed."""


class Input(BaseModel):
    """Base of what services take."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _storable(cls, given: Any) -> Any:
        trouble = unstorable(given)
        if trouble is not None:
            path, message = trouble
            raise PydanticCustomError("unstorable", "{message}", {"path": path, "message": message})
        return given


class Rewritable(BaseModel):
    """A change that may be the whole document, as it was read. What only answers hold is set apart; see
    `check_unwritten`.
    """

    answered: ClassVar[frozenset[str]] = frozenset()
    """Names, beside ids and those that begin with an underscore."""
    _unwritten: dict[str, Any] = PrivateAttr(default_factory=dict)

    @model_validator(mode="wrap")
    @classmethod
    def _set_apart(cls, given: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        if not isinstance(given, dict):
            return handler(given)
        apart = {
            name: value
            for name, value in given.items()
            if name in cls.answered or name == "id" or name.startswith("_")
        }
        model = handler({name: value for name, value in given.items() if name not in apart})
        model._unwritten = apart  # noqa: SLF001 - its own
        return model

    @property
    def is_document(self) -> bool:
        """Whether a whole document was sent back, with what only answers hold."""
        return bool(self._unwritten)

    def check_unwritten(self, show: Callable[[], Mapping[str, Any]]) -> None:
        """See that nothing is to be different that nobody writes.

        Args:
            show: Gives the document as it is read now. What begins with an underscore may be older, but for `_id`.

        Raises:
            Invalid: something is; names the field.
        """
        shown = show() if self._unwritten else {}
        for name, value in self._unwritten.items():
            if (name == "_id" or not name.startswith("_")) and value != shown.get(name):
                raise Invalid(name, "is shown, and not changed here")


def unstorable(value: Any) -> tuple[str, str] | None:
    """Path and reason of the first part of a JSON value that cannot be stored; None when all of it can."""
    waiting: list[tuple[str, Any, int]] = [("", value, 0)]
    while waiting:
        path, item, depth = waiting.pop()
        if depth > MAX_DEPTH:
            return path, f"nests more than {MAX_DEPTH} levels deep"
        if (message := _unfit(item)) is not None:
            return path, message
        if isinstance(item, dict):
            for key, inner in item.items():
                if (message := _unfit(key)) is not None:
                    return path or "body", f"a name in it {message}"
                waiting.append((f"{path}.{key}" if path else str(key), inner, depth + 1))
        elif isinstance(item, list | tuple):
            waiting.extend((f"{path}[{i}]", inner, depth + 1) for i, inner in enumerate(item))
    return None


def _unfit(value: Any) -> str | None:
    """What is wrong with a single value; lists and objects are looked into by the caller."""
    if isinstance(value, str):
        if "\0" in value:
            return "must not contain NUL characters"
        try:
            value.encode()
        except UnicodeEncodeError:
            return "must not contain halves of surrogate pairs"
    elif isinstance(value, float) and not math.isfinite(value):
        return "must be a finite number"
    elif isinstance(value, int) and not _SMALLEST <= value <= _LARGEST:
        return "must fit into 64 bits; a longer number can be given as a text"
    return None


def read(model: type[Model], given: Mapping[str, Any]) -> Model:
    """`given` as a model.

    Raises:
        Invalid: the first thing that is wrong with it, by field.
    """
    try:
        return model.model_validate(given)
    except ValidationError as error:
        raise explain(error.errors(include_url=False, include_input=False), model) from None


def check_name(name: str) -> str:
    """A name that is given by itself, without the space around it.

    Raises:
        Invalid: it is empty, longer than 150 characters, or cannot be stored.
    """
    trouble = unstorable(name)
    if trouble is not None:
        raise Invalid("name", trouble[1])
    try:
        return _name.validate_python(name)
    except ValidationError as error:
        raise Invalid("name", explain(error.errors()).message) from None


def explain(errors: Sequence[Any], model: Any = None) -> Invalid:
    """The first of pydantic's errors as ours; `model` (or an annotation with one in it) provides
    suggestions.
    """
    first = errors[0]
    if first["type"] == "missing":  # what is missing may be there under a mistyped name: that says more
        first = next((error for error in errors if error["type"] == "extra_forbidden"), first)
    loc = tuple(first["loc"])
    kind = first["type"]
    message = str(first["msg"]).removeprefix("Value error, ")
    if kind == "unstorable":
        inner = first["ctx"]["path"]
        return Invalid(".".join(filter(None, (_path(loc), inner))) or "body", message)
    if kind == "missing":
        message = "is required"
    elif kind == "extra_forbidden":
        owner = _model_at(model, loc[:-1])
        known = owner.model_fields if owner is not None else ()
        message = "is not known here" + did_you_mean(str(loc[-1]), known)
    elif kind == "json_invalid":
        return Invalid("body", f"is not JSON: {first.get('ctx', {}).get('error', message)}")
    else:
        message = message[:1].lower() + message[1:]
    return Invalid(_path(loc) or "body", message)


def _path(loc: Sequence[Any]) -> str:
    path = ""
    for part in loc:
        if isinstance(part, int):
            path += f"[{part}]"
        else:
            path += f".{part}" if path else str(part)
    return path


def _model_at(annotation: Any, loc: Sequence[Any]) -> type[BaseModel] | None:
    model = _model_in(annotation)
    for part in loc:
        if model is None or isinstance(part, int):
            continue
        field = model.model_fields.get(str(part))
        model = _model_in(field.annotation) if field is not None else None
    return model


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for inner in get_args(annotation) if (found := _model_in(inner)) is not None), None)
