"""What a command works in: the settings, the database, one organization.

A command on the database of an embedded Muster (SQLite, and no broker named) wakes the process that runs beside
it through that database (`neighbour`).
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from actors.cli.failure import Exit, Failure

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from uuid import UUID

    import typer
    from pydantic import ValidationError
    from sqlalchemy.orm import Session

    from config.settings import Settings
    from engine.audit import Author
    from engine.kernel.runtime import Runtime

__all__ = [
    "Opened",
    "author_of",
    "load_settings",
    "misconfigured",
    "open_runtime",
    "opened",
    "quiet_logs",
    "resolve",
]

DEV = "dev"


@dataclass(frozen=True)
class Opened:
    """An organization of an open database."""

    runtime: Runtime
    org_id: UUID
    org_name: str
    author: Author
    """Who runs the command, as the audit log names them."""

    @property
    def settings(self) -> Settings:
        """The process's settings."""
        return self.runtime.settings

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """A writing transaction whose changes are recorded; wake-ups go out after it."""
        from engine.audit import watched

        with self.runtime.transaction() as session, watched(session, self.author):
            yield session

    def read(self) -> AbstractContextManager[Session]:
        """A reading transaction."""
        return self.runtime.database.read()


def load_settings() -> Settings:
    """The settings from the environment and `.env`; a variable that resembles one is named on stderr.

    Raises:
        Failure: a variable holds what cannot be used; all such are named.
    """
    import typer
    from pydantic import ValidationError

    from config.settings import Settings
    from config.unknown import unknown_variables

    for name, meant in unknown_variables(os.environ).items():
        if meant is not None:
            typer.echo(f"muster: {name} is no setting; did you mean {meant}?", err=True)
    try:
        return Settings()
    except ValidationError as error:
        raise misconfigured(_wrong(error)) from None


def quiet_logs(settings: Settings) -> None:
    """Logs beside a command's own output: warnings for people, unless the environment says otherwise."""
    from config.logging import configure_logging

    wanted: dict[str, str] = {"log_level": "warning", "log_format": "console"}
    given = settings.model_fields_set
    configure_logging(
        settings.model_copy(update={key: value for key, value in wanted.items() if key not in given})
    )


@contextmanager
def open_runtime(settings: Settings) -> Iterator[Runtime]:
    """A runtime on a database that is there and has every migration.

    Raises:
        Failure: there is no such SQLite file.
        SchemaOutdated: it lacks migrations.
    """
    from config.settings import EMBEDDED
    from engine.delivery.embedded_wakeups import EmbeddedWakeups
    from engine.kernel.runtime import Runtime
    from state.database import Database
    from state.revisions import require_current

    file = settings.sqlite_file
    if file is not None and not file.exists():
        raise Failure(
            f"there is no database at {file}",
            "run `muster db upgrade` to make it, `muster demo` for one with something in it, "
            "or set MUSTER_DATABASE_URL",
            code=Exit.UNREACHABLE,
        )
    if file is not None and settings.is_embedded:
        settings = settings.model_copy(update={"broker_url": EMBEDDED})
        database = Database(settings.database_url, pool_size=settings.database_pool)
        runtime = Runtime(settings, database=database, wakeups=EmbeddedWakeups(database))
    else:
        runtime = Runtime(settings)
    try:
        require_current(runtime.database)
        yield runtime
    finally:
        runtime.close()


@contextmanager
def opened(context: typer.Context) -> Iterator[Opened]:
    """The organization that the command line names, in the database that the environment names.

    Raises:
        Failure: there is no such organization, or it is not clear which one is meant.
    """
    settings = load_settings()
    quiet_logs(settings)
    with open_runtime(settings) as runtime:
        with runtime.database.read() as session:
            org_id, name = resolve(session, context.obj.org)
        yield Opened(runtime, org_id, name, author_of(context, org_id))


def author_of(context: typer.Context, org_id: UUID | None) -> Author:
    """The user of this machine, as the author of what a command changes."""
    from getpass import getuser

    from engine.audit import Author

    try:
        user = getuser()
    except (KeyError, OSError):  # a container's user may have no name
        user = "unknown"
    return Author(name=f"cli:{user}", role="admin", operation=context.command_path, org_id=org_id)


def resolve(session: Session, name: str | None) -> tuple[UUID, str]:
    """Id and name of the organization: the named one, the only one, or `dev`.

    Raises:
        Failure: there is no such organization, or it is not clear which one is meant.
    """
    from engine.kernel.suggestions import did_you_mean
    from engine.organizations import list_organizations

    known = {organization.name: organization.id for organization in list_organizations(session)}
    if name is not None:
        if name not in known:
            raise Failure(
                f"there is no organization {name!r}{did_you_mean(name, known)}",
                f"there are: {', '.join(known)}" if known else f"run `muster org create {name}`",
            )
        return known[name], name
    if len(known) == 1:
        return next((org_id, only) for only, org_id in known.items())
    if DEV in known:
        return known[DEV], DEV
    if not known:
        raise Failure("there is no organization yet", "run `muster org create NAME`")
    raise Failure(
        "it is not clear which organization is meant",
        f"say it before the command: `muster --org NAME …`, one of {', '.join(known)}",
        code=Exit.USAGE,
    )


def _wrong(error: ValidationError) -> list[str]:
    """What is wrong with settings, each by the name of its variable."""
    found = []
    for item in error.errors(include_url=False):
        message = item["msg"].removeprefix("Value error, ")
        if not item["loc"]:  # of several variables together: the message names them
            found.append(message)
            continue
        name = "MUSTER_" + "_".join(str(part) for part in item["loc"]).upper()
        found.append(f"{name}: {message[:1].lower()}{message[1:]}")
    return found


def misconfigured(wrong: list[str]) -> Failure:
    """The failure of settings that cannot be used."""
    return Failure(
        "the configuration cannot be used\n  " + "\n  ".join(wrong),
        "README.md lists every variable and what it takes",
        code=Exit.USAGE,
    )
