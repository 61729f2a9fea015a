"""A library that this process shall do without, although it is installed."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType


class Without:
    """An importer that finds nothing, and says so for one name; what is imported already stays."""

    def __init__(self, name: str) -> None:
        """Nothing changes before ``install``."""
        self._name = name

    def install(self) -> None:
        """From now on, importing the name fails as if it were not installed."""
        sys.meta_path.insert(0, self)

    def find_spec(
        self, name: str, _path: Sequence[str] | None = None, _target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Python's protocol.

        Raises:
            ModuleNotFoundError: it is the name.
        """
        if name == self._name:
            raise ModuleNotFoundError(f"{name} is left out of this process", name=name)
        return None
