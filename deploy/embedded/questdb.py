"""QuestDB, for one machine: HTTP only (ILP, SQL and the console), on 127.0.0.1."""

from __future__ import annotations

import http.client
import json
import uuid
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from deploy.embedded.jars import jars, java
from deploy.embedded.server import HOST, Server

_SETTINGS = """\
# Written at each start.
http.net.bind.to={host}:{port}
http.min.enabled=false
pg.enabled=false
line.tcp.enabled=false
line.udp.enabled=false
telemetry.enabled=false
# Which start this is: a foreign QuestDB on the port can't be mistaken for it.
cairo.snapshot.instance.id={instance}
"""

_LOGGING = """\
writers=file,stdout
w.file.class=io.questdb.log.LogRollingFileWriter
w.file.location=${log.dir}/server.log.${date:yyyyMMdd}
w.file.rollSize=8m
w.file.sizeLimit=16m
w.file.level=ERROR,CRITICAL
w.stdout.class=io.questdb.log.LogConsoleWriter
w.stdout.level=ADVISORY
"""

_WHO = "SELECT value FROM (SHOW PARAMETERS) WHERE property_path = 'cairo.snapshot.instance.id'"


class QuestDB(Server):
    """A QuestDB on 127.0.0.1 with its data in one directory: ``db/``, ``log/``, ``conf/``, ``questdb.log``."""

    title = "QuestDB"
    log_name = "questdb.log"
    port_taken = ("could not bind socket", "Address already in use", "errno=98")

    def __init__(self, data: Path, http_port: int = 0, *, heap: str = "512m") -> None:
        """Nothing is started.

        Args:
            http_port: 0 for a free one, chosen at the first start.
            heap: the JVM's limit, as ``-Xmx`` takes it; QuestDB keeps most of its memory outside of it.
        """
        super().__init__(data, http_port)
        self._heap = heap
        self._instance = ""

    @property
    def url(self) -> str:
        """The store's address, ``questdb://127.0.0.1:PORT``, known once started."""
        return f"questdb://{HOST}:{self.port}"

    def _prepare(self, deadline: float) -> None:  # noqa: ARG002 - nothing here takes time
        self._instance = uuid.uuid4().hex
        conf = self.data.path / "conf"
        conf.mkdir(exist_ok=True)
        (conf / "server.conf").write_text(_SETTINGS.format(host=HOST, port=self.port, instance=self._instance), "utf-8")
        (conf / "log.conf").write_text(_LOGGING, "utf-8")

    def _command(self) -> Sequence[str]:
        (jar,) = jars("questdb")
        return [
            str(java()),
            f"-Xmx{self._heap}",
            "-XX:+ExitOnOutOfMemoryError",
            "-XX:-UsePerfData",
            "-XX:+UseParallelGC",
            "--enable-native-access=io.questdb",
            "--sun-misc-unsafe-memory-access=allow",
            "-p",
            str(jar),
            "-m",
            "io.questdb/io.questdb.ServerMain",
            "-d",
            str(self.data.path),
        ]

    def _answers(self) -> bool:
        connection = http.client.HTTPConnection(HOST, self.port, timeout=2.0)
        try:
            connection.request("GET", f"/exec?query={quote(_WHO)}")
            answer = json.loads(connection.getresponse().read())
        except (http.client.HTTPException, ValueError):
            return False
        finally:
            connection.close()
        return bool(answer.get("dataset") == [[self._instance]])
