"""``python -m schemas.generate``: write the JSON Schema files, and client's and page's types, from the record types.

With ``--release`` the files also become the released ones, which later changes are held against.
"""

from __future__ import annotations

import sys
from pathlib import Path

import orjson

from schemas import asyncapi, client_records, typescript
from schemas.compatibility import incompatible_changes, incompatible_topics
from schemas.errors import UsageError
from schemas.json_schema import KINDS, Schema, json_schema

FOLDER = Path(__file__).parent
RELEASED = FOLDER / "released"
ASYNCAPI = "asyncapi.json"


def text(kind: str) -> bytes:
    """What the schema file of a record kind holds."""
    return orjson.dumps(json_schema(kind), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def write(*, release: bool = False) -> None:
    """Write every file.

    Raises:
        UsageError: asked to release what breaks readers of the released contract, or another document as the same one.
    """
    files = {f"{kind}.schema.json": text(kind) for kind in KINDS} | {ASYNCAPI: asyncapi.text()}
    for name, content in files.items():
        (FOLDER / name).write_bytes(content)
    if release:
        broken = [f"{kind}: {what}" for kind in KINDS for what in breaks(kind)] + topic_breaks()
        if broken:
            raise UsageError(f"{'; '.join(broken)}: a break is a new topic (.v2), not a release")
        before, now = _released(ASYNCAPI), asyncapi.document()
        if before and before != now and before["info"]["version"] == now["info"]["version"]:
            raise UsageError(f"{ASYNCAPI} differs from the released {asyncapi.VERSION}: raise VERSION in asyncapi.py")
        RELEASED.mkdir(exist_ok=True)
        for name, content in files.items():
            (RELEASED / name).write_bytes(content)


def breaks(kind: str) -> list[str]:
    """What of a record kind would break readers of its released schema; nothing if it was never released."""
    released = _released(f"{kind}.schema.json")
    return incompatible_changes(released, json_schema(kind)) if released else []


def topic_breaks() -> list[str]:
    """What of the topics would break readers of the released ones; nothing if they were never released."""
    released = _released(ASYNCAPI)
    return incompatible_topics(released, asyncapi.document()) if released else []


def _released(name: str) -> Schema | None:
    file = RELEASED / name
    return orjson.loads(file.read_bytes()) if file.exists() else None


if __name__ == "__main__":
    try:
        write(release="--release" in sys.argv[1:])
        client_records.PATH.write_text(client_records.text(), "utf-8")
        typescript.PATH.write_text(typescript.text(), "utf-8")
    except UsageError as error:
        sys.exit(f"schemas: {error}")
