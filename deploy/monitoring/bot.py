"""``python -m deploy.monitoring.bot``: Alertmanager's webhook, handed on to a group's bot of DingTalk, Feishu or WeCom.

A bot takes a text in a form of its own, and answers 200 with an error code in the body where it refuses. The address
holds the bot's key: it is read from a file, and is in no log and no answer. What a bot does not take is answered with
502, and Alertmanager sends it again.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from schemas import UsageError
from schemas.outside import printable
from schemas.secrets import keep, masked
from schemas.text_files import read_secret

log = logging.getLogger(__name__)

LONGEST = 1_800
"""Bytes of a text: WeCom takes 2,048."""
_TIMEOUT = aiohttp.ClientTimeout(total=10)

FORMS: Mapping[str, Callable[[str], dict[str, Any]]] = {
    "dingtalk": lambda text: {"msgtype": "text", "text": {"content": text}},
    "feishu": lambda text: {"msg_type": "text", "content": {"text": text}},
    "wecom": lambda text: {"msgtype": "text", "text": {"content": text}},
}
"""What each bot takes, of a text."""
_CODES = ("errcode", "code", "StatusCode")
"""Where a bot's answer says that it refuses: DingTalk and WeCom, Feishu's two forms."""


def text_of(notification: Mapping[str, Any]) -> str:
    """What Alertmanager tells (version 4 of its webhook), a line an alert.

    Raises:
        KeyError, TypeError: it is something else.
    """
    lines = [f"[ashare] {notification['status']}: {notification['groupLabels'].get('alertname', '')}"]
    for alert in notification["alerts"]:
        said = alert.get("annotations", {})
        severity = alert["labels"].get("severity", "")
        lines.append(f"{severity} {said.get('summary', '')} {said.get('runbook_url', '')}".strip())
    left = int(notification.get("truncatedAlerts") or 0)
    if left:
        lines.append(f"and {left} more")
    text = "\n".join(printable(str(line)) for line in lines)
    return text.encode()[:LONGEST].decode("utf-8", "ignore")


class Bot:
    """Hands on."""

    def __init__(self, form: str, url: str) -> None:
        """Of one of ``FORMS``, to the bot's address."""
        self._form, self._url = FORMS[form], url

    def application(self) -> web.Application:
        """What answers Alertmanager."""
        application = web.Application(client_max_size=1 << 20)
        application.router.add_post("/", self._take)
        return application

    async def _take(self, request: web.Request) -> web.Response:
        try:
            text = text_of(await request.json())
        except (KeyError, TypeError, ValueError, AttributeError):
            return web.Response(status=400, text="not a notification of Alertmanager's")
        refused = await self._told(text)
        if refused is not None:
            log.error("the bot did not take it: %s", masked(refused))
            return web.Response(status=502, text="the bot did not take it")
        return web.Response(text="told")

    async def _told(self, text: str) -> str | None:
        """Tell the bot; gives why it did not take it."""
        try:
            async with (
                aiohttp.ClientSession(timeout=_TIMEOUT) as session,
                session.post(self._url, json=self._form(text), allow_redirects=False) as response,
            ):
                answered = await response.json(content_type=None)
                status = response.status
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            return type(error).__name__
        codes = [answered[name] for name in _CODES if name in answered] if isinstance(answered, dict) else [None]
        return None if status == 200 and not any(codes) else f"{status}, {answered!r:.200}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until it is stopped; 2 for a wrong setting."""
    parser = argparse.ArgumentParser(prog="python -m deploy.monitoring.bot", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--form", choices=sorted(FORMS), required=True, help="whose bot it is")
    parser.add_argument("--url-file", type=Path, required=True, help="file that holds the bot's address")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=9094, help="port to listen on")
    given = parser.parse_args(arguments)
    try:
        url = read_secret(given.url_file, "--url-file")
    except UsageError as error:
        sys.stderr.write(f"{parser.prog}: {error}\n")
        return 2
    keep(url)
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", level=logging.INFO)
    web.run_app(Bot(given.form, url).application(), host=given.host, port=given.port, print=None, access_log=None)
    return 0


if __name__ == "__main__":
    sys.exit(main())
