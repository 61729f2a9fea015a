"""The real Kafka and QuestDB: started, refused, stopped, never left behind."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from broker import admin
from deploy.embedded import KafkaBroker, QuestDB, data, server
from deploy.embedded.data import DataDirectory
from schemas import UsageError
from schemas.topics import Topic

ASHARE = [sys.executable, "-c", "from cli.main import main; main()"]


def assert_free(folder: Path) -> None:
    """Nobody holds the data directory."""
    directory = DataDirectory(folder, "kafka.log")
    directory.claim()
    directory.release()


def query(database: QuestDB, sql: str) -> object:
    address = f"http://{database.address}/exec?query={urllib.parse.quote(sql)}"
    asked = urllib.request.Request(address, headers=database.headers)
    with urllib.request.urlopen(asked, timeout=10) as answer:  # noqa: S310
        return json.loads(answer.read()).get("dataset")


def test_a_stopped_broker_starts_again_with_its_topics_on_its_port(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stop and start: same address, same data. A port taken between choice and bind is replaced by another."""
    taken = socket.create_server(("127.0.0.1", 0))
    offered = iter([taken.getsockname()[1]])
    free = server.free_port
    monkeypatch.setattr(server, "free_port", lambda: next(offered, None) or free())
    wanted = {"kept": Topic("kept", "k", "r", "a", 2, 1, {"cleanup.policy": "compact"})}
    with taken, KafkaBroker(tmp_path / "a folder, with comma") as broker:
        bootstrap = broker.bootstrap
        assert not bootstrap.endswith(f":{taken.getsockname()[1]}")
        assert asyncio.run(admin.apply(bootstrap, wanted)) == ["created kept: 2 partitions, compact"]
        broker.stop()
        assert not broker.running
        broker.start()
        assert broker.bootstrap == bootstrap
        assert asyncio.run(admin.apply(bootstrap, wanted)) == []
    assert not broker.running


def test_in_the_foreground_it_says_when_it_is_ready_and_stops_at_sighup(tmp_path: Path) -> None:
    """One line on stdout; meanwhile the data directory is refused to a second one; SIGHUP, as SIGTERM, gives code 0."""
    folder = tmp_path / "kafka"
    with subprocess.Popen(
        [*ASHARE, "kafka", "--data", str(folder), "--port", "0"], stdout=subprocess.PIPE, text=True
    ) as running:
        assert running.stdout is not None
        assert running.stdout.readline().startswith("kafka ready on 127.0.0.1:")
        holder = int((folder / "lock").read_text())
        with pytest.raises(UsageError, match=f"in use by pid {holder}"):
            KafkaBroker(folder).start()
        running.send_signal(signal.SIGHUP)
        assert running.wait(30) == 0
    assert_free(folder)


def test_killed_with_its_starter_it_lets_go_of_its_data(tmp_path: Path) -> None:
    """After kill -9 of the starter a second start finds the directory free, and every row that was there."""
    folder = tmp_path / "questdb"
    with subprocess.Popen(
        [*ASHARE, "questdb", "--data", str(folder), "--port", "0"], stdout=subprocess.PIPE, text=True
    ) as running:
        assert running.stdout is not None
        line = running.stdout.readline().strip()
        assert line.startswith("questdb ready on 127.0.0.1:")
        database = QuestDB(folder, int(line.rpartition(":")[2]))
        query(database, "CREATE TABLE kept (n LONG)")
        query(database, "INSERT INTO kept VALUES (42)")
        running.kill()
    with QuestDB(folder) as again:
        assert query(again, "SELECT n FROM kept") == [[42]]


def test_a_port_in_use_is_refused(tmp_path: Path) -> None:
    """A fixed port that somebody listens on is named, and the data directory is free again."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for _ in range(2):
            with pytest.raises(UsageError, match=f"port {port} is in use"):
                KafkaBroker(tmp_path, port).start()


def test_what_did_not_start_shows_the_end_of_its_log(tmp_path: Path) -> None:
    """A start that fails says why, and leaves no process and no lock."""
    broker = KafkaBroker(tmp_path, heap="1")
    with pytest.raises(UsageError, match="Too small maximum heap"):
        broker.start()
    assert not broker.running
    assert_free(tmp_path)


def test_a_disk_without_room_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is started on a full disk."""
    monkeypatch.setattr(data, "SPARE_BYTES", shutil.disk_usage(tmp_path).total + 1)
    with pytest.raises(UsageError, match=r"is full .*make room"):
        QuestDB(tmp_path).start()


def test_a_data_directory_that_can_not_be_made_is_refused(tmp_path: Path) -> None:
    """A file in its place is told as what it is."""
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="can't be used as a data directory: Not a directory"):
        KafkaBroker(tmp_path / "file" / "data").start()


def test_questdb_answers_queries(questdb: QuestDB) -> None:
    """SQL over HTTP on 127.0.0.1."""
    assert query(questdb, "SELECT 6 * 7") == [[42]]


@pytest.mark.parametrize("path", ["exec?query=DROP+TABLE+x", "exp?query=SELECT+1", "write", "imp"])
def test_questdb_answers_nobody_without_its_password(questdb: QuestDB, path: str) -> None:
    """A web page that sends a request there, which needs no permission, gets nothing done."""
    for headers in ({}, {"Authorization": "Basic YWRtaW46cXVlc3Q="}):
        asked = urllib.request.Request(f"http://{questdb.address}/{path}", b"x" if path == "write" else None, headers)
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(asked, timeout=10).close()  # noqa: S310
        assert refused.value.code == 401
        refused.value.close()


def test_questdb_s_password_is_its_user_s_alone(questdb: QuestDB) -> None:
    """In a file that nobody else reads, and in no log, command line or other file."""
    folder = questdb.data.path
    file = folder / "password"
    assert file.stat().st_mode & 0o777 == 0o600
    password = file.read_bytes().strip()
    assert len(password) >= 24
    assert questdb.process is not None
    assert password not in Path(f"/proc/{questdb.process.pid}/cmdline").read_bytes()
    left = [path for path in folder.rglob("*") if path.is_file() and path != file and path.suffix in {".log", ".conf"}]
    assert left
    assert [path for path in left if password in path.read_bytes()] == []
    assert password.decode() not in questdb.url


@pytest.mark.parametrize("kept", ["lz4", "snappy", "zstd", "gzip"])
async def test_a_broker_reads_and_writes_every_compression(bootstrap: str, kept: str) -> None:
    """It takes apart what a client packed and packs it anew as the topic says: with its own libraries, jars of ours."""
    name = f"packed-{kept}"
    wanted = {name: Topic(name, "k", "r", "a", 1, 1, {"compression.type": kept, "cleanup.policy": "delete"})}
    await admin.apply(bootstrap, wanted)
    sent = "zstd" if kept == "lz4" else "lz4"
    values = [b"600519" * 100 + b"%d" % number for number in range(200)]
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, compression_type=sent)
    await producer.start()
    for value in values:
        await producer.send(name, value)
    await producer.stop()
    consumer = AIOKafkaConsumer(name, bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    try:
        assert [(await consumer.getone()).value for _ in values] == values
    finally:
        await consumer.stop()
