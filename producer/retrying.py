"""The one place that says which failure of a connection is worth another attempt, and which is the user's to mend."""

from __future__ import annotations

import ssl
from collections.abc import Collection
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus

from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI, SecurityError

from producer.address import Address
from schemas import UsageError

CONNECTION_ERRORS = (OSError, EOFError, InvalidHandshake, InvalidURI, ValueError)
"""What dialling raises; timeouts are OSErrors, a redirect to nonsense is a ValueError."""

LONGEST_WAIT = 300.0
"""Seconds; a server that asks for more is asked again after these."""

_REFUSED = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})
_LATER = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS})
_REFUSED_CLOSE = frozenset(
    {3000, 3003, 4401, 4403}
)  # IANA's Unauthorized and Forbidden, and what servers made of HTTP's


def after_dialling(error: Exception, address: Address, *, worked: bool) -> float:
    """Seconds that the server asked to wait before the next attempt, 0 where it said nothing.

    Args:
        worked: a connection to this address came about before, so that what looks like a wrong address is a server in
            trouble.

    Raises:
        UsageError: no attempt will help; the text says what to change, without a secret.
    """
    if isinstance(error, InvalidStatus):
        return _after_answer(error, address, worked=worked)
    if isinstance(error, ssl.SSLCertVerificationError):
        raise UsageError(
            f"the certificate of {address.shown} is not trusted ({address.scrub(str(error))}):"
            " check the host name in --url, or name its authority in SSL_CERT_FILE"
        ) from None
    if isinstance(error, ssl.SSLError) and "WRONG_VERSION_NUMBER" in str(error) and not worked:
        raise UsageError(f"{address.shown} does not speak TLS: is it ws:// instead of wss://?") from None
    if isinstance(error, InvalidURI | SecurityError):
        raise UsageError(f"{address.shown} redirects where no one may follow: give --url the final address") from None
    return 0.0


def _after_answer(error: InvalidStatus, address: Address, *, worked: bool) -> float:
    status = error.response.status_code
    if status in _REFUSED:
        raise token_refused(address, f"HTTP {status}")
    if status in _LATER or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return _retry_after(error.response.headers.get("Retry-After"))
    if worked:
        return 0.0
    raise UsageError(
        f"{address.shown} answers HTTP {status} instead of opening a WebSocket: check host and path of --url"
    )


def after_closing(closed: ConnectionClosed, address: Address, *, subscribed: bool, final: Collection[int] = ()) -> None:
    """Judge how a connection ended; returns where another attempt may help.

    Args:
        final: the provider's own close codes after which none does, whatever stood before.

    Raises:
        UsageError: the server closed it over the token before it had accepted a subscription.
    """
    if closed.rcvd is None:
        return
    if closed.rcvd.code in final or (not subscribed and closed.rcvd.code in _REFUSED_CLOSE):
        raise token_refused(address, f"close code {closed.rcvd.code}")


def token_refused(address: Address, how: str) -> UsageError:
    """What is said of a token that the feed does not take, and what to change."""
    return UsageError(
        f"the feed at {address.shown} refused the token ({how}):"
        " check --token, ASHARE_FEED_TOKEN or ASHARE_FEED_TOKEN_FILE"
    )


def _retry_after(header: str | None) -> float:
    """Seconds of a Retry-After header, which holds seconds or a date (RFC 9110, 10.2.3)."""
    if header is None:
        return 0.0
    try:
        seconds = float(header)
    except ValueError:
        try:
            when = parsedate_to_datetime(header)
        except ValueError:
            return 0.0
        seconds = (when.replace(tzinfo=when.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
    return min(max(seconds, 0.0), LONGEST_WAIT) if seconds == seconds else 0.0  # noqa: PLR0124 - NaN
