"""The watchlist of a running producer: by its HTTP on this machine, by its file, by command."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families
from typer.testing import CliRunner

from broker.exposition import Exposition, Readings
from broker.http_access import HttpAccess, client_tls
from cli.main import app
from market.calendar import is_trading_day
from producer import metrics
from producer.http import LocalServer
from producer.line.backoff import Backoff
from producer.line.driver import Line
from producer.line.endpoint import Endpoint
from producer.line.pacing import Pace
from producer.supervisor import Supervisor
from producer.watchlist import watch as watching
from producer.watchlist.dealing import Dealer
from producer.watchlist.watch import Watch
from schemas import UsageError
from tests.certificates import Authority
from tests.producer.scripted import Provider, Remembered, ScriptedFeed, says


class Here:
    """A producer of two lines at a provider that takes three codes a connection."""

    def __init__(self, url: str, path: Path) -> None:
        """Its list is 600519 and 000001."""
        codes = ["600519", "000001"]
        path.write_text("600519\n000001\n")
        dealer = Dealer(2, 3)
        self.lines = []
        for number, some in enumerate(dealer.deal(codes), start=1):
            feed = ScriptedFeed()
            pace = Pace(backoff=Backoff(0.01, 0.02))
            self.lines.append(Line(Endpoint(feed, url), some, Remembered(), pace, name=f"post-{number}"))
        self.supervisor = Supervisor([[line] for line in self.lines], dealer)
        self.watch = Watch(path, codes, self.supervisor.want)
        self.server = LocalServer(self.supervisor, self.watch, Exposition(metrics.METRICS, self.read), 0)
        self.path = path

    def read(self, to: Readings) -> None:
        """A few figures."""
        to.add("ashare_producer_ticks_total", 5)
        to.add("ashare_producer_flaws_total", 1, 'off "grid"')
        for line in self.lines:
            metrics._line(to, line)

    @property
    def dealt(self) -> list[Sequence[str] | None]:
        """What each line wants."""
        return [line.subscription.wanted for line in self.lines]


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Here]:
    """Running, subscribed, listening."""

    async def script(server: Any) -> None:
        await says(server, answers=[{"kind": "subscribed"}])
        await server.wait_closed()

    await asyncio.to_thread(is_trading_day, date(2026, 11, 20))  # the calendar takes its time to come
    async with Provider(script) as provider:
        made = Here(provider.url, tmp_path / "codes.txt")
        stop = asyncio.Event()
        tasks = [asyncio.create_task(made.supervisor.run(stop)), asyncio.create_task(made.watch.run())]
        await made.server.start()
        yield made
        await made.server.stop()
        stop.set()
        tasks[1].cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*tasks)


async def ask(here: Here, path: str, change: Any = None, **headers: str) -> tuple[int, Any]:
    url = f"http://127.0.0.1:{here.server.port}{path}"
    async with aiohttp.ClientSession() as session:
        method = "GET" if change is None else "POST"
        async with session.request(method, url, json=change, headers=headers) as answer:
            is_json = answer.content_type == "application/json"
            return answer.status, await (answer.json() if is_json else answer.text())


async def test_health_and_metrics_tell_of_every_line(here: Here, post: Any) -> None:
    """503 while a line is not subscribed; counters in Prometheus' form."""
    await post.until(lambda: all(line.state == "subscribed" for line in here.lines))
    code, health = await ask(here, "/health")
    assert (code, health["status"]) == (200, "ok")
    assert [line["codes"] for line in health["lines"]] == [1, 1]
    here.lines[1].protocol.state.doing = "waiting"
    assert (await ask(here, "/health"))[0] == 503
    assert (await ask(here, "/ready"))[0] == 503
    assert await ask(here, "/live") == (200, {"status": "ok"})
    _, text = await ask(here, "/metrics")
    samples = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert samples["ashare_producer_ticks_total",] == 5
    assert samples["ashare_producer_flaws_total", 'off "grid"'] == 1
    assert samples["ashare_producer_line_subscribed", "post-1"] == 1
    assert samples["ashare_producer_line_subscribed", "post-2"] == 0


async def test_the_list_is_changed_saved_and_dealt(here: Here) -> None:
    """Codes stay on their lines; what is asked for twice changes nothing."""
    before = here.dealt
    code, shown = await ask(here, "/watchlist", {"add": ["688981", "600519.SH"], "remove": ["000001"]})
    assert (code, shown["codes"]) == (200, ["600519", "688981"])
    assert here.path.read_text() == "600519\n688981\n"
    assert here.dealt[0] == before[0]
    assert here.dealt[1] == ("688981",)
    assert (await ask(here, "/watchlist"))[1]["codes"] == ["600519", "688981"]


@pytest.mark.parametrize(
    ("change", "code", "says"),
    [
        ({"add": ["60051"]}, 409, "60051"),
        ({"codes": [f"60000{i}" for i in range(7)]}, 409, "--lines 3"),
        ({"codes": []}, 409, "no code would be left"),
        ({"added": ["600519"]}, 400, "added"),
        ({"add": "600519"}, 400, "array"),
        ([], 400, "object"),
    ],
)
async def test_what_cannot_be_is_refused_and_changes_nothing(here: Here, change: Any, code: int, says: str) -> None:
    """No code, more than the lines carry, no list at all; the text says which."""
    before = here.dealt
    status, answer = await ask(here, "/watchlist", change)
    assert status == code
    assert says in answer["error"]
    assert here.dealt == before
    assert here.path.read_text() == "600519\n000001\n"


async def test_no_other_host_and_no_form_is_answered(here: Here) -> None:
    """A page in the user's browser can't reach it: neither by a name of its own, nor with a plain form."""
    assert (await ask(here, "/watchlist", Host="evil.example"))[0] == 403
    url = f"http://127.0.0.1:{here.server.port}/watchlist"
    async with aiohttp.ClientSession() as session, session.post(url, data="{}") as answer:
        assert answer.status == 415


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:8000"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Host": "localhost.evil.example"},
        {"Content-Encoding": "gzip"},
    ],
)
async def test_no_page_changes_the_list(here: Here, headers: dict[str, str]) -> None:
    """Though it sends JSON, as no form can: refused with why, nothing changed."""
    status, said = await ask(here, "/watchlist", {"add": ["688981"]}, **headers)
    assert status in {403, 415}
    assert said["message"]
    assert here.watch.codes == ["600519", "000001"]


def server_of(here: Here, access: HttpAccess) -> LocalServer:
    """Another server of the same producer."""
    return LocalServer(here.supervisor, here.watch, Exposition((), lambda _: None), 0, access=access)


async def test_with_a_token_changes_need_it(here: Here, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read it may who can reach it. The command takes the token from its file; no answer shows it."""
    guarded = server_of(here, HttpAccess(token="hunter2", setting="ASHARE_FEED_HTTP_TOKEN_FILE"))
    await guarded.start()
    unguarded, here.server = here.server, guarded
    try:
        for headers in ({}, {"Authorization": "Bearer x"}, {"Authorization": "hunter2"}):
            status, said = await ask(here, "/watchlist", {"add": ["688981"]}, **headers)
            assert (status, said["error"]) == (401, "token")
            assert "hunter2" not in str(said)
        assert (await ask(here, "/watchlist"))[0] == 200
        assert here.watch.codes == ["600519", "000001"]
        arguments = ["watchlist", "add", "688981", "--http-port", str(guarded.port)]
        failed = await asyncio.to_thread(CliRunner().invoke, app, arguments)
        assert "ASHARE_FEED_HTTP_TOKEN_FILE" in str(failed.exception)
        file = tmp_path / "token"
        file.write_text("hunter2\n")
        monkeypatch.setenv("ASHARE_FEED_HTTP_TOKEN_FILE", str(file))
        done = await asyncio.to_thread(CliRunner().invoke, app, arguments)
        assert done.exit_code == 0, done.output
        assert here.watch.codes == ["600519", "000001", "688981"]
    finally:
        here.server = unguarded
        await guarded.stop()


async def test_other_machines_need_the_token_for_all_but_health(here: Here, tmp_path: Path, post: Any) -> None:
    """Over TLS, whose certificate the command checks; and without either there is no listening."""
    authority = Authority(tmp_path)
    token = tmp_path / "token"
    token.write_text("hunter2\n")
    with pytest.raises(UsageError, match=r"--http-host 0\.0\.0\.0: .* set ASHARE_HTTP_CERTIFICATE or X_FILE"):
        server_of(here, HttpAccess("0.0.0.0", setting="X_FILE"))
    guarded = server_of(here, HttpAccess("0.0.0.0", "hunter2", authority.server()))
    await guarded.start()
    await post.until(lambda: all(line.state == "subscribed" for line in here.lines))
    try:
        tls = client_tls(authority.ca)
        url = f"https://127.0.0.1:{guarded.port}"
        async with aiohttp.ClientSession() as session:
            for path, headers, status in (
                ("/health", {}, 200),
                ("/health", {"Host": "producer.example"}, 200),
                ("/metrics", {}, 401),
                ("/watchlist", {"Authorization": "Bearer x"}, 401),
                ("/watchlist", {"Authorization": "Bearer hunter2"}, 200),
                ("/metrics", {"Authorization": "Bearer hunter2", "Host": "producer.example"}, 200),
            ):
                async with session.get(url + path, headers=headers, ssl=tls) as answer:
                    assert answer.status == status, path
        given = {"ASHARE_FEED_HTTP_URL": url, "ASHARE_FEED_HTTP_TOKEN_FILE": str(token)}
        failed = await asyncio.to_thread(CliRunner(env=given).invoke, app, ["watchlist", "show"])
        assert "set ASHARE_HTTP_CA to the certificate of the authority" in str(failed.exception)
        given["ASHARE_HTTP_CA"] = str(authority.ca)
        done = await asyncio.to_thread(CliRunner(env=given).invoke, app, ["watchlist", "show"])
        assert done.output.splitlines() == ["600519", "000001"]
        given["ASHARE_FEED_HTTP_URL"] = f"http://127.0.0.1:{guarded.port}"
        failed = await asyncio.to_thread(CliRunner(env=given).invoke, app, ["watchlist", "show"])
        assert failed.exit_code
    finally:
        await guarded.stop()


async def test_a_taken_port_is_said(here: Here) -> None:
    """With the option."""
    with pytest.raises(UsageError, match="--http-port"):
        await LocalServer(here.supervisor, here.watch, Exposition((), lambda _: None), here.server.port).start()


async def test_the_file_is_watched(here: Here, post: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever writes it, in whatever form; what can't be read or dealt, and an empty file, change nothing."""
    monkeypatch.setattr(watching, "LOOK_SECONDS", 0.05)
    here.path.write_text('["600519","300750"]')
    await post.until(lambda: here.watch.codes == ["600519", "300750"])
    for wrong in ("not a code", "", "\n".join(f"60000{i}" for i in range(7))):
        here.path.write_text(wrong)
        await asyncio.sleep(0.7)
        assert here.watch.codes == ["600519", "300750"]
    here.path.write_text("688981\n")
    await post.until(lambda: here.watch.codes == ["688981"])


def command(*words: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["watchlist", *words])
    return result.exit_code, result.output + (str(result.exception) if result.exception else "")


async def test_the_command_asks_the_running_producer(here: Here) -> None:
    """By its port; a refusal is told in its words."""
    port = str(here.server.port)
    code, said = await asyncio.to_thread(command, "add", "688981", "300750,920002", "--http-port", port)
    assert (code, "subscribes 5 codes" in said) == (0, True)
    assert here.watch.codes == ["600519", "000001", "688981", "300750", "920002"]
    code, said = await asyncio.to_thread(command, "show", "--http-port", port)
    assert said.split() == here.watch.codes
    code, said = await asyncio.to_thread(command, "replace", *[f"60000{i}" for i in range(7)], "--http-port", port)
    assert code != 0
    assert "--lines 3" in said


def test_the_command_edits_the_file_where_no_producer_runs(tmp_path: Path) -> None:
    """And makes it; a producer that is started then has the list."""
    path, other = tmp_path / "codes.txt", tmp_path / "tomorrow.txt"
    other.write_text("300750\n")
    for words, left in (
        (("add", "600519", "000001.SZ"), ["600519", "000001"]),
        (("remove", "600519"), ["000001"]),
        (("replace", f"@{other}", "688981"), ["300750", "688981"]),
    ):
        assert command(*words, "--watchlist", str(path), "--http-port", "1")[0] == 0
        assert command("show", "--watchlist", str(path))[1].split() == left


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("show",), "--watchlist FILE"),
        (("add", "60051", "--watchlist", "x.txt"), "60051"),
        (("show", "--http-port", "1"), "no producer answers"),
        (("show", "--watchlist", "none.txt"), "ashare watchlist add"),
    ],
)
def test_a_wrong_command_names_the_fix(words: tuple[str, ...], says: str, tmp_path: Path) -> None:
    """As every command does."""
    code, said = command(*(str(tmp_path / word) if word.endswith(".txt") else word for word in words))
    assert code != 0
    assert says in said
