"""A connection to a broker over a socket of our own: dialled, encrypted, logged in. Blocking, for a thread.

What fails is told apart as aiokafka does not: a wrong password, a certificate that has expired, TLS where none is
expected. So that is what a client's failure is explained by, too (``explain``).
"""

from __future__ import annotations

import socket
import ssl
import struct
from struct import pack

from aiokafka.conn import ScramAuthenticator
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    TopicAuthorizationFailedError,
    for_code,
)

from broker import security
from broker.bootstrap import addresses, no_broker
from broker.security import FileToken, Security
from schemas import UsageError, certificates
from schemas.outside import printable

_CLIENT = b"ashare-probe"
_API_VERSIONS, _HANDSHAKE, _AUTHENTICATE = 18, 17, 36
_UNSUPPORTED_MECHANISM, _ILLEGAL_STATE = 33, 34
_ANSWER_BYTES = 1 << 20
_TLS_RECORDS = (b"\x15\x03", b"\x16\x03")


class LoginError(ConnectionError):
    """A broker is there, and this process may not, or does not know how to, speak to it; the text names the mend."""


def connect(server: tuple[str, int], timeout: float, how: Security) -> socket.socket:
    """A connection that is ready for requests.

    Args:
        timeout: seconds for the connection, and for each piece of an answer.

    Raises:
        LoginError: the broker is not to be spoken to like this.
        OSError: nothing answers there.
    """
    connection = socket.create_connection(server, timeout)
    try:
        if how.tls:
            connection = _encrypted(connection, server[0], how)
        if how.sasl:
            _log_in(connection, server, how)
    except BaseException:
        connection.close()
        raise
    return connection


def explain(bootstrap: str, failure: Exception | None = None, *, timeout: float = 2.0) -> UsageError:
    """The error of a client that could not connect: what a broker says where one answers, else that none does.

    Args:
        failure: what the client raised: told of where a broker does answer.
    """
    try:
        how = security.current()
    except UsageError as error:
        return error
    for server in addresses(bootstrap):
        try:
            with connect(server, timeout, how) as connection:
                _greet(connection, server, how)
            if failure is not None and (said := refused(failure)):
                return UsageError(said)
        except LoginError as error:
            return UsageError(str(error))
        except OSError:
            continue
    return no_broker(bootstrap)


def refused(failure: BaseException) -> str | None:
    """What this user lacks, where a broker did not let it do something; ``None`` for any other failure."""
    about = failure.args[0] if failure.args else ""
    match failure:
        case TopicAuthorizationFailedError():
            named = ", ".join(sorted(map(str, about))) if isinstance(about, set | frozenset | list) else str(about)
            lacking = f"READ or WRITE on the topic {named or 'it asked for'}"
        case GroupAuthorizationFailedError():
            # aiokafka's admin client says it in a sentence that ends with the name.
            lacking = f"READ on the group {str(about).rpartition(' ')[2]}"
        case ClusterAuthorizationFailedError():
            lacking = "a right on the cluster: IDEMPOTENT_WRITE, or WRITE on the topic"
        case _ if isinstance(failure, for_code(53)):
            lacking = f"WRITE on the transactional id {about}"
        case _:
            return None
    return lacks(lacking)


def lacks(what: str) -> str:
    """What to tell a user who lacks a right, as READ on a topic."""
    who = f"user {how.user!r}" if (how := security.current()).user else "this client"
    return f"Kafka does not let {who} do this: it lacks {what}: `ashare acl apply` grants each part what it needs"


def _encrypted(connection: socket.socket, host: str, how: Security) -> ssl.SSLSocket:
    port = connection.getpeername()[1]
    at = f"{host}:{port}"
    try:
        return security.context(how).wrap_socket(connection, server_hostname=host)
    except ssl.SSLCertVerificationError as error:
        why = certificates.refused(error, host, security.CA, unchecked=security.CHECK_HOST)
        raise LoginError(f"the certificate of {at} is refused: {why}") from error
    except ssl.SSLError as error:
        reason = error.reason or ""
        if "CERTIFICATE" in reason or "HANDSHAKE_FAILURE" in reason:
            raise LoginError(
                f"{at} wants a certificate of this client: set {security.CERTIFICATE} and {security.KEY}"
            ) from error
        raise LoginError(_no_tls(at, how)) from error
    except (ConnectionError, TimeoutError) as error:
        # A plain listener takes a greeting of TLS for a request of an absurd size, and hangs up.
        raise LoginError(_no_tls(at, how)) from error


def _no_tls(at: str, how: Security) -> str:
    plain = "sasl-plaintext" if how.sasl else "plaintext"
    return f"{at} does not speak TLS: set {security.SECURITY} to {plain}, or give the port of its TLS listener"


def _log_in(connection: socket.socket, server: tuple[str, int], how: Security) -> None:
    at = f"{server[0]}:{server[1]}"
    name = how.mechanism.encode()
    try:
        answer = _asked(connection, _HANDSHAKE, 1, pack(">h", len(name)) + name)
    except (ConnectionError, struct.error) as error:
        raise LoginError(_unlike(at, how, error)) from error
    (code,) = struct.unpack_from(">h", answer)
    if code == _UNSUPPORTED_MECHANISM:
        raise LoginError(
            f"{at} does not take {how.mechanism}: set {security.MECHANISM} to one of {', '.join(_names(answer))}"
        )
    if code == _ILLEGAL_STATE:
        raise LoginError(f"{at} takes no login: set {security.SECURITY} to {'tls' if how.tls else 'plaintext'}")
    if code:
        raise LoginError(f"{at} refuses to begin a login: error {code}")
    _authenticate(connection, at, how)


def _authenticate(connection: socket.socket, at: str, how: Security) -> None:
    if how.mechanism == "PLAIN":
        _step(connection, at, how, f"\0{how.user}\0{how.password}".encode())
    elif how.token_file is not None:
        token = FileToken(how.token_file).read()
        _step(connection, at, how, f"n,,\x01auth=Bearer {token}\x01\x01".encode())
    else:
        scram = ScramAuthenticator(
            loop=None,
            sasl_plain_password=how.password,
            sasl_plain_username=how.user,
            sasl_mechanism=how.mechanism,
        )
        first = _step(connection, at, how, scram.first_message().encode())
        scram.process_server_first_message(first.decode())
        _step(connection, at, how, scram.final_message().encode())


def _step(connection: socket.socket, at: str, how: Security, data: bytes) -> bytes:
    try:
        answer = _asked(connection, _AUTHENTICATE, 0, pack(">i", len(data)) + data)
        (code,) = struct.unpack_from(">h", answer)
        text, rest = _text(answer, 2)
        (size,) = struct.unpack_from(">i", answer, rest)
    except (ConnectionError, struct.error) as error:
        raise LoginError(f"{at} ended the login: {error}") from error
    if code:
        who = "the token" if how.token_file is not None else f"user {printable(how.user)!r}"
        mend = (
            f"look at {security.TOKEN_FILE}"
            if how.token_file is not None
            else (f"look at {security.USER} and {security.PASSWORD}_FILE")
        )
        raise LoginError(f"{at} refuses {who} ({printable(text) or f'error {code}'}): {mend}")
    return answer[rest + 4 : rest + 4 + max(size, 0)]


def _greet(connection: socket.socket, server: tuple[str, int], how: Security) -> None:
    """Ask for metadata of nothing: a listener that wants a login, or TLS, does not answer it."""
    at = f"{server[0]}:{server[1]}"
    try:
        _asked(connection, 3, 2, pack(">i", 0))
    except TimeoutError:
        raise
    except (ConnectionError, struct.error) as error:
        raise LoginError(_unlike(at, how, error)) from error


def _unlike(at: str, how: Security, error: Exception) -> str:
    if isinstance(error, _TlsAnswerError):
        wanted = "sasl-tls" if how.sasl else "tls"
        return (
            f"{at} speaks TLS: set {security.SECURITY} to {wanted}, and {security.CA} where its authority is your own"
        )
    if how.sasl:
        return f"{at} hung up on a login: it may take none, or want TLS: look at {security.SECURITY}"
    if how.tls:
        return f"{at} hung up: it wants a login (set {security.SECURITY} to sasl-tls), or this client's certificate"
    return f"{at} hung up: it wants a login or TLS: set {security.SECURITY} to sasl-plaintext, tls or sasl-tls"


class _TlsAnswerError(ConnectionError):
    """The answer is a record of TLS."""


def _asked(connection: socket.socket, key: int, version: int, body: bytes) -> bytes:
    """The answer behind its correlation id."""
    request = pack(">hhih", key, version, 1, len(_CLIENT)) + _CLIENT + body
    connection.sendall(pack(">i", len(request)) + request)
    head = _read(connection, 4)
    if head[:2] in _TLS_RECORDS:
        raise _TlsAnswerError("a record of TLS")
    (size,) = struct.unpack(">i", head)
    if not 4 <= size <= _ANSWER_BYTES:
        raise ConnectionError(f"an answer of {size:,} bytes")
    return _read(connection, size)[4:]


def _read(connection: socket.socket, size: int) -> bytes:
    content = bytearray()
    while len(content) < size:
        piece = connection.recv(size - len(content))
        if not piece:
            raise ConnectionError("the broker hung up")
        content += piece
    return bytes(content)


def _text(data: bytes, at: int) -> tuple[str, int]:
    (size,) = struct.unpack_from(">h", data, at)
    end = at + 2 + max(size, 0)
    return data[at + 2 : end].decode("utf-8", "replace"), end


def _names(answer: bytes) -> list[str]:
    (count,) = struct.unpack_from(">i", answer, 2)
    names, at = [], 6
    for _ in range(max(0, min(count, 16))):
        name, at = _text(answer, at)
        names.append(name)
    return names
