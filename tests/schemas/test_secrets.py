"""Secrets that a process was given stay out of what it shows and passes on."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from urllib.parse import quote, quote_plus

import pytest

from schemas import secrets
from schemas.addresses import path_secrets, shown_address
from schemas.outside import printable, printable_json, printable_lines

SECRET = 'S3cr3t/+ "token"'


@pytest.fixture(autouse=True)
def _known() -> Iterator[None]:
    secrets.forget()
    secrets.keep(SECRET, "user:pa55word", "abc")
    yield
    secrets.forget()


@pytest.mark.parametrize(
    "written",
    [
        SECRET,
        quote(SECRET, safe=""),
        quote_plus(SECRET),
        json.dumps(SECRET),
        base64.b64encode(b"user:pa55word").decode(),
    ],
)
def test_a_secret_is_masked_in_every_form(written: str) -> None:
    """In text, in bytes, and in all that is made printable."""
    text = f"the server says: {written}!"
    for shown in (secrets.masked(text), printable(text), printable_lines(text), printable_json(text)):
        assert written.strip('"') not in shown
        assert "***" in shown
    assert written.strip('"').encode() not in secrets.masked_bytes(text.encode())


def test_what_is_too_short_to_tell_anything_is_not_looked_for() -> None:
    """Three characters turn up in any text."""
    assert secrets.masked("abc") == "abc"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("wss://feed.example/stock", "wss://feed.example/stock"),
        ("wss://feed.example/v2/ws/abcdef123456", "wss://feed.example/v2/ws/***"),
        ("wss://feed.example/Key/stream?k=v", "wss://feed.example/***/stream?k=***"),
        ("wss://u:p@feed.example:1/?token=t", "wss://***@feed.example:1/?token=***"),
        ("wss://feed.example/?token", "wss://feed.example/?***"),  # it may be the key itself
        ("wss://[::1]:7/ws", "wss://[::1]:7/ws"),
        ("wss://host:port/secret", "wss://***"),
    ],
)
def test_an_address_shows_where_it_leads_and_no_more(url: str, shown: str) -> None:
    """A part of the path that names no service may be a key."""
    assert shown_address(url) == shown


def test_a_key_in_the_path_is_a_secret_in_both_spellings() -> None:
    """As written in the address, and as meant."""
    assert path_secrets("/ws/a%2Fb/v1/stock") == ["a%2Fb", "a/b"]
