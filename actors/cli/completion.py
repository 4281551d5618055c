"""`muster completion`: what a shell runs to complete commands and options."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = ["VARIABLE", "completion"]

#: Set by the script when the shell asks for completions.
VARIABLE = "_MUSTER_COMPLETE"
_SHELLS = ("bash", "zsh", "fish")


def completion(shell: Annotated[str, typer.Argument(help="bash, zsh or fish.")]) -> None:
    """Print the script that completes commands in a shell: `eval "$(muster completion bash)"`."""
    from typer._completion_shared import get_completion_script

    from actors.cli.choices import one_of

    chosen = one_of("the shell", shell, _SHELLS)
    typer.echo(get_completion_script(prog_name="muster", complete_var=VARIABLE, shell=chosen))
