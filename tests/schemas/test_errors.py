"""Errors of the system, in words for a person."""

from __future__ import annotations

import errno
import os
import socket

import pytest

from schemas.errors import cant_listen, reason_of


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (socket.gaierror(-2, "Name or service not known"), "Name or service not known"),
        (ConnectionRefusedError(111, "Connect call failed"), "Connect call failed"),
        (OSError("Multiple exceptions: [Errno 111] a, [Errno 101] b"), "Multiple exceptions: a, b"),
        (ValueError("no [1] frame"), "no [1] frame"),
        (TimeoutError(), "TimeoutError"),
    ],
)
def test_a_reason_has_no_number_of_the_system(error: Exception, said: str) -> None:
    """Text without a number is as it was; an error without a text is told by its type."""
    assert reason_of(error) == said


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            OSError(errno.EADDRINUSE, "error while attempting to bind on address ('h', 1): address already in use"),
            "port 1 is in use: stop what listens there, or give another --web-port",
        ),
        (
            OSError(errno.EACCES, "error while attempting to bind on address ('h', 1): permission denied"),
            f"can't listen on h:1 ({os.strerror(errno.EACCES)}): give another host or --web-port",
        ),
        (
            socket.gaierror(-2, "Name or service not known"),
            "can't listen on h:1 (Name or service not known): give another host or --web-port",
        ),
    ],
)
def test_an_address_that_cant_be_listened_on_is_named_with_the_option_that_mends_it(error: OSError, said: str) -> None:
    """A port that is taken in the same words by every part."""
    assert str(cant_listen(error, "h", 1, "--web-port")) == said
