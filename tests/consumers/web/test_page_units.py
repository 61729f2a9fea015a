"""The page's types are those of the schemas, it builds, and its own core does what it says."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from deploy.embedded import node
from schemas import typescript

ROOT = Path(__file__).parents[3]
WEB = ROOT / "consumers" / "web"


def test_the_types_are_up_to_date() -> None:
    """`make schemas` writes them."""
    assert typescript.PATH.read_text("utf-8") == typescript.text()


def test_the_core_of_the_page() -> None:
    """Store, order, texts, series and stream, with Node's own test runner."""
    tests = Path(__file__).with_name("page.test.ts")
    done = subprocess.run(
        [str(node.node()), "--test", "--test-reporter=tap", str(tests)],
        capture_output=True, text=True, check=False, env=dict(os.environ), timeout=100,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_page_builds_and_its_types_fit(tmp_path: Path) -> None:
    """TypeScript's strict checks, then script, style sheet and licences, with no address of another host."""
    built = tmp_path / "dist"
    done = node.run(WEB, "build.mjs", str(WEB), str(built), "--check")
    assert done.returncode == 0, done.stdout + done.stderr
    assert {"index.html", "page.js", "style.css", "icon.svg", "licences.txt"} <= {file.name for file in built.iterdir()}
    page = (built / "index.html").read_text("utf-8")
    assert "http" not in page
    assert "url(" not in (built / "style.css").read_text("utf-8")
    assert "TradingView" in (built / "licences.txt").read_text("utf-8")
