"""What HTTP tells of an instrument beside its snapshot: fields of the answer that the snapshot topic does not have."""

from __future__ import annotations

import msgspec

from instruments.known import Known
from schemas import Snapshot

_json = msgspec.json.Encoder().encode


def facts_of(known: Known, record: Snapshot) -> bytes:
    """``name``, and ``limit_up`` and ``limit_down`` of the snapshot's session, as JSON fields, where they are known."""
    facts = known.get(record.code)
    if facts is None:
        return b""
    told = b"" if facts.name is None else b',"name":' + _json(facts.name)
    if facts.day == record.session and facts.limit_up is not None and facts.limit_down is not None:
        told += b',"limit_up":' + _json(facts.limit_up) + b',"limit_down":' + _json(facts.limit_down)
    return told
