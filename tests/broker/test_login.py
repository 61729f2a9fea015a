"""What a person is told whose login does not work: one line each, with the fix, from real brokers and real TLS."""

from __future__ import annotations

import asyncio
import contextlib
import re
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from socket import create_server

import pytest

from broker import admin, security
from broker.login import connect, explain
from broker.probe import Probe
from deploy.embedded import KafkaBroker
from schemas import UsageError
from tests.certificates import Authority

pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaBroker]:
    """A broker that wants logins over TLS."""
    with KafkaBroker(tmp_path_factory.mktemp("secure"), secure=True, users=("producer",)) as broker:
        yield broker


@pytest.fixture
def login(secure: KafkaBroker, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process logs in as the broker's admin."""
    assert secure.secrets is not None
    for name, value in {
        security.SECURITY: "sasl-tls",
        security.USER: "admin",
        f"{security.PASSWORD}_FILE": str(secure.secrets.password_file("admin")),
        security.CA: str(secure.secrets.ca),
    }.items():
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("login")
@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-512", "SCRAM-SHA-256"])
async def test_a_login_works(secure: KafkaBroker, mechanism: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Through aiokafka and through our own sockets; on localhost and on the address."""
    monkeypatch.setenv(security.MECHANISM, mechanism)
    for host in ("127.0.0.1", "localhost"):
        bootstrap = f"{host}:{secure.port}"
        assert not [line for line in await admin.apply(bootstrap) if line.startswith("refused")]
        with Probe(bootstrap) as probe:
            assert len((await asyncio.to_thread(probe.find, ["ashare.ticks.v1"])).logs) == 1


CASES = [
    ({"USER": "nobody"}, "refuses user 'nobody'.*look at ASHARE_KAFKA_USER and ASHARE_KAFKA_PASSWORD_FILE"),
    ({"PASSWORD_FILE": "wrong"}, "refuses user 'admin'.*look at ASHARE_KAFKA_USER and ASHARE_KAFKA_PASSWORD_FILE"),
    ({"CA": ""}, "certificate.*refused: self-signed.*set ASHARE_KAFKA_CA"),
    ({"MECHANISM": "PLAIN"}, "does not take PLAIN: set ASHARE_KAFKA_MECHANISM to one of SCRAM-SHA-512, SCRAM-SHA-256"),
    ({"SECURITY": "sasl-plaintext", "CA": ""}, "speaks TLS: set ASHARE_KAFKA_SECURITY to sasl-tls"),
    ({"SECURITY": "", "USER": "", "PASSWORD_FILE": "", "CA": ""}, "speaks TLS: set ASHARE_KAFKA_SECURITY to tls"),
    ({"SECURITY": "tls", "USER": "", "PASSWORD_FILE": ""}, "wants a login .set ASHARE_KAFKA_SECURITY to sasl-tls"),
]


@pytest.mark.usefixtures("login")
@pytest.mark.parametrize(("changed", "said"), CASES, ids=lambda value: str(value)[:50])
def test_a_login_that_does_not_work_is_explained(
    secure: KafkaBroker, changed: dict[str, str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By what an operator has to change; and never by the password."""
    Path("wrong").write_text("not-the-password")
    for name, value in changed.items():
        monkeypatch.setenv(f"ASHARE_KAFKA_{name}", value)
    with pytest.raises(UsageError, match=said) as refused:
        asyncio.run(admin.apply(secure.bootstrap, patience=0.0))
    assert "not-the-password" not in str(refused.value)


PLAIN = [
    ({"SECURITY": "tls"}, "does not speak TLS: set ASHARE_KAFKA_SECURITY to plaintext"),
    ({"SECURITY": "sasl-tls", "USER": "a", "PASSWORD": "secret"}, "does not speak TLS.*sasl-plaintext"),
    ({"SECURITY": "sasl-plaintext", "USER": "a", "PASSWORD": "secret"}, "takes no login.*to plaintext"),
]


@pytest.mark.parametrize(("given", "said"), PLAIN, ids=lambda value: str(value)[:50])
async def test_a_plain_broker_is_told_from_a_secured_one(
    bootstrap: str, given: dict[str, str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where more is set than it asks for."""
    for name, value in given.items():
        monkeypatch.setenv(f"ASHARE_KAFKA_{name}", value)
    with pytest.raises(UsageError, match=said):
        await admin.apply(bootstrap, patience=0.0)


def test_where_nobody_listens_no_broker_answers() -> None:
    """Whatever is set."""
    assert "no Kafka broker answers at 127.0.0.1:1" in str(explain("127.0.0.1:1"))


@pytest.mark.parametrize(
    ("host", "days", "said"),
    [
        ("127.0.0.1", (-30, -1), "it has expired: have whoever runs the server renew it"),
        ("kafka.example", (-1, 30), "it is of another host than 127.0.0.1.*ASHARE_KAFKA_CHECK_HOST=false"),
        ("127.0.0.1", (10, 30), "it is not valid yet: look at this machine's clock"),
    ],
)
def test_a_wrong_certificate_is_explained(
    host: str, days: tuple[int, int], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Expired, of another host, or of a time to come."""
    with _listener(host, days) as port:
        monkeypatch.setenv(security.SECURITY, "tls")
        monkeypatch.setenv(security.CA, "test-ca.pem")
        assert re.search(said, str(explain(f"127.0.0.1:{port}")))


def test_a_host_need_not_be_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the setting says so, a certificate of another host is taken."""
    with _listener("kafka.example", (-1, 30)) as port:
        monkeypatch.setenv(security.SECURITY, "tls")
        monkeypatch.setenv(security.CA, "test-ca.pem")
        monkeypatch.setenv(security.CHECK_HOST, "false")
        connect(("127.0.0.1", port), 5.0, security.current()).close()


@contextlib.contextmanager
def _listener(host: str, days: tuple[int, int]) -> Iterator[int]:
    """A TLS listener with a certificate for a host and some days; gives its port."""
    context = Authority(Path()).context(host, days)
    with create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(10)
        thread = threading.Thread(target=_serve, args=(listening, context), daemon=True)
        thread.start()
        yield int(listening.getsockname()[1])
    thread.join(15)


def _serve(listening: object, context: ssl.SSLContext) -> None:
    with contextlib.suppress(OSError):
        connection, _ = listening.accept()  # type: ignore[attr-defined]
        with connection, contextlib.suppress(OSError), context.wrap_socket(connection, server_side=True) as encrypted:
            encrypted.recv(1)


def test_secrets_lie_in_files_for_their_owner_alone(secure: KafkaBroker) -> None:
    """And in no list of processes, and in no log."""
    assert secure.secrets is not None
    for path in secure.secrets.folder.iterdir():
        assert path.stat().st_mode & 0o077 == 0, path
    password = secure.secrets.password("admin")
    assert password not in secure.log.read_text("utf-8", "replace")
    assert secure.process is not None
    assert password not in " ".join(map(str, secure.process.args))  # type: ignore[arg-type]
