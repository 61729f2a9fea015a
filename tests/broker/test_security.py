"""The settings of a login to Kafka: each that can be wrong is refused in one line that names it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from broker import security
from schemas import UsageError
from schemas.secrets import forget, masked

SASL = {"ASHARE_KAFKA_SECURITY": "sasl-tls", "ASHARE_KAFKA_USER": "alice", "ASHARE_KAFKA_PASSWORD": "wonderland"}
REFUSED = [
    ({"SECURITY": "ssl"}, "ASHARE_KAFKA_SECURITY.*plaintext, tls"),
    ({"USER": "alice"}, "ASHARE_KAFKA_USER is set and ASHARE_KAFKA_SECURITY is plaintext.*sasl-tls"),
    ({"PASSWORD": "secret"}, "ASHARE_KAFKA_PASSWORD is set and"),
    ({"CA": "ca.pem", "SECURITY": "sasl-plaintext", "USER": "a", "PASSWORD": "secret"}, "without TLS"),
    ({"SECURITY": "tls", "CA": "missing.pem"}, "ASHARE_KAFKA_CA: there is no file missing.pem"),
    ({"SECURITY": "tls", "KEY": "ca.pem"}, "ASHARE_KAFKA_KEY is set without ASHARE_KAFKA_CERTIFICATE"),
    ({"SECURITY": "sasl-tls"}, "set ASHARE_KAFKA_USER too"),
    ({"SECURITY": "sasl-tls", "USER": "alice"}, "set ASHARE_KAFKA_PASSWORD_FILE"),
    ({"SECURITY": "sasl-tls", "USER": "a", "PASSWORD": "secret", "MECHANISM": "GSSAPI"}, "SCRAM-SHA-512, SCRAM"),
    ({"SECURITY": "sasl-tls", "MECHANISM": "OAUTHBEARER"}, "set ASHARE_KAFKA_TOKEN_FILE"),
    (
        {"SECURITY": "sasl-tls", "USER": "a", "PASSWORD": "secret", "TOKEN_FILE": "ca.pem"},
        "ASHARE_KAFKA_MECHANISM is SCRAM-SHA-512: set that to OAUTHBEARER",
    ),
    ({"SECURITY": "sasl-tls", "USER": "a", "PASSWORD_FILE": "missing"}, "ASHARE_KAFKA_PASSWORD_FILE"),
    ({"SECURITY": "sasl-tls", "USER": "a", "PASSWORD": "secret", "PASSWORD_FILE": "ca.pem"}, "are both set: keep one"),
    ({"SECURITY": "tls", "CHECK_HOST": "maybe"}, "ASHARE_KAFKA_CHECK_HOST is 'maybe': set it to true or false"),
]


@pytest.mark.parametrize(("given", "said"), REFUSED, ids=lambda value: str(value)[:60])
def test_a_setting_that_is_wrong_is_named(given: dict[str, str], said: str) -> None:
    """Before anything is dialled."""
    Path("ca.pem").write_text("nothing")
    with pytest.raises(UsageError, match=said):
        security.current({f"ASHARE_KAFKA_{name}": value for name, value in given.items()})


@pytest.mark.parametrize("name", ["ca", "certificate"])
def test_a_file_that_is_no_certificate_is_named(name: str) -> None:
    """Of whatever it holds."""
    Path("nothing.pem").write_text("nothing")
    given = {"ASHARE_KAFKA_SECURITY": "tls", f"ASHARE_KAFKA_{name.upper()}": "nothing.pem"}
    with pytest.raises(UsageError, match=f"ASHARE_KAFKA_{name.upper()}.*nothing.pem.*PEM"):
        security.options(given)


def test_a_login_is_what_aiokafka_takes() -> None:
    """Of each kind; nothing but the protocol where nothing is asked for."""
    assert security.options({}) == {"security_protocol": "PLAINTEXT"}
    made = security.options(SASL)
    assert made.pop("ssl_context").check_hostname
    assert made == {
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": "alice",
        "sasl_plain_password": "wonderland",
    }
    assert not security.options(SASL | {"ASHARE_KAFKA_CHECK_HOST": "false"})["ssl_context"].check_hostname


def test_a_token_is_read_anew_for_each_connection() -> None:
    """Whoever renews it writes the file."""
    Path("token").write_text("first-token\n")
    given = {"ASHARE_KAFKA_SECURITY": "sasl-plaintext", "ASHARE_KAFKA_MECHANISM": "oauthbearer"}
    provider = security.options(given | {"ASHARE_KAFKA_TOKEN_FILE": "token"})["sasl_oauth_token_provider"]
    assert asyncio.run(provider.token()) == "first-token"
    Path("token").write_text("second-token\n")
    assert asyncio.run(provider.token()) == "second-token"
    assert masked("second-token") == "***"


def test_a_password_is_never_shown() -> None:
    """Neither as the settings print themselves, nor in what is said of anything else."""
    forget()
    found = security.current(SASL | {"ASHARE_KAFKA_PASSWORD": "through the looking-glass"})
    assert "looking" not in repr(found)
    assert masked("it was: through the looking-glass") == "it was: ***"
