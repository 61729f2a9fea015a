"""The fuzz, briefly: every seed that has found something belongs here."""

from __future__ import annotations

import json
import random
import time

import pytest

from schemas.topics import topics
from selfcheck.usable import read
from tests.fuzz.frames import try_decoders
from tests.fuzz.records import STRANGERS, anything, joined, table, templates
from tests.fuzz.run import fuzz
from tests.fuzz.running import FOLLOWED


def test_the_same_seed_gives_the_same_records() -> None:
    """But for the time: what was found is found again."""
    first, again, other = (table(random.Random(seed), 1_795_138_200_000_000) for seed in (7, 7, 8))
    assert first == again != other
    draws = [anything(random.Random(7), 1_795_138_200_000_000) for _ in range(2)]
    assert [next(draws[0]) for _ in range(50)] == [next(draws[1]) for _ in range(50)]


def test_every_topic_gets_records_that_are_nearly_right() -> None:
    """Each field of each kind, and none of a code that is followed."""
    given = table(random.Random(1), time.time_ns() // 1000)
    assert {one.topic for one in given} == set(topics())
    for one in given:
        assert not any(code.encode() in (one.key or b"") for code in FOLLOWED)
    fields = templates("tick", time.time_ns() // 1000)[0]
    assert read(joined(fields)) is not None
    assert json.loads(fields["code"]) in STRANGERS


def test_no_decoder_raises_lingers_or_floods() -> None:
    """Whatever it is given, and the good frame behind it is read as ever."""
    assert [fault.what for fault in try_decoders(3, 4.0)] == []


@pytest.mark.timeout(400)
def test_a_running_stack_survives_what_it_is_given() -> None:
    """Frames, records into every topic, requests into every HTTP; the worker is killed in the middle."""
    assert fuzz(11, 14.0, ["stack"]) == []
