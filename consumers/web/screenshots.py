"""``python -m consumers.web.screenshots``: every view of a running page, dark and light, Chinese and English, as PNGs.

Start ``make demo`` first, in another terminal.
"""

from __future__ import annotations

import argparse
import json
import sys
import urllib.request
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

from consumers.web.browser import browser

if TYPE_CHECKING:
    from playwright.sync_api import Browser

VIEWS = ("map", "table", "movers", "detail", "pipeline")
THEMES = ("dark", "light")
LANGUAGES = ("zh", "en")
SIZES = {"desktop": (1440, 900), "phone": (390, 844)}

_SETTLE_MS = {"movers": 4_000, "pipeline": 4_000, "detail": 8_000}
"""Until a view has something to show."""
_SETTLE_DEFAULT_MS = 1_200


def take(started: Browser, url: str, folder: Path, views: Sequence[str], themes: Sequence[str]) -> list[Path]:
    """Write the pictures; gives their files.

    Raises:
        RuntimeError: the page itself reported an error.
    """
    folder.mkdir(parents=True, exist_ok=True)
    code = _most_traded(url)
    files, errors = list[Path](), list[str]()
    for (size, (width, height)), theme, language in product(SIZES.items(), themes, LANGUAGES):
        settings = {"theme": theme, "language": language, "threshold": 5, "chart": "line"}
        context = started.new_context(viewport={"width": width, "height": height})
        context.add_init_script(f"localStorage.setItem('ashare-page', {json.dumps(json.dumps(settings))})")
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(url)
        page.wait_for_selector("html[data-connection=open]")
        page.wait_for_timeout(_SETTLE_DEFAULT_MS)
        for view in views:
            page.evaluate("hash => { location.hash = hash }", f"#/{view}/{code}" if view == "detail" else f"#/{view}")
            page.wait_for_timeout(_SETTLE_MS.get(view, _SETTLE_DEFAULT_MS))
            file = folder / f"{view}-{theme}-{language}-{size}.png"
            page.screenshot(path=file)
            files.append(file)
        context.close()
    if errors:
        raise RuntimeError("; ".join(errors))
    return files


def _most_traded(url: str) -> str:
    with urllib.request.urlopen(f"{url}v1/snapshots?fields=code,turnover", timeout=20.0) as answer:  # noqa: S310 - as given
        rows = json.load(answer)["snapshots"]
    return str(max(rows, key=lambda row: row["turnover"] or 0.0)["code"])


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m consumers.web.screenshots", description=__doc__)
    parser.add_argument("--url", default="http://127.0.0.1:8080/", help="where the gateway serves the page")
    parser.add_argument("--folder", type=Path, default=Path("docs/build/screenshots"), help="where the PNGs go")
    parser.add_argument("--views", default=",".join(VIEWS), help="some of: %(default)s")
    parser.add_argument("--themes", default=",".join(THEMES), help="some of: %(default)s")
    given = parser.parse_args()
    try:
        with browser() as started:
            url = given.url.rstrip("/") + "/"
            files = take(started, url, given.folder, given.views.split(","), given.themes.split(","))
    except (OSError, RuntimeError, ImportError) as error:
        sys.exit(f"screenshots: {error}")
    print(f"{len(files)} pictures in {given.folder}")  # noqa: T201 - what the command says


if __name__ == "__main__":
    main()
