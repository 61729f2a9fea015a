"""What is served after a pause, against what was committed before it was asked for."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from selfcheck.findings import Findings
from selfcheck.served import ServedCheck, ask, one_of_each_partition

Json = dict[str, Any]


def row(code: str, offset: int, partition: int = 3) -> Json:
    return {"code": code, "origin": {"partition": partition, "offset": offset}}


def found(*answers: tuple[int, Json], ticks: list[tuple[int, str]]) -> list[Json]:
    """What is wrong with rows that were served when partition 3 was committed up to so far."""
    findings = Findings()
    check = ServedCheck(findings)
    for committed, snapshot in answers:
        check.add({3: committed}, [snapshot])
    for offset, code in ticks:
        check.tick(3, offset, code)
    return findings.examples.get("served_old", [])


def test_a_row_with_every_committed_tick_of_its_code_is_not_old() -> None:
    """Later ticks of other codes were committed; its own later one was not."""
    ticks = [(4, "600519"), (5, "000001"), (8, "000001"), (9, "600519")]
    assert not found((9, row("600519", 4)), (9, row("000001", 8)), ticks=ticks)


def test_a_row_that_lacks_a_committed_tick_is_found_once() -> None:
    """However often it was served, and with whatever was committed at first."""
    answers = [(8, row("600519", 4)), (10, row("600519", 4)), (9, row("600519", 4))]
    assert found(*answers, ticks=[(4, "600519"), (9, "600519"), (9, "000001")]) == [
        {"code": "600519", "partition": 3, "served": 4, "tick": 9}
    ]


def test_a_row_of_a_partition_that_nobody_committed_is_not_judged() -> None:
    findings = Findings()
    check = ServedCheck(findings)
    check.add({3: 9}, [row("600519", 4, partition=5)])
    check.tick(5, 7, "600519")
    assert findings.clean


@pytest.fixture
def worker() -> Iterator[str]:
    """Serves two codes, of which one is of each of two partitions."""
    rows = {"600519": row("600519", 4), "000001": row("000001", 7, partition=5)}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            code = self.path.removeprefix("/snapshots").strip("/")
            body = json.dumps(rows[code] if code else {"snapshots": list(rows.values())}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            """Nothing is written."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


async def test_a_worker_is_asked_one_by_one_and_for_all_before_it_goes_on(
    worker: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was committed before the question counts, and it is old where a tick came between."""
    monkeypatch.setattr("selfcheck.served.POLL_SECONDS", 0.3)
    codes = one_of_each_partition(worker)
    assert codes == ["000001", "600519"]
    findings, went_on = Findings(), []
    check = ServedCheck(findings)
    await ask(worker, codes, lambda: {3: 6, 5: 8}, check, lambda: went_on.append(True))
    assert went_on == [True]
    assert check.answers >= 3
    check.tick(3, 5, "600519")
    check.tick(5, 7, "000001")
    assert [one["code"] for one in findings.examples["served_old"]] == ["600519"]
