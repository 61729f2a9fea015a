"""What the pipeline writes is read, field for field, by every client that the examples show."""

from __future__ import annotations

import json
import re
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from deploy.embedded.jars import ROOTS
from schemas import PriceChange, encode
from tests.examples.programs import EXAMPLES, Build, Program, go_program, java_program, node_program, python, tool
from tests.examples.public_topic import FIRST, FOREIGN, KINDS, LARGEST, Line, PublicTopic, as_printed, by_code

# The first run on a machine compiles Go's library and fetches packages.
pytestmark = pytest.mark.timeout(300)

BUILDS: dict[str, Build] = {
    "ashare-client": python("with_ashare_client.py"),
    "aiokafka": python("with_aiokafka.py"),
    "confluent-kafka": python("with_confluent_kafka.py"),
    "java": java_program,
    "go": go_program,
    "node": node_program,
}


@dataclass(frozen=True)
class Example:
    """One client's example, built."""

    name: str
    command: list[str]

    def read(self, topic: PublicTopic, group: str, start: str) -> Program:
        """Run it."""
        return Program([*self.command, topic.bootstrap, f"{self.name}-{group}", start])

    def printed(self, change: PriceChange) -> Line:
        """What it prints of a change; the client library gives no headers, since it needs none to drop repeats."""
        line = as_printed(change)
        if self.name == "ashare-client":
            del line["ce_id"]
        return line


@pytest.fixture(scope="module", params=BUILDS)
def example(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Example:
    return Example(request.param, BUILDS[request.param](tmp_path_factory.mktemp("build")))


def test_every_field_is_read_and_a_group_goes_on_where_it_was(example: Example, topic: PublicTopic) -> None:
    """A new group begins at the start that it names; Ctrl-C commits, and the next run prints what came since."""
    with example.read(topic, "everything", "earliest") as program:
        lines = program.lines(len(topic.published))
        assert program.stop() == []
    assert by_code(lines) == by_code(map(example.printed, topic.published))
    since = topic.publish(*KINDS)
    with example.read(topic, "everything", "earliest") as program:
        assert by_code(program.lines(len(KINDS))) == by_code(map(example.printed, since))
        assert program.stop() == []


def test_a_new_group_may_begin_at_the_end(example: Example, topic: PublicTopic) -> None:
    """Nothing of what was there before is printed, and nothing of what comes after is left out."""
    before = len(topic.published)
    with example.read(topic, "news", "latest") as program:
        first = None
        while first is None:  # when a client stands at the end, it does not say
            topic.publish(FIRST)
            first = program.line(0.5)
        printed = [first, *program.stop()]
    news = [example.printed(change) for change in topic.published[before:]]
    assert printed == news[-len(printed) :]


def test_the_java_example_names_the_jars_that_it_is_tested_with() -> None:
    """Its first lines are what a stranger's tool resolves."""
    source = (EXAMPLES / "java" / "PriceChanges.java").read_text("utf-8")
    assert [line.removeprefix("//DEPS ") for line in source.splitlines() if line.startswith("//DEPS ")] == [
        *ROOTS["kafka-clients"]
    ]


@pytest.mark.parametrize(
    "file",
    [
        pytest.param(f, id=f.name)
        for f in EXAMPLES.glob("*/*")
        if f.suffix in {".py", ".java", ".go", ".mjs", ".sh"} and f.parent.name != "qmt_bridge"
    ],
)
def test_an_example_is_short(file: Path) -> None:
    """Under 60 lines, so that it is read in one look. The bridge to QMT is not an example but a program."""
    assert len(file.read_text("utf-8").splitlines()) < 60


def kcat(topic: PublicTopic, *arguments: str) -> Program:
    tool("kcat", why="apt install kcat")
    return Program([str(EXAMPLES / "kcat" / "price-changes.sh"), *arguments], BOOTSTRAP=topic.bootstrap)


def test_kcat_all_prints_everything_and_ends(topic: PublicTopic) -> None:
    """Each record with its headers and its place, as JSON."""
    with kcat(topic, "all") as program:
        lines = [unwrapped(line) for line in program.rest()]
    assert by_code(lines) == by_code(map(as_printed, topic.published))


def test_kcat_since_begins_at_a_time(topic: PublicTopic) -> None:
    """What was published from then on, and nothing of before."""
    time.sleep(0.01)
    begin = time.time_ns() // 1_000_000
    since = topic.publish(*KINDS)
    with kcat(topic, "since", str(begin)) as program:
        lines = [unwrapped(line) for line in program.rest()]
    assert by_code(lines) == by_code(map(as_printed, since))


def test_kcat_latest_is_the_last_change_of_a_code(topic: PublicTopic) -> None:
    """The value as it is, without its headers."""
    *_, last = topic.publish(FOREIGN, FIRST, FOREIGN)
    with kcat(topic, "latest", FOREIGN.code) as program:
        (line,) = program.rest()
    assert line == json.loads(encode(last))


def test_kcat_new_prints_what_comes(topic: PublicTopic) -> None:
    """Values from now on, until Ctrl-C."""
    before = len(topic.published)
    with kcat(topic, "new") as program:
        line = None
        while line is None:  # when kcat stands at the end, it does not say
            topic.publish(LARGEST)
            line = program.line(0.5)
        printed = [line, *program.stop()]
    news = [json.loads(encode(change)) for change in topic.published[before:]]
    assert printed == news[-len(printed) :]


def test_kcat_group_goes_on_where_it_was(topic: PublicTopic) -> None:
    """The group's first run prints everything, the next what came since."""
    with kcat(topic, "group", "kcat") as program:
        lines = [unwrapped(line) for line in program.lines(len(topic.published))]
        assert program.stop() == []
    assert by_code(lines) == by_code(map(as_printed, topic.published))
    since = topic.publish(*KINDS)
    with kcat(topic, "group", "kcat") as program:
        lines = [unwrapped(line) for line in program.lines(len(KINDS))]
        assert program.stop() == []
    assert by_code(lines) == by_code(map(as_printed, since))


def test_kcat_script_tells_its_usage() -> None:
    """On stderr, with exit code 2."""
    script = EXAMPLES / "kcat" / "price-changes.sh"
    done = subprocess.run([script, "everything"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert "price-changes.sh [new|all|" in done.stderr


def unwrapped(envelope: Line) -> Line:
    """A change out of kcat's envelope; its headers are one list of names and values by turns."""
    names, values = envelope["headers"][::2], envelope["headers"][1::2]
    payload = json.loads(envelope["payload"])
    assert envelope["key"] == payload["code"]
    return {"ce_id": dict(zip(names, values, strict=True))["ce_id"], **payload}


def test_the_readme_runs_what_is_there() -> None:
    """Every file that ``examples/README.md`` names exists, in the folder that its commands are typed in."""
    readme = (EXAMPLES / "README.md").read_text("utf-8")
    named = re.findall(r"[\w/-]+\.(?:sh|py|java|mjs|ipynb)\b", readme)
    assert len(named) >= 5
    assert [name for name in named if not ((EXAMPLES.parent / name).exists() or (EXAMPLES / name).exists())] == []
    assert [folder.name for folder in EXAMPLES.iterdir() if folder.is_dir() and folder.name not in readme] == []
