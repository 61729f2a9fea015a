"""Apache Kafka in KRaft mode for one machine: a node that is broker and controller, alone or one of a cluster."""

from __future__ import annotations

import os
import socket
import ssl
import struct
import subprocess
import time
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar, NamedTuple

from deploy.embedded.jars import jars, java
from deploy.embedded.secure import ADMIN, BROKER, Secrets
from deploy.embedded.server import HOST, Server, free_port
from schemas import UsageError

_SETTINGS = """\
# Written at each start.
process.roles=broker,controller
node.id={node}
controller.quorum.voters={voters}
controller.listener.names=CONTROLLER
{listeners}
log.dirs=topics

# Topics are declared, never made by a misspelt name.
auto.create.topics.enable=false

# As many nodes as there are to keep a copy, and of them so many that must have it.
default.replication.factor={copies}
min.insync.replicas={least}
offsets.topic.replication.factor={copies}
transaction.state.log.replication.factor={copies}
transaction.state.log.min.isr={least}
share.coordinator.state.topic.replication.factor={copies}
share.coordinator.state.topic.min.isr={least}

# Few inner partitions: they are made when the first group or transaction comes, which then waits for them.
offsets.topic.num.partitions=4
transaction.state.log.num.partitions=2
share.coordinator.state.topic.num.partitions=1

# The first member of a group need not wait for others, and a test may have a member declared dead quickly.
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000

# After a crash the controller lets the broker in again only when its former session has run out (default: 9 s).
broker.session.timeout.ms=4000
broker.heartbeat.interval.ms=500

num.network.threads=2
num.io.threads=4
# The default of 128 MiB would be a quarter of the heap.
log.cleaner.dedupe.buffer.size=16777216
log.cleaner.backoff.ms=5000
"""

_PLAIN = """\
inter.broker.listener.name=CLIENTS
listener.security.protocol.map=CLIENTS:PLAINTEXT,CONTROLLER:PLAINTEXT
listeners=CLIENTS://{host}:{port},CONTROLLER://{host}:{controller}
advertised.listeners=CLIENTS://{host}:{port}
"""

# Users log in with a password over TLS; the broker itself proves who it is by its certificate.
_SECURE = """\
inter.broker.listener.name=BROKERS
listener.security.protocol.map=CLIENTS:SASL_SSL,BROKERS:SSL,CONTROLLER:SSL
listeners=CLIENTS://{host}:{port},BROKERS://{host}:{inner},CONTROLLER://{host}:{controller}
advertised.listeners=CLIENTS://{host}:{port},BROKERS://{host}:{inner}
listener.name.brokers.ssl.client.auth=required
listener.name.controller.ssl.client.auth=required
ssl.keystore.type=PEM
ssl.keystore.location={secrets}/broker.pem
ssl.truststore.type=PEM
ssl.truststore.location={secrets}/ca.pem
sasl.enabled.mechanisms=SCRAM-SHA-512,SCRAM-SHA-256
listener.name.clients.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.clients.scram-sha-256.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
allow.everyone.if.no.acl.found=false
super.users=User:CN={broker};User:{admin}
"""

_LOGGING = """\
status=error
appender.file.type=RollingFile
appender.file.name=file
appender.file.fileName=kafka.log
appender.file.filePattern=kafka.log.%i
appender.file.layout.type=PatternLayout
appender.file.layout.pattern=[%d{yyyy-MM-dd HH:mm:ss.SSSXXX}{Asia/Shanghai}] %p %m (%c)%n
appender.file.policies.type=Policies
appender.file.policies.size.type=SizeBasedTriggeringPolicy
appender.file.policies.size.size=8MB
appender.file.strategy.type=DefaultRolloverStrategy
appender.file.strategy.max=2
rootLogger=INFO, file
logger.settings.name=org.apache.kafka.common.config.AbstractConfig
logger.settings.level=WARN
logger.state.name=state.change.logger
logger.state.level=WARN
"""

COPIES = 3
"""Of each partition, where there are so many nodes; one less must have what is acknowledged."""
_PROPERTIES = "server.properties"
_METADATA_REQUEST, _METADATA_VERSION = 3, 2


class Node(NamedTuple):
    """One of a cluster's nodes, counted from 1, with the ports of its three listeners on 127.0.0.1."""

    number: int
    port: int
    inner: int
    controller: int


class Member(NamedTuple):
    """A node's place in its cluster: which one it is, of which, the cluster's id, and where all find their secrets."""

    node: Node
    nodes: tuple[Node, ...]
    cluster: str
    secrets: Path


def cluster_id() -> str:
    """A new one, as Kafka writes it."""
    # One that starts with "-" would be taken for an option.
    return "A" + urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")[1:]


class KafkaBroker(Server):
    """A broker on 127.0.0.1 with its data in one directory: ``topics/``, ``kafka.log``, its settings."""

    extra: ClassVar[Mapping[str, str]] = {}
    """Settings of every broker of this process beside its own, or instead of them."""

    title = "Kafka"
    log_name = "kafka.log"
    port_taken = ("Address already in use", "Socket server failed to bind")

    def __init__(
        self,
        data: Path,
        port: int = 0,
        *,
        heap: str = "512m",
        secure: bool = False,
        users: Sequence[str] = (),
        member: Member | None = None,
    ) -> None:
        """Nothing is started.

        Args:
            port: of the clients' listener; 0 for a free one, chosen at the first start. The controller's always is.
            heap: the JVM's limit, as ``-Xmx`` takes it; the whole process needs about 150 MB more.
            secure: clients log in (SCRAM) over TLS, and may do what an ACL lets them: nothing, but for ``admin``.
            users: further ones, made with the data directory.
            member: its place in a cluster, which settles ports and secrets; alone without one.
        """
        super().__init__(data, port if member is None else member.node.port)
        self._heap = heap
        self._cluster = ""
        self._users = (ADMIN, *users)
        self._inner = 0
        self._member = member
        folder = self.data.path / "secure" if member is None else member.secrets
        self.secrets = Secrets(folder) if secure else None

    @property
    def bootstrap(self) -> str:
        """``127.0.0.1:PORT``, known once started."""
        return f"{HOST}:{self.port}"

    def _prepare(self, deadline: float) -> None:
        folder, member = self.data.path, self._member
        node = Node(1, self.port, free_port(), free_port()) if member is None else member.node
        nodes = (node,) if member is None else member.nodes
        self._inner = node.inner
        places = {"host": HOST, "port": node.port, "inner": node.inner, "controller": node.controller}
        secrets = "" if self.secrets is None else os.path.relpath(self.secrets.folder, folder)
        secured = {"broker": BROKER, "admin": ADMIN, "secrets": secrets}
        settings = _SETTINGS.format(
            **places,
            listeners=(_PLAIN if self.secrets is None else _SECURE).format(**places, **secured),
            node=node.number,
            voters=",".join(f"{one.number}@{HOST}:{one.controller}" for one in nodes),
            copies=min(len(nodes), COPIES),
            least=max(1, min(len(nodes), COPIES) - 1),
        )
        if self.secrets is not None and member is None:
            self.secrets.prepare((HOST, "localhost"))
        settings += "".join(f"{name}={value}\n" for name, value in self.extra.items())
        (folder / _PROPERTIES).write_text(settings, "utf-8")
        (folder / "log4j2.properties").write_text(_LOGGING, "utf-8")
        # Native libraries are unpacked here: /tmp may forbid execution, and a killed JVM would leave them there.
        temporary = folder / "tmp"
        temporary.mkdir(exist_ok=True)
        for leftover in temporary.iterdir():
            leftover.unlink(missing_ok=True)
        self._cluster = self._formatted(deadline)

    def _formatted(self, deadline: float) -> str:
        """The cluster id of the directory, formatted first if it is new."""
        properties = self.data.path / "topics" / "meta.properties"
        if not properties.exists():
            fresh = cluster_id() if self._member is None else self._member.cluster
            options = ["format", "--ignore-formatted", "-t", fresh, "-c", _PROPERTIES]
            if self.secrets is not None:
                options += [word for user in self._users for one in self.secrets.scram(user) for word in ("-S", one)]
            with self.log.open("ab") as log:
                done = subprocess.run(
                    self._java("64m", "kafka.tools.StorageTool", *options),
                    cwd=self.data.path,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    timeout=max(1.0, deadline - time.monotonic()),
                    check=False,
                )
            if done.returncode or not properties.exists():
                raise UsageError(f"Kafka could not format {self.data.path}:\n{self.data.logged()[-2000:]}")
        lines = dict(line.split("=", 1) for line in properties.read_text("utf-8").splitlines() if "=" in line)
        return lines["cluster.id"]

    def _command(self) -> Sequence[str]:
        return self._java(self._heap, "kafka.Kafka", _PROPERTIES)

    def _java(self, heap: str, *program: str) -> list[str]:
        return [
            str(java()),
            f"-Xmx{heap}",
            "-XX:+ExitOnOutOfMemoryError",
            "-XX:-UsePerfData",
            *self._tuning(program[0]),
            "-Djava.awt.headless=true",
            "-Djava.io.tmpdir=tmp",
            "-Dlog4j2.configurationFile=log4j2.properties",
            "--enable-native-access=ALL-UNNAMED",
            "--sun-misc-unsafe-memory-access=allow",
            "-cp",
            os.pathsep.join(map(str, jars("kafka"))),
            *program,
        ]

    def _tuning(self, program: str) -> list[str]:
        if "StorageTool" in program:
            return ["-XX:TieredStopAtLevel=1"]
        # Several on one machine share its cores and its memory: little of both for what is not work.
        return ["-XX:MaxGCPauseMillis=20"] if self._member is None else ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]

    def _answers(self) -> bool:
        """Whether a metadata request names this cluster and this live broker: it has registered, and is not fenced."""
        client = b"ashare"
        request = (
            struct.pack(">hhih", _METADATA_REQUEST, _METADATA_VERSION, 1, len(client)) + client + struct.pack(">i", 0)
        )
        port = self.port if self.secrets is None else self._inner
        with socket.create_connection((HOST, port), 1.0) as plain, self._encrypted(plain) as connection:
            connection.sendall(struct.pack(">i", len(request)) + request)
            (size,) = struct.unpack(">i", _read(connection, 4))
            return _names(_read(connection, min(size, 1 << 16)), self._cluster, port)

    def _encrypted(self, connection: socket.socket) -> socket.socket:
        """The connection, as the broker itself makes it where it is secured."""
        if self.secrets is None:
            return connection
        context = ssl.create_default_context(cafile=self.secrets.ca)
        context.load_cert_chain(self.secrets.broker)
        return context.wrap_socket(connection, server_hostname=HOST)


def _read(connection: socket.socket, size: int) -> bytes:
    content = b""
    while len(content) < size:
        piece = connection.recv(size - len(content))
        if not piece:
            raise ConnectionError("the broker hung up")
        content += piece
    return content


def _names(response: bytes, cluster: str, port: int) -> bool:
    """Whether a metadata response (version 2) is of this cluster and lists the broker on this port."""
    (brokers,) = struct.unpack_from(">i", response, 4)
    at, ports = 8, []
    for _ in range(brokers):
        (host,) = struct.unpack_from(">h", response, at + 4)
        at += 6 + host
        listening, rack = struct.unpack_from(">ih", response, at)
        ports.append(listening)
        at += 6 + max(rack, 0)
    (length,) = struct.unpack_from(">h", response, at)
    return port in ports and response[at + 2 : at + 2 + max(length, 0)].decode() == cluster
