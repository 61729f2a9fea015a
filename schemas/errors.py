"""The one error that is the user's to mend, and how errors of the system are said."""

from __future__ import annotations

import errno
import os
import re

_NUMBER = re.compile(r"\[Errno -?\d+\] ")


class UsageError(Exception):
    """Something that whoever runs the command can put right; the text says what is wrong and names the fix.

    The command prints it on stderr without a traceback and exits with 2.
    """


def reason_of(error: BaseException) -> str:
    """What an error says, without the numbers that the system gives its errors; its type where it says nothing."""
    return _NUMBER.sub("", str(error)) or type(error).__name__


def cant_listen(error: OSError, host: str, port: int, option: str = "--port") -> UsageError:
    """The error of an address that can't be listened on; ``option`` gives another port."""
    if error.errno == errno.EADDRINUSE:
        return UsageError(f"port {port} is in use: stop what listens there, or give another {option}")
    number = error.errno or 0  # negative where a name can't be resolved, which is not the system's own table
    why = os.strerror(number) if number > 0 else reason_of(error)
    return UsageError(f"can't listen on {host}:{port} ({why}): give another host or {option}")
