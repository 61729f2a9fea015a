"""``ashare feeds``."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from producer.feeds.provider import Capabilities, Units

_NONE = "–"


def _yes(value: bool) -> str:
    return "yes" if value else _NONE


def _number(value: float | None) -> str:
    return _NONE if value is None else f"{value:,g}" if value < 1_000 else f"{value:,.0f}"


def _volume(units: Units) -> str:
    return ", ".join([units.volume, *(f"{board} {unit}" for board, unit in units.volume_by_board.items())])


def _volume_is(can: Capabilities) -> str:
    if "volume" not in can.carries:
        return _NONE
    return "the day" if can.volume_is == "cumulative" else "the push"


def _carries(*fields: str) -> Callable[[Capabilities], str]:
    """A cell that says whether a feed gives these fields."""
    return lambda can: _yes(all(field in can.carries for field in fields))


def _rate(can: Capabilities) -> str:
    limits = [f"{can.messages} in {_number(can.messages_seconds)} s"] if can.messages else []
    limits += [f"{_number(can.messages_apart)} s apart"] if can.messages_apart else []
    return ", ".join(limits) or _NONE


def _heartbeat(can: Capabilities) -> str:
    if can.heartbeat_seconds is None:
        return _NONE
    return f"{_number(can.heartbeat_seconds)} s, {'reply' if can.heartbeat_reply else 'no reply'}"


# The rows of the table: what a capability is called, and what a cell says of it.
_ROWS: tuple[tuple[str, Callable[[Capabilities], str]], ...] = (
    ("codes as array", lambda can: _yes(can.array)),
    ("codes as string", lambda can: _yes(can.string)),
    ("wildcard", lambda can: _yes(can.wildcard)),
    ("trades filter", lambda can: _yes(can.trades_filter)),
    ("codes a connection", lambda can: _number(can.codes_per_connection)),
    ("codes a message", lambda can: _number(can.codes_per_message)),
    ("connections", lambda can: _number(can.connections)),
    ("second login", lambda can: can.second_login),
    ("outbound messages", _rate),
    ("to change codes", lambda can: can.changes.replace("_", ", ")),
    ("acknowledgement", lambda can: can.acknowledgement),
    ("heartbeat", _heartbeat),
    ("cut when silent", lambda can: _NONE if can.silence_limit is None else f"{_number(can.silence_limit)} s"),
    ("protocol pings", lambda can: _yes(can.protocol_pings)),
    ("token goes into", lambda can: can.login if can.login != "none" else _NONE),
    ("wrong token shows in", lambda can: ", ".join(sorted(can.token_refused)) or _NONE),
    ("market hours", lambda can: "not known" if can.abroad else "known"),
    ("sequence", lambda can: can.sequence if can.sequence != "none" else _NONE),
    ("repeats are told", lambda can: _yes(can.repeats_known)),
    ("every trade", lambda can: "yes" if can.exact else "sampled"),
    ("volume is of", _volume_is),
    ("volume in", lambda can: _volume(can.units) if "volume" in can.carries else _NONE),
    ("turnover", lambda can: can.units.turnover if can.units.turnover != "none" else _NONE),
    ("book", _carries("bids", "asks")),
    ("day open, high, low", _carries("day_open", "day_high", "day_low")),
    ("day volume, turnover", _carries("day_volume", "day_turnover")),
    ("day average", _carries("average")),
    ("sides", lambda can: can.side_codes if can.side_codes != "none" else _NONE),
    ("time in", lambda can: can.time_unit),
    ("price is", lambda can: can.price_form),
)


def table(capabilities: dict[str, Capabilities]) -> list[tuple[str, ...]]:
    """A head, and a row of each capability with a cell of each provider."""
    return [("", *capabilities), *((name, *(cell(can) for can in capabilities.values())) for name, cell in _ROWS)]


def described(can: Capabilities) -> dict[str, Any]:
    """All of a provider's capabilities as plain data, for JSON."""
    return {field.name: _plain(getattr(can, field.name)) for field in fields(can)}


def _plain(value: Any) -> Any:
    if isinstance(value, frozenset):
        return sorted(value)
    if hasattr(value, "shares_per_unit"):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if hasattr(value, "items"):
        return {str(key): _plain(one) for key, one in value.items()}
    return list(value) if isinstance(value, tuple) else value


def _print(rows: Sequence[Sequence[str]]) -> None:
    from cli.tables import side_by_side, width

    print("\n\n".join("\n".join(lines) for lines in side_by_side(rows, width())))


def command(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="one provider, with its address and what else is known")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object, by provider")] = False,
) -> None:
    """Show what each provider can do, as its documentation says.

    docs/providers.md says what was chosen beyond that.

    Example: ashare feeds alltick
    """
    from producer.feeds import feeds, provider

    chosen = [provider(name)] if name else list(feeds().values())
    capabilities = {row.name: row.capabilities for row in chosen}
    if as_json:
        print(json.dumps({one: described(can) for one, can in capabilities.items()}, ensure_ascii=False, indent=2))
        return
    rows = table(capabilities)
    if name is None:
        # The words for the last rows are too long for eight columns: `ashare feeds NAME` has them.
        rows = [row for row in rows if row[0] not in {"time in", "price is", "sides"}]
    _print(rows)
    from cli.tables import width, wrapped

    for one, can in capabilities.items():
        more = [f"  {can.url}", *wrapped(f"to repair a gap: {can.backfill}", width(), 2)] if name else []
        print("\n".join(["", *wrapped(f"{one}: {can.about}", width()), *more]))
