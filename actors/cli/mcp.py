"""`muster mcp`: the MCP server, for assistants."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from actors.cli.failure import Exit, Failure

__all__ = ["mcp"]

KEY_VARIABLE = "MUSTER_API_KEY"


def mcp(
    *,
    url: Annotated[str, typer.Option(help="The API's address.")] = "http://127.0.0.1:8000",
    key_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help=f"A file that holds the API key. [default: the variable {KEY_VARIABLE}]"
        ),
    ] = None,
    changes: Annotated[
        bool, typer.Option("--changes", help="Have tools that activate, pause and resume campaigns.")
    ] = False,
) -> None:
    """Serve the Model Context Protocol on standard input and output, for an assistant (docs/assistants.md).

    It can do what its key may; without --changes it only reads.
    """
    try:
        from actors.assistant import Api, make_server
    except ModuleNotFoundError as error:
        if error.name != "mcp":
            raise
        raise Failure(
            "the MCP library is not installed", "pip install 'muster-engine[assistants]'", code=Exit.USAGE
        ) from error
    make_server(Api(url, _key(key_file)), changes=changes).run("stdio")


def _key(file: Path | None) -> str:
    try:
        key = os.environ.get(KEY_VARIABLE, "") if file is None else file.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise Failure(f"{file} cannot be read", str(error), code=Exit.USAGE) from error
    if not key.strip().isascii() or not key.strip():
        raise Failure("there is no API key", f"give --key-file or {KEY_VARIABLE}", code=Exit.USAGE)
    return key.strip()
