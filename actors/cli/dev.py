"""`muster dev`: all of Muster in one process, to develop against."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from actors.cli.failure import Exit, Failure
from actors.cli.output import note

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from sqlalchemy.orm import Session

    from actors.services import Service
    from config.settings import Settings

__all__ = ["dev"]

_KEY_FILE = "dev-api-key"


def dev(
    *,
    port: Annotated[int, typer.Option(help="The port; 0 for any free one.", min=0, max=65535)] = 8000,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    data: Annotated[
        Path | None,
        typer.Option(help="Where everything is kept. [default: MUSTER_DATA_DIR]", file_okay=False),
    ] = None,
) -> None:
    """Run API, console, worker and scheduler in one process over SQLite, until Ctrl-C.

    Makes organization `dev` with a `file` channel, and prints its API key (MUSTER_DEV_API_KEY fixes it) and a link
    that signs in to the console once.
    """
    from pydantic import AnyHttpUrl

    from actors.cli.context import DEV, load_settings
    from actors.cli.server import ApiService
    from actors.reporting import reporting
    from actors.services import Embedded, run
    from config.logging import configure_logging
    from engine.campaigns.channels import ensure_file_channel
    from engine.kernel.secrets import Secrets
    from engine.organizations import ensure_organization
    from state import migrate

    settings = load_settings().embedded(data)
    if "log_format" not in settings.model_fields_set:
        settings = settings.model_copy(update={"log_format": "console"})
    if port and "public_url" not in settings.model_fields_set:
        settings = settings.model_copy(update={"public_url": AnyHttpUrl(f"http://127.0.0.1:{port}")})
    make_folder(settings.data_dir)
    migrate.upgrade(settings.database_url)
    configure_logging(settings)
    embedded = Embedded(settings)
    with embedded.runtime.transaction() as session:
        org_id = ensure_organization(session, DEV).id
        ensure_file_channel(session, org_id, Secrets.of(settings))
        key = _key(session, org_id, settings)
        code = _sign_in_code(session, key)
    embedded.runtime.open_keys()
    api = ApiService(embedded.runtime, host=host, port=port)
    api.bind()
    with reporting(settings, "muster-dev"):
        run(_Together([embedded, api], lambda: _greet(api.url, key, code, settings)))


class _Together:
    """Services that start in order and end in reverse."""

    def __init__(self, services: Sequence[Service], then: object) -> None:
        self._services = services
        self._then = then
        self._started = ExitStack()

    def start(self) -> None:
        """See `actors.services.Service.start`. When one cannot start, the others are ended."""
        with ExitStack() as started:
            for service in self._services:
                started.callback(service.stop)
                service.start()
            self._started = started.pop_all()
        if callable(self._then):
            self._then()

    def is_alive(self) -> bool:
        """See `actors.services.Service.is_alive`."""
        return all(service.is_alive() for service in self._services)

    def stop(self) -> None:
        """See `actors.services.Service.stop`."""
        self._started.close()


def make_folder(folder: Path) -> None:
    """Make the data folder, readable by its owner alone.

    Raises:
        Failure: it cannot be made or written to.
    """
    import os

    from config.private_files import make_private_folder

    try:
        make_private_folder(folder)
    except OSError as error:
        raise Failure(
            f"the folder {folder} cannot be made: {error.strerror}", "choose another with --data"
        ) from None
    if not os.access(folder, os.W_OK | os.X_OK):
        raise Failure(f"the folder {folder} cannot be written to", "choose another with --data")


def _key(session: Session, org_id: UUID, settings: Settings) -> str:
    """The key of organization `dev`: what MUSTER_DEV_API_KEY says, else the one kept in the data folder."""
    import os

    from config.private_files import open_private
    from engine.authentication.api_keys import authenticate, create_key
    from engine.kernel.inputs import Invalid

    file = settings.data_dir / _KEY_FILE
    if settings.dev_api_key is not None:
        plain: str | None = settings.dev_api_key.get_secret_value()
    else:
        plain = file.read_text().strip() if file.exists() else None
    if plain is not None:
        principal = authenticate(session, plain)
        if principal is not None and principal.org_id == org_id:
            return plain
        if settings.dev_api_key is None:
            plain = None  # what the file holds was revoked, or is of another database
    try:
        _, plain = create_key(session, org_id, "muster dev", "admin", plain=plain)
    except Invalid as error:
        raise Failure(f"MUSTER_DEV_API_KEY cannot be used: {error.message}", code=Exit.USAGE) from None
    if settings.dev_api_key is None:
        with os.fdopen(open_private(file, os.O_WRONLY | os.O_TRUNC), "w") as kept:
            kept.write(plain + "\n")
    return plain


def _sign_in_code(session: Session, key: str) -> str:
    """What opens the console once."""
    from engine.authentication.api_keys import authenticate
    from engine.authentication.browser_sessions import make_sign_in_code

    known = authenticate(session, key)
    if known is None:
        raise Failure("the API key was revoked while this began", "start it again")
    return make_sign_in_code(session, known.org_id, known.key_id)


def _greet(url: str, key: str, code: str, settings: Settings) -> None:
    typer.echo(f"Muster serves {url}   documentation: {url}/docs")
    typer.echo(f"Console:  {url}/console/enter?code={code}   (signs in once, within 15 minutes)")
    typer.echo(f"API key:  {key}")
    note(f"data in {settings.data_dir}; other commands see it by MUSTER_DATA_DIR={settings.data_dir}")
    note("Ctrl-C ends it")
