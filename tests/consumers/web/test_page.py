"""The page in a real browser, against a real gateway, Kafka and pipeline."""

from __future__ import annotations

import json
import re
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from consumers.web.browser import NOT_FOUND, browser, executable
from deploy.embedded import node
from deploy.local.stack import Plan, Stack

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, WebSocket

ROOT = Path(__file__).parents[3]
WEB = ROOT / "consumers" / "web"
PATIENCE_MS = 60_000
LIVE = "html[data-connection=open]:not(.stale)"

pytestmark = [pytest.mark.skipif(executable() is None, reason=NOT_FOUND), pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A pipeline with a gateway, fed."""
    built = node.run(WEB, "build.mjs", str(WEB), str(WEB / "dist")) if not (WEB / "dist/index.html").is_file() else None
    assert built is None or built.returncode == 0, built.stderr
    market = ["--rate", "150", "--codes", "60"]
    with Stack(Plan(tmp_path_factory.mktemp("stack"), market, gateway=True)) as running:
        running.start()
        running.feed()
        _await_ticks(running.page_url)
        yield running


def _await_ticks(url: str) -> None:
    """A feed of which nothing came yet can't be missed."""
    deadline = time.monotonic() + PATIENCE_MS / 1000
    while time.monotonic() < deadline:
        with urllib.request.urlopen(f"{url}v1/status", timeout=10) as answered:  # noqa: S310 - of our own gateway
            if json.load(answered)["ticks_per_s"] > 50:
                return
        time.sleep(0.2)
    raise AssertionError("no ticks came to the gateway")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as started:
        yield started


class Opened:
    """An open page with the frames that it was sent."""

    def __init__(self, started: Browser, url: str) -> None:
        """Open it, and wait until it is live."""
        self.errors: list[str] = []
        self.connections = 0
        self.deltas: dict[str, int] = {}
        self.asked: list[dict[str, Any]] = []
        context = started.new_context(viewport={"width": 1440, "height": 900}, locale="en-GB", bypass_csp=False)
        self.page: Page = context.new_page()
        self.page.set_default_timeout(PATIENCE_MS)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("websocket", self._connected)
        self.page.goto(url)
        self.page.wait_for_selector(LIVE, state="attached")

    def _connected(self, socket: WebSocket) -> None:
        self.connections += 1
        socket.on("framereceived", self._received)
        socket.on("framesent", lambda text: self.asked.append(json.loads(text)))

    def _received(self, text: str | bytes) -> None:
        message = json.loads(text)
        if message["type"] == "delta":
            self.deltas[message["id"]] = self.deltas.get(message["id"], 0) + len(message["rows"])

    def view(self, name: str) -> None:
        """Go to a view, as ``table`` or ``detail/600519``."""
        self.page.evaluate("hash => { location.hash = hash }", f"#/{name}")
        self.page.wait_for_selector(f".view.{name.partition('/')[0]}")

    def until(self, true: Any, what: str) -> None:
        """Wait for something."""
        deadline = time.monotonic() + PATIENCE_MS / 1000
        while not true():
            assert time.monotonic() < deadline, what
            self.page.wait_for_timeout(100)


@pytest.fixture
def opened(stack: Stack, chromium: Browser) -> Iterator[Opened]:
    one = Opened(chromium, stack.page_url)
    yield one
    assert one.errors == []
    one.page.context.close()


def codes(page: Page) -> list[str]:
    """The codes that the table shows, in order."""
    found = page.evaluate(
        """() => [...document.querySelectorAll('.body .line:not([hidden])')]
        .map(line => [Number(line.getAttribute('aria-rowindex')), line.querySelector('.c-code').textContent])"""
    )
    return [code for _, code in sorted(found)]


def test_the_page_subscribes_and_shows_the_market(opened: Opened) -> None:
    """All codes are asked for, rows come, tiles are laid out, and the header has figures."""
    page = opened.page
    opened.until(lambda: opened.deltas.get("main", 0) > 0, "a delta comes")
    assert opened.asked[0] | {"fields": None} == {
        "type": "subscribe", "id": "main", "codes": "*", "max_hz": 4, "fields": None,
    }  # fmt: skip
    opened.until(lambda: page.get_attribute("canvas", "data-tiles") not in {None, "0"}, "tiles are there")
    opened.until(lambda: page.inner_text("#header-rate") not in {"–", "0"}, "a rate is shown")
    assert opened.connections == 1


def test_the_table_sorts_and_searches(opened: Opened) -> None:
    """By a column, both ways; and by a part of a code."""
    page = opened.page
    opened.view("table")
    opened.until(lambda: len(codes(page)) > 10, "rows are shown")
    page.click(".head .c-code button")
    opened.until(lambda: (found := codes(page)) == sorted(found), "ascending")
    page.click(".head .c-code button")
    opened.until(lambda: (found := codes(page)) == sorted(found, reverse=True), "descending")
    wanted = codes(page)[3]
    page.keyboard.press("/")
    page.keyboard.type(wanted)
    opened.until(lambda: codes(page) == [wanted], "one row")
    page.keyboard.press("Enter")
    page.wait_for_selector(".view.detail")
    assert page.inner_text("h1") == wanted


def test_the_watchlist_survives_a_reload_and_is_exported_and_imported(opened: Opened, tmp_path: Path) -> None:
    page = opened.page
    opened.view("table")
    opened.until(lambda: len(codes(page)) > 10, "rows are shown")
    first, second = codes(page)[:2]
    page.click(f"#row-{first} .star")
    page.reload()
    page.wait_for_selector(f"#row-{first} .star[aria-pressed=true]")
    page.click("#watched")
    opened.until(lambda: codes(page) == [first], "only what is watched")
    with page.expect_download() as download:
        page.click("#export")
    file = tmp_path / "list.json"
    download.value.save_as(file)
    assert json.loads(file.read_text("utf-8")) == {"codes": [first]}
    file.write_text(f"{first},{second}", "utf-8")
    page.set_input_files("#import-file", file)
    opened.until(lambda: sorted(codes(page)) == sorted([first, second]), "what was imported is there")


def test_the_slider_changes_what_the_server_sends(opened: Opened) -> None:
    """Without a threshold rows come; with the highest one, next to none: counted on the wire."""
    page = opened.page
    opened.view("movers")

    def slide(value: int) -> int:
        """Rows of four seconds after the gateway has taken the threshold."""
        page.fill("#threshold", str(value))
        opened.until(lambda: opened.asked[-1].get("threshold") == {"bp": value}, "it is asked for")
        page.wait_for_timeout(500)
        before = opened.deltas.get("movers", 0)
        page.wait_for_timeout(4000)
        return opened.deltas.get("movers", 0) - before

    opened.until(lambda: slide(0) > 40, "many rows without a threshold")
    opened.until(lambda: slide(200) < 10, "few rows with a high one")
    assert opened.connections == 1
    page.fill("#threshold", "0")
    page.wait_for_selector(".movers tbody tr")


def test_the_detail_view_has_data(opened: Opened) -> None:
    """A chart with points, candles, last ticks and a session."""
    page = opened.page
    opened.view("table")
    opened.until(lambda: len(codes(page)) > 10, "rows are shown")
    opened.view(f"detail/{codes(page)[0]}")
    opened.until(lambda: int(page.get_attribute(".chart", "data-points") or 0) > 1, "points")
    opened.until(lambda: page.locator("#last-ticks tr").count() > 1, "last ticks")
    page.click("#chart-candles")
    assert page.locator(".chart canvas").count() > 0
    assert re.fullmatch(r"\d+\.\d\d", page.inner_text("#detail-price"))


def test_no_serious_violation_of_accessibility(opened: Opened) -> None:
    """axe-core, in every view, dark and light, Chinese and English."""
    axe = (node.with_packages(WEB) / "node_modules/axe-core/axe.min.js").read_text("utf-8")
    found: list[str] = []
    page = opened.page
    page.emulate_media(reduced_motion="reduce")  # a cell is not looked at while it flashes
    for keys in ("", "t", "l"):
        if keys:
            page.evaluate("document.activeElement?.blur()")
            page.keyboard.press(keys)
        for view in ("map", "table", "movers", "detail", "pipeline"):
            opened.view(view)
            page.wait_for_timeout(700)
            page.evaluate(axe)
            result = page.evaluate("() => axe.run(document, {resultTypes: ['violations']})")
            found += [
                f"{view}: {one['id']}: {place['html'][:120]}: {place['failureSummary'][:200]}"
                for one in result["violations"]
                for place in one["nodes"]
                if one["impact"] in {"serious", "critical"}
            ]
    assert not found, "\n".join(found[:20])


def test_a_feed_that_is_killed_shows_and_comes_back_without_a_reload(opened: Opened, stack: Stack) -> None:
    page = opened.page
    stack.kill("producer")
    page.wait_for_selector("html.stale #banner:not([hidden])")
    assert page.inner_text("#banner") != ""
    stack.feed()
    page.wait_for_selector(LIVE, state="attached")
    before = opened.deltas.get("main", 0)
    opened.until(lambda: opened.deltas.get("main", 0) > before, "rows come again")
    assert opened.connections == 1


def test_a_worker_that_is_killed_shows_and_comes_back_without_a_reload(opened: Opened, stack: Stack) -> None:
    page = opened.page
    stack.kill_worker(0)
    page.wait_for_selector("html.stale #banner:not([hidden])")
    stack.start_worker(0)
    page.wait_for_selector(LIVE, state="attached")
    assert opened.connections == 1


def test_a_gateway_that_is_killed_shows_and_the_page_connects_again(opened: Opened, stack: Stack) -> None:
    page = opened.page
    port = stack.page_url.rstrip("/").rpartition(":")[2]
    stack.kill("gateway")
    page.wait_for_selector("html[data-connection=lost], html.stale", state="attached")
    stack._begin("gateway", "gateway", "--bootstrap", stack.bootstrap, "--port", port)
    opened.until(lambda: opened.connections > 1, "it connects again")
    page.wait_for_selector(LIVE, state="attached")
    before = opened.deltas.get("main", 0)
    opened.until(lambda: opened.deltas.get("main", 0) > before, "rows come again")
