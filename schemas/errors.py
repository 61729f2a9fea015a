"""The one error that is the user's to mend."""

from __future__ import annotations


class UsageError(Exception):
    """Something that whoever runs the command can put right; the text says what is wrong and names the fix.

    The command prints it on stderr without a traceback and exits with 2.
    """
