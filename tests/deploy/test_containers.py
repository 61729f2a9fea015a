"""What the containers name exists: settings, commands, topics, versions, locks. No container engine is needed."""

from __future__ import annotations

import importlib
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from cli.commands.config import effective
from cli.settings import SETTINGS, known_variables
from producer.feeds import feeds
from schemas.topics import topics
from tests.command_line import parse

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "docker-compose.yml"
DOCKERFILE = ROOT / "deploy" / "docker" / "Dockerfile"
RUNNING = ROOT / "docs" / "running.md"
LOCK = ROOT / "requirements.lock"
IMAGE_LOCKS = sorted((ROOT / "deploy" / "docker").glob("*.lock"))
EXAMPLE = ROOT / ".env.example"
_VARIABLE = re.compile(r"\$\{(\w+)(?:(:?[-+])([^}]*))?\}")


def composed(variables: Mapping[str, str]) -> dict[str, Any]:
    """The compose file with its variables put in, by Compose's rules: `:-` and `-` are defaults, `:+` a replacement."""

    def value(found: re.Match[str]) -> str:
        name, how, other = found.groups()
        given = variables.get(name)
        there = bool(given) if (how or "").startswith(":") else given is not None
        if how in {":+", "+"}:
            return other if there else ""
        return given or "" if there else other or ""

    def filled(node: Any) -> Any:
        if isinstance(node, dict):
            return {key: filled(inner) for key, inner in node.items()}
        if isinstance(node, list):
            return [filled(inner) for inner in node]
        return _VARIABLE.sub(value, node) if isinstance(node, str) else node

    compose: dict[str, Any] = filled(yaml.safe_load(COMPOSE.read_text("utf-8")))
    return compose


def env_file(text: str) -> dict[str, str]:
    """What a `.env` sets."""
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return {name: value for name, _, value in (line.partition("=") for line in lines)}


_OF_FILES = {f"{setting.env}_FILE" for setting in SETTINGS.values() if setting.secret}
SERVICES: dict[str, Any] = composed({})["services"]
OURS = {
    name: service
    for name, service in SERVICES.items()
    if service["image"].startswith("ashare-stream") and "entrypoint" not in service
}
_RUNTIME = "FROM ${PYTHON} AS runtime"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


def deployed() -> Iterator[Path]:
    """Every text file that says how something is deployed."""
    yield COMPOSE
    yield EXAMPLE
    for path in sorted((ROOT / "deploy").rglob("*")):
        if path.is_file() and path.suffix not in (".py", ".pyc", ".lock"):
            yield path


def test_compose_file_keeps_the_compose_schema() -> None:
    """A misspelt or misplaced key fails here, as it would at ``docker compose up``."""
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(COMPOSE)]
    checked = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize("path", [pytest.param(path, id=str(path.relative_to(ROOT))) for path in deployed()])
def test_every_setting_and_topic_that_is_named_exists(path: Path) -> None:
    """An ``ASHARE_*`` name that no setting reads, or a topic that ``topics.yaml`` lacks, is an error."""
    text = path.read_text("utf-8")
    unknown = set(re.findall(r"\bASHARE_[A-Z0-9_]+\b", text)) - known_variables()
    assert unknown == set()
    assert set(re.findall(r"\bashare\.[a-z-]+\.v\d+\b", text)) <= topics().keys()


@pytest.mark.parametrize("name", OURS)
def test_service_starts_a_command_that_exists_with_settings_that_it_reads(name: str) -> None:
    """Command and flags parse, the command reads each variable, and every value is one that its setting takes."""
    environment = {key: value for key, value in OURS[name].get("environment", {}).items() if value}
    files = environment.keys() & _OF_FILES
    read = {key.removesuffix("_FILE") for key in files} | (environment.keys() - files)
    assert read <= parse(OURS[name]["command"])
    plain = {key: value for key, value in environment.items() if key not in files}
    assert {row.environment for row in effective(plain) if row.origin == "environment"} == plain.keys()


def test_the_example_of_env_changes_nothing_and_names_every_variable() -> None:
    """A copy of it is the defaults; each variable has a comment above it, and no other one is read."""
    text = EXAMPLE.read_text("utf-8")
    assert composed(env_file(text)) == composed({})
    assert env_file(text).keys() == {name for name, _, _ in _VARIABLE.findall(COMPOSE.read_text("utf-8"))}
    for name in env_file(text):
        assert re.search(rf"^# .+\n{name}=", text, re.MULTILINE), name


def test_the_real_feed_that_the_example_shows_is_one_that_the_producer_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its commented lines, uncommented: known settings, the provider's own address, and the token as a file alone."""
    shown = env_file("\n".join(re.findall(r"^#   (\w+=.*)$", EXAMPLE.read_text("utf-8"), re.MULTILINE)))
    compose = composed(env_file(EXAMPLE.read_text("utf-8")) | shown)
    environment = compose["services"]["producer"]["environment"]
    assert shown["ASHARE_FEED"] in feeds()
    assert environment["ASHARE_FEED_URL"] == ""
    assert environment["ASHARE_FEED_TOKEN_FILE"] == "/run/secrets/feed-token"
    assert compose["secrets"]["feed-token"] == {"file": shown["ASHARE_FEED_TOKEN_FILE"]}
    token = tmp_path / "token"
    token.write_text("a-token-of-mine\n")
    monkeypatch.setenv("ASHARE_FEED_TOKEN_FILE", str(token))
    rows = {row.environment: row for row in effective(environment)}
    assert rows["ASHARE_FEED_TOKEN"].value == "***"
    assert rows["ASHARE_FEED_OWN_CLOCK"].value is False
    assert rows["ASHARE_FEED_SYMBOLS"].value == shown["ASHARE_FEED_SYMBOLS"]


def test_a_store_of_files_needs_no_other_change() -> None:
    """No password is left over that SQLite would refuse, and its directory is a volume."""
    compose = composed({"ASHARE_STORE": "sqlite:////data/ticks"})
    worker = compose["services"]["processors"]
    assert [name for name in worker["environment"] if "PASSWORD" in name] == []
    assert [volume.partition(":")[2] for volume in worker["volumes"]] == ["/data"]


def test_no_secret_stands_in_an_environment() -> None:
    """`docker inspect` shows environments: secrets are files, which Git ignores and the image does not get."""
    secrets = {setting.env for setting in SETTINGS.values() if setting.secret}
    for service in SERVICES.values():
        assert not secrets & service.get("environment", {}).keys()
    ignored = (ROOT / ".gitignore").read_text("utf-8").split()
    assert {"/.env", "/feed-token", "/questdb-password", "/peer-secret", "/secrets/"} <= set(ignored)
    assert (ROOT / "deploy/docker/no-token").read_bytes() == b""
    used = {secret for service in SERVICES.values() for secret in service.get("secrets", ())}
    assert used == composed({})["secrets"].keys()


def test_the_ports_that_it_shares_with_the_demo_are_named() -> None:
    """Where it stands, and where it is explained: who runs both knows why the second one fails."""
    every = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert all(port.startswith("127.0.0.1:") for port in every)
    started = [service for service in SERVICES.values() if "profiles" not in service]
    published = [port for service in started for port in service.get("ports", [])]
    numbers = {port.split(":")[1].partition("-")[0] for port in published}
    stack = (ROOT / "deploy/local/stack.py").read_text("utf-8")
    assert numbers <= set(re.findall(r"port\((\d{4})", stack))
    comment = COMPOSE.read_text("utf-8").partition("\nname:")[0]
    (section,) = re.findall(r"^## Containers\n(.*?)^## ", RUNNING.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    for text in (comment, section):
        assert numbers <= set(re.findall(r"\b\d{4}\b", text))
        assert "make demo" in text


def test_a_command_line_that_does_not_exist_would_be_noticed() -> None:
    """The check above is not blind."""
    for wrong in (["proces"], ["topics", "aply"], ["simulate", "--porte", "1"], ["process", "--web-port", "http"]):
        with pytest.raises(Exception, match=r"(?i)no such|valid integer"):
            parse(wrong)


def test_services_wait_for_what_they_need() -> None:
    """Who is waited for to be healthy has a health check; every named volume is declared, every mounted file there."""
    compose = yaml.safe_load(COMPOSE.read_text("utf-8"))
    for service in SERVICES.values():
        for needed, how in service.get("depends_on", {}).items():
            assert "healthcheck" in SERVICES[needed] or how["condition"] == "service_completed_successfully"
        for volume in service.get("volumes", []):
            name = volume.partition(":")[0]
            assert name in compose["volumes"] or (name.startswith("./") and (ROOT / name).exists())


def test_the_image_starts_the_project_s_own_command_as_nobody_in_particular() -> None:
    """The entry point is the script that the package installs; the user is a number, and not root's."""
    lines = DOCKERFILE.read_text("utf-8").splitlines()
    final = lines[lines.index(_RUNTIME) :]
    assert all("@sha256:" in line for line in lines if line.startswith("ARG PYTHON="))
    (entry,) = [json.loads(line.removeprefix("ENTRYPOINT ")) for line in final if line.startswith("ENTRYPOINT ")]
    assert len(entry) == 1
    module, _, function = PROJECT["project"]["scripts"][entry[0]].partition(":")
    assert callable(getattr(importlib.import_module(module), function))
    (user,) = [line.split()[1] for line in final if line.startswith("USER ")]
    assert all(int(part) > 0 for part in user.split(":"))
    assert not any("install -r" in line or "apt-get" in line for line in lines[lines.index(_RUNTIME) :])


def test_the_image_is_built_from_every_package() -> None:
    """A room that ``.dockerignore`` leaves out would be missing from the image."""
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines() if line.startswith("!")}
    packages = set(PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"])
    assert packages | {"clients", "pyproject.toml", "README.md", "LICENSE"} == kept


def test_the_version_is_one() -> None:
    """Compose tags the image with the project's version."""
    version = PROJECT["project"]["version"]
    for service in OURS.values():
        target = service["build"]["target"]
        assert service["image"] == f"ashare-stream-{target}:{version}"
        assert re.search(rf"^FROM \S+ AS {target}$", DOCKERFILE.read_text("utf-8"), re.MULTILINE)
    assert f"ARG VERSION={version}\n" in DOCKERFILE.read_text("utf-8")


def test_containers_run_the_versions_that_the_tests_run() -> None:
    """Kafka and QuestDB are the same version as an image and as jars."""
    jars = (ROOT / "deploy" / "embedded" / "jars.yaml").read_text("utf-8")
    assert f"kafka_2.13:{SERVICES['kafka']['image'].rpartition(':')[2]}:" in jars
    assert f"org.questdb:questdb:{SERVICES['questdb']['image'].rpartition(':')[2]}:" in jars


def pins(lock: Path) -> dict[str, str]:
    """Each line of a lock that pins: name with marker, and version."""
    found = re.findall(r"^([a-z0-9.-]+)==(\S+?)( ; .+?)? \\$", lock.read_text("utf-8"), re.MULTILINE)
    return {name + marker: version for name, version, marker in found}


def test_locks_agree_and_name_no_index() -> None:
    """The image gets the very versions and hashes that the tests ran with, from whatever index pip is set to use."""
    blocks = set(re.split(r"\n(?=[a-z])", LOCK.read_text("utf-8").strip()))
    assert len(IMAGE_LOCKS) == 2
    for lock in IMAGE_LOCKS:
        assert pins(lock).items() <= pins(LOCK).items()
        assert set(re.split(r"\n(?=[a-z])", lock.read_text("utf-8").strip())) <= blocks
    for lock in (LOCK, *IMAGE_LOCKS):
        text = lock.read_text("utf-8")
        assert "://" not in text
        assert "--index" not in text
        assert all("--hash=sha256:" in block for block in re.split(r"\n(?=[a-z])", text.strip()))


def test_the_image_s_lock_holds_every_dependency_of_the_project() -> None:
    """A dependency added to pyproject.toml without ``make lock`` fails here."""
    wanted = {re.split(r"[<>=]", name)[0] for name in PROJECT["project"]["dependencies"]}
    locked = {name.partition(" ")[0] for lock in IMAGE_LOCKS for name in pins(lock)}
    assert wanted <= locked
