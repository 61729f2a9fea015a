"""Where ``ashare`` begins: Ctrl-C ends it without a traceback while the rest is imported, too."""

from __future__ import annotations

import signal


def main() -> None:
    """Run the command."""
    interrupted = signal.getsignal(signal.SIGINT)
    if interrupted is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from cli.main import main as run

    if interrupted is signal.default_int_handler:
        signal.signal(signal.SIGINT, interrupted)
    run()
