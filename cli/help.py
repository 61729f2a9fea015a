"""How ``--help`` looks: options in groups, and examples as one command a line that can be copied.

A command's docstring is its help. Its first sentence is the summary in the list of commands, ``SUMMARY`` characters at
most. Each line that begins with ``Example: `` is a command line; all of them stand at the end of the help.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from cli.settings import OF_KAFKA, OF_LOGS, environment_options

SUMMARY = 59
"""Characters that a summary has at 80 columns beside the longest name of a command."""
_EXAMPLE = "Example: "
_INDENT = 2
_KIND = re.compile(r"<([^<>]+)>$")
_BETWEEN, _LEAST = re.compile(r"([\d.]+)<=x<=([\d.]+)"), re.compile(r"x>=([\d.]+)")
_WORD = re.compile(r"""(?:[^\s"']|"[^"]*"|'[^']*')+""")


class App(typer.Typer):
    """A group of commands with this help; takes what ``typer.Typer`` takes."""

    def __init__(self, **options: Any) -> None:
        """Nothing is registered yet."""
        options.setdefault("add_completion", False)
        super().__init__(cls=Group, rich_markup_mode=None, **options)

    def command(self, name: str | None = None, **options: Any) -> Callable[[Any], Any]:
        """As ``typer.Typer.command``."""
        return super().command(name, cls=Command, **options)


class _Help:
    """What commands and groups have in common. ``write_dl`` and ``section`` are those of click's formatter."""

    def collect_usage_pieces(self, context: Any) -> list[str]:
        pieces: list[str] = super().collect_usage_pieces(context)  # type: ignore[misc]
        return [piece.replace("{", "").replace("}", "") for piece in pieces]

    def format_help_text(self, _context: Any, formatter: Any) -> None:
        prose, _ = parts(getattr(self, "help", None) or "")
        if prose:
            formatter.write_paragraph()
            with formatter.indentation():
                formatter.write_text(prose)

    def format_options(self, context: Any, formatter: Any) -> None:
        panels: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(context):  # type: ignore[attr-defined]
            record = parameter.get_help_record(context)
            if record is not None:
                argument = parameter.param_type_name == "argument"
                title = getattr(parameter, "rich_help_panel", None) or ("Arguments" if argument else "Options")
                name = parameter.metavar if argument and parameter.metavar else record[0]
                panels.setdefault(title, []).append((name, record[1]))
        _write(_ordered(panels), formatter)

    def format_epilog(self, _context: Any, formatter: Any) -> None:
        _, examples = parts(getattr(self, "help", None) or "")
        if examples:
            with formatter.section("Examples" if len(examples) > 1 else "Example"):
                for example in examples:
                    for line in broken(example, formatter.width - _INDENT):
                        formatter.write(f"{'':{_INDENT}}{line}\n")


LOGGING = frozenset({"simulate", "produce", "process", "gateway"})
"""The commands that keep a log as long as they run."""


class Command(_Help, TyperCommand):
    """A command with this help. One that is told which brokers to speak to is told how; one that logs, in what form."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        """As Typer makes it."""
        super().__init__(*arguments, **options)
        if any(parameter.name == "bootstrap" for parameter in self.params):
            self.params += environment_options(OF_KAFKA)
        if self.name in LOGGING:
            self.params += environment_options(OF_LOGS)


class Group(_Help, TyperGroup):
    """A group of commands with this help."""

    def format_options(self, context: Any, formatter: Any) -> None:
        """The options, and the commands in their panels."""
        super().format_options(context, formatter)
        panels: dict[str, list[tuple[str, str]]] = {}
        names = [name for name in self.list_commands(context) if not self.commands[name].hidden]
        for name in names:
            command = self.commands[name]
            title = getattr(command, "rich_help_panel", None) or "Commands"
            room = formatter.width - 3 * _INDENT - max(map(len, names))
            panels.setdefault(title, []).append((name.ljust(max(map(len, names))), command.get_short_help_str(room)))
        _write(panels, formatter)


def parts(text: str) -> tuple[str, list[str]]:
    """The prose of a help text, and the command lines of its examples."""
    lines = inspect.cleandoc(text).splitlines()
    examples = [line.removeprefix(_EXAMPLE) for line in lines if line.startswith(_EXAMPLE)]
    return "\n".join(line for line in lines if not line.startswith(_EXAMPLE)).strip(), examples


def broken(command: str, width: int) -> list[str]:
    """A command line in lines of at most ``width`` characters, each but the last continued by a backslash.

    A shell takes them as they are. An option stays with its value. A word that is longer than the width is not broken.
    """
    if len(command) <= width:
        return [command]
    pieces: list[str] = []
    for word in _WORD.findall(command):
        if pieces and pieces[-1].startswith("--") and " " not in pieces[-1] and not word.startswith("-"):
            pieces[-1] += f" {word}"
        else:
            pieces.append(word)
    lines = [pieces[0]]
    for piece in pieces[1:]:
        if len(lines[-1]) + len(piece) + 3 > width:
            lines[-1] += " \\"
            lines.append(f"    {piece}")
        else:
            lines[-1] += f" {piece}"
    return lines


def _ordered(panels: dict[str, list[tuple[str, str]]]) -> dict[str, list[tuple[str, str]]]:
    """Arguments first, then the options of no group: last where ``--help`` alone is of none."""
    own = panels.pop("Options", [])
    first = {"Arguments": panels.pop("Arguments")} if "Arguments" in panels else {}
    return first | {"Options": own} | panels if len(own) > 1 else first | panels | {"Options": own}


def _write(panels: dict[str, list[tuple[str, str]]], formatter: Any) -> None:
    for title, rows in panels.items():
        with formatter.section(title):
            formatter.write_dl([(_KIND.sub(_value, names), _range(about)) for names, about in rows])


def _range(about: str) -> str:
    """The bounds of a number in words."""
    return _LEAST.sub(r"\1 or more", _BETWEEN.sub(r"\1 to \2", about))


def _value(kind: re.Match[str]) -> str:
    """What people write for a value that has no word of its own: a number, or one of a few words."""
    return "N" if kind[1].removesuffix(" range") in {"int", "float"} else kind[1]
