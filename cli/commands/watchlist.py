"""``ashare watchlist``: the codes that a producer subscribes, shown and changed while it runs."""

from __future__ import annotations

import http.client
import json
import sys
import urllib.error
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import typer

from cli.asking import Asking
from cli.help import App
from cli.settings import default, option, secret
from schemas import UsageError
from schemas.outside import printable

app = App(
    help="Show or change the codes that a producer subscribes.\n\nThe producer may run, or not run yet.",
    no_args_is_help=True,
)

File = Annotated[str | None, option("watchlist")]
Port = Annotated[int | None, option("http_port")]
Url = Annotated[str | None, option("http_url")]
Token = Annotated[str | None, option("http_token")]
Ca = Annotated[str | None, option("http_ca")]
Codes = Annotated[
    list[str], typer.Argument(metavar="CODE", help="codes, each one argument or with commas: 600519 000001,688981")
]


@app.command()
def show(
    watchlist: File = default("watchlist"),
    http_port: Port = default("http_port"),
    http_url: Url = default("http_url"),
    http_token: Token = default("http_token"),
    http_ca: Ca = default("http_ca"),
) -> None:
    """Print the codes, one a line.

    Example: ashare watchlist show --watchlist codes.txt
    """
    _print(_List(watchlist, _server(http_url, http_port, http_token, http_ca)).read())


@app.command()
def add(
    codes: Codes,
    watchlist: File = default("watchlist"),
    http_port: Port = default("http_port"),
    http_url: Url = default("http_url"),
    http_token: Token = default("http_token"),
    http_ca: Ca = default("http_ca"),
) -> None:
    """Subscribe more codes.

    Example: ashare watchlist add 600519 000001 --watchlist codes.txt
    """
    _List(watchlist, _server(http_url, http_port, http_token, http_ca)).change(add=codes)


@app.command()
def remove(
    codes: Codes,
    watchlist: File = default("watchlist"),
    http_port: Port = default("http_port"),
    http_url: Url = default("http_url"),
    http_token: Token = default("http_token"),
    http_ca: Ca = default("http_ca"),
) -> None:
    """Subscribe codes no more.

    Example: ashare watchlist remove 600519 --http-port 6070
    """
    _List(watchlist, _server(http_url, http_port, http_token, http_ca)).change(remove=codes)


@app.command()
def replace(
    codes: Codes,
    watchlist: File = default("watchlist"),
    http_port: Port = default("http_port"),
    http_url: Url = default("http_url"),
    http_token: Token = default("http_token"),
    http_ca: Ca = default("http_ca"),
) -> None:
    """Subscribe these codes and no others.

    @FILE reads them from a file.

    Example: ashare watchlist replace @tomorrow.txt --watchlist codes.txt
    """
    from producer.watchlist.file import load

    named = [code for some in codes for code in (load(Path(some[1:])) if some.startswith("@") else [some])]
    _List(watchlist, _server(http_url, http_port, http_token, http_ca)).change(codes=named)


def _server(url: str | None, port: int | None, token: str | None, ca: str | None) -> Asking | None:
    """The producer's HTTP; ``None`` where it is not named."""
    if not url and not port:
        return None
    given = secret("http_token", token or None)
    return Asking("--http-url", url or f"http://127.0.0.1:{port}", given, ca or None)


class _List:
    """The list of a running producer, by its HTTP, or of its file where none answers."""

    def __init__(self, file: str | None, server: Asking | None) -> None:
        if not file and server is None:
            raise UsageError("name the list: --watchlist FILE, or --http-port of the running producer, or both")
        self._file = Path(file) if file else None
        self._server = server

    def read(self) -> list[str]:
        from producer.watchlist.file import load

        answer = self._ask()
        if answer is not None:
            return list(answer["codes"] or ["*"])
        assert self._file is not None
        return load(self._file)

    def change(self, **how: list[str]) -> None:
        from producer.watchlist import file as watchlist

        given = {name: watchlist.codes(codes) for name, codes in how.items()}
        before = (self._ask() or {}).get("codes") if "remove" in given else None
        answer = self._ask(given)
        if answer is not None:
            _say_absent(given.get("remove", ()), before or ())
            kept = (
                f", saved in {printable(str(answer['file']))}"
                if answer["file"]
                else ", until it ends: it has no --watchlist"
            )
            print(f"the producer subscribes {len(answer['codes']):,} codes{kept}")
            return
        assert self._file is not None
        with watchlist.locked(self._file):
            before = watchlist.load(self._file) if self._file.exists() else []
            now = watchlist.changed(given.get("codes", before), given.get("add", ()), given.get("remove", ()))
            if not now:
                raise UsageError("no code would be left: stop the producer instead")
            watchlist.save(self._file, now)
        _say_absent(given.get("remove", ()), before)
        print(f"{self._file} has {len(now):,} codes; a producer that watches it subscribes them within a second or two")

    def _ask(self, change: dict[str, list[str]] | None = None) -> dict[str, Any] | None:
        """The producer's answer; ``None`` where none runs and there is a file."""
        if self._server is None:
            return None
        where = self._server.url
        try:
            with self._server.open("/watchlist", None if change is None else json.dumps(change).encode()) as answer:
                return _list(json.load(answer))
        except urllib.error.HTTPError as error:
            raise UsageError(f"the producer does not do that: {_why(error)}") from None
        except (ValueError, TypeError, AttributeError, http.client.HTTPException):
            raise UsageError(
                f"what answers at {where} is not a producer: give the --http-port of the one that runs"
            ) from None
        except OSError as error:
            if self._file is not None:
                return None
            raise UsageError(
                f"no producer answers at {where} ({getattr(error, 'reason', error)}): start it with --http-port"
                f" {urlsplit(where).port},"
                " or name its --watchlist FILE"
            ) from None


def _list(answer: Any) -> dict[str, Any]:
    """The list, as a producer answers it; raises TypeError or AttributeError for anything else."""
    codes = answer.get("codes", 0)
    if codes is not None and not isinstance(codes, list):
        raise TypeError
    return {"codes": codes, "file": answer.get("file")}


def _why(error: urllib.error.HTTPError) -> str:
    try:
        said = json.load(error)
        return printable(str(said.get("message") or said["error"]), 500)
    except (ValueError, KeyError, TypeError, AttributeError):
        return f"HTTP {error.code}"


def _say_absent(removed: Iterable[str], before: Iterable[str]) -> None:
    """Say which codes were not there to remove."""
    absent = [code for code in removed if code not in set(before)]
    if absent:
        sys.stderr.write(f"ashare: not in the list: {printable(', '.join(absent))}\n")


def _print(codes: list[str]) -> None:
    for code in codes:
        print(printable(code))
