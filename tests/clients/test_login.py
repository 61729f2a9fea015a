"""The client library logs in as the environment says, unless its options say otherwise."""

from __future__ import annotations

from pathlib import Path

import pytest

from ashare_client import ArgumentError, PriceChanges, login
from broker import security
from deploy.embedded import KafkaBroker
from tests.broker.test_acls import _as, _prepare

pytestmark = pytest.mark.timeout(240)


async def test_a_team_reads_with_a_password_over_tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the environment says; and with options that say the same, whatever the environment says."""
    with KafkaBroker(tmp_path / "kafka", secure=True, users=("quant", "worker")) as broker:
        _as(broker, "admin", monkeypatch)
        await _prepare(broker.bootstrap)
        _as(broker, "quant", monkeypatch)
        async with PriceChanges(broker.bootstrap, group="quant-signals", start="earliest"):
            pass
        async with PriceChanges(broker.bootstrap, start="earliest", end="now") as changes:
            assert [change async for change in changes] == []
        given = login()
        monkeypatch.setenv(security.USER, "nobody")
        async with PriceChanges(broker.bootstrap, start="earliest", end="now", options=given) as changes:
            assert [change async for change in changes] == []


def test_both_read_the_same_variables() -> None:
    """The library imports nothing of the pipeline's, and its settings are the same."""
    Path("password").write_text("wonderland\n")
    given = {security.SECURITY: "sasl-plaintext", security.USER: "a", f"{security.PASSWORD}_FILE": "password"}
    assert login(given) == security.options(given)
    given |= {security.MECHANISM: "SCRAM-SHA-256"}
    assert login(given) == security.options(given)
    assert login({}) == {}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"SECURITY": "ssl"}, "ASHARE_KAFKA_SECURITY is 'ssl': set it to one of plaintext, tls"),
        ({"SECURITY": "sasl-tls"}, "set ASHARE_KAFKA_USER too"),
        ({"SECURITY": "sasl-tls", "USER": "a"}, "set ASHARE_KAFKA_PASSWORD too"),
        ({"SECURITY": "sasl-tls", "USER": "a", "PASSWORD_FILE": "none"}, "ASHARE_KAFKA_PASSWORD_FILE names a file"),
        ({"SECURITY": "tls", "CA": "none"}, "ASHARE_KAFKA_CA"),
    ],
)
def test_what_is_wrong_is_named(given: dict[str, str], said: str) -> None:
    """By its variable."""
    with pytest.raises(ArgumentError, match=said):
        login({f"ASHARE_KAFKA_{name}": value for name, value in given.items()})
