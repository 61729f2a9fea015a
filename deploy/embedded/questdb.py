"""QuestDB, for one machine: HTTP only (ILP, SQL and the console), on 127.0.0.1, with a password of its own.

QuestDB answers a request of any web page that the user has open, whatever host it names; so it asks for a password,
which is made at the first start and lies in the data directory, for the user alone to read.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import secrets
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
http.user={user}
http.password.file={password}
# A table that is gone stays gone: made again for a line, it would not deduplicate.
line.auto.create.new.tables=false
# No SQL reads or writes files.
cairo.sql.copy.root=
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

USER = "admin"
PASSWORD_FILE = "password"  # noqa: S105 - a file's name

_WHO = "SELECT value FROM (SHOW PARAMETERS) WHERE property_path = 'cairo.snapshot.instance.id'"


def store_url(data: Path, port: int) -> str:
    """The store's address, ``questdb://admin@127.0.0.1:PORT?password_file=PATH``, of a server with this directory."""
    return f"questdb://{USER}@{HOST}:{port}?password_file={quote(str(data.absolute() / PASSWORD_FILE))}"


class QuestDB(Server):
    """A QuestDB on 127.0.0.1 with its data in one directory.

    That holds ``db/``, ``log/``, ``conf/``, ``questdb.log`` and ``password``.
    """

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
        """The store's address, known once started; it names the file of the password."""
        return store_url(self.data.path, self.port)

    @property
    def headers(self) -> dict[str, str]:
        """What each request to the server has to say."""
        password = (self.data.path / PASSWORD_FILE).read_text("utf-8").strip()
        return {"Authorization": f"Basic {base64.b64encode(f'{USER}:{password}'.encode()).decode()}"}

    def _prepare(self, deadline: float) -> None:  # noqa: ARG002 - nothing here takes time
        self._instance = uuid.uuid4().hex
        conf = self.data.path / "conf"
        conf.mkdir(exist_ok=True)
        settings = _SETTINGS.format(
            host=HOST, port=self.port, instance=self._instance, user=USER, password=_password(self.data.path)
        )
        (conf / "server.conf").write_text(settings, "utf-8")
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
            connection.request("GET", f"/exec?query={quote(_WHO)}", headers=self.headers)
            answer = json.loads(connection.getresponse().read())
        except (http.client.HTTPException, ValueError):
            return False
        finally:
            connection.close()
        return bool(answer.get("dataset") == [[self._instance]])


def _password(data: Path) -> Path:
    """The file of the server's password, made at the first start, for its user alone to read."""
    path = data / PASSWORD_FILE
    try:
        opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path
    with os.fdopen(opened, "w", encoding="utf-8") as file:
        file.write(f"{secrets.token_urlsafe(24)}\n")
    return path
