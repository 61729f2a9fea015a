"""Ways in which providers misbehave, by name. ``chosen`` reads what ``--misbehave`` was given."""

from __future__ import annotations

from collections.abc import Sequence

from schemas import UsageError
from simulator.feeds.provider import Provider
from simulator.misbehaviour.frames import FRAMES
from simulator.misbehaviour.kind import Kind
from simulator.misbehaviour.lines import LINES, STANDING
from simulator.misbehaviour.trading import TRADING

ALL = "all"
KINDS: dict[str, Kind] = {kind.name: kind() for kind in (*LINES, *STANDING, *FRAMES, *TRADING)}


def chosen(names: Sequence[str], provider: Provider) -> list[Kind]:
    """The kinds of these names, ``all`` standing for those that a right client of the provider survives.

    Raises:
        UsageError: no such kind, or the provider can't misbehave in this way.
    """
    found: dict[str, Kind] = {}
    for name in names:
        if name == ALL:
            found |= {kind.name: kind for kind in KINDS.values() if kind.survivable and kind.suits(provider)}
        elif name not in KINDS:
            raise UsageError(f"--misbehave {name} is none of: {', '.join([ALL, *KINDS])}")
        elif not KINDS[name].suits(provider):
            raise UsageError(f"--misbehave {name}: {provider.name} has no such thing to misbehave with")
        else:
            found[name] = KINDS[name]
    return list(found.values())
