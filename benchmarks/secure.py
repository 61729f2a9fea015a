"""What logins over TLS cost: the whole pipeline with and without them, in turns, at the same rates.

``python -m benchmarks.secure``: for each rate a run of ``ashare verify`` and one of ``ashare verify --secure`` (SCRAM
over TLS, the authorizer on, a user for each part), one after the other, as often as asked. Both compare everything that
came out. Nothing else should run meanwhile.
"""

from __future__ import annotations

import asyncio
from argparse import Namespace

from benchmarks.pipeline import step
from benchmarks.results import Result, begin, finish, options

RATES = (400, 5_000, 30_000)
_WIDE, _PER_FRAME = 10_000, 50
"""Above this rate frames carry so many ticks."""


async def compare(given: Namespace, result: Result) -> None:
    """Every rate, plain and secured in turns: what else the machine does meets both."""
    for rate in given.rates:
        per_frame = 1 if rate <= _WIDE else _PER_FRAME
        for _ in range(given.repeats):
            for name, more in (("plain", []), ("secured", ["--secure"])):
                row = f"{rate:,} ticks/s, {name}"
                try:
                    result.add(row, await step(rate, per_frame, Namespace(**vars(given) | {"codes": 0, "more": more})))
                except RuntimeError as error:
                    result.add(row, {"ok": False, "error": str(error)[:300]})


def main() -> None:
    """Measure, and print."""
    parser = options(__doc__, repeats=3, seconds=20.0)
    parser.add_argument("--rates", nargs="+", type=int, default=list(RATES), help="ticks a second")
    given = parser.parse_args()
    result = begin(given, "secure")
    asyncio.run(compare(given, result))
    finish(result, given)


if __name__ == "__main__":
    main()
