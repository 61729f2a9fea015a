"""``ashare snapshot``."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Annotated, Any

import typer

from cli.settings import default
from schemas import UsageError
from schemas.outside import printable, printable_json


def command(
    codes: Annotated[list[str], typer.Argument(metavar="CODE…", help="six digits, as 600519")],
    *,
    worker: Annotated[
        str, typer.Option("--worker", help="a worker's HTTP address")
    ] = f"http://127.0.0.1:{default('web_port')}",
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object a line")] = False,
) -> None:
    """Show the latest state of stocks and their session, from a worker's memory.

    Exit code 1 if one of them is not known.

    Example: ashare snapshot 600519 000001
    """
    import sys

    missing = False
    for code in codes:
        found = _ask(worker.rstrip("/"), code)
        if isinstance(found, str):
            sys.stderr.write(f"ashare: {printable(found)}\n")
            missing = True
        else:
            print(printable_json(json.dumps(found, ensure_ascii=False)) if as_json else printable(_line(worker, found)))
    if missing:
        raise typer.Exit(1)


def _ask(worker: str, code: str) -> dict[str, Any] | str:
    """The snapshot of a code, or why there is none.

    Raises:
        UsageError: the worker does not answer, or not as a worker.
    """
    import urllib.error
    import urllib.parse
    import urllib.request

    if not worker.startswith(("http://", "https://")):
        raise UsageError(f"--worker {worker!r} is no address: give http://HOST:PORT")
    try:
        place = f"{worker}/snapshots/{urllib.parse.quote(code, safe='')}"
        with urllib.request.urlopen(place, timeout=10.0) as answer:  # noqa: S310 - http:// or https://, see above
            found: dict[str, Any] = json.load(answer)
            return found
    except urllib.error.HTTPError as error:
        with error:
            said = _message(error.read())
        match error.code:
            case HTTPStatus.NOT_FOUND:
                return said or f"no tick of {code} was seen"
            case HTTPStatus.BAD_REQUEST:
                return f"{code!r} is no code: {said}"
            case HTTPStatus.SERVICE_UNAVAILABLE:
                again = error.headers.get("Retry-After", "1")
                raise UsageError(f"the worker is not ready, ask again in {again} s: {said}") from error
            case _:
                raise UsageError(f"{worker} answers {error.code} {error.reason}: is it a worker (--worker)?") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise UsageError(f"no worker answers at {worker} (--worker): {reason}") from error


def _line(worker: str, found: dict[str, Any]) -> str:
    from cli.lines import snapshot_line

    try:
        return snapshot_line(found)
    except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        raise UsageError(f"{worker} does not answer as a worker does (--worker)") from error


def _message(body: bytes) -> str:
    """What a worker's error answer says."""
    try:
        said = json.loads(body)
        return str(said.get("message") or said.get("error") or "")
    except (ValueError, AttributeError):
        return ""
