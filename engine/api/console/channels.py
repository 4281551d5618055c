"""Channels: what is configured, how each is doing, whether its provider answers; set up by kind, changed, removed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from fastapi import APIRouter
from starlette.responses import Response

from engine.api.channel_checks import ChannelCheck, check_channel
from engine.api.console.model_forms import form_fields, read_form
from engine.api.console.paths import ROOT
from engine.api.console.view import AdminRoute, View, Viewing
from engine.api.secrets import secrets_of
from engine.campaigns.channels import (
    ChannelChange,
    ChannelInput,
    create_channel,
    delete_channel,
    get_channel,
    list_channels,
    update_channel,
)
from engine.channels.registry import UnknownKind, credentials_model, kinds, settings_model
from engine.kernel.inputs import Invalid, read
from state.errors import NotFound

if TYPE_CHECKING:
    from state.tables import Channel

__all__ = ["router"]


router = APIRouter(route_class=AdminRoute, include_in_schema=False)

_PATH = f"{ROOT}/channels"
_MOST = 200
#: Fields of how it sends that are one value each.
_SENDING = ("max_attempts", "cost_per_message", "doubt_policy")
#: Limits that the form shows.
_LIMITS = ("rate", "domain_rate", "warm_up")


@router.get(_PATH)
def show(view: Viewing) -> Response:
    """All of them."""
    with view.call.read() as session:
        found = list_channels(session, view.call.org_id, limit=_MOST)
        return view.page("channels.html", rows=found.results)


@router.get(f"{_PATH}/new")
def new(view: Viewing, kind: str = "") -> Response:
    """Choose a kind, and set one up."""
    return _form(view, None, kind)


@router.post(f"{_PATH}/new", name="console.create_channel")
def create(view: Viewing) -> Response:
    """Keep a new channel."""
    kind = view.field("kind")
    try:
        given = read(ChannelInput, {"kind": kind, **_given(view, kind)})
        with view.call.transaction() as session:
            row = create_channel(session, view.call.org_id, given, secrets_of(view.request))
            return view.go(
                f"{_PATH}/{row.id}", view.gettext("The channel is kept. Test whether its provider answers.")
            )
    except Invalid as error:
        return _form(view, None, kind, error)


@router.get(f"{_PATH}/{{channel_id}}")
def one(view: Viewing, channel_id: UUID) -> Response:
    """One channel, without its credentials."""
    return _one(view, channel_id)


@router.get(f"{_PATH}/{{channel_id}}/edit")
def edit(view: Viewing, channel_id: UUID) -> Response:
    """Change it."""
    with view.call.read() as session:
        row = get_channel(session, view.call.org_id, channel_id)
        return _form(view, row, row.kind)


@router.post(f"{_PATH}/{{channel_id}}/edit", name="console.update_channel")
def change(view: Viewing, channel_id: UUID) -> Response:
    """Keep the changes; credentials that are left empty stay as they are."""
    with view.call.read() as session:
        row = get_channel(session, view.call.org_id, channel_id)
    try:
        given = _given(view, row.kind, row)
        if not given["credentials"]:
            del given["credentials"]
        with view.call.transaction() as session:
            update_channel(
                session, view.call.org_id, channel_id, read(ChannelChange, given), secrets_of(view.request)
            )
    except Invalid as error:
        return _form(view, row, row.kind, error)
    return view.go(f"{_PATH}/{channel_id}", view.gettext("The changes are kept."))


@router.post(f"{_PATH}/{{channel_id}}/test", name="console.test_channel")
async def test(view: Viewing, channel_id: UUID) -> Response:
    """Ask the provider, and look at the domain that a mail channel sends from. Sends nothing to anybody."""
    return await view.call.in_thread(
        _one, view, channel_id, await check_channel(view.request, view.call, channel_id)
    )


@router.post(f"{_PATH}/{{channel_id}}/delete", name="console.delete_channel")
def delete(view: Viewing, channel_id: UUID) -> Response:
    """Remove a channel that no flow names."""
    with view.call.transaction() as session:
        delete_channel(session, view.call.org_id, channel_id)
    return view.go(_PATH, view.gettext("The channel is removed."))


def _one(view: View, channel_id: UUID, check: ChannelCheck | None = None) -> Response:
    with view.call.read() as session:
        row = get_channel(session, view.call.org_id, channel_id)
        return view.page("channel.html", row=row, check=check)


def _form(view: View, row: Channel | None, kind: str, error: Invalid | None = None) -> Response:
    known = kinds()
    settings: list[Any] = []
    credentials: list[Any] = []
    if kind:
        try:
            settings = form_fields(settings_model(kind), _known(view, row, "settings", kind))
            credentials = form_fields(credentials_model(kind), {})
        except UnknownKind:
            raise NotFound("channel kind", kind) from None
    with view.call.read() as session:
        others = list_channels(session, view.call.org_id, limit=_MOST).results
    return view.page(
        "channel_form.html",
        others=[one for one in others if row is None or one.id != row.id],
        sending=_sending_shown(view, row),
        status=200 if error is None else 400,
        row=row,
        kind=kind,
        kinds=known,
        settings=settings,
        credentials=credentials,
        name=view.field("name") or (row.name if row else ""),
        is_default=row.is_default if row else not known,
        error=error,
    )


def _known(view: View, row: Channel | None, prefix: str, kind: str) -> dict[str, Any]:
    """What the form was filled with, else what the channel has."""
    if view.form:
        return {name: view.field(f"{prefix}.{name}") or None for name in settings_model(kind).model_fields}
    return row.settings if row is not None else {}


def _given(view: View, kind: str, row: Channel | None = None) -> dict[str, Any]:
    try:
        settings, credentials = settings_model(kind), credentials_model(kind)
    except UnknownKind as error:
        raise Invalid("kind", str(error)) from None
    return {
        "name": view.field("name"),
        "is_default": view.field("is_default") == "yes",
        "settings": read_form(settings, "settings", view.field),
        "credentials": read_form(credentials, "credentials", view.field),
        **_sending(view, row),
    }


def _sending(view: View, row: Channel | None) -> dict[str, Any]:
    """How it sends: what is left empty is as usual. Limits that the form does not show stay."""
    found = {name: view.field(name) for name in _SENDING if view.field(name)}
    limits = {name: value for name, value in ((row and row.limits) or {}).items() if name not in _LIMITS}
    if view.field("rate"):
        limits["rate"] = {"messages": view.field("rate"), "per": view.field("per")}
    if view.field("domain_rate"):
        limits["domain_rate"] = {"messages": view.field("domain_rate"), "per": view.field("domain_per")}
    if view.field("warm_up"):
        limits["warm_up"] = {
            "start": view.field("warm_up_start") or view.now.date().isoformat(),
            "messages": view.field("warm_up"),
            "growth": view.field("warm_up_growth") or 1.5,
        }
    return {**found, "fallback_channel_id": view.field("fallback_channel_id") or None, "limits": limits}


def _sending_shown(view: View, row: Channel | None) -> dict[str, str]:
    """What the form's part about sending was filled with, else what the channel has."""
    names = (
        *_SENDING,
        *_LIMITS,
        "per",
        "domain_per",
        "warm_up_start",
        "warm_up_growth",
        "fallback_channel_id",
    )
    if view.form:
        return {name: view.field(name) for name in names}
    found: dict[str, Any] = {name: getattr(row, name, "") for name in (*_SENDING, "fallback_channel_id")}
    limits = (row and row.limits) or {}
    for name, per in (("rate", "per"), ("domain_rate", "domain_per")):
        rate = limits.get(name) or {}
        found |= {name: rate.get("messages"), per: rate.get("per", "second")}
    warm_up = limits.get("warm_up") or {}
    found |= {"warm_up": warm_up.get("messages"), "warm_up_start": warm_up.get("start")}
    found["warm_up_growth"] = warm_up.get("growth", 1.5) if warm_up else ""
    return {name: "" if found.get(name) is None else str(found[name]) for name in names}
