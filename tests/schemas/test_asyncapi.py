"""The AsyncAPI document, judged by AsyncAPI's own parser, and the page that is made of it."""

from __future__ import annotations

import copy
import re
import subprocess
import tomllib
from collections import defaultdict
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, ClassVar

import jsonschema
import orjson
import pytest

from deploy.embedded import node
from schemas import asyncapi
from schemas.generate import FOLDER
from schemas.json_schema import KINDS
from schemas.topics import topics

Document = dict[str, Any]

SCRIPTS = FOLDER.parent / "docs" / "asyncapi"
DOCUMENT = FOLDER / "asyncapi.json"
CHANGES = "ashare.price-changes.v1"


def validated(document: Document, folder: Path) -> subprocess.CompletedProcess[str]:
    file = folder / "asyncapi.json"
    file.write_bytes(orjson.dumps(document))
    return node.run(SCRIPTS, "validate.mjs", str(file))


def test_the_official_parser_finds_nothing_wrong() -> None:
    """Neither an error nor a warning."""
    done = node.run(SCRIPTS, "validate.mjs", str(DOCUMENT))
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        pytest.param(lambda d: d["channels"][CHANGES].update(messages=[]), "messages", id="malformed"),
        pytest.param(
            lambda d: d["components"]["messages"]["tick"].update(payload={"$ref": "#/components/schemas/Tock"}),
            "Tock",
            id="a reference into nothing",
        ),
        pytest.param(
            lambda d: d["channels"][CHANGES]["bindings"]["kafka"].update(partitions="many"),
            "partitions",
            id="a Kafka binding of the wrong type",
        ),
    ],
)
def test_the_check_can_fail(edit: Callable[[Document], object], said: str, tmp_path: Path) -> None:
    """A document that is wrong is refused, and the place is named."""
    document = copy.deepcopy(asyncapi.document())
    edit(document)
    done = validated(document, tmp_path)
    assert done.returncode == 1
    assert said in done.stderr


def test_every_topic_is_there_with_its_key_and_settings() -> None:
    """Name, partitions, policy and key as ``topics.yaml`` declares them."""
    channels = asyncapi.document()["channels"]
    assert list(channels) == list(topics())
    binding = channels[CHANGES]["bindings"]["kafka"]
    assert binding["partitions"] == topics()[CHANGES].partitions
    assert binding["topicConfiguration"]["cleanup.policy"] == ["delete"]
    message = asyncapi.document()["components"]["messages"]["price-change"]
    assert message["bindings"]["kafka"]["key"]["title"] == "code"
    assert "key" not in asyncapi.document()["components"]["messages"]["dead-letter"]["bindings"]["kafka"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("part", ["payload", "headers"])
def test_every_example_is_what_its_schema_says(kind: str, part: str) -> None:
    """Records, the CloudEvents headers as the changes job writes them, and the dead letter's headers.

    The official parser judges examples up to AsyncAPI 2 only.
    """
    document = asyncapi.document()
    message = document["components"]["messages"][kind]
    assert len(message["examples"]) in {1, 2, 3}
    assert (part in message) == all(part in example for example in message["examples"])
    if part in message:
        validator = jsonschema.Draft7Validator({**message[part], "components": document["components"]})
        for example in message["examples"]:
            validator.validate(example[part])
        assert list(validator.iter_errors(7))


def test_no_number_needs_more_than_a_double() -> None:
    """A parser in JavaScript reads the document as it is: 64-bit bounds are a format, not numbers."""
    text = asyncapi.text()
    assert b"9223372036854775807" not in text
    assert b'"format": "int64"' in text


class Page(HTMLParser):
    """A page as a browser takes it: tags with their attributes, text by the innermost tag, and that tags close."""

    _VOID: ClassVar = {"meta"}

    def __init__(self, html: str) -> None:
        """Read all of it."""
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: dict[str, list[str]] = defaultdict(list)
        self._open: list[str] = []
        self.feed(html)
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """One more is open."""
        self.tags.append((tag, dict(attrs)))
        if tag not in self._VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """The last one that is open, and no other."""
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Text within the innermost tag."""
        self.text[self._open[-1] if self._open else ""].append(data)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What ``make docs`` makes, for a version that no document has."""
    file = tmp_path_factory.mktemp("page") / "docs" / "asyncapi.html"
    done = node.run(SCRIPTS, "page.mjs", str(DOCUMENT), str(file), "7.8.9")
    assert (done.returncode, done.stderr) == (0, "")
    return file.read_text("utf-8")


def test_the_page_stands_alone(page: str) -> None:
    """One file that loads and runs nothing, and whose links lead into it."""
    seen = Page(page)
    assert not {tag for tag, _ in seen.tags} & {"script", "link", "img", "iframe"}
    assert not re.search(r"url\(|@import", page)
    names = {attributes["id"] for _, attributes in seen.tags if "id" in attributes}
    links = [attributes["href"] or "" for tag, attributes in seen.tags if tag == "a"]
    assert links
    assert [link for link in links if link.removeprefix("#") not in names] == []
    assert set(topics()) <= names


def test_the_page_shows_every_field_without_a_click(page: str) -> None:
    """Fields stand in details that are open; only examples are folded away."""
    seen = Page(page)
    folded = [attributes for tag, attributes in seen.tags if tag == "details" and "open" not in attributes]
    assert len(folded) == len(topics())
    told = set(seen.text["code"])
    for schema in asyncapi.document()["components"]["schemas"].values():
        assert schema.get("properties", {}).keys() <= told


def test_the_page_has_code_for_backticks(page: str) -> None:
    """No description shows its own markup; what is not markup stays text."""
    seen = Page(page)
    assert "`" not in page
    assert "ashare.price-changes.v1" in seen.text["code"]
    assert not [text for tag in ("p", "li", "dd") for text in seen.text[tag] if re.search(r"\*\w|\w\*", text)]


def test_the_page_has_the_projects_version(page: str) -> None:
    """In the title and at its top; the document's own is named as such. ``make docs`` hands it over."""
    seen = Page(page)
    assert seen.text["title"] == ["ashare-stream 7.8.9: topics"]
    assert "7.8.9" in seen.text["span"]
    assert any(f"AsyncAPI document {asyncapi.VERSION}" in text for text in seen.text["p"])
    make = subprocess.run(
        ["/usr/bin/env", "make", "-n", "docs"], cwd=FOLDER.parent, capture_output=True, text=True, check=True
    )
    project = tomllib.loads((FOLDER.parent / "pyproject.toml").read_text("utf-8"))["project"]
    assert f"docs/build/asyncapi.html {project['version']}\n" in make.stdout, make.stderr


def test_the_page_is_for_phones_and_for_the_night(page: str) -> None:
    """It has the width of its screen, long words break, and its colours follow the reader's setting."""
    assert '<meta name="viewport" content="width=device-width, initial-scale=1">' in page
    assert "@media (prefers-color-scheme: dark)" in page
    assert re.search(r"\bbody \{[^}]*overflow-wrap: anywhere", page)
    assert re.search(r"\bpre \{[^}]*overflow-x: auto", page)
    light, dark = re.findall(r":root \{(.*?)\}", page, re.DOTALL)
    assert set(re.findall(r"--\w+", light)) == set(re.findall(r"--\w+", dark))
    assert {name for _, name in re.findall(r"(var)\((--\w+)\)", page)} == set(re.findall(r"--\w+", light))
