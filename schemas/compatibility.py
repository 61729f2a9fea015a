"""What a change of a JSON Schema breaks for those who read or replay records of the released one.

The rule of the contract: fields are added, never removed, renamed or retyped; a break is a ``.v2`` topic. A range of
values may widen (a new event, a longer code), so readers take a value that they don't know for unknown; it may not
narrow, since records of the released schema are replayed through today's code. The one exception is ``ADDED_BOUNDS``.

Reads the subset that ``schemas.json_schema`` writes; a keyword that it does not know may not change at all. The topics
are compared as the AsyncAPI document declares them: their names, keys, partitions and policies stay too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from schemas import bounds

Schema = dict[str, Any]

_ANNOTATIONS = {"$schema", "$id", "title", "description", "default", "definitions"}
_STRUCTURE = {"type", "anyOf", "$ref", "properties", "required", "items"}
_LOWER = ("minimum", "exclusiveMinimum", "minLength", "minItems")
_UPPER = ("maximum", "exclusiveMaximum", "maxLength", "maxItems")

_TIME = {"maximum": bounds.LATEST_US}
_PRICE = {"minimum": bounds.MIN_PRICE, "maximum": bounds.MAX_PRICE}
_COUNT = {"maximum": bounds.INT64}
ADDED_BOUNDS: Mapping[str, Mapping[str, float]] = {
    "time": {"minimum": bounds.EARLIEST_MS, "maximum": bounds.LATEST_MS},
    **dict.fromkeys(("received", "at", "start", "end"), _TIME),
    "run": {"maximum": bounds.LATEST_MS},
    "n": {"maximum": bounds.EXACT},
    **dict.fromkeys(("price", "open", "high", "low", "last", "previous", "previous_close"), _PRICE),
    "change": {"minimum": -bounds.MAX_PRICE, "maximum": bounds.MAX_PRICE},
    "change_bp": {"minimum": -bounds.MAX_MOVE_BP, "maximum": bounds.MAX_MOVE_BP},
    "volume": {"maximum": bounds.MAX_VOLUME},
    "turnover": {"maximum": bounds.MAX_TURNOVER},
    **dict.fromkeys(("ticks", "offset"), _COUNT),
    "partition": {"maximum": bounds.MAX_PARTITION},
    "exchange": {"maxLength": bounds.MAX_CODE},
    "source": {"maxLength": bounds.MAX_SOURCE},
    "line": {"maxLength": bounds.MAX_SOURCE},
    "quality": {"maxLength": bounds.MAX_QUALITY},
    "reason": {"maxLength": bounds.MAX_TEXT},
    "id": {"maxLength": bounds.MAX_ID},
    "scope": {"maxLength": bounds.MAX_SCOPE},
    "threshold": {"maxLength": bounds.MAX_THRESHOLD, "maximum": bounds.MAX_THRESHOLD_YUAN},
    "session": {"maxLength": len("2026-11-20")},
    "codes": {"maxItems": bounds.MAX_CODES},
    "lines": {"maxItems": bounds.MAX_LINES},
    "earlier": {"maxItems": bounds.MAX_STEPS},
}
"""Bounds that were added after the release, by the field's name: a bound that excludes only what the pipeline never
wrote breaks no reader and no replay, while arithmetic on what it excludes ended processes. Each is the widest that does
so (``schemas/bounds.py``); a field may be bounded by more (a session's volume), and not by less.
"""


def incompatible_changes(released: Schema, current: Schema) -> list[str]:
    """Each change that breaks a reader, in words that name the field (``$.origin.offset: removed``); empty if none."""
    return _Comparison(released, current).value("$", released, current)


def incompatible_topics(released: Schema, current: Schema) -> list[str]:
    """Each change of the AsyncAPI document that breaks a reader of a topic, in words that name it; empty if none.

    What the records hold is compared kind by kind, with ``incompatible_changes``; their headers are compared here.
    """
    found = []
    for name, before in released["channels"].items():
        if now := current["channels"].get(name):
            old, new = _promises(released, before), _promises(current, now)
            found += [
                f"{name}: {what} changed from {_text(old[what])} to {_text(new[what])}"
                for what in old
                if old[what] != new[what]
            ]
            if old["records"] == new["records"]:
                for record in old["records"]:
                    found += _headers(name, _message(released, record), _message(current, record), released, current)
        else:
            found.append(f"{name}: removed")
    return found


def _promises(document: Schema, channel: Schema) -> dict[str, Any]:
    """What readers of a topic rely on and can't be told of, by its name in words.

    Retention is a matter of operations, and may change; compaction is one of meaning.
    """
    binding = channel["bindings"]["kafka"]
    records = list(channel["messages"])
    return {
        "address": channel["address"],
        "key": [_message(document, record)["bindings"]["kafka"].get("key", {}).get("title") for record in records],
        "records": records,
        "partitions": binding["partitions"],
        "cleanup.policy": binding["topicConfiguration"]["cleanup.policy"],
    }


def _message(document: Schema, record: str) -> Schema:
    message: Schema = document["components"]["messages"][record]
    return message


def _headers(topic: str, before: Schema, now: Schema, released: Schema, current: Schema) -> list[str]:
    """What breaks readers of a record's headers."""
    if "headers" not in before:
        return []
    if "headers" not in now:
        return [f"{topic}: headers removed"]
    old, new = ({"definitions": document["components"]["schemas"]} for document in (released, current))
    breaks = _Comparison(old, new).value("headers", before["headers"], now["headers"])
    return [f"{topic}: {what}" for what in breaks]


class _Comparison:
    """Two documents, so that ``$ref`` can be followed in each."""

    def __init__(self, released: Schema, current: Schema) -> None:
        self._released = released
        self._current = current

    def value(self, path: str, released: Schema, current: Schema) -> list[str]:
        """Compare one value's schemas, by the types that it may have."""
        old, new = _by_type(self._released, released), _by_type(self._current, current)
        if old.keys() != new.keys():
            return [f"{path}: retyped from {_names(old)} to {_names(new)}"]
        found = []
        for kind, before in old.items():
            found += self._constraints(path, before, new[kind])
            if kind == "object":
                found += self._fields(path, before, new[kind])
            if kind == "array":
                found += self.value(f"{path}[]", before.get("items", {}), new[kind].get("items", {}))
        return list(dict.fromkeys(found))  # what holds for a number and for null is said once

    def _fields(self, path: str, released: Schema, current: Schema) -> list[str]:
        old, new = released.get("properties", {}), current.get("properties", {})
        required_before, required_now = set(released.get("required", ())), set(current.get("required", ()))
        added = [name for name in new if name not in old]
        found = []
        for name, before in old.items():
            if name in new:
                found += self.value(f"{path}.{name}", before, new[name])
                continue
            renamed = [other for other in added if not self.value("", before, new[other])]
            found.append(f"{path}.{name}: removed" + (f" (renamed to {renamed[0]}?)" if renamed else ""))
        found += [f"{path}.{name}: newly required" for name in new if name in required_now - required_before]
        found += [f"{path}.{name}: no longer required" for name in new if name in required_before - required_now]
        return found

    @staticmethod
    def _constraints(path: str, released: Schema, current: Schema) -> list[str]:
        found = []
        for keyword in sorted((released.keys() | current.keys()) - _ANNOTATIONS - _STRUCTURE):
            before, now = released.get(keyword), current.get(keyword)
            if before != now and not (_widens(keyword, before, now) or _never_written(path, keyword, now)):
                found.append(f"{path}: narrowed, {keyword} from {_text(before)} to {_text(now)}")
        return found


def _widens(keyword: str, before: Any, now: Any) -> bool:
    """Whether every value that the released constraint allows is still allowed."""
    if keyword in _LOWER or keyword in _UPPER:
        return now is None or (before is not None and (now <= before if keyword in _LOWER else now >= before))
    if keyword == "enum":
        return now is None or (before is not None and set(before) <= set(now))
    if keyword == "additionalProperties":
        return now in (None, True)
    return keyword == "pattern" and now is None


def _never_written(path: str, keyword: str, now: Any) -> bool:
    """Whether the constraint excludes only values that no record has."""
    added = ADDED_BOUNDS.get(path.rpartition(".")[2], {}).get(keyword)
    return added is not None and now is not None and (now <= added if keyword in _LOWER else now >= added)


def _by_type(document: Schema, schema: Schema) -> dict[str, Schema]:
    """The schema of each type that a value may have.

    Raises:
        ValueError: two branches of one type, which the subset does not hold.
    """
    if "$ref" in schema:
        return _by_type(document, document["definitions"][schema["$ref"].rpartition("/")[2]])
    if "anyOf" in schema:
        branches = [item for branch in schema["anyOf"] for item in _by_type(document, branch).items()]
        if len(dict(branches)) != len(branches):
            raise ValueError(f"two branches of one type in {schema}")
        return dict(branches)
    types = schema.get("type", "any")
    return dict.fromkeys([types] if isinstance(types, str) else types, schema)


def _names(types: dict[str, Schema]) -> str:
    return " or ".join(sorted(types))


def _text(value: Any) -> str:
    return "none" if value is None else repr(value)
