"""Debian's Chromium, or the one that ``ASHARE_CHROMIUM`` names, for looking at the page."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser

VARIABLE = "ASHARE_CHROMIUM"
NOT_FOUND = f"Chromium is not found: install it (Debian: apt install chromium), or name it in {VARIABLE}"

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_OPTIONS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip


def executable() -> str | None:
    """The browser's executable; ``None`` where there is none."""
    named = os.environ.get(VARIABLE)
    return named or next(filter(None, map(shutil.which, _NAMES)), None)


@contextmanager
def browser() -> Iterator[Browser]:
    """A browser without a window, with a profile of its own.

    Raises:
        FileNotFoundError: there is none; the text says how to have one.
        ImportError: the Python package ``playwright`` is not installed.
    """
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - for looking alone: the gateway goes without

    found = executable()
    if found is None:
        raise FileNotFoundError(NOT_FOUND)
    with sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=found, args=list(_OPTIONS))
        try:
            yield started
        finally:
            started.close()
