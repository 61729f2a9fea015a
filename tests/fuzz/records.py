"""Records for every topic of the pipeline: each field of each kind given each nasty value, and then anything at all.

None of them is of a code that the check follows, or sets a threshold of one: what is right beside them stays right.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import schemas
from schemas.topics import topics
from tests.fuzz.values import HEADERS, HUGE, KEYS, TOKENS, WHOLES

Json = dict[str, Any]
SAMPLES = Path(schemas.__file__).parent / "samples"
STRANGERS = ("688001", "688002", "688003", "000001.SSE")
"""Codes of these records; all but the last are of one board, which the followed ones are not of."""
SOURCE = "fuzz-bad"


@dataclass(frozen=True)
class Foreign:
    """A record that somebody else wrote; ``what`` says for people what is wrong with it."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes | None]]
    what: str


def templates(kind: str, now: int) -> list[dict[str, bytes]]:
    """Good records of a kind as fields of JSON text, at home among strangers and of this moment (µs)."""
    lines = (SAMPLES / f"{kind}.jsonl").read_text("utf-8").splitlines()
    made = [_at_home(json.loads(line), number, now) for number, line in enumerate(lines)]
    return [{name: json.dumps(value).encode() for name, value in one.items()} for one in made]


def _at_home(record: Json, number: int, now: int) -> Json:
    changed = dict(record)
    if "code" in changed:
        changed["code"] = STRANGERS[number % len(STRANGERS)]
        changed["exchange"] = "SSE"
    if "source" in changed:
        changed["source"] = SOURCE
    if "run" in changed:
        changed |= {"run": now // 1000, "n": number}
    if "time" in changed:
        changed |= {"time": now // 1000, "received": now}
    if "scope" in changed:
        changed["scope"] = f"code:{STRANGERS[number % 3]}"
    if "codes" in changed and isinstance(changed["codes"], list):
        changed["codes"] = list(STRANGERS)
    return changed


def joined(fields: dict[str, bytes]) -> bytes:
    """JSON of fields that are JSON already, or not."""
    return b"{" + b",".join(b'"%s":%s' % (name.encode(), value) for name, value in fields.items()) + b"}"


def key_of(kind: str, fields: dict[str, bytes]) -> bytes | None:
    """The key that a record of these fields would have."""
    name = {"feed-event": "source", "threshold": "scope", "threshold-mark": "scope", "dead-letter": ""}.get(
        kind, "code"
    )
    return json.loads(fields[name]).encode() if name else None


def table(draw: random.Random, now: int) -> list[Foreign]:
    """Every field with every value, every whole value and key, in every topic, in an order that is drawn."""
    found: list[Foreign] = []
    for topic in topics().values():
        good = templates(topic.record, now)
        for fields in good[:1]:
            key = key_of(topic.record, fields)
            for name in fields:
                found += [
                    Foreign(topic.name, key, joined(fields | {name: token}), [], f"{name} = {shown(token)}")
                    for token in TOKENS
                ]
            for token in TOKENS:
                found.append(Foreign(topic.name, key, joined(fields | {"more": token}), [], f"more = {shown(token)}"))
            found += [Foreign(topic.name, other, joined(fields), [], f"key {shown(other)}") for other in KEYS]
            found += [Foreign(topic.name, key, joined(fields), headers, "headers") for headers in HEADERS]
        found += [Foreign(topic.name, draw.choice(KEYS), value, [], shown(value)) for value in WHOLES]
        found += [Foreign(topic.name, b"688001", value, [], shown(value)) for value in WHOLES]
        found += [
            Foreign(topic.name, b"688001", None, [], "a tombstone"),
            Foreign(topic.name, None, None, [], "nothing"),
        ]
    # A megabyte is dear to write, and one of each will do.
    draw.shuffle(found)
    return [one for one in found if _written(one) and not _sets_what_is_followed(one)]


def anything(draw: random.Random, now: int) -> Iterator[Foreign]:
    """Records with several things wrong, without end."""
    kinds = list(topics().values())
    good = {topic.record: templates(topic.record, now) for topic in kinds}
    small = [token for token in TOKENS if len(token) < 1_000]
    while True:
        topic = draw.choice(kinds)
        fields = dict(draw.choice(good[topic.record]))
        key = key_of(topic.record, fields)
        names = draw.sample(sorted(fields), k=min(draw.randint(1, 3), len(fields)))
        for name in names:
            fields[name] = draw.choice(small)
        value = _spoilt(joined(fields), draw)
        key = draw.choice(KEYS) if draw.random() < 0.2 else key
        headers = draw.choice(HEADERS) if draw.random() < 0.2 else []
        made = Foreign(topic.name, key, value, headers, f"{', '.join(names)}: {shown(value)}")
        if _written(made) and not _sets_what_is_followed(made):
            yield made


def _spoilt(value: bytes, draw: random.Random) -> bytes:
    at = draw.randrange(len(value) + 1)
    match draw.randrange(8):
        case 0:
            return value[:at]
        case 1:
            return value[:at] + draw.randbytes(draw.randint(1, 8)) + value[at:]
        case 2:
            return value[:at] + value[at + 1 :]
        case 3:
            return draw.choice(WHOLES[: -len(HUGE)])
        case _:
            return value


def _written(record: Foreign) -> bool:
    """Whether Kafka takes it: a compacted topic has no record without a key."""
    return record.key is not None or topics()[record.topic].config["cleanup.policy"] != "compact"


def _sets_what_is_followed(record: Foreign) -> bool:
    """Whether a reader of good sense would let it change a followed code: a default that can be read, a board's."""
    if "threshold" not in record.topic:
        return False
    named = (record.key or b"") + (record.value or b"")
    return b"default" in named or b"board:" in named or record.value is None


def shown(value: bytes | None) -> str:
    """A value for people."""
    if value is None:
        return "none"
    text = ascii(value[:80])[1:]
    return text if len(value) <= 80 else f"{text}… ({len(value):,} bytes)"
