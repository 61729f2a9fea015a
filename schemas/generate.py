"""``python -m schemas.generate``: write the JSON Schema files from the record types.

With ``--release`` the files also become the released ones, which later changes are held against.
"""

from __future__ import annotations

import sys
from pathlib import Path

import orjson

from schemas.compatibility import incompatible_changes
from schemas.errors import UsageError
from schemas.json_schema import KINDS, json_schema

FOLDER = Path(__file__).parent
RELEASED = FOLDER / "released"


def text(kind: str) -> bytes:
    """What the schema file of a record kind holds."""
    return orjson.dumps(json_schema(kind), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def write(*, release: bool = False) -> None:
    """Write every file.

    Raises:
        UsageError: asked to release what breaks readers of the released schema.
    """
    for kind in KINDS:
        name = f"{kind}.schema.json"
        (FOLDER / name).write_bytes(text(kind))
        if release:
            if broken := breaks(kind):
                raise UsageError(f"{kind}: {'; '.join(broken)}: a break is a new topic (.v2), not a release")
            RELEASED.mkdir(exist_ok=True)
            (RELEASED / name).write_bytes(text(kind))


def breaks(kind: str) -> list[str]:
    """What of a record kind would break readers of its released schema; nothing if it was never released."""
    released = RELEASED / f"{kind}.schema.json"
    if not released.exists():
        return []
    return incompatible_changes(orjson.loads(released.read_bytes()), json_schema(kind))


if __name__ == "__main__":
    try:
        write(release="--release" in sys.argv[1:])
    except UsageError as error:
        sys.exit(f"schemas: {error}")
