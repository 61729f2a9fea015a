"""``ashare`` with another number of partitions than ``topics.yaml`` declares.

``python -m cli.wide 64 process …`` is ``ashare process …`` with 64, which is to be that of every part.
No command on a broker that stays takes a number of partitions, since changing it moves keys; only a measurement does.
"""

from __future__ import annotations

import sys
from dataclasses import replace

from schemas.topics import topics

_SEVERAL = frozenset(name for name, topic in topics().items() if topic.partitions > 1)


def declare(partitions: int) -> None:
    """Let this process take every topic that has several partitions to have so many."""
    declared = topics()  # made once, and then always this very dict
    for name in _SEVERAL:
        declared[name] = replace(declared[name], partitions=partitions)


if __name__ == "__main__":
    from cli.main import main

    declare(int(sys.argv.pop(1)))
    main()
