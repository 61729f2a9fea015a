"""Runs a program so that it dies with its starter, even on ``kill -9``: ``python leash.py PIPE_FD PROGRAM ARGUMENT…``.

The starter holds the other end of the pipe and nothing else does, so the end of the pipe is the end of the starter,
however it came about. The process itself becomes the program (same process id); a forked watcher reads the pipe. Linux
could do this with ``PR_SET_PDEATHSIG``, but that signal follows the *thread* that started the child, macOS has none.

Started as a file, with nothing of ours imported, so that the watcher stays small.
"""

import os
import select
import signal
import sys

LOOK_SECONDS = 1.0
"""How often the watcher looks whether the program has ended by itself."""


def _watch(pipe: int, program: int) -> None:
    """Kill the program when the pipe ends; leave when the program ended, which shows in the watcher's own parent."""
    # Whatever else was inherited (the data directory's lock above all) belongs to the program alone.
    os.closerange(0, pipe)
    os.closerange(pipe + 1, 4096)
    while os.getppid() == program:
        readable, _, _ = select.select([pipe], [], [], LOOK_SECONDS)
        if readable and not os.read(pipe, 1):
            if os.getppid() == program:
                os.kill(program, signal.SIGKILL)
            return


def main() -> None:
    """Fork the watcher, become the program."""
    pipe, program = int(sys.argv[1]), sys.argv[2:]
    mine = os.getpid()
    if os.fork() == 0:
        try:
            _watch(pipe, mine)
        finally:
            os._exit(0)
    os.close(pipe)
    os.execv(program[0], program)  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    main()
