"""How much of one frame, and of one minute, is looked at: whatever a server sends, time and memory stay bounded.

Each bound has a policy, and ``Guard`` of ``producer.feeds.guard`` counts what it leaves out, for the feed event
``limited``. A frame of the whole market is 1 to 2 MB, with 5,500 ticks.
"""

from __future__ import annotations

DOCUMENTS_A_FRAME = 1_000
"""JSON texts merged into one frame. Those beyond are not read, and the whole frame is a dead letter."""
MERGED_BYTES = 2 << 20
"""A larger frame that is not JSON is not split into documents: the whole frame is a dead letter."""
PARTS_A_FRAME = 500_000
"""Commas. A frame with more of them that can't be read strictly is a dead letter whole."""
ELEMENTS_A_FRAME = 400_000
"""Elements of ``ticks`` in a broken frame: 16 MiB hold no more ticks. Those beyond stay in the frame's dead letter."""
BAD_TICKS_A_FRAME = 65_536
"""After so many ticks that can't be read, the rest of a frame is not read; the whole frame is a dead letter."""
LETTERS_A_FRAME = 1_000
"""More bad ticks than this in one frame go to the dead letters as the one frame that they came in."""
ANSWERS_A_FRAME = 100
"""The server's answers; those beyond are dropped."""
ANSWER_BYTES = 1 << 20
"""A larger message without ticks is not an answer: one that names every code has 100 KB."""
UNPACKED_BYTES = 16 << 20
"""A packed frame that unpacks to more is a dead letter as it came."""
LETTERS_A_MINUTE = 6_000
"""Dead letters of one line; those beyond are dropped."""
LETTER_BYTES_A_MINUTE = 64 << 20
"""Bytes of one line's dead letters; those beyond are dropped."""
FOREIGN_CODES = 32_768
"""Codes of one line that are not A shares. Ticks of those beyond are dead letters; an A share is never refused."""
CODES = 98_304
"""Rows of a table by code. The exchanges' ranges have 54,000 A shares: with ``FOREIGN_CODES`` none overflows."""
BEYOND = f"code: beyond the {FOREIGN_CODES:,} codes"
"""How a dead letter's reason begins that there is no room for."""
