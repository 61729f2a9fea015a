"""A worker's HTTP for other machines: encrypted, with a token, and for commands and workers that know both."""

from __future__ import annotations

import asyncio
from pathlib import Path

import aiohttp
import pytest
from typer.testing import CliRunner

from broker.http_access import HttpAccess, client_tls
from cli.main import app
from processors.http.peers import announced
from processors.http.server import WebServer
from schemas import UsageError
from schemas.topics import SNAPSHOTS
from tests.certificates import Authority
from tests.processors.test_web import COUNT, MARKET, Worker

TOKEN, SECRET = "web-t0ken", "shared-by-the-w0rkers"


@pytest.mark.parametrize(
    ("access", "said"),
    [
        (HttpAccess(), None),
        (HttpAccess("::1"), None),
        (HttpAccess("localhost"), None),
        (HttpAccess("0.0.0.0", TOKEN), None),
        (HttpAccess("10.0.0.1", certificate=Path("x.pem")), None),
        (HttpAccess("0.0.0.0", unguarded=True), None),
        (HttpAccess("0.0.0.0", setting="ASHARE_WEB_TOKEN_FILE"), "ASHARE_WEB_TOKEN_FILE, or ASHARE_HTTP_OPEN=true"),
        (HttpAccess("worker.example"), "--web-host worker.example: other machines could ask this server"),
        (HttpAccess(key=Path("key.pem")), "ASHARE_HTTP_KEY is set without ASHARE_HTTP_CERTIFICATE"),
    ],
)
def test_nobody_listens_to_other_machines_without_a_word(access: HttpAccess, said: str | None) -> None:
    """TLS, a token, or the operator's word that those who reach it may ask."""
    if said is None:
        access.check("--web-host")
    else:
        with pytest.raises(UsageError, match=said):
            access.check("--web-host")


def test_a_certificate_that_can_not_be_used_is_said(tmp_path: Path) -> None:
    """Before anything listens."""
    (tmp_path / "x.pem").write_text("nothing")
    for path in (tmp_path / "away.pem", tmp_path / "x.pem"):
        with pytest.raises(UsageError, match=r"ASHARE_HTTP_CERTIFICATE, ASHARE_HTTP_KEY: .* are not a certificate"):
            WebServer(HttpAccess(certificate=path), 0, lambda _: None)


async def test_workers_and_commands_that_know_both_are_answered(tmp_path: Path) -> None:
    """One worker asks the other for what it lacks; a stranger gets health and nothing else."""
    authority = Authority(tmp_path)
    access = HttpAccess("127.0.0.1", TOKEN, authority.server(), setting="ASHARE_WEB_TOKEN_FILE")
    half = range(COUNT // 2)
    one = Worker(half, MARKET, SECRET, access, authority.ca)
    other = Worker(set(range(COUNT)) - set(half), MARKET, SECRET, access, authority.ca)
    async with one.served(), other.served():
        url = f"https://127.0.0.1:{one.port}"
        place = announced(f"https://127.0.0.1:{other.port}", SECRET)
        one.owners[place] = {SNAPSHOTS: sorted(set(range(COUNT)) - set(half))}
        async with aiohttp.ClientSession() as session:
            for path, headers, status in (
                ("/health", {}, 200),
                ("/snapshots", {}, 401),
                ("/status", {"Authorization": "Bearer no"}, 401),
                ("/snapshots", {"Authorization": f"Bearer {TOKEN}"}, 200),
            ):
                async with session.get(url + path, headers=headers, ssl=client_tls(authority.ca)) as answer:
                    assert answer.status == status, path
                    if path == "/snapshots" and status == 200:
                        assert len((await answer.json())["snapshots"]) == len(MARKET)
        token = tmp_path / "token"
        token.write_text(f"{TOKEN}\n")
        given = {"ASHARE_WEB_TOKEN_FILE": str(token), "ASHARE_HTTP_CA": str(authority.ca)}
        asking = ["snapshot", *MARKET[:2], "--worker", url, "--json"]
        done = await asyncio.to_thread(CliRunner(env=given).invoke, app, asking)
        assert done.exit_code == 0, done.output
        assert len(done.output.splitlines()) == 2
        for left_out, said in (
            ("ASHARE_WEB_TOKEN_FILE", "all but /health, /live and /ready needs the token"),
            ("ASHARE_HTTP_CA", "set ASHARE_HTTP_CA to the certificate of the authority"),
        ):
            some = {name: value for name, value in given.items() if name != left_out}
            failed = await asyncio.to_thread(CliRunner(env=some).invoke, app, asking)
            assert said in str(failed.exception)
            assert TOKEN not in str(failed.exception) + failed.output
