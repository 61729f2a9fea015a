"""The AsyncAPI document, judged by AsyncAPI's own parser, and the page that is made of it."""

from __future__ import annotations

import copy
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

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


def test_the_page_stands_alone(tmp_path: Path) -> None:
    """One file with the code, the style and every topic in it, which loads nothing."""
    page = tmp_path / "docs" / "asyncapi.html"
    done = node.run(SCRIPTS, "page.mjs", str(DOCUMENT), str(page))
    assert (done.returncode, done.stderr) == (0, "")
    html = page.read_text("utf-8")
    assert all(name in html for name in topics())
    assert "AsyncApiStandalone.render(" in html
    assert "<link" not in html.partition("</style>")[0]
    assert "<script src" not in html
