"""A session of the post's protocol, as it came off the socket, plays as the producer read it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import orjson

from producer.feeds.decoded import Frame
from producer.feeds.post import PostFeed
from producer.feeds.provider import Options
from simulator.playback import PlayedFeed

RECEIVED = 1_787_880_601_250_000
"""2026-08-28 09:30:01.25 in Shanghai."""
SESSION = [
    "Welcome, you are connected",
    '{"type":"welcome","message":"hello"}',
    '{"type":"subscribed","symbols":["600519.SH","000001"],"trades_only":false}',
    '{"ticks":[{"code":"600519.SH","price":1500.5,"time":"2026-08-28 09:30:01.250"}]}',
    '{"type":"pong"}',
    '{"status":"ok"}',
    '{"ticks":[{"code":"sz000001","price":"11.01","time":1787880602,"volume":"300","side":"B"}]}',
    '{"ticks":[{"code":"SH600519","price":1500.6,"time":1787880602250,"turnover":450180.0,"seq":7}]}',
    '{"type":"error","code":"unknown_symbol","message":"no such code: 999999"}',
]


def test_a_recorded_session_plays_as_it_was_read(tmp_path: Path) -> None:
    """Greeting, acknowledgements, pongs and refusals are not ticks to either; the ticks are the same."""
    file = tmp_path / "session.jsonl"
    file.write_text("".join(f"{line}\n" for line in SESSION), "utf-8")
    live = PostFeed(Options())
    read = []
    for line in SESSION:
        decoded = live.decode(Frame(line.encode(), binary=False, received=RECEIVED))
        assert not decoded.letters
        read += decoded.ticks
    played = [orjson.loads(text) for text in PlayedFeed(file, speed=1e6).take(1e9, 100).texts]
    known = [msgspec.to_builtins(tick) for tick in read]
    assert len(played) == len(known) == 3
    for mine, theirs in zip(played, known, strict=True):
        carried: dict[str, Any] = {name: value for name, value in theirs.items() if value is not None}
        del carried["exchange"]
        assert mine == carried
