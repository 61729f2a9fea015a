"""Command lines as documents and containers write them, read as ``ashare`` reads them, without running anything."""

from __future__ import annotations

from typing import Any

import typer

from cli.main import app


def parse(arguments: list[str]) -> set[str]:
    """Read the arguments of ``ashare``; a command, option or value that does not exist raises.

    Returns:
        The environment variables that the command reads.
    """
    command: Any = typer.main.get_command(app)
    context = command.make_context("ashare", list(arguments))
    while hasattr(command, "resolve_command"):
        left = [*context._protected_args, *context.args]
        if not left and command.invoke_without_command:
            break
        name, command, rest = command.resolve_command(context, left)
        context = command.make_context(name, rest, parent=context)
    return {parameter.envvar for parameter in command.params if parameter.envvar}
