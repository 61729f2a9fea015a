"""Which failures are tried again, after how long, and which are the user's to mend."""

from __future__ import annotations

import random
import ssl
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from websockets.datastructures import Headers
from websockets.exceptions import InvalidStatus, InvalidURI
from websockets.http11 import Response

from producer.line import address
from producer.line.backoff import Backoff
from producer.line.retry import LONGEST_WAIT, after_closing, after_dialling
from schemas import UsageError

WHERE = address.read("ws://feed.example", "s3cret")


def answer(status: int, retry_after: str | None = None) -> InvalidStatus:
    headers = Headers() if retry_after is None else Headers({"Retry-After": retry_after})
    return InvalidStatus(Response(status, "", headers))


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("worked", [True, False])
def test_a_refused_token_is_not_tried_again(status: int, worked: bool) -> None:
    """Servers ban who keeps knocking with a wrong token; the text names the settings and not the token."""
    with pytest.raises(UsageError, match="ASHARE_FEED_TOKEN") as caught:
        after_dialling(answer(status), WHERE, worked=worked)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("retry_after", "seconds"),
    [(None, 0), ("7", 7), ("0", 0), ("-3", 0), ("soon", 0), ("nan", 0), ("99999", LONGEST_WAIT), ("inf", LONGEST_WAIT)],
)
@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_busy_server_is_tried_again_when_it_says(status: int, retry_after: str | None, seconds: float) -> None:
    """Retry-After counts, within reason."""
    assert after_dialling(answer(status, retry_after), WHERE, worked=False) == seconds


def test_a_date_to_retry_after_is_understood() -> None:
    """The header's other form."""
    when = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    assert 50 < after_dialling(answer(429, when), WHERE, worked=True) <= 60


def test_what_looks_like_a_wrong_address_counts_as_one_only_at_first() -> None:
    """A server that worked before and now answers 404 is being deployed."""
    with pytest.raises(UsageError, match="host and path"):
        after_dialling(answer(404), WHERE, worked=False)
    assert after_dialling(answer(404), WHERE, worked=True) == 0


@pytest.mark.parametrize("error", [ConnectionRefusedError(), TimeoutError(), OSError("unreachable"), EOFError()])
def test_a_server_that_is_not_there_is_tried_again(error: Exception) -> None:
    """However long it takes."""
    assert after_dialling(error, WHERE, worked=False) == 0


@pytest.mark.parametrize(
    "error", [ssl.SSLCertVerificationError(), ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER]"), InvalidURI("x", "y")]
)
def test_what_only_another_address_mends_is_said(error: Exception) -> None:
    """A certificate that is not trusted, a server without TLS, a redirect to nowhere."""
    with pytest.raises(UsageError, match=r"ws://feed\.example"):
        after_dialling(error, WHERE, worked=False)


def test_a_close_over_the_token_ends_it_unless_a_subscription_stood() -> None:
    """Then the next handshake shows whether the token still holds."""
    with pytest.raises(UsageError, match="4401"):
        after_closing(4401, WHERE, subscribed=False)
    after_closing(4401, WHERE, subscribed=True)
    after_closing(1013, WHERE, subscribed=False)
    after_closing(None, WHERE, subscribed=False)


def test_delays_double_up_to_a_cap_with_jitter_and_begin_again() -> None:
    """Never more than the cap, unless the server asked for more."""
    backoff = Backoff(0.5, 4.0, random.Random(1))
    delays = [backoff.next() for _ in range(2_000)]
    for delay, ceiling in zip(delays, [0.5, 1.0, 2.0, *[4.0] * 1_997], strict=True):
        assert ceiling / 2 <= delay <= ceiling
    assert len(set(delays)) > 1_000
    assert backoff.next(at_least=30.0) == 30.0
    backoff.reset()
    assert backoff.next() <= 0.5
