"""``python -m consumers.web.performance``: frames, long tasks and the heap of a running page.

For a whole market: ``ashare demo --rate 5000`` in another terminal, then ``--seconds 120``.
"""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING, Any

from consumers.web.browser import browser

if TYPE_CHECKING:
    from playwright.sync_api import Browser

_LOADED_MS = 4_000
_LOOK_MS = 5_000

# Frames are counted beside the page's own, which paints only what has changed.
_WATCH = """() => {
  window.counted = {frames: 0, long: []};
  const frame = () => { window.counted.frames += 1; requestAnimationFrame(frame); };
  requestAnimationFrame(frame);
  new PerformanceObserver(list => {
    const long = list.getEntries().map(({duration}) => Math.round(duration)).filter(duration => duration > 100);
    window.counted.long.push(...long);
  }).observe({type: 'longtask'});
}"""


def measure(started: Browser, url: str, view: str, seconds: float) -> dict[str, Any]:
    """Open a view, let it load, and count.

    Returns:
        ``frames_per_s``, ``long_tasks`` (ms of each over 100), and ``heap_mb`` after a collection, every five seconds.
    """
    context = started.new_context(viewport={"width": 1440, "height": 900})
    page = context.new_page()
    page.goto(f"{url}#/{view}")
    page.wait_for_selector("html[data-connection=open]", state="attached")
    page.wait_for_timeout(_LOADED_MS)
    session = context.new_cdp_session(page)
    session.send("HeapProfiler.enable")
    page.evaluate(_WATCH)
    begun = page.evaluate("performance.now()")
    heap = list[float]()
    long: list[int] = []
    while True:
        passed = page.evaluate("performance.now()") - begun
        if passed >= seconds * 1000:
            break
        page.wait_for_timeout(min(_LOOK_MS, seconds * 1000 - passed))
        long = page.evaluate("window.counted.long.slice()")
        # A collection that is asked for takes its time: what it takes is not the page's.
        session.send("HeapProfiler.collectGarbage")
        page.evaluate("kept => { window.counted.long = kept }", long)
        used = session.send("Runtime.getHeapUsage")["usedSize"]
        heap.append(round(used / 1e6, 1))
    frames = page.evaluate("window.counted.frames") / (passed / 1000)
    context.close()
    return {"view": view, "frames_per_s": round(frames, 1), "long_tasks": long, "heap_mb": heap}


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m consumers.web.performance", description=__doc__)
    parser.add_argument("--url", default="http://127.0.0.1:8080/", help="where the gateway serves the page")
    parser.add_argument("--seconds", type=float, default=120.0, help="for each view (default: %(default)s)")
    parser.add_argument("--views", default="map,table", help="some of: map,table,movers,detail,pipeline")
    given = parser.parse_args()
    try:
        with browser() as started:
            for view in given.views.split(","):
                print(json.dumps(measure(started, given.url.rstrip("/") + "/", view, given.seconds)))  # noqa: T201
    except (OSError, ImportError) as error:
        sys.exit(f"performance: {error}")


if __name__ == "__main__":
    main()
