"""``python -m cli`` is ``ashare``."""

from __future__ import annotations

from cli.main import main

main()
