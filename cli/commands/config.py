"""``ashare config``."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Annotated, Any

import typer

from cli import settings
from cli.checks import CHECKS
from schemas import UsageError
from schemas.addresses import shown_address
from schemas.outside import printable

_MASK = "***"
_TRUTH = dict.fromkeys(("1", "t", "true", "y", "yes", "on"), True) | dict.fromkeys(
    ("0", "f", "false", "n", "no", "off"), False
)


@dataclass(frozen=True)
class Effective:
    """A setting as a command started now would see it, fit to be shown: secrets are masked, unset ones are ``None``."""

    name: str
    flag: str
    environment: str
    value: Any
    origin: str
    """``default``, ``environment`` or ``file``."""
    about: str


def effective(environment: Mapping[str, str]) -> list[Effective]:
    """Every setting, in the order of its declaration.

    Raises:
        UsageError: a variable's value is not of the setting's type, or a secret's file can't be read.
    """
    return [_effective(setting, environment) for setting in settings.SETTINGS.values()]


def _effective(setting: settings.Setting, environment: Mapping[str, str]) -> Effective:
    given = environment.get(setting.env) or None  # an empty variable is none, as for the commands
    value, origin = setting.default, "default"
    if given is not None:
        value, origin = _typed(setting, given), "environment"
        if setting.name in CHECKS and "@" not in given:  # an address with a password is shown, masked
            CHECKS[setting.name](given, setting.env)
    elif setting.secret and environment.get(f"{setting.env}_FILE"):
        value, origin = settings.secret(setting.name, None), "file"
    if setting.secret:
        settings.secret(setting.name, given)  # both given is an error here as there
    if setting.secret or setting.masked:
        value = _MASK if value else None
    return Effective(setting.name, setting.flag, setting.env, _shown(value), origin, setting.about)


def _typed(setting: settings.Setting, given: str) -> Any:
    """A variable's text as the type of the setting, as the commands read it."""
    if isinstance(setting.default, bool):
        if given.lower() not in _TRUTH:
            raise UsageError(f"{setting.env}: {given!r} is neither true nor false")
        return _TRUTH[given.lower()]
    if isinstance(setting.default, (int, float)):
        try:
            return type(setting.default)(given)
        except ValueError:
            raise UsageError(f"{setting.env}: {given!r} is not a number like {setting.default}") from None
    return given


def _shown(value: Any) -> Any:
    """A value without the secrets of an address; its path is kept where it is a place of files."""
    if not isinstance(value, str) or "://" not in value:
        return value
    if value.lower().startswith(("ws:", "wss:")):
        return shown_address(value)
    return re.sub(r"([?&][^=&#]*=)[^&#]*", rf"\1{_MASK}", re.sub(r"//[^/?#]*@", f"//{_MASK}@", value))


def command(
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object, by setting")] = False,
) -> None:
    """Show the settings in force, and where each comes from.

    Secrets are masked. A flag of a command beats the environment, which beats the default.

    Example: ASHARE_THRESHOLD=2ticks ashare config
    """
    rows = effective(os.environ)
    if as_json:
        print(json.dumps({row.name: asdict(row) for row in rows}, ensure_ascii=False, indent=2))
        return
    from cli.tables import Column, show

    columns = [
        Column("setting"),
        Column("value"),
        Column("from"),
        *(Column(n, below=True) for n in ("flag", "environment")),
    ]
    show(columns, [(row.name, _text(row.value), row.origin, row.flag, row.environment) for row in rows])


def _text(value: Any) -> str:
    if value is None or value == "":
        return "–"
    return json.dumps(value) if isinstance(value, bool) else printable(str(value))
