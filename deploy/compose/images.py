"""What stands in for each image: ours by what the Dockerfile says of it, Kafka's and QuestDB's by the embedded parts."""

from __future__ import annotations

import json
import os
import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from deploy.embedded.jars import jars, java
from schemas import UsageError

OURS = "ashare-stream-"
KAFKA, QUESTDB = "apache/kafka:", "questdb/questdb:"
_KAFKA_USER, _QUESTDB_USER = 1000, 10001
_LOG4J = """\
rootLogger.level=INFO
rootLogger.appenderRef.out.ref=out
appender.out.type=Console
appender.out.name=out
appender.out.target=SYSTEM_ERR
appender.out.layout.type=PatternLayout
appender.out.layout.pattern=%p %m (%c)%n
logger.config.name=org.apache.kafka.common.config.AbstractConfig
logger.config.level=WARN
"""


@dataclass
class Image:
    """What a service starts, as whom, and where.

    Attributes:
        binds: files and folders of the machine that are put into the container, by their place there.
    """

    entrypoint: Sequence[str]
    user: int
    workdir: str = "/"
    environment: dict[str, str] = field(default_factory=dict)
    binds: dict[str, Path] = field(default_factory=dict)


def image(name: str, dockerfile: Path, folder: Path, environment: Mapping[str, str]) -> Image:
    """The stand-in for an image.

    Args:
        name: as the service has it, with its version.
        folder: of the service, where files of its own may be put.
        environment: of the service, from which Kafka's image makes the broker's settings.

    Raises:
        UsageError: nothing stands in for it, or in another version.
    """
    if name.startswith(OURS):
        return _ours(dockerfile.read_text("utf-8"), name.removeprefix(OURS).partition(":")[0])
    if name.startswith(KAFKA):
        _same_version(name, "kafka")
        return _kafka(folder, environment)
    if name.startswith(QUESTDB):
        _same_version(name, "questdb")
        return _questdb(folder)
    raise UsageError(f"compose: nothing stands in for the image {name}")


def settings(environment: Mapping[str, str]) -> dict[str, str]:
    """A broker's settings, of variables, by the rule of Kafka's image: ``_`` is a dot, ``__`` itself, ``___`` a dash."""
    left = {"KAFKA_HEAP_OPTS", "KAFKA_OPTS", "KAFKA_JMX_OPTS", "KAFKA_LOG4J_OPTS"}
    named = {name: value for name, value in environment.items() if name.startswith("KAFKA_") and name not in left}
    return {_setting(name.removeprefix("KAFKA_")): value for name, value in named.items()}


def _setting(name: str) -> str:
    # A dash first: the longest of the three is also two of the others.
    return re.sub("_+", lambda found: {1: ".", 2: "_", 3: "-"}[len(found[0])], name.lower())


def _ours(dockerfile: str, target: str) -> Image:
    """What a stage of the Dockerfile, with those that it is made from, says of user, directory, entry point, variables."""
    stages: dict[str, tuple[str, list[str]]] = {}
    lines: list[str] = []
    for line in re.sub(r"\\\n", " ", dockerfile).splitlines():
        found = re.fullmatch(r"FROM (\S+) AS (\S+)", line)
        if found:
            lines = []
            stages[found[2]] = found[1], lines
        else:
            lines.append(line)
    if target not in stages:
        raise UsageError(f"compose: the Dockerfile has no target {target}")
    made = Image([], 0)
    chain: list[list[str]] = []
    while target in stages:
        base, own = stages[target]
        chain.insert(0, own)
        target = base
    for line in (line for own in chain for line in own):
        what, _, rest = line.partition(" ")
        if what == "USER":
            made.user = int(rest.partition(":")[0])
        elif what == "WORKDIR":
            made.workdir = rest
        elif what == "ENTRYPOINT":
            made.entrypoint = json.loads(rest)
        elif what == "ENV":
            made.environment |= dict(pair.split("=", 1) for pair in shlex.split(rest))
    # The environment of the image is this one's.
    made.environment["PATH"] = os.pathsep.join((str(Path(sys.prefix, "bin")), "/usr/bin", "/bin"))
    return made


def _same_version(name: str, part: str) -> None:
    version = name.rpartition(":")[2]
    if not any(f"-{version}.jar" in str(jar) for jar in jars(part)):
        raise UsageError(f"compose: {name} is another version than the jars of {part} in deploy/embedded/jars.yaml")


def _kafka(folder: Path, environment: Mapping[str, str]) -> Image:
    scripts, config = folder / "bin", folder / "config"
    for made in (scripts, config):
        made.mkdir(parents=True)
    lines = [f"{name}={value}" for name, value in settings(environment).items()]
    (config / "server.properties").write_text("\n".join(lines) + "\n", "utf-8")
    (config / "log4j2.properties").write_text(_LOG4J, "utf-8")
    start = "kafka.tools.StorageTool format --ignore-formatted -t $CLUSTER_ID -c /opt/kafka/config/server.properties"
    server = "kafka.Kafka /opt/kafka/config/server.properties"
    broker, tools = ":".join(map(str, jars("kafka"))), ":".join(map(str, jars("kafka-tools")))
    options = (
        "-XX:-UsePerfData -Djava.io.tmpdir=/tmp -Dlog4j2.configurationFile=/opt/kafka/config/log4j2.properties"
        " --enable-native-access=ALL-UNNAMED --sun-misc-unsafe-memory-access=allow"
    )
    run = f"{java()} $KAFKA_HEAP_OPTS {options} -cp"
    _script(scripts / "run", f"{java()} -Xmx64m {options} -cp {broker} {start}\nexec {run} {broker} {server}")
    quick = f"exec {java()} -Xmx96m -XX:TieredStopAtLevel=1 {options} -cp {tools}"
    for name, program in (("broker-api-versions", "BrokerApiVersionsCommand"), ("configs", "ConfigCommand")):
        _script(scripts / f"kafka-{name}.sh", f'{quick} org.apache.kafka.tools.{program} "$@"')
    own = {"PATH": "/usr/bin:/bin", "HOME": "/tmp"}
    binds = {"/opt/kafka/bin": scripts, "/opt/kafka/config": config}
    return Image(["/opt/kafka/bin/run"], _KAFKA_USER, environment=own, binds=binds)


def _questdb(folder: Path) -> Image:
    folder.mkdir(parents=True)
    (jar,) = jars("questdb")
    options = "-Xmx512m -XX:-UsePerfData --enable-native-access=io.questdb --sun-misc-unsafe-memory-access=allow"
    _script(folder / "run", f"exec {java()} {options} -p {jar} -m io.questdb/io.questdb.ServerMain -d /var/lib/questdb")
    return Image(["/app/run"], _QUESTDB_USER, environment={"PATH": "/usr/bin:/bin"}, binds={"/app/run": folder / "run"})


def _script(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\nset -e\n{text}\n", "utf-8")
    path.chmod(0o755)
