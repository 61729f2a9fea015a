"""How long, how large and how far off a value of the contract may be. Why: ``docs/decisions.md``.

Nothing that a market says lies outside; arithmetic on what lies inside can't overflow, in any reader's language.
"""

from __future__ import annotations

INT64 = 2**63 - 1
"""What every store and language holds; a larger integer is refused, so that no store has to."""
EXACT = 2**53 - 1
"""The largest integer that a reader in JavaScript, or one that takes numbers for floats, holds exactly."""

EARLIEST_MS = 631_152_000_000
"""1990-01-01: the exchanges opened in that year's December."""
LATEST_MS = 4_102_444_799_999
"""The last ms before 2100-01-01 UTC."""
LATEST_US = LATEST_MS * 1000 + 999

MIN_PRICE = 0.0001
"""Yuan: prices are compared as whole 1/10,000 yuan, and none is 0."""
MAX_PRICE = 1e9
"""Yuan."""
MAX_MOVE_BP = 1e17
"""Basis points, from the lowest price to the highest."""
MAX_THRESHOLD_YUAN = 1e14
"""What the largest threshold makes of the highest price."""
MAX_VOLUME = 10**15
"""Shares, of one tick."""
MAX_TURNOVER = 1e18
"""Yuan, of one tick."""
MAX_SESSION_VOLUME = INT64
"""Shares; what is summed up beyond stays there."""
MAX_SESSION_TURNOVER = 1e24
"""Yuan, likewise."""
MAX_LEVELS = 10
"""Of one side of a book: the adapters fill five, which is what the exchanges' free feeds carry."""
MAX_REVISION = 1_000_000
MAX_SHARES = 10**15
"""Of one company."""
MAX_PARTITION = 2**31 - 1
"""Kafka's own."""

RUN_AHEAD_MS = 86_400_000
"""How far a run may be ahead of the receipt of its ticks: a clock that was set back by more is told of at start."""

RECEIVED_AHEAD_MS = 3_600_000
"""How far a receipt may be ahead of its record's timestamp, which a broker holds to its own clock."""

MAX_SOURCE = 255
MAX_BARS = 64
"""Bars of a code that may still change."""
MAX_CODE = 32
MAX_NAME = 64
MAX_QUALITY = 256
MAX_TEXT = 4_096
"""Characters of a reason, in words."""
MAX_ID = 512
MAX_SCOPE = 64
MAX_THRESHOLD = 32
MAX_LINES = 1_024
"""Sources whose last tick a row remembers."""
MAX_CODES = 100_000
"""Codes that an event names."""
MAX_STEPS = 1_024
"""Earlier thresholds that a mark remembers."""
MAX_DEPTH = 32
"""Levels of nesting; a record of the contract has three."""
