"""A real Alertmanager tells a bot, in the form that each of the three takes."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml
from aiohttp import web

from deploy.embedded import free_port
from deploy.monitoring.bot import FORMS, LONGEST, Bot, main, text_of
from tests.deploy.monitoring.prometheus import MONITORING, tool

NOTIFICATION: dict[str, Any] = {
    "version": "4",
    "status": "firing",
    "groupLabels": {"alertname": "AshareGap"},
    "truncatedAlerts": 3,
    "alerts": [
        {
            "labels": {"alertname": "AshareGap", "severity": "warning"},
            "annotations": {"summary": "Ticks are missing\x1b[31m.", "runbook_url": "docs/runbook/gap.md"},
        }
    ],
}


@asynccontextmanager
async def served(application: web.Application) -> AsyncIterator[str]:
    """The application's address while it runs."""
    runner = web.AppRunner(application)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def group(answer: dict[str, Any], told: list[Any]) -> web.Application:
    """A bot's server that keeps what it is told."""

    async def take(request: web.Request) -> web.Response:
        told.append(await request.json())
        return web.json_response(answer)

    application = web.Application()
    application.router.add_post("/hook", take)
    return application


CASES: list[tuple[str, Callable[[Any], str], dict[str, Any], dict[str, Any]]] = [
    ("dingtalk", lambda said: said["text"]["content"], {"errcode": 0}, {"errcode": 310000, "errmsg": "keywords"}),
    ("feishu", lambda said: said["content"]["text"], {"StatusCode": 0, "code": 0}, {"code": 19024}),
    ("wecom", lambda said: said["text"]["content"], {"errcode": 0, "errmsg": "ok"}, {"errcode": 93000}),
]


@pytest.mark.parametrize(("form", "text", "well", "ill"), CASES, ids=[case[0] for case in CASES])
async def test_each_bot_is_told_in_its_form(
    form: str, text: Callable[[Any], str], well: dict[str, Any], ill: dict[str, Any]
) -> None:
    """One text with a line an alert; a refusal in a body of status 200 is one, and Alertmanager hears of it."""
    for answer, status in ((well, 200), (ill, 502)):
        told: list[Any] = []
        async with (
            served(group(answer, told)) as place,
            served(Bot(form, f"{place}/hook").application()) as bot,
            aiohttp.ClientSession() as session,
            session.post(bot, json=NOTIFICATION) as response,
        ):
            assert response.status == status
        assert text(told[0]).splitlines()[0] == "[ashare] firing: AshareGap"
        assert "docs/runbook/gap.md" in text(told[0])
        assert "\x1b" not in text(told[0])


def test_a_text_is_never_longer_than_a_bot_takes() -> None:
    """Cut between characters."""
    many = NOTIFICATION | {"alerts": [{"labels": {}, "annotations": {"summary": "缺" * 500}}] * 9}
    assert LONGEST - 3 <= len(text_of(many).encode()) <= LONGEST


@pytest.mark.parametrize("body", ["[]", "{}", "no", '{"status": 1, "groupLabels": [], "alerts": []}'])
async def test_what_alertmanager_does_not_send_is_refused(body: str) -> None:
    """With 400, and nobody is told."""
    async with (
        served(Bot("wecom", "http://127.0.0.1:9/").application()) as bot,
        aiohttp.ClientSession() as session,
        session.post(bot, data=body) as response,
    ):
        assert response.status == 400


def test_a_missing_file_of_the_address_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In one line, with code 2."""
    assert main(["--form", "wecom", "--url-file", str(tmp_path / "none")]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


async def test_a_real_alertmanager_tells_the_bot(tmp_path: Path) -> None:
    """With the example's configuration, waiting less: what it posts is what is read here."""
    program, port, told = tool("prometheus-alertmanager"), free_port(), list[Any]()
    async with (
        served(group({"errcode": 0}, told)) as place,
        served(Bot("dingtalk", f"{place}/hook").application()) as bot,
    ):
        config = yaml.safe_load((MONITORING / "alertmanager.yml").read_text("utf-8"))
        config["route"]["group_wait"] = "1s"
        config["receivers"][0]["webhook_configs"][0]["url"] = f"{bot}/"
        (tmp_path / "alertmanager.yml").write_text(yaml.safe_dump(config), "utf-8")
        arguments = [
            program, "--config.file=alertmanager.yml", "--storage.path=data", f"--web.listen-address=127.0.0.1:{port}",
            "--cluster.listen-address=",
        ]  # fmt: skip
        with (tmp_path / "log").open("wb") as log:
            process = subprocess.Popen(arguments, cwd=tmp_path, stdout=log, stderr=log)  # noqa: ASYNC220 - at once
        try:
            alert = [NOTIFICATION["alerts"][0]]
            async with aiohttp.ClientSession() as session, asyncio.timeout(60):
                while not told:
                    with suppress(aiohttp.ClientError):
                        await session.post(f"http://127.0.0.1:{port}/api/v2/alerts", json=alert)
                    await asyncio.sleep(0.3)
        finally:
            process.kill()
            process.wait(10)
    assert "AshareGap" in json.dumps(told[0])
    assert set(FORMS) == {case[0] for case in CASES}
