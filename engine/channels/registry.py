"""Channel kinds by name: which settings and credentials they take, and how one is built.

A kind's module is imported when it is first asked for, so that a process pays only for what it uses. A class
in the registry has `Settings` and `Credentials` (closed pydantic models) and is made from one of each.

Other distributions add kinds by entry points of the group `muster.channels` (docs/plugins.md): the name is the kind,
the object is its class. One that cannot be used (it does not import, it is no channel, its name is taken) is left out
with the reason, which `muster doctor` shows; it never takes the place of another kind. All of them are imported when
kinds are first asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any, Protocol, cast

import structlog
from pydantic import BaseModel, ValidationError

from config.errors import MusterError
from engine.channels.port import ChannelContext
from engine.kernel.suggestions import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping

    from engine.channels.port import Channel
    from engine.content.message import Content

__all__ = [
    "GROUP",
    "REQUEST_KIND",
    "InvalidChannel",
    "Plugin",
    "UnknownKind",
    "build",
    "credentials_model",
    "doubt_policy",
    "kinds",
    "plugins",
    "problems_of",
    "settings_model",
    "validate",
]

log = structlog.get_logger(__name__)

#: Of entry points.
GROUP = "muster.channels"
#: The kind whose requests actions make.
REQUEST_KIND = "http"
_KINDS = {
    "apprise": "engine.channels.apprise:AppriseChannel",
    "file": "engine.channels.file:FileChannel",
    "http": "engine.channels.http.channel:HttpChannel",
    "mailgun": "engine.channels.mail_apis.mailgun:MailgunChannel",
    "null": "engine.channels.null:NullChannel",
    "portal": "engine.channels.portal:PortalChannel",
    "postmark": "engine.channels.mail_apis.postmark:PostmarkChannel",
    "resend": "engine.channels.mail_apis.resend:ResendChannel",
    "sendgrid": "engine.channels.mail_apis.sendgrid:SendGridChannel",
    "ses": "engine.channels.mail_apis.ses:SesChannel",
    "sms": "engine.channels.sms:SmsChannel",
    "smtp": "engine.channels.smtp:SmtpChannel",
    "telegram": "engine.channels.telegram:TelegramChannel",
    "voice": "engine.channels.voice:VoiceChannel",
    "whatsapp": "engine.channels.whatsapp:WhatsAppChannel",
}


#: What a class must have besides; `address_of` may be an instance's own.
_ASKED = ("problems_of", "send", "check", "close", "links")
#: What a channel is built with that will never send.
_NOTHING = ChannelContext()


class _ChannelClass(Protocol):
    doubt_policy: str
    Settings: type[BaseModel]
    Credentials: type[BaseModel]

    def __call__(self, settings: Any, credentials: Any, channel_context: ChannelContext) -> Channel: ...

    def problems_of(self, content: Content, settings: BaseModel | None = None) -> list[str]: ...


@dataclass(frozen=True, slots=True)
class Plugin:
    """A kind that another distribution brings."""

    kind: str
    distribution: str
    problem: str | None
    """Why it cannot be used; None: it can."""


class UnknownKind(MusterError, ValueError):
    """There is no such channel kind, or its plug-in cannot be used."""

    def __init__(self, kind: str) -> None:
        problem = next((one.problem for one in plugins() if one.kind == kind and one.problem), None)
        if problem is None:
            known = kinds()
            said = f"unknown channel kind {kind!r}{did_you_mean(kind, known)} (known: {', '.join(known)})"
        else:
            said = f"channel kind {kind!r} cannot be used: {problem}"
        super().__init__(said)
        self.kind = kind


class InvalidChannel(MusterError, ValueError):
    """Settings or credentials that the kind does not take. Holds no value that was given, only the names."""

    def __init__(self, kind: str, errors: list[tuple[str, str]]) -> None:
        super().__init__(f"{kind}: " + "; ".join(f"{field}: {message}" for field, message in errors))
        self.kind = kind
        self.errors = errors
        """(field, what is wrong): `settings.port`, `credentials.password`."""


def kinds() -> list[str]:
    """Every kind that can be used."""
    return sorted((*_KINDS, *_loaded()[0]))


def plugins() -> tuple[Plugin, ...]:
    """The kinds of other distributions, and why some cannot be used."""
    return _loaded()[1]


def settings_model(kind: str) -> type[BaseModel]:
    """The model of the kind's `settings`.

    Raises:
        UnknownKind: with a suggestion.
    """
    return _class_of(kind).Settings


def credentials_model(kind: str) -> type[BaseModel]:
    """The model of the kind's `credentials`.

    Raises:
        UnknownKind: with a suggestion.
    """
    return _class_of(kind).Credentials


def doubt_policy(kind: str) -> str:
    """The kind's default: `resend` or `hold`.

    Raises:
        UnknownKind: with a suggestion.
    """
    return _class_of(kind).doubt_policy


def validate(
    kind: str, settings: Mapping[str, Any], credentials: Mapping[str, Any]
) -> tuple[BaseModel, BaseModel]:
    """Check both, and tell everything that is wrong at once.

    Raises:
        UnknownKind: with a suggestion.
        InvalidChannel: names each field.
    """
    channel = _class_of(kind)
    errors: list[tuple[str, str]] = []
    checked: list[BaseModel | None] = []
    for what, model, given in (
        ("settings", channel.Settings, settings),
        ("credentials", channel.Credentials, credentials),
    ):
        try:
            checked.append(model.model_validate(dict(given)))
        except ValidationError as error:
            checked.append(None)
            errors += _told(what, model, error)
    if errors:
        raise InvalidChannel(kind, errors)
    return cast("tuple[BaseModel, BaseModel]", tuple(checked))


def problems_of(kind: str, content: Content, settings: Mapping[str, Any] | None = None) -> list[str]:
    """What a channel of this kind would refuse about rendered `content`, in sentences.

    Args:
        settings: The channel's, where they set limits; None: the kind's defaults.

    Raises:
        UnknownKind: with a suggestion.
        InvalidChannel: the settings are none of this kind.
    """
    channel = _class_of(kind)
    if settings is None:
        return channel.problems_of(content)
    try:
        checked = channel.Settings.model_validate(dict(settings))
    except ValidationError as error:
        raise InvalidChannel(kind, _told("settings", channel.Settings, error)) from None
    return channel.problems_of(content, checked)


def build(
    kind: str,
    settings: Mapping[str, Any],
    credentials: Mapping[str, Any],
    channel_context: ChannelContext = _NOTHING,
) -> Channel:
    """A channel that is ready to send; nothing connects yet.

    Args:
        channel_context: What the process lends it; absent: it is built to see whether it can be.

    Raises:
        UnknownKind: with a suggestion.
        InvalidChannel: names each field that is wrong.
    """
    checked = validate(kind, settings, credentials)
    try:
        return _class_of(kind)(*checked, channel_context)
    except ValueError as error:
        raise InvalidChannel(kind, [_refused(str(error))]) from None


@lru_cache
def _class_of(kind: str) -> _ChannelClass:
    if kind in _KINDS:
        module, _, name = _KINDS[kind].partition(":")
        return cast("_ChannelClass", getattr(import_module(module), name))
    found = _loaded()[0].get(kind)
    if found is None:
        raise UnknownKind(kind)
    return found


@lru_cache
def _loaded() -> tuple[dict[str, _ChannelClass], tuple[Plugin, ...]]:
    """The classes of plug-ins that can be used, by kind, and all plug-ins. Imports them."""
    classes: dict[str, _ChannelClass] = {}
    found = []
    for point in sorted(entry_points(group=GROUP), key=lambda one: (one.name, one.value)):
        distribution = point.dist.name if point.dist is not None else point.value
        problem = "its name is that of another kind" if point.name in (*_KINDS, *classes) else None
        if problem is None:
            loaded, problem = _load(point)
            if loaded is not None and problem is None:
                classes[point.name] = loaded
        if problem is not None:
            log.warning("plugin.refused", kind=point.name, distribution=distribution, reason=problem)
        found.append(Plugin(point.name, distribution, problem))
    return classes, tuple(found)


def _load(point: EntryPoint) -> tuple[_ChannelClass | None, str | None]:
    """A plug-in's class, and why it cannot be used."""
    try:
        loaded = point.load()
    except Exception as error:  # noqa: BLE001 - whatever its module does, it must not take the process with it
        return None, f"{type(error).__name__}: {' '.join(str(error).split())}"
    return cast("_ChannelClass", loaded), _fault_of(point.name, loaded)


def _fault_of(kind: str, loaded: Any) -> str | None:
    """What a class lacks to be a channel of that kind (engine.channels.port)."""
    for name in ("Settings", "Credentials"):
        model = getattr(loaded, name, None)
        if not (isinstance(model, type) and issubclass(model, BaseModel)):
            return f"{name} is no pydantic model"
        if model.model_config.get("extra") != "forbid":
            return f"{name} takes fields that it does not know: set extra='forbid'"
    if getattr(loaded, "kind", None) != kind:
        return f"its class is of the kind {getattr(loaded, 'kind', None)!r}"
    if getattr(loaded, "doubt_policy", None) not in ("resend", "hold"):
        return "doubt_policy is neither 'resend' nor 'hold'"
    missing = [name for name in _ASKED if not hasattr(loaded, name)]
    return f"it has no {', '.join(missing)}" if missing else None


def _refused(message: str) -> tuple[str, str]:
    """Field and message of what a channel's constructor said: `url: …`, `credentials.token: …`."""
    field, _, rest = message.partition(": ")
    if not rest:
        return "settings", message
    return (field if field.startswith("credentials.") else f"settings.{field}"), rest


def _told(what: str, model: type[BaseModel], error: ValidationError) -> list[tuple[str, str]]:
    """A validation error's findings without the values."""
    problems = []
    for finding in error.errors(include_input=False, include_url=False, include_context=False):
        field = ".".join(str(part) for part in (what, *finding["loc"]))
        message = finding["msg"].removeprefix("Value error, ")
        if finding["type"] == "extra_forbidden":
            known = [name for name in model.model_fields if name != finding["loc"][-1]]
            message = f"is no such option{did_you_mean(str(finding['loc'][-1]), known)}"
        problems.append((field, message))
    return problems
