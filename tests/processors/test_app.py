"""The app leaves nothing where the user stands."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from processors.streaming.faust_app import make_app


def test_no_directory_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Faust would put a data directory of the app's name there, and crash where it may not write."""
    monkeypatch.chdir(tmp_path)
    runner = cast("Any", None)
    app = make_app("127.0.0.1:9", "ashare-test", address="http://127.0.0.1:1", member="host-1", runner=runner)
    app.finalize()
    app._create_directories()
    assert list(tmp_path.iterdir()) == []
