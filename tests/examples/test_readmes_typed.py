"""The examples' READMEs are typed: each section's commands in their order, in the folder that the page names.

They stand in a copy of the project's folder, beside a broker that holds what a demo's would. What needs a tool that is
not installed here is skipped, and says so.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any

import pytest

from broker import admin
from deploy.embedded import KafkaBroker, free_port, node
from schemas import encode
from schemas.topics import TICKS
from tests.examples.programs import EXAMPLES, Program
from tests.examples.public_topic import FIRST, PublicTopic, send
from tests.examples.test_notebooks import LAST

# Fetching what the page says to install takes a while.
pytestmark = pytest.mark.timeout(600)

ROOT = EXAMPLES.parent
PATIENCE = 120.0
NOTEBOOK = EXAMPLES / "notebook" / "opening.ipynb"
_STATE = (". ", "export ")
_NEEDS = {"examples/kcat/price-changes.sh": "kcat"}
"""What a script of the page needs, by how it is called."""


def blocks(text: str) -> list[list[str]]:
    """The lines of each block of shell."""
    return [block.splitlines() for block in re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)]


def sections(page: Path) -> list[tuple[str, list[str]]]:
    """Each paragraph that begins in bold, with the lines that it says to type."""
    parts = re.split(r"^(?=\*\*)", page.read_text("utf-8"), flags=re.MULTILINE)[1:]
    return [(part.split("**")[1], [line for block in blocks(part) for line in block]) for part in parts]


SECTIONS = [(title, lines) for title, lines in sections(EXAMPLES / "README.md") if lines]
FIRST_LINES = [line for line in SECTIONS[0][1] if "my-team" not in line]
"""They make the environment in which the others are typed."""

RUN = """
import json, sys
names = {"__name__": "__main__"}
for cell in json.load(open(sys.argv[1], encoding="utf-8"))["cells"]:
    if cell["cell_type"] == "code":
        exec("".join(cell["source"]), names)
bars = names["bars"].dropna()
found = {"code": names["code"], "ticks": len(names["ticks"]), "prices": names["one"]["price"].tolist()}
found["times"] = [moment.isoformat() for moment in bars.index]
found["bars"] = bars[["open", "high", "low", "close", "volume"]].values.tolist()
json.dump(found, open(sys.argv[2], "w"))
names["figure"].savefig(sys.argv[3])
"""
"""Runs the cells of a notebook in order, as an editor of notebooks does, and keeps what they found."""


@dataclass
class Desk:
    """A folder like the project's, in which the commands are typed."""

    folder: Path
    topic: PublicTopic
    path: str
    state: list[str] = field(default_factory=list)

    def environment(self) -> dict[str, str]:
        """What the reader's shell has."""
        mine = {name: value for name, value in os.environ.items() if not name.startswith(("ASHARE_", "PYTHON"))}
        addresses = dict.fromkeys(("ASHARE_KAFKA_BOOTSTRAP", "BOOTSTRAP"), self.topic.bootstrap)
        return mine | addresses | {"PATH": self.path, "MPLBACKEND": "Agg", "PYTHONUNBUFFERED": "1"}

    def shell(self, line: str) -> list[str]:
        """A shell that has what was typed before, and becomes the command of a line."""
        line = re.sub(r"--(web-)?port \d+", lambda found: f"--{found[1] or ''}port {free_port()}", line)
        line = line.replace("127.0.0.1:9092", self.topic.bootstrap)
        return ["/usr/bin/env", "bash", "-c", "\n".join(["set -e", *self.state, f"exec env {line}"])]

    def run(self, line: str) -> None:
        """A line whose command ends by itself, with 0."""
        if line.startswith(_STATE):
            self.state.append(line)
            return
        done = subprocess.run(
            self.shell(line),
            cwd=self.folder,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert done.returncode == 0, f"{line}\n{done.stdout[-2000:]}{done.stderr[-4000:]}"

    def read(self, line: str) -> None:
        """A line that reads the public topic until Ctrl-C, while changes come, as they do from a demo."""
        with Program(self.shell(line), folder=self.folder, **self.environment()) as program:
            if line.startswith("go run "):
                program.in_order |= {1}  # what `go run` itself ends with after an interrupt, whatever the program did
            until, printed = time.monotonic() + PATIENCE, None
            while printed is None:
                assert time.monotonic() < until, line
                self.topic.publish(FIRST)
                printed = program.line(0.5)
            program.stop()
        assert FIRST.code in {printed.get("code"), printed.get("key")}

    @contextlib.contextmanager
    def stays(self, command: list[str], folder: Path, **variables: str) -> Iterator[IO[str]]:
        """A command that stays until SIGTERM, after which it ends with 0 or as one that was ended; what it writes."""
        with tempfile.TemporaryFile("w+", encoding="utf-8") as output:
            process = subprocess.Popen(
                command,
                cwd=folder,
                env=self.environment() | variables,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
            try:
                yield output
                assert process.poll() is None, written(output)
                process.send_signal(signal.SIGTERM)
                assert process.wait(60) in {0, -signal.SIGTERM}, written(output)
            finally:
                process.kill()
                process.wait()


def written(output: IO[str]) -> str:
    output.seek(0)
    return output.read()


def wait_for(output: IO[str], expected: str) -> re.Match[str]:
    """Until a program has said something."""
    until = time.monotonic() + PATIENCE
    while not (found := re.search(expected, written(output))):
        assert time.monotonic() < until, written(output)
        time.sleep(0.1)
    return found


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A copy of what the page's commands need, a broker with an opening and changes, and the page's environment."""
    folder, programs = tmp_path_factory.mktemp("project"), tmp_path_factory.mktemp("bin")
    unwanted = shutil.ignore_patterns("node_modules", "__pycache__")
    shutil.copytree(EXAMPLES, folder / "examples", ignore=unwanted)
    shutil.copytree(ROOT / "clients/python", folder / "clients/python", ignore=unwanted)
    (folder / ".venv").symlink_to(sys.prefix)
    # A Node.js as its installers leave it: the wheel's own npm does not find its library.
    (programs / "node").symlink_to(node.node())
    npm = node.node().parent.parent / "lib/node_modules/npm/bin/npm-cli.js"
    (programs / "npm").write_text(f'#!/bin/sh\nexec {shlex.quote(str(node.node()))} {shlex.quote(str(npm))} "$@"\n')
    (programs / "npm").chmod(0o755)
    base = Path(sys.base_prefix) / "bin"
    path = os.pathsep.join([str(programs), str(base), os.environ["PATH"], "/usr/local/go/bin"])
    with KafkaBroker(tmp_path_factory.mktemp("kafka")) as broker:
        # In a thread of its own: pytest-asyncio's event loop belongs to the tests.
        with ThreadPoolExecutor(1) as pool:
            pool.submit(lambda: asyncio.run(admin.apply(broker.bootstrap))).result()
        send(broker.bootstrap, TICKS, [(tick.code, encode(tick), []) for tick in LAST])
        desk = Desk(folder, PublicTopic(broker.bootstrap), path)
        for line in FIRST_LINES:
            desk.run(line)
        yield desk


@pytest.mark.parametrize(
    ("title", "lines"), [pytest.param(*section, id=f"{n}-{section[0]}") for n, section in enumerate(SECTIONS, 1)]
)
def test_a_section_is_typed_line_by_line(desk: Desk, title: str, lines: list[str]) -> None:
    """What ends ends with 0; what reads prints a change and obeys Ctrl-C; what stays answers."""
    desk = replace(desk, state=list(desk.state))  # what is exported here is not for the next section
    for line in lines:
        if line in FIRST_LINES:
            continue
        require(desk, line)
        if line.startswith("jupyter lab "):
            draws_the_opening(desk, line.split()[-1])
        elif "my-team" in line or "price-changes.sh" in line:
            desk.read(line)
        elif " process " in line:
            command = desk.shell(line)
            port = re.search(r"--web-port (\d+)", command[-1])
            assert port is not None
            with desk.stays(command, desk.folder):
                answered(f"http://127.0.0.1:{port[1]}/status")
        else:
            desk.run(line)


def require(desk: Desk, line: str) -> None:
    """Skip what needs a tool that is not here; a notebook is run by Python itself."""
    word = next(word for word in shlex.split(line) if "=" not in word)
    tool = _NEEDS.get(word, word)
    if tool in {"jupyter", "pip", "python", *(name.strip() for name in _STATE)} or "/" in tool:
        return
    if shutil.which(tool, path=desk.path) is None:
        pytest.skip(f"{tool} is not installed: not typed: {line}")


def answered(place: str) -> None:
    """Until an address of ours answers."""
    until = time.monotonic() + PATIENCE
    while True:
        with contextlib.suppress(OSError), urllib.request.urlopen(place, timeout=5):  # noqa: S310 - of our own making
            return
        assert time.monotonic() < until, place
        time.sleep(0.2)


def draws_the_opening(desk: Desk, notebook: str) -> None:
    """The notebook's cells, run in order: prices and bars are those of the ticks that were published."""
    (desk.folder / "run.py").write_text(RUN, "utf-8")
    desk.run(f"python run.py {notebook} found.json figure.png")
    found: dict[str, Any] = json.loads((desk.folder / "found.json").read_text("utf-8"))
    turnover: dict[str, float] = {}
    for tick in LAST:
        turnover[tick.code] = turnover.get(tick.code, 0.0) + (tick.turnover or 0.0)
    code = max(turnover, key=turnover.__getitem__)
    mine = [tick for tick in LAST if tick.code == code]
    bars: dict[int, list[Any]] = {}
    for tick in mine:
        bars.setdefault(tick.time // 10_000, []).append(tick)
    assert (found["code"], found["ticks"]) == (code, len(LAST))
    assert found["prices"] == [tick.price for tick in mine]
    assert found["bars"] == [
        [
            some[0].price,
            max(t.price for t in some),
            min(t.price for t in some),
            some[-1].price,
            sum(t.volume for t in some),
        ]
        for _, some in sorted(bars.items())
    ]
    assert {text[-6:] for text in found["times"]} == {"+08:00"}
    assert (desk.folder / "figure.png").stat().st_size > 10_000


def test_the_bridge_beside_a_terminal_is_started_and_read(desk: Desk, tmp_path: Path) -> None:
    """In its own folder, in a Python that has ``xtquant`` (here one that brings nothing); then from the project's."""
    (install, serve), (produce,) = blocks((EXAMPLES / "qmt_bridge/README.md").read_text("utf-8"))
    (tmp_path / "xtquant").mkdir()
    (tmp_path / "xtquant/__init__.py").write_text("")
    (tmp_path / "xtquant/xtdata.py").write_text(
        "import time\nsubscribe_whole_quote = lambda codes, callback: 1\nrun = lambda: time.sleep(600)\n"
    )
    desk.run(install)
    activated = [f". {desk.folder}/.venv-examples/bin/activate"]
    command = ["/usr/bin/env", "bash", "-c", "\n".join([*activated, f"exec {serve} --port {free_port()}"])]
    with desk.stays(command, desk.folder / "examples/qmt_bridge", PYTHONPATH=str(tmp_path)) as output:
        port = wait_for(output, r"serving ws://[\d.]+:(\d+)")[1]
        line = produce.replace("TERMINAL:8765", f"127.0.0.1:{port}")
        assert line != produce
        with desk.stays(desk.shell(line), desk.folder) as said:
            wait_for(said, "subscribed")


def test_nothing_is_typed_in_another_folder() -> None:
    """No line goes elsewhere, so that the next section begins where this one did."""
    assert [line for _, lines in SECTIONS for line in lines if re.search(r"\b(cd|pushd)\b", line)] == []


def test_the_notebook_is_committed_without_what_it_printed() -> None:
    """No output, no counts: a diff shows code. It is a notebook of version 4.5, each cell with an id of its own."""
    notebook = json.loads(NOTEBOOK.read_text("utf-8"))
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    cells = notebook["cells"]
    assert len({cell["id"] for cell in cells}) == len(cells)
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert code
    assert [cell["id"] for cell in code if cell["outputs"] or cell["execution_count"] is not None] == []
    for cell in code:
        compile("".join(cell["source"]), cell["id"], "exec")
