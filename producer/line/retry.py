"""The one place that decides which failure of a connection is worth another attempt, and which the user must fix."""

from __future__ import annotations

import ssl
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from urllib.parse import urlsplit

from websockets.exceptions import InvalidMessage, InvalidStatus, InvalidURI, SecurityError

from producer.errors import ForeignRedirectError, RefusedAgainError
from producer.line.address import Address
from schemas import UsageError
from schemas.certificates import refused

FEED_CA = "ASHARE_FEED_CA"
"""The setting that names the authorities of feeds."""
LONGEST_WAIT = 300.0
"""Seconds; a server that asks for more is asked again after these."""

_REFUSED = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})
_LATER = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS})
_REFUSED_CLOSE = frozenset(
    {3000, 3003, 4401, 4403}
)  # IANA's Unauthorized and Forbidden, and what servers made of HTTP's


def after_dialling(error: Exception, address: Address, *, worked: bool) -> float:
    """Seconds that the server asked to wait before the next attempt, 0 where it asked for none.

    Args:
        worked: a connection to this address, with this token, came about before in this run.

    Raises:
        UsageError: no attempt will help; the text names what to change, without a secret.
        RefusedAgainError: it would not, had it not worked before.
    """
    if isinstance(error, InvalidStatus) and (
        error.response.status_code in _LATER or error.response.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR
    ):
        return _retry_after(error.response.headers.get_all("Retry-After"))
    fault = _fault(error, address, worked=worked)
    if fault is not None:
        raise RefusedAgainError(str(fault)) if worked else fault
    return 0.0


def _fault(error: Exception, address: Address, *, worked: bool) -> UsageError | None:
    """What the user would have to change, if this failure will not pass; ``None`` where it may."""
    fault: str | None = None
    match error:
        case InvalidStatus() if error.response.status_code in _REFUSED:
            return token_refused(address, f"HTTP {error.response.status_code}")
        case InvalidStatus() if not worked:  # else it is being deployed
            fault = (
                f"{address.shown} answers HTTP {error.response.status_code} instead of opening a WebSocket:"
                " check host and path of --url"
            )
        case ssl.SSLCertVerificationError():
            host = urlsplit(address.url).hostname or ""
            fault = f"the certificate of {address.shown} is refused: {refused(error, host, FEED_CA)}"
        case ssl.SSLError() if "WRONG_VERSION_NUMBER" in str(error) and not worked:
            fault = f"{address.shown} has no TLS: is it ws:// instead of wss://?"
        case ForeignRedirectError():
            fault = f"{error}: if you trust it, give it as --url"
        case InvalidURI() | SecurityError():
            fault = f"{address.shown} redirects where no one may follow: give --url the final address"
    return None if fault is None else UsageError(fault)


def hint(error: Exception, address: Address, *, worked: bool) -> str:
    """What else may be wrong where a server hung up before it answered, as one does that is only starting."""
    if worked:
        return ""
    match error:
        case InvalidMessage() if address.url.startswith("ws:"):
            return " (is it wss:// instead of ws://?)"
        case ConnectionResetError() if address.url.startswith("wss:"):
            return " (is it ws:// instead of wss://?)"
    return ""


def after_closing(
    code: int | None, address: Address, *, subscribed: bool, worked: bool = False, final: Collection[int] = ()
) -> None:
    """Judge how a connection ended; returns where another attempt may help.

    Args:
        code: the server's close code, ``None`` where it sent none.
        subscribed: a subscription stood on it.
        worked: one stood on an earlier connection of this run.
        final: the provider's own close codes after which no attempt helps, whatever stood before.

    Raises:
        UsageError: the server closed it over the token before it had accepted a subscription.
        RefusedAgainError: likewise, but it had accepted the token before.
    """
    if code in final or (not subscribed and code in _REFUSED_CLOSE):
        fault = token_refused(address, f"close code {code}")
        raise RefusedAgainError(str(fault)) if subscribed or worked else fault


def token_refused(address: Address, how: str) -> UsageError:
    """The error of a token that the feed does not take; it names what to change."""
    return UsageError(
        f"the feed at {address.shown} refused the token ({how}):"
        " check --token, ASHARE_FEED_TOKEN or ASHARE_FEED_TOKEN_FILE"
    )


def _retry_after(headers: Sequence[str]) -> float:
    """Seconds of a Retry-After header, which holds seconds or a date (RFC 9110, 10.2.3)."""
    if len(headers) != 1:
        return 0.0
    header = headers[0]
    try:
        seconds = float(header)
    except ValueError:
        try:
            when = parsedate_to_datetime(header)
        except (ValueError, TypeError, OverflowError):
            return 0.0
        seconds = (when.replace(tzinfo=when.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
    return min(max(seconds, 0.0), LONGEST_WAIT) if seconds == seconds else 0.0  # noqa: PLR0124 - NaN
