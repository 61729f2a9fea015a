"""``ashare config``, and what every command owes its reader."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from cli.main import app
from cli.settings import SETTINGS

run = CliRunner()


def config(environment: dict[str, str | None]) -> dict[str, Any]:
    result = run.invoke(app, ["config", "--json"], env=environment, catch_exceptions=False)
    assert result.exit_code == 0
    printed: dict[str, Any] = json.loads(result.stdout)
    return printed


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for setting in SETTINGS.values():
        monkeypatch.delenv(setting.env, raising=False)
        monkeypatch.delenv(f"{setting.env}_FILE", raising=False)


def test_without_an_environment_every_setting_is_its_default() -> None:
    """All of them are listed, with flag, variable and meaning."""
    printed = config({})
    assert list(printed) == list(SETTINGS)
    assert {row["origin"] for row in printed.values()} == {"default"}
    assert printed["web_port"] == {
        "name": "web_port",
        "flag": "--web-port",
        "environment": "ASHARE_WEB_PORT",
        "value": 6066,
        "origin": "default",
        "about": SETTINGS["web_port"].about,
    }


def test_the_environment_beats_the_default_and_has_its_type() -> None:
    """Text becomes the setting's number or truth value; an empty variable is none at all."""
    printed = config(
        {
            "ASHARE_WEB_PORT": "7000",
            "ASHARE_FEED_TRADES_ONLY": "1",
            "ASHARE_FEED_HEARTBEAT": "5",
            "ASHARE_THRESHOLD": "2ticks",
            "ASHARE_STORE": "",
        }
    )
    shown = {name: (row["value"], row["origin"]) for name, row in printed.items()}
    assert shown["web_port"] == (7000, "environment")
    assert shown["heartbeat"] == (5.0, "environment")
    assert shown["trades_only"] == (True, "environment")
    assert shown["threshold"] == ("2ticks", "environment")
    assert shown["store"] == (SETTINGS["store"].default, "default")


def test_no_secret_is_printed_wherever_it_hides(tmp_path: Path) -> None:
    """Not the token, not the file's content, not what an address carries, as table or as JSON."""
    file = tmp_path / "token"
    file.write_text("hunter2\n")
    for environment in (
        {"ASHARE_FEED_TOKEN": "hunter2"},
        {"ASHARE_FEED_TOKEN_FILE": str(file)},
        {"ASHARE_FEED_URL": "wss://me:hunter2@feed.example/push?key=hunter2&level=2#hunter"},
        {"ASHARE_STORE": "questdb://me:hunter2@db.example:9000"},
    ):
        for arguments in (["config"], ["config", "--json"]):
            result = run.invoke(app, arguments, env=environment, catch_exceptions=False)
            assert result.exit_code == 0
            assert "hunter2" not in result.output
            assert "***" in result.output
    assert config({"ASHARE_FEED_TOKEN_FILE": str(file)})["token"]["origin"] == "file"
    assert config({"ASHARE_FEED_TOKEN": "x"})["token"]["value"] == "***"
    assert config({})["token"]["value"] is None


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"ASHARE_WEB_PORT": "http"}, "ASHARE_WEB_PORT: 'http' is not a number like 6066"),
        ({"ASHARE_FEED_HEARTBEAT": "20s"}, "ASHARE_FEED_HEARTBEAT: '20s' is not a number like 20.0"),
        ({"ASHARE_FEED_TRADES_ONLY": "perhaps"}, "ASHARE_FEED_TRADES_ONLY: 'perhaps' is neither true nor false"),
        ({"ASHARE_TRESHOLD": "0.05"}, "did you mean ASHARE_THRESHOLD?"),
        ({"ASHARE_FEED_TOKEN": "a", "ASHARE_FEED_TOKEN_FILE": "b"}, "keep one"),
        ({"ASHARE_FEED_TOKEN_FILE": "/nowhere"}, "ASHARE_FEED_TOKEN_FILE names a file that can't be read"),
    ],
)
def test_a_setting_that_cannot_be_is_refused_by_name(environment: dict[str, str], said: str) -> None:
    """The error names the variable and says what to do."""
    result = run.invoke(app, ["config"], env=environment)
    assert said in str(result.exception)


def commands(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The path of every command, down through the groups."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name)


@pytest.mark.parametrize("path", list(commands(typer.main.get_command(app))), ids=" ".join)
def test_every_command_says_what_it_does_and_gives_an_example(path: tuple[str, ...]) -> None:
    """``--help`` works without heavy imports failing, ends with an example that starts with the command itself."""
    result = run.invoke(app, [*path, "--help"])
    assert result.exit_code == 0, result.output
    assert "Not built yet" not in result.output
    _, _, example = result.output.partition("Example")
    assert f"ashare {' '.join(path)}" in example
