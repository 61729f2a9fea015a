"""The gateway's HTTP as an OpenAPI document: made of the records' own schemas."""

from __future__ import annotations

from functools import cache
from typing import Any

import msgspec

from consumers.gateway.history import BAR_FIELDS
from consumers.gateway.rows import FIELDS
from schemas import FeedEvent, PriceChange, Tick

_CODES = ("codes", "codes with commas, or * for all", {"type": "string", "default": "*"})
_BOARDS = ("boards", "MAIN, STAR, CHINEXT, BSE or OTHER, with commas", {"type": "string"})
_FIELDS = ("fields", f"of each row, with commas: {', '.join(FIELDS)}", {"type": "string"})


def _limit(default: int, most: int) -> tuple[str, str, dict[str, Any]]:
    return "limit", "the last so many", {"type": "integer", "minimum": 0, "maximum": most, "default": default}


@cache
def document() -> dict[str, Any]:
    """The document."""
    _, components = msgspec.json.schema_components(
        [Tick, PriceChange, FeedEvent], ref_template="#/components/schemas/{name}"
    )
    ref = {name: {"$ref": f"#/components/schemas/{name}"} for name in components}
    row = {"type": "object", "required": ["code"], "properties": {field: {} for field in FIELDS}}
    bar = {"type": "object", "required": list(BAR_FIELDS), "properties": {field: {} for field in BAR_FIELDS}}
    since = ("since", "ms since the epoch, of the receipt", {"type": "integer", "minimum": 0, "default": 0})
    minutes = ("minutes", "of each bar", {"type": "integer", "minimum": 1, "maximum": 240, "default": 1})
    least = ("min_change", "yuan", {"type": "number", "minimum": 0, "exclusiveMaximum": 1e9, "default": 0})
    paths = {
        "/v1/snapshots": _get(
            "Rows of some codes or boards, or all", {"snapshots": _array(row)}, _CODES, _BOARDS, _FIELDS
        ),
        "/v1/snapshots/{code}": _get("One row", row, _FIELDS, code=True),
        "/v1/changes": _get(
            "Price changes since a time",
            {"changes": _array(ref["PriceChange"]), "complete": {"type": "boolean"}},
            since, _CODES, _limit(5000, 5000),
        ),
        "/v1/changes/stream": _get("Price changes as server-sent events", None, _CODES, least),
        "/v1/ticks/{code}": _get(
            "The last ticks of a code", {"ticks": _array(ref["Tick"])}, _limit(100, 5000), code=True
        ),
        "/v1/bars/{code}": _get("The bars of a code's latest session", {"bars": _array(bar)}, minutes, code=True),
        "/v1/session": _get("Where the market's day stands", {"state": {"type": "string"}, "day": {}}),
        "/v1/events": _get("The last feed events", {"events": _array(ref["FeedEvent"])}, _limit(200, 1000)),
        "/v1/status": _get("Session, ages, lag, breadth and problems", {"type": {}, "problems": _array({})}),
        "/live": _get("That the gateway answers", {"status": {}}),
        "/ready": _get("Whether the table was read", {"status": {}}),
        "/health": _get("Whether the gateway has what it serves", {"status": {}, "problems": _array({})}),
    }  # fmt: skip
    return {
        "openapi": "3.1.0",
        "info": {"title": "ashare-stream gateway", "version": "1", "description": "docs/gateway.md"},
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{}, {"token": []}],
    }


def _array(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


def _get(
    about: str, body: dict[str, Any] | None, *query: tuple[str, str, dict[str, Any]], code: bool = False
) -> dict[str, Any]:
    whole = body is None or body.get("type") == "object"
    schema = body if whole else {"type": "object", "properties": body, "required": sorted(body or ())}
    content = {"text/event-stream": {}} if schema is None else {"application/json": {"schema": schema}}
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "query", "description": what, "schema": kind} for name, what, kind in query
    ]  # fmt: skip
    if code:
        parameters.append({"name": "code", "in": "path", "required": True, "schema": {"type": "string"}})
    error = {
        "type": "object",
        "properties": {"error": {"type": "string"}, "message": {"type": "string"}},
        "required": ["error", "message"],
    }
    refused = {"description": "refused", "content": {"application/json": {"schema": error}}}
    return {
        "get": {
            "summary": about,
            "parameters": parameters,
            "responses": {
                "200": {"description": about, "content": content},
                "503": {"description": "not now"},
                **dict.fromkeys(("400", "401", "403", "404"), refused),
            },
        }
    }
