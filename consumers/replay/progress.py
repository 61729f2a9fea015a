"""How far a replay is, for a person: a live bar on a terminal, else a plain line every few seconds."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from consumers.replay.controls import Controls
from consumers.replay.player import Player
from consumers.replay.source import Source
from market.times import TimeError, shanghai_time

EVERY_S = 5.0


def moment(ms: int) -> str:
    """A record's time as people read it, empty before the first."""
    try:
        return shanghai_time(ms) if ms else ""
    except TimeError:
        return ""


def left(seconds: float) -> str:
    """A time to go."""
    minutes, rest = divmod(max(0, round(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


class PlainProgress:
    """A line every few seconds."""

    def __init__(self, say: Callable[[str], None], every: float = EVERY_S) -> None:
        """``say`` gets the lines."""
        self._say = say
        self._every = every

    async def show(self, source: Source, player: Player, offsets: int) -> None:
        """As ``run.Progress.show``."""
        given = read = 0
        while True:
            await asyncio.sleep(self._every)
            rate = (player.given - given) / self._every
            done = source.read / offsets if offsets else 1.0
            speed = (source.read - read) / self._every
            to_go = f", {left((offsets - source.read) / speed)} left" if speed > 0 else ""
            at = f"{moment(player.at)} Shanghai" if player.at else "the start"
            self._say(f"{player.given:,} records ({done:.0%}), {rate:,.0f}/s, at {at}{to_go}")
            given, read = player.given, source.read


class LiveProgress:
    """A bar on the terminal's last line."""

    def __init__(self, controls: Controls, title: str) -> None:
        """Shows what the controls are at, too."""
        self._controls = controls
        self._title = title

    async def show(self, source: Source, player: Player, offsets: int) -> None:
        """As ``run.Progress.show``."""
        columns = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=10),
            TaskProgressColumn(),
            TextColumn("{task.fields[given]:,} · {task.fields[rate]:,.0f}/s · {task.fields[at]} Shanghai"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
        )
        with Progress(*columns, console=Console(file=sys.stderr), refresh_per_second=5, transient=False) as bar:
            task = bar.add_task(self._title, total=offsets, given=0, rate=0.0, at="", note="")
            given, then = 0, time.monotonic()
            try:
                while True:
                    await asyncio.sleep(0.2)
                    now = time.monotonic()
                    rate, given, then = (player.given - given) / (now - then), player.given, now
                    note = self._controls.note or ("paused, space goes on" if self._controls.paused else "")
                    bar.update(
                        task, completed=source.read, given=given, rate=rate, at=moment(player.at)[:19], note=note
                    )
            finally:
                bar.update(task, completed=source.read, given=player.given, at=moment(player.at)[:19], note="")
