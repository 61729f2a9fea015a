"""What a reader counts."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Stats:
    """Counters since the reader was opened.

    Attributes:
        fetched: records that came, from log or archive.
        archived: those of them that came from the archive.
        filtered: records that were not wanted: their code, board or size.
        repeated: records that had come before.
        suspicious: those of them that were received later than what they would repeat: their source's run fell, or two
            producers write under one name. Past 16 in a row of one source a warning is logged.
        malformed: records that could not be read and were skipped (`malformed="skip"`).
        delivered: records put into batches for the caller.
        skipped: offsets that were nowhere any more (`missing="skip"`).
        commits: how often the group's position was committed.
        reconnected: how often the consumer was made anew.
        replaced: how often another log stood behind the topic's name than before (it was deleted and made again, or the
            cluster is another one); it is then read from its start, and a warning is logged.
    """

    fetched: int = 0
    archived: int = 0
    filtered: int = 0
    repeated: int = 0
    suspicious: int = 0
    malformed: int = 0
    delivered: int = 0
    skipped: int = 0
    commits: int = 0
    reconnected: int = 0
    replaced: int = 0
