"""Requests that are packed here travel over aiokafka's connections, encrypted and authenticated ones too."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from broker import security
from broker.fetching import Fetching
from broker.mode import DIRECT, VARIABLE
from broker.publisher import Publisher
from deploy.embedded import KafkaBroker, free_port
from deploy.embedded.jars import java

HOST, PASSWORD = "127.0.0.1", "of-a-test"


def keytool(directory: Path, *arguments: str) -> None:
    """Run the Java runtime's tool for keys, on a key store of the directory."""
    store = ("-keystore", str(directory / "keys.p12"), "-storepass", PASSWORD, "-alias", "broker")
    subprocess.run([str(java().parent / "keytool"), *arguments, *store], check=True, capture_output=True)


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, tuple[str, dict[str, str]]]]:
    """A broker that also listens with a password, with TLS, and with both: by protocol, address and settings."""
    directory = tmp_path_factory.mktemp("secured")
    made = ("-genkeypair", "-keyalg", "RSA", "-storetype", "PKCS12", "-validity", "9")
    keytool(directory, *made, "-dname", f"CN={HOST}", "-ext", f"san=ip:{HOST}")
    keytool(directory, "-exportcert", "-rfc", "-file", str(directory / "broker.pem"))
    ports = {name: free_port() for name in ("CLIENTS", "CONTROLLER", "SASL_PLAINTEXT", "SSL", "SASL_SSL")}
    listeners = {name: f"{name}://{HOST}:{port}" for name, port in ports.items()}
    protocols = [f"{name}:{'PLAINTEXT' if name in ('CLIENTS', 'CONTROLLER') else name}" for name in ports]

    class Broker(KafkaBroker):
        """With more listeners."""

        extra = {  # noqa: RUF012 - as in its base
            "controller.quorum.voters": f"1@{HOST}:{ports['CONTROLLER']}",
            "listener.security.protocol.map": ",".join(protocols),
            "listeners": ",".join(listeners.values()),
            "advertised.listeners": ",".join(at for name, at in listeners.items() if name != "CONTROLLER"),
            "sasl.enabled.mechanisms": "PLAIN",
            "ssl.keystore.location": str(directory / "keys.p12"),
            "ssl.keystore.password": PASSWORD,
            **{
                f"listener.name.{name.lower()}.plain.sasl.jaas.config": "org.apache.kafka.common.security.plain"
                f'.PlainLoginModule required user_ashare="{PASSWORD}";'
                for name in ("SASL_PLAINTEXT", "SASL_SSL")
            },
        }

    (directory / "password").write_text(f"{PASSWORD}\n", "utf-8")
    login = {
        security.MECHANISM: "PLAIN",
        security.USER: "ashare",
        f"{security.PASSWORD}_FILE": str(directory / "password"),
    }
    trusting = {security.CA: str(directory / "broker.pem")}
    settings = {"SASL_PLAINTEXT": login, "SSL": trusting, "SASL_SSL": login | trusting}
    kinds = {kafka: protocol for protocol, kafka in security.PROTOCOLS.items()}
    with Broker(tmp_path_factory.mktemp("kafka"), ports["CLIENTS"]):
        yield {
            name: (f"{HOST}:{ports[name]}", {security.SECURITY: kinds[name], **more}) for name, more in settings.items()
        }


@pytest.mark.parametrize("protocol", ["SASL_PLAINTEXT", "SSL", "SASL_SSL"])
async def test_records_go_and_come_over_secured_connections(
    secured: dict[str, tuple[str, dict[str, str]]], monkeypatch: pytest.MonkeyPatch, protocol: str
) -> None:
    """Small batches and ones larger than many TLS records, also after every connection was cut."""
    monkeypatch.setenv(VARIABLE, DIRECT)
    (bootstrap, settings), topic = secured[protocol], f"secured-{protocol.lower()}"
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    secure = security.options()
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap, **secure)
    await admin.start()
    await admin.create_topics([NewTopic(topic, 1, 1)])
    await admin.close()
    out, tp = Publisher(bootstrap, client_id="test"), TopicPartition(topic, 0)
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest", **secure)
    await consumer.start()
    sent: list[bytes] = []
    found: list[bytes] = []
    try:
        async with asyncio.timeout(60):
            await out.start(topic)
            consumer.assign([tp])
            fetching = Fetching(consumer._fetcher, lambda: 50)
            queue = out.queue(topic, 0)
            for turn, size in enumerate((10, 200_000, 10, 300_000)):
                if turn == 2:
                    for client in (consumer._client, out._client.client):  # type: ignore[union-attr]
                        for connection in list(client._conns.values()):
                            connection._writer.transport.abort()
                sent.append(b"%d" % turn * size)
                queue.add(None, sent[-1], 1_000)
                await queue.delivered()
                while len(found) < len(sent):
                    found += [r.value for r in (await consumer.getmany(timeout_ms=500)).get(tp, [])]
                    fetching.ask()
            assert fetching._loops, "what came was asked for from here"
            assert out._producing is not None
            assert out._producing.node(queue) is not None, "what went was sent from here"
    finally:
        await out.stop()
        await consumer.stop()
    assert found == sent
