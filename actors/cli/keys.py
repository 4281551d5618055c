"""`muster keys`: API keys of an organization."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from actors.cli.failure import Failure
from actors.cli.output import Json, Limit, Next, emit, emit_page, moment, note, note_next, table

if TYPE_CHECKING:
    from uuid import UUID

    from sqlalchemy.orm import Session

    from state.tables import ApiKey

__all__ = ["app"]

app = typer.Typer(help="API keys of an organization.", no_args_is_help=True)


@app.command()
def create(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="What it is for, so that you know it again.")],
    *,
    role: Annotated[
        str, typer.Option(help="viewer (reads), operator (works), admin (also keys, channels).")
    ] = ("operator"),
    days: Annotated[
        int | None, typer.Option(help="Days after which it opens nothing. [default: none]", min=1, max=3650)
    ] = None,
    network: Annotated[
        list[str] | None,
        typer.Option(
            help="A network that it may be used from (192.0.2.0/24); may be repeated. [default: any]"
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Create a key. It is printed once, on standard output, and kept nowhere."""
    from actors.cli.context import opened
    from engine.authentication.api_keys import KeyInput, make_key
    from engine.kernel.inputs import read
    from state.change import clock_of

    with opened(context) as muster, muster.transaction() as session:
        expires_at = None if days is None else clock_of(session).now() + timedelta(days=days)
        given = {"name": name, "role": role, "expires_at": expires_at, "networks": network or None}
        row, plain = make_key(session, muster.org_id, read(KeyInput, given))
        made = {**_plain(row), "key": plain}
        org_name = muster.org_name
    _show(made, org_name, as_json=as_json)


@app.command()
def rotate(
    context: typer.Context,
    key: Annotated[str, typer.Argument(help="Its id, its name, or the characters it begins with.")],
    *,
    overlap_hours: Annotated[
        int, typer.Option(help="Hours for which the old key goes on.", min=0, max=720)
    ] = 0,
    as_json: Json = False,
) -> None:
    """Replace a key by a new one with the same name, role, expiry and networks."""
    from actors.cli.context import opened
    from engine.authentication.api_keys import KeyRotation, rotate_key

    with opened(context) as muster, muster.transaction() as session:
        old = _find(session, muster.org_id, key)
        given = KeyRotation(overlap_seconds=overlap_hours * 3600)
        row, plain = rotate_key(session, muster.org_id, old, given)
        made = {**_plain(row), "key": plain}
        org_name = muster.org_name
    _show(made, org_name, as_json=as_json)


@app.command("list")
def list_(context: typer.Context, *, limit: Limit = 25, next_: Next = None, as_json: Json = False) -> None:
    """List the keys, newest first, by their first characters."""
    from actors.cli.context import opened
    from engine.authentication.api_keys import list_keys

    with opened(context) as muster, muster.read() as session:
        page = list_keys(session, muster.org_id, limit=limit, next=next_)
    if as_json:
        emit_page([_plain(row) for row in page.results], page.next)
        return
    table(
        ("Name", "Key", "Role", "Id", "Created", "Last used", "Expires", "From", "Revoked"),
        [
            (
                row.name,
                f"{row.prefix}…",
                row.role,
                row.id,
                f"{row.created_at:%Y-%m-%d}",
                moment(row.last_used_at) if row.last_used_at else "never",
                moment(row.expires_at) if row.expires_at else "",
                ", ".join(row.networks or ()),
                moment(row.revoked_at) if row.revoked_at else "",
            )
            for row in page.results
        ],
    )
    note_next(page.next)


@app.command()
def revoke(
    context: typer.Context,
    key: Annotated[str, typer.Argument(help="Its id, its name, or the characters it begins with.")],
) -> None:
    """Shut a key out, from the next request on."""
    from actors.cli.context import opened
    from engine.authentication.api_keys import revoke_key

    with opened(context) as muster, muster.transaction() as session:
        row = revoke_key(session, muster.org_id, _find(session, muster.org_id, key))
        typer.echo(f"revoked {row.name} ({row.prefix}…)")


@app.command("rotate-secret")
def rotate_secret(*, as_json: Json = False) -> None:
    """Encrypt everything at rest with a new MUSTER_SECRET_KEY: the first of `new,old`, which every process has by now.

    Can be run again at any time, and while Muster works.
    """
    from dataclasses import asdict

    from actors.cli.context import load_settings, open_runtime, quiet_logs
    from engine.kernel.sealing import reseal
    from engine.kernel.secrets import Secrets

    settings = load_settings()
    quiet_logs(settings)
    with open_runtime(settings) as runtime:
        runtime.open_keys()
        done = reseal(runtime.database, Secrets.of(settings))
    if as_json:
        emit(asdict(done))
    else:
        typer.echo(
            f"{done.sealed} secrets were encrypted again, {done.kept} were under the first key already"
        )
    if done.lost:
        raise Failure(
            f"{done.lost} secrets are encrypted with a key that is not here",
            "add that key to MUSTER_SECRET_KEY (`new,old`) and run this again, or set those credentials again",
        )
    note(
        "nothing at rest needs the old key any more; it still signs the links in messages that were sent before:"
    )
    note("keep it behind the new one (`new,old`) for as long as those links must work, 60 days at least")


def _show(made: dict[str, object], org_name: str, *, as_json: bool) -> None:
    if as_json:
        emit(made)
        return
    note(f"key {made['name']} ({made['role']}) of {org_name}; it is not shown again:")
    typer.echo(made["key"])


def _find(session: Session, org_id: UUID, wanted: str) -> UUID:
    """The id of the one key that is meant.

    Raises:
        Failure: there is none, or more than one.
    """
    from engine.authentication.api_keys import keys_called

    found = keys_called(session, org_id, wanted)
    if len(found) != 1:
        raise Failure(
            f"{'several' if found else 'no'} keys are called {wanted!r}",
            "`muster keys list` shows their ids; use one",
        )
    return found[0].id


def _plain(row: ApiKey) -> dict[str, object]:
    return {
        "id": str(row.id),
        "name": row.name,
        "role": row.role,
        "prefix": row.prefix,
        "created_at": row.created_at.isoformat(),
        "last_used_at": row.last_used_at.isoformat() if row.last_used_at else None,
        "expires_at": row.expires_at.isoformat() if row.expires_at else None,
        "networks": row.networks,
        "revoked_at": row.revoked_at.isoformat() if row.revoked_at else None,
    }
