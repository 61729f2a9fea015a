"""The stream as an AsyncAPI 3 document, made of the types that messages are read with."""

from __future__ import annotations

from functools import cache
from typing import Any

import msgspec

from consumers.gateway.rows import FIELDS
from consumers.gateway.stream import NO_TOKEN, NOT_ENTITLED, PROTOCOL, SLOW, WRONG, Auth, Ping, Unsubscribe
from consumers.gateway.subscription import Subscribe
from schemas import FeedEvent

CLOSE_CODES = {
    1001: "the gateway stops",
    WRONG: "messages that are not JSON objects, too large, or too many",
    NO_TOKEN: "no token came in time, or it is not known",
    NOT_ENTITLED: "the token does not allow what was subscribed",
    SLOW: "the client does not read",
}
_SENT: dict[str, tuple[str, dict[str, Any]]] = {
    "hello": (
        "First of all: the protocol, and what may be asked for",
        {
            "protocol": {"const": PROTOCOL},
            "server": {"type": "string"},
            "time": {"type": "integer", "description": "ms since the epoch"},
            "session": {"type": ["object", "null"]},
            "boards": {"type": "array", "items": {"type": "string"}},
            "fields": {"type": "array", "items": {"type": "string"}},
            "limits": {"type": "object"},
        },
    ),
    "snapshot": (
        "All rows of a subscription",
        {
            "id": {"type": "string"},
            "seq": {"type": "integer"},
            "reason": {"enum": ["subscribed", "behind", "renewed"]},
            "rows": {"type": "array", "items": {"$ref": "#/components/schemas/Row"}},
        },
    ),
    "delta": (
        "The rows that have changed",
        {
            "id": {"type": "string"},
            "seq": {"type": "integer"},
            "rows": {"type": "array", "items": {"$ref": "#/components/schemas/Row"}},
        },
    ),
    "status": (
        "Once a second, and at once when something goes wrong",
        {
            "time": {"type": "integer"},
            "session": {"type": "object"},
            "feed_age_ms": {"type": ["integer", "null"]},
            "stale": {"type": "boolean"},
            "problems": {"type": "array", "items": {"type": "string"}},
            "lag": {"type": ["integer", "null"]},
            "gaps": {"type": "integer"},
            "ticks_per_s": {"type": "number"},
            "latency_ms": {"type": "object"},
            "clients": {"type": "integer"},
            "codes": {"type": "integer"},
            "breadth": {"type": "object"},
            "turnover": {"type": "number"},
            "volume": {"type": "number"},
        },
    ),
    "event": ("A feed event", {"event": {"$ref": "#/components/schemas/FeedEvent"}}),
    "error": ("What was wrong with a message", {"code": {"type": "string"}, "message": {"type": "string"}}),
    "pong": ("The answer to a ping", {"time": {"type": "integer"}}),
}


@cache
def document() -> dict[str, Any]:
    """The document, self-contained."""
    taken = {"auth": Auth, "subscribe": Subscribe, "unsubscribe": Unsubscribe, "ping": Ping}
    _, components = msgspec.json.schema_components(
        [*taken.values(), FeedEvent], ref_template="#/components/schemas/{name}"
    )
    components["Row"] = {"type": "object", "required": ["code"], "properties": {field: {} for field in FIELDS}}
    messages = {
        name: {
            "name": name,
            "summary": about,
            "payload": {
                "type": "object",
                "required": ["type", *fields],
                "properties": {"type": {"const": name}, **fields},
            },
        }
        for name, (about, fields) in _SENT.items()
    } | {
        name: {"name": name, "payload": {"$ref": f"#/components/schemas/{kind.__name__}"}}
        for name, kind in taken.items()
    }
    channel = "#/channels/stream"
    codes = "; ".join(f"{code}: {why}" for code, why in CLOSE_CODES.items())
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "ashare-stream gateway",
            "version": f"{PROTOCOL}.0.0",
            "description": f"docs/gateway.md. The server closes with one of these codes: {codes}.",
        },
        "defaultContentType": "application/json",
        "channels": {
            "stream": {
                "address": "/v1/stream",
                "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
                "bindings": {"ws": {"method": "GET", "bindingVersion": "0.1.0"}},
            }
        },
        "operations": {
            "send": _operation("send", channel, _SENT),
            "receive": _operation("receive", channel, taken),
        },
        "components": {"messages": messages, "schemas": components},
    }


def _operation(action: str, channel: str, names: Any) -> dict[str, Any]:
    messages = [{"$ref": f"{channel}/messages/{name}"} for name in names]
    return {"action": action, "channel": {"$ref": channel}, "messages": messages}
