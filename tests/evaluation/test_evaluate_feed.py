"""``ashare evaluate-feed`` as a process of its own, against the real simulated market."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
from websockets.asyncio.server import ServerConnection, serve

TOKEN = "s3cret-t0ken"


async def ashare(*options: str, **environment: str) -> asyncio.subprocess.Process:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("ASHARE_")}
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "cli",
        *options,
        env=inherited | environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


@contextlib.asynccontextmanager
async def market(*options: str) -> AsyncIterator[str]:
    """A simulated market; gives its address."""
    process = await ashare("simulate", "--port", "0", *options)
    try:
        assert process.stdout is not None
        line = (await asyncio.wait_for(process.stdout.readline(), 30)).decode()
        yield line.removeprefix("listening on ").strip()
    finally:
        process.terminate()
        _ = await asyncio.wait_for(process.communicate(), 30)


async def evaluated(*options: str, **environment: str) -> tuple[int, str, str]:
    """Exit code, output and errors."""
    process = await ashare("evaluate-feed", *options, **environment)
    try:
        out, err = await asyncio.wait_for(process.communicate(), 60)
    except TimeoutError:
        process.kill()
        raise
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def judged(*options: str, **environment: str) -> dict[str, Any]:
    """The report of an evaluation that succeeds."""
    code, out, err = await evaluated(*options, "--json", **environment)
    assert code == 0, err
    assert TOKEN not in out + err
    found: dict[str, Any] = orjson.loads(out)
    return found


async def test_the_post_is_measured_twice_side_by_side(tmp_path: Path) -> None:
    """Every form is taken; nothing is lost, equal or out of order; both lines bring the same ticks."""
    page = tmp_path / "page.html"
    async with market("--rate", "1000", "--codes", "60", "--token", TOKEN) as url:
        found = await judged(url, url, "--minutes", "0.06", "--html", str(page), "--own-clock", ASHARE_FEED_TOKEN=TOKEN)
    for line in found["lines"]:
        assert line["url"].endswith("token=***")
        assert {form["form"]: form["taken"] for form in line["forms"]} == dict.fromkeys(
            ("array", "string", "wildcard"), True
        )
        assert line["ticks"] > 1_000
        assert line["ticks_per_frame"]["max"] >= 1
        assert 0 < line["first"]["handshake"] <= line["first"]["acknowledged"] <= line["first"]["first_tick"]
        assert line["own_clock"]
        assert (line["equal"], line["backwards"], line["gaps"], line["disconnects"]) == (0, 0, {}, {})
        assert (line["malformed"], line["flaws"]) == ({}, {})
    assert found["race"]["both"] > 1_000
    assert sum(found["race"]["alone"]) < 0.02 * found["race"]["both"]
    text = page.read_text("utf-8")
    assert text.count("<svg") == 5
    assert TOKEN not in text


async def test_alltick_is_measured_on_a_bad_day(tmp_path: Path) -> None:
    """Connections that are reset are disconnects and gaps, pieces of frames are malformed, repeats are dropped."""
    codes = tmp_path / "codes.txt"
    options = ("--feed", "alltick", "--rate", "400", "--codes", "150", "--write-codes", str(codes))
    kinds = ("--misbehave", "cut-frames,repeats,out-of-session,price-zero,kill", "--misbehave-every", "0.5")
    async with market(*options, *kinds) as url:
        found = await judged(
            url, "--feed", "alltick", "--watchlist", str(codes), "--minutes", "0.45", "--own-clock", "--no-forms"
        )
    (line,) = found["lines"]
    assert line["codes_asked"] == 150
    assert line["never_seen"] == 150 - line["codes_seen"] >= 0
    assert line["connections"] >= 2
    assert line["gaps"]["disconnect"] >= 1
    assert line["gap_seconds"] > 0
    assert sum(line["disconnects"].values()) >= 1
    assert line["malformed"]["not JSON"] >= 1
    assert line["repeats"] >= 1
    assert line["unpriced"] >= 1
    assert line["backwards"] >= 1
    assert line["flaws"]["backwards"] >= line["backwards"]
    assert found["race"] is None


async def test_a_form_that_is_refused_is_told_and_the_others_go_on(tmp_path: Path) -> None:
    """A token that may not have the whole market: codes are taken, the wildcard is not; the table says both."""
    codes = str(tmp_path / "codes.txt")
    basic = ("--tier", "basic", "--token", TOKEN)
    async with market("--rate", "500", "--codes", "20", "--write-codes", codes, *basic) as url:
        options = ("--watchlist", codes, "--token", TOKEN, "--minutes", "0.02", "--own-clock")
        code, out, err = await evaluated(url, *options, COLUMNS="200")
    assert code == 0, err
    cells = [line.strip() for line in out.splitlines()]
    told = {cell.partition("  ")[0]: cell.rpartition("  ")[2] for cell in cells}
    assert told["codes as array"].startswith("taken")
    assert told["wildcard"].startswith("refused")
    assert TOKEN not in out + err


async def test_a_wrong_token_ends_it_with_2_and_is_not_printed() -> None:
    """In the words of ``ashare produce``, before anything is measured."""
    async with market("--codes", "20", "--token", "another") as url:
        code, out, err = await evaluated(url, "--token", TOKEN)
    assert code == 2
    assert "refused the token" in err
    assert TOKEN not in out + err
    assert "Traceback" not in err


async def test_what_cannot_be_is_refused_in_one_line(tmp_path: Path) -> None:
    """An address that is none, nobody there, no time, too many codes, a folder that is not there."""
    many = tmp_path / "codes.txt"
    many.write_text("\n".join(f"{code:06}" for code in (*range(600_000, 602_000), *range(1, 1_002))))
    cases: list[tuple[tuple[str, ...], str]] = [
        (("http://127.0.0.1:1",), "ws://"),
        (("ws://127.0.0.1:1",), "no connection to ws://127.0.0.1:1"),
        (("ws://127.0.0.1:1", "--minutes", "0"), "--minutes"),
        (("ws://a", "ws://b", "ws://c"), "two to be compared"),
        (("ws://a", "--second-feed", "alltick"), "URL2"),
        (("ws://a", "ws://a", "--feed", "itick", "--symbols", "600519", "--token", TOKEN), "ends the first"),
        (("ws://a", "--html", str(tmp_path / "none" / "page.html")), "--html"),
        (("ws://a", "--feed", "alltick", "--watchlist", str(many)), "3,000"),
        (("ws://a", "--watchlist", str(tmp_path / "none")), "none"),
    ]
    for done, (options, says) in zip(
        await asyncio.gather(*(evaluated(*options) for options, _ in cases)), cases, strict=True
    ):
        code, out, err = done
        assert code == 2, (options, err)
        assert says in err.splitlines()[-1], options
        assert "Traceback" not in err
        assert not out


async def test_an_interrupt_ends_it_early_with_what_was_seen() -> None:
    """Exit code 0 and a report, which says that it was cut short."""
    async with market("--rate", "500", "--codes", "20") as url:
        process = await ashare("evaluate-feed", url, "--minutes", "5", "--json", "--own-clock", "--no-forms")
        try:
            assert process.stderr is not None
            assert (await asyncio.wait_for(process.stderr.readline(), 30)).startswith(b"measuring")
            await asyncio.sleep(6)
            process.send_signal(signal.SIGINT)
            out, err = await asyncio.wait_for(process.communicate(), 30)
        finally:
            if process.returncode is None:
                process.kill()
    assert process.returncode == 0, err.decode()
    found = orjson.loads(out)
    assert found["seconds"] < 30
    assert found["notes"][0].startswith("interrupted ")
    assert found["notes"][0].endswith(" s after the measuring began, of 300 s")
    assert found["lines"][0]["ticks"] > 0


STRANGE = "é 不可读 \U0001f600 \ud83d"


@contextlib.asynccontextmanager
async def strange() -> AsyncIterator[str]:
    """A feed that says what no narrow terminal has a character for; gives its address."""
    said = STRANGE[:-1]

    async def answer(connection: ServerConnection) -> None:
        await connection.recv()
        for _ in range(10):
            await connection.send(f"not JSON: {said}")
            await connection.send(f'{{"type":"error","message":"{STRANGE[:-1]}\\ud83d"}}')
        await connection.close(4000, said)

    async with serve(answer, "127.0.0.1", 0) as server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"


ANY_TERMINAL = """
import io, json, logging, os, sys
from cli import main

told, out = [], sys.stdout
for encoding, words in json.load(sys.stdin.buffer):
    logging.root.handlers.clear()
    sys.argv = ["ashare", "evaluate-feed", *map(os.fsdecode, map(str.encode, words))]
    raw = io.BytesIO()
    sys.stdout = sys.stderr = io.TextIOWrapper(raw, encoding=encoding, write_through=True)
    code = 0
    try:
        main.main()
    except SystemExit as end:
        code = end.code
    told.append((code, raw.getvalue().decode(encoding)))
    sys.stdout, sys.stderr = out, sys.__stderr__
json.dump(told, out)
"""


async def test_a_report_comes_out_whole_in_any_encoding(tmp_path: Path) -> None:
    """As text, as JSON that is JSON, as a page; of a feed that says what the terminal can't show; files by any name."""
    (tmp_path / "自选.txt").write_bytes("600519 # 茅台\n".encode("gbk"))
    page = tmp_path / "页.html"
    async with strange() as url:
        given = [url, "--minutes", "0.02", "--no-forms", "--watchlist", str(tmp_path / "自选.txt"), "--html", str(page)]
        asked = [(name, [*given, *how]) for name in ("ascii", "latin-1", "gbk") for how in ((), ("--json",))]
        asked.append(("ascii", [*given[:-1], str(tmp_path / "没有/页.html")]))
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("ASHARE_", "LC_", "LANG"))}
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", ANY_TERMINAL, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            env=kept | {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
        )  # fmt: skip
        out, _ = await process.communicate(orjson.dumps(asked))
    *told, (refused, why) = orjson.loads(out)
    assert [code for code, _ in told] == [0] * len(told), told
    for _, text in told:
        assert "Traceback" not in text
        if "{" in text:
            assert len(orjson.loads(text[text.index("{") :])["lines"]) == 1
        else:
            assert "ticks" in text
    assert "</html>" in await asyncio.to_thread(page.read_text, "utf-8")
    assert (refused, why.count("\n"), "no such folder" in why) == (2, 1, True)
