"""Every task of the producer is somebody's: whichever ends, its line or the process ends with its reason."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection

from broker.publisher import DeliveryError
from producer import run as runs
from producer.attending import TaskEndedError
from producer.line import Line
from producer.plan import ProducerOptions, plan
from producer.run import Producer
from schemas import UsageError
from schemas.topics import FEED_EVENTS

TASKS = {
    "reading",
    "closing",
    "speaking",
    "heartbeat",
    "watching",
    "report",
    "publishing",
    "watchlist",
    "post-1",
}
"""Of a producer with one line and a watchlist; ``post-1`` is the line itself."""


class Nowhere:
    """A publisher that forgets what it is given, but for the events."""

    def __init__(self) -> None:
        """All is well."""
        self.events: list[bytes] = []
        self.full = False
        self.unacknowledged_bytes = self.acknowledged = self.resent = self.rebuilt = 0
        self.failure: Exception | None = None

    def queue(self, topic: str, partition: int) -> Any:  # noqa: ARG002 - all partitions are one
        """A queue of it."""
        nowhere = self

        class PartitionQueue:
            def add(self, key: Any, value: bytes, timestamp: int, headers: Any = ()) -> None:  # noqa: ARG002
                if topic == FEED_EVENTS:
                    nowhere.events.append(value)

        return PartitionQueue()

    def check(self) -> None:
        """As the publisher's."""
        if self.failure is not None:
            raise self.failure

    async def room(self) -> None:
        """There is."""


async def stay(server: ServerConnection) -> None:
    await server.wait_closed()


def producer(url: str, tmp_path: Path, **options: Any) -> tuple[Producer, Nowhere]:
    file = tmp_path / "codes.txt"
    file.write_text("600519 000001")
    given: dict[str, Any] = {"url": url, "watchlist": str(file), "heartbeat": 0.2} | options
    asked = ProducerOptions("127.0.0.1:1", **given)
    publisher: Any = Nowhere()
    return Producer(plan(asked), asked, publisher), publisher


def tasks() -> dict[str, asyncio.Task[Any]]:
    """Those of the list that run."""
    return {task.get_name(): task for task in asyncio.all_tasks() if task.get_name() in TASKS}


def of_the_library(task: asyncio.Task[Any]) -> bool:
    return "/websockets/" in getattr(task.get_coro(), "cr_code", None).co_filename  # type: ignore[union-attr]


async def test_these_are_all_tasks(post: Any, tmp_path: Path) -> None:
    """A task that is new is ended in turn as well: give it a name, and put it into the list above."""
    async with post.Server(stay) as feed:
        made, _ = producer(feed.url, tmp_path)
        before = asyncio.all_tasks()
        running = asyncio.create_task(made.until_told())
        await post.until(lambda: len(feed.requests) == 1)
        await asyncio.sleep(0.3)
        theirs = [task for task in asyncio.all_tasks() - before - {running} if not of_the_library(task)]
        names = {
            task.get_name()
            for task in theirs
            if getattr(task.get_coro(), "__qualname__", "").split(".")[0] not in {"Event", "PostServer", "Supervisor"}
        }
        signal.raise_signal(signal.SIGTERM)
        await asyncio.wait_for(running, 20)
    assert names == TASKS


@pytest.mark.parametrize("name", sorted(TASKS))
async def test_no_task_ends_unseen(post: Any, tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture) -> None:
    """Each one is ended in turn: the producer ends within seconds, in words that name the task."""
    async with post.Server(stay) as feed:
        made, publisher = producer(feed.url, tmp_path)
        running = asyncio.create_task(made.until_told())
        await post.until(lambda: len(feed.requests) == 1 and name in tasks())
        tasks()[name].cancel()
        with pytest.raises(TaskEndedError, match=f"{name!r} was cancelled"):
            await asyncio.wait_for(running, 20)
        assert not TASKS & tasks().keys()
    assert f"the task {name!r} was cancelled" in caplog.text
    assert b'"event":"stopped"' in publisher.events[-1]


@pytest.mark.parametrize("method", ["_speak", "_watch", "_close_at", "_read"])
@pytest.mark.parametrize("fails", [True, False])
async def test_a_task_of_a_line_that_fails_or_returns_ends_it(
    post: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str, fails: bool
) -> None:
    """With the error's own words in the log, the events and what the process says."""

    async def work(*_: Any) -> None:
        await asyncio.sleep(0.1)
        if fails:
            raise LookupError("a defect")

    monkeypatch.setattr(Line, method, work)
    async with post.Server(stay) as feed:
        made, publisher = producer(feed.url, tmp_path)
        with pytest.raises(LookupError if fails else TaskEndedError) as caught:
            await asyncio.wait_for(made.until_told(), 20)
    assert str(caught.value).encode() in publisher.events[-1]
    assert made.supervisor.lines[0].problem == str(caught.value)


async def test_a_publisher_that_failed_ends_the_producer(
    post: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though no tick comes that would find out."""
    monkeypatch.setattr(runs, "LOOK_SECONDS", 0.05)
    async with post.Server(stay) as feed:
        made, publisher = producer(feed.url, tmp_path)
        running = asyncio.create_task(made.until_told())
        await post.until(lambda: len(feed.requests) == 1)
        publisher.failure = DeliveryError("the publisher failed")
        with pytest.raises(DeliveryError, match="the publisher failed"):
            await asyncio.wait_for(running, 20)


@pytest.mark.parametrize(
    ("feed", "has", "lacks"),
    [("binance", "BTCUSDT.BINANCE", "600519"), ("massive", "AAPL.US", "600519")],
)
def test_a_code_that_the_feed_cannot_have_is_refused_at_the_start_and_on_the_list(
    tmp_path: Path, feed: str, has: str, lacks: str
) -> None:
    """In words that name it; the list in force stays as it was."""
    token = "t" if feed == "massive" else None
    options: dict[str, Any] = {"feed": feed, "token": token, "foreign": True, "watchlist": None}
    with pytest.raises(UsageError, match=lacks):
        producer("ws://127.0.0.1:1", tmp_path, **options, symbols=lacks)
    made, _ = producer("ws://127.0.0.1:1", tmp_path, **options, symbols=has)
    with pytest.raises(UsageError, match=lacks):
        made.watch.change(add=[lacks])
    (line,) = made.supervisor.lines
    assert (made.watch.codes, line.subscription.wanted) == ([has], (has,))


def test_a_list_that_was_refused_leaves_every_code_on_its_line(tmp_path: Path) -> None:
    """Also the codes that it left out."""
    codes = ["BTCUSDT.BINANCE", "ETHUSDT.BINANCE", "SOLUSDT.BINANCE"]
    made, _ = producer(
        "ws://127.0.0.1:1", tmp_path, feed="binance", foreign=True, watchlist=None, symbols=",".join(codes), lines=3
    )
    before = [line.subscription.wanted for line in made.supervisor.lines]
    with pytest.raises(UsageError):
        made.supervisor.want(["600519"])
    made.supervisor._told = lambda _: None
    made.supervisor.want(codes[::-1])
    assert [line.subscription.wanted for line in made.supervisor.lines] == before


def test_a_line_that_ends_by_itself_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Though it says nothing."""

    async def nothing(*_: Any) -> None:
        await asyncio.sleep(0)

    made, _ = producer("ws://127.0.0.1:1", tmp_path)
    monkeypatch.setattr(Line, "run", nothing)
    with pytest.raises(TaskEndedError, match="'post-1' has ended"):
        asyncio.run(made.supervisor.run(asyncio.Event()))
