"""``ashare snapshot``."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Annotated, Any

import typer

from cli.settings import default
from schemas import UsageError
from schemas.addresses import shown_address
from schemas.outside import printable, printable_json

_AT_ONCE = 10_000
"""As many codes as a worker answers at once."""
_IN_A_LINE = 500
"""More of them go in a body; workers of version 0.1 take none."""


def command(
    codes: Annotated[list[str], typer.Argument(metavar="CODE", help="six digits, as 600519")],
    *,
    worker: Annotated[
        str, typer.Option("--worker", metavar="URL", help="a worker's HTTP address")
    ] = f"http://127.0.0.1:{default('web_port')}",
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object a line")] = False,
) -> None:
    """Show the latest state of stocks, from a worker's memory.

    Prices are compared with the close of the day before. Times are Shanghai's. Names stand behind the figures where the
    worker knows them (`ashare instruments apply`) and there is room. Exit code 1 where no tick of one of them
    was seen, 2 where one can't be a code and the others were seen.

    Example: ashare snapshot 600519 000001
    """
    import sys

    from cli.lines import WIDE, head, with_name
    from cli.tables import width
    from cli.terminal import Colour, write
    from market.kinds import resolved
    from schemas.topics import SNAPSHOTS

    headed, room = False, width()
    wide = (room or WIDE) >= WIDE
    codes = [resolved(code.strip()) for some in codes for code in some.split(",") if code.strip()]
    found, wrong = _ask(worker.rstrip("/"), list(dict.fromkeys(codes)))
    for code in codes:
        one = found[code]
        if isinstance(one, str):
            sys.stderr.write(f"ashare: {printable(one)}\n")
            continue
        if as_json:
            print(printable_json(json.dumps(one, ensure_ascii=False)))
            continue
        name = one.get("name") if isinstance(one.get("name"), str) else None
        told = with_name(printable(_line(worker, one, wide=wide)), name, SNAPSHOTS, wide=wide, room=room)
        if not headed:
            write(head(SNAPSHOTS, wide=wide))
            headed = True
        way = one["price"] - (one.get("previous_close") or one["price"])
        write(told, Colour.RED if way > 0 else Colour.GREEN if way < 0 else None)
    if any(isinstance(one, str) for one in found.values()):
        raise typer.Exit(1 if any(isinstance(one, str) and code not in wrong for code, one in found.items()) else 2)


def _ask(worker: str, codes: list[str]) -> tuple[dict[str, dict[str, Any] | str], set[str]]:
    """Of each code its snapshot, or why there is none; and those that can't be codes.

    Raises:
        UsageError: the worker does not answer, or not as a worker.
    """
    if not worker.startswith(("http://", "https://")) or {"@", "?", "#"} & set(worker):
        raise UsageError(f"--worker {shown_address(worker)!r} is not a worker's address: give http://HOST:PORT")
    found: dict[str, dict[str, Any] | str] = {}
    left = codes
    refused: set[str] = set()
    while left:
        some = left[:_AT_ONCE]
        answered = _some(worker, some)
        if isinstance(answered, tuple):
            code, why = answered
            wrong = code if code in some else some[0]
            refused.add(wrong)
            found[wrong] = f"{wrong!r} is not a code: {why}"
            left = [code for code in left if code != wrong]
            continue
        known = {snapshot["code"]: snapshot for snapshot in answered}
        found |= {code: known.get(code, f"no tick of {code} was seen") for code in some}
        left = left[_AT_ONCE:]
    return found, refused


def _some(worker: str, codes: list[str]) -> list[dict[str, Any]] | tuple[str, str]:
    """The snapshots that there are of some codes; or the code that can't be one, and why."""
    import http.client
    import urllib.error
    import urllib.parse
    import urllib.request

    place = f"{worker}/snapshots"
    if len(codes) > _IN_A_LINE:
        body = json.dumps({"codes": codes}).encode()
        asked = urllib.request.Request(place, body, {"Content-Type": "application/json"})  # noqa: S310 - see above
    else:
        listed = urllib.parse.quote(",".join(codes))
        asked = urllib.request.Request(f"{place}?codes={listed}")  # noqa: S310 - as above
    try:
        with urllib.request.urlopen(asked, timeout=10.0) as answer:  # noqa: S310 - as above
            return list(json.load(answer)["snapshots"])
    except urllib.error.HTTPError as error:
        with error:
            told = error.read()
        said = _message(told)
        match error.code:
            case HTTPStatus.NOT_FOUND:
                raise UsageError(said or f"{worker} has no snapshots: is it a worker (--worker)?") from error
            case HTTPStatus.BAD_REQUEST:
                return _code(told), said
            case HTTPStatus.SERVICE_UNAVAILABLE:
                again = error.headers.get("Retry-After", "1")
                raise UsageError(f"the worker is not ready, ask again in {again} s: {said}") from error
            case HTTPStatus.FORBIDDEN if said:
                raise UsageError(f"{worker}: {said}") from error
            case _:
                raise UsageError(f"{worker} answers {error.code} {error.reason}: is it a worker (--worker)?") from error
    except (OSError, ValueError, KeyError, TypeError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        raise UsageError(f"no worker answers at {worker} (--worker): {reason}") from error


def _code(body: bytes) -> str:
    try:
        return str(json.loads(body)["code"])
    except (ValueError, KeyError, TypeError):
        return ""


def _line(worker: str, found: dict[str, Any], *, wide: bool) -> str:
    from cli.lines import snapshot_line

    try:
        return snapshot_line(found, wide=wide)
    except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        raise UsageError(f"{worker} does not answer as a worker does (--worker)") from error


def _message(body: bytes) -> str:
    """What a worker's error answer says."""
    try:
        said = json.loads(body)
        return str(said.get("message") or said.get("error") or "")
    except (ValueError, AttributeError):
        return ""
