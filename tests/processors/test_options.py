"""What a worker is told: which agents, by name and by file; what is wrong with either is told with the way out."""

from __future__ import annotations

import importlib
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from broker.http_access import LOOPBACK
from jobs.thresholds import parse_overrides
from processors.options import AGENTS, WorkerOptions, load, make_agents, parse_agents, reached_at
from schemas import UsageError

RIGHT = """
from processors.streaming.per_tick import PerTick

class Alerts(PerTick):
    name = "{name}"
    outputs = ("acme.alerts.v1",)
    def on_tick(self, tick):
        return ()
"""


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, str], None]]:
    """Writes modules of the working directory; they are forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    made: list[str] = []

    def written(name: str, text: str) -> None:
        path = tmp_path / f"{name.replace('.', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        importlib.invalidate_caches()
        made.append(name)

    yield written
    for name in made:
        sys.modules.pop(name, None)


def options(*agents: str) -> WorkerOptions:
    """A worker's, with these agents."""
    thresholds = parse_overrides("0.01", "")
    return WorkerOptions("127.0.0.1:9", agents, "sqlite:///x", thresholds, LOOPBACK, 1, "http://127.0.0.1:1")


@pytest.mark.parametrize(
    ("text", "agents"),
    [
        ("bars,snapshots,storage,changes", AGENTS),
        ("changes,snapshots", ("snapshots", "changes")),
        (" changes , ,changes,", ("changes",)),
        ("mine:Alerts", ("mine:Alerts",)),
        ("acme.agents:Alerts,changes,mine:Movers_2", ("changes", "acme.agents:Alerts", "mine:Movers_2")),
        ("mine:B,mine:A,mine:B", ("mine:B", "mine:A")),
    ],
)
def test_agents_are_named_in_any_order(text: str, agents: tuple[str, ...]) -> None:
    """This project's come first, in their order; then the others, in the order in which they are named."""
    assert parse_agents(text) == agents


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", ",", "snapshot", "Snapshots", "snapshots;changes", "snapshots changes"),
        *("mine", "mine:", ":Alerts", "mine:Alerts:x", "mine.py:Alerts:", "./mine:Alerts", "mine/x:Alerts"),
        *("mine:Alerts()", "1mine:Alerts", "mine..x:Alerts", "mine:Al-erts", "mine.:Alerts", "snapshots,mine.py"),
    ],
)
def test_what_is_not_an_agent_is_refused_with_those_that_there_are(text: str) -> None:
    """The first that is wrong is named."""
    with pytest.raises(
        UsageError, match="--agents takes snapshots, storage, changes, bars, bar-store, and agents of your own"
    ) as wrong:
        parse_agents(text)
    assert "no agent is named" in str(wrong.value) or "is not an agent" in str(wrong.value)


def test_an_agent_of_another_team_is_a_file_of_the_working_directory(write: Callable[[str, str], None]) -> None:
    """Or a module of an installed package; it stands beside this project's."""
    write("mine", RIGHT.format(name="alerts"))
    write("acme.deep.agents", RIGHT.format(name="movers-2"))
    made = make_agents(options("changes", "mine:Alerts", "acme.deep.agents:Alerts"))
    assert [agent.name for agent in made] == ["changes", "alerts", "movers-2"]


NAMELESS = RIGHT.replace('name = "{name}"', "pass")
WRONG = {
    "mine:Gone": (RIGHT.format(name="x"), "mine has no Gone"),
    "mine:PATH": ("PATH = 1", "is not a subclass of processors.streaming.agent.Agent: PATH"),
    "mine:Alerts": ("class Alerts:\n    name = 'alerts'", "is not a subclass of processors.streaming.agent.Agent"),
    "mine:made": (RIGHT.format(name="x") + "\nmade = Alerts()", "is not a subclass"),
}


@pytest.mark.parametrize("place", WRONG)
def test_what_is_in_the_file_and_not_an_agent_is_told(place: str, write: Callable[[str, str], None]) -> None:
    """With the setting as it was given."""
    text, said = WRONG[place]
    write("mine", text)
    with pytest.raises(UsageError) as wrong:
        load(place)
    assert str(wrong.value).startswith(f"--agents {place}: ")
    assert said in str(wrong.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import no_such_library", "No module named 'no_such_library'"),
        ("def on_tick(:\n", "SyntaxError"),
        ("1 / 0", "division by zero"),
        ("raise SystemError('broken')", "broken"),
        ("from processors.streaming.agent import NoSuchThing", "NoSuchThing"),
    ],
)
def test_a_file_that_cant_be_imported_is_told_with_the_reason(
    text: str, said: str, write: Callable[[str, str], None]
) -> None:
    """And so is one that is not there."""
    write("mine", text)
    with pytest.raises(UsageError, match="--agents mine:Alerts: the module mine can't be imported") as wrong:
        load("mine:Alerts")
    assert said in str(wrong.value)
    with pytest.raises(UsageError, match="the module not_there can't be imported: ModuleNotFoundError"):
        load("not_there:Alerts")


@pytest.mark.parametrize(
    "name", ["", "Alerts", "my alerts", "-a", "a--b", "a_b", "ä", "changes", "1.", "storage-changes"]
)
def test_a_name_that_makes_no_consumer_group_is_refused(name: str, write: Callable[[str, str], None]) -> None:
    """Also one of this project's, or several: its group would be theirs, or one that they shared before."""
    write("mine", RIGHT.format(name=name))
    with pytest.raises(UsageError, match="set `name` to lower-case letters, digits and dashes, other than snapshots"):
        load("mine:Alerts")


def test_an_agent_without_a_name_is_refused(write: Callable[[str, str], None]) -> None:
    """With what to set."""
    write("mine", NAMELESS)
    with pytest.raises(UsageError, match="its name is None: set `name`"):
        load("mine:Alerts")


def test_an_agent_that_cant_be_made_is_told_with_the_reason(write: Callable[[str, str], None]) -> None:
    """It is made without arguments."""
    write("mine", RIGHT.format(name="alerts") + "\n    def __init__(self, size):\n        pass\n")
    with pytest.raises(UsageError, match=r"--agents mine:Alerts: Alerts\(\) failed: TypeError"):
        load("mine:Alerts")


def test_two_agents_of_one_name_are_refused(write: Callable[[str, str], None]) -> None:
    """They would be one consumer group."""
    write("mine", RIGHT.format(name="alerts"))
    write("other", RIGHT.format(name="alerts"))
    with pytest.raises(UsageError, match="two agents are called 'alerts': give one another name"):
        make_agents(options("mine:Alerts", "other:Alerts"))


def test_a_server_on_all_addresses_is_reached_by_the_machine_s_name() -> None:
    """Each container has a name of its own, so that workers that are scaled announce different addresses."""
    assert reached_at("0.0.0.0") == reached_at("::") == socket.gethostname()
    assert reached_at("10.1.2.3") == "10.1.2.3"
