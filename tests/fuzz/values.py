"""Values that break what reads them: as bytes of JSON, since no library would write most of them."""

from __future__ import annotations

from tests.foreign import NO_TEXT, Key

YEAR_10000_MS = 253_402_300_800_000
MIB = 1 << 20

INTEGERS = [
    b"0", b"-1", b"1", b"9007199254740991", b"9007199254740993", b"9223372036854775807", b"9223372036854775808",
    b"-9223372036854775808", b"-9223372036854775809", b"18446744073709551616", b"%d" % YEAR_10000_MS,
    b"631151999999", b"4102444800000", b"4102444800000000", b"1795138200123456", b"1795138200123456789",
    b"1" + b"0" * 400, b"9" * 5_000,
]  # fmt: skip
"""Among them times in µs and ns where ms are due, before 1990, after 2099 and of the year 10000."""
FRACTIONS = [
    b"0.0", b"-0.0", b"-0.01", b"0.1", b"5e-324", b"1e-306", b"1e15", b"1e306", b"-1e306", b"1.7976931348623157e308",
    b"1e309", b"1e400", b"1e999999999", b"NaN", b"Infinity", b"-Infinity", b"1." + b"3" * 5_000,
]  # fmt: skip
TEXTS = [
    b'""', b'" "', b'"0"', b'"null"', b'"1e306"', b'"NaN"', b'"9999-12-31"', b'"10000-01-01"', b'"2026-02-30"',
    b'"\\u0000"', b'"\\ud800"', b'"\\udfff\\ud800"', b'"\xff\xfe"', b'"\xed\xa0\x80"', b'"line\\nbreak\\r"',
    b'"\\u001b[2J\\u001b]0;owned\\u0007"', b'"\x1b[31m"', b'"\\u202egnp.exe"', b'"../../etc/passwd"', b'"a/b%2f?c#d"',
    b'"' + b"A" * 300 + b'"',
    b'"' + b"9" * 5_000 + b'"', b'"' + b"/" * 3_000 + b'1"', b'"' + b"9" * 5_000 + b'bp"', b'"1e999999999ticks"',
    '"六〇〇五一九"'.encode(), '"٣٤٥"'.encode(), '"²"'.encode(),
]  # fmt: skip
OTHERS = [b"null", b"true", b"false", b"[]", b"{}", b"[null]", b'[{"source":1}]', b'{"a":{"b":[]}}']
DEEP = [b"[" * 1_200 + b"]" * 1_200, b'{"a":' * 1_200 + b"1" + b"}" * 1_200]
ABYSS = [b"[" * 100_000 + b"]" * 100_000, b"[" * 100_000]
HUGE = [b'"' + b"A" * (MIB - 20_000) + b'"', b"[" + b"1," * (MIB // 4) + b"1]"]

TOKENS = [*INTEGERS, *FRACTIONS, *TEXTS, *OTHERS, *DEEP, *ABYSS]
"""What any field may be given."""

WHOLES: list[bytes] = [
    b"", b" ", b"null", b"0", b'"x"', b"[]", b"{}", b"{", b"}", b"[1,2", b"\x00", b"\xff\xfe\x00", b"\xef\xbb\xbf{}",
    b"{}{}", b"{}\n" * 1_000, b'{"a":1' + b"," * 5_000, b"\x1f\x8b\x08", b"PK\x03\x04", b"\x1b[2J", b"NaN",
    *DEEP, *ABYSS, *HUGE,
]  # fmt: skip
"""Values of records and frames that are none."""

KEYS: list[bytes | None] = [
    None, b"", b"\x00", b"\xff\xfe", b"\xed\xa0\x80", b"\x1b[2Jowned", b"A" * 10_000, b"688001", b"../x", b"default",
    b"board:STAR", b"board:MOON", b"code:", b"code:\xff", b"x" * 300,
]  # fmt: skip
HEADERS: list[list[tuple[str, bytes | None]]] = [
    [],
    [("ce_id", b"")],
    [("ce_id", b"\xff\xfe"), ("ce_time", b"yesterday")],
    [("ce_id", b"x" * 10_000)],
    [("reason", b"\x1b[2Jowned\n\n"), ("part", b"nose"), ("source", b"\x00")],
    [("reason", b"x"), ("part", b"tick"), ("source", b"y"), ("run", b"9" * 5_000), ("received", b"NaN")],
    [("run", b"9223372036854775808"), ("received", b"-1")],
    [("a", b"b")] * 500,
    [("content-type", None)],
    [(Key(name), None) for name in NO_TEXT],
]  # fmt: skip
