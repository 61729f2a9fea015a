#!/usr/bin/env python3
"""The archive with DuckDB, cell by cell (# %%): duckdb_archive.py [ARCHIVE].

`ashare archive` keeps closed days as Parquet, `ticks/date=…/bucket=…/`, and any reader takes it as it is. Prices and
turnover are in yuan, volume in shares, `time` in ms and `received` in µs since the epoch. A code lies in one Kafka
partition in order, which is `kafka_offset`'s. What the topic has once more, as after a crash of the producer, is marked
`kafka_repeated`; what could not be read has no `code`.
"""

# %%
import sys

import duckdb

archive = sys.argv[1] if len(sys.argv) > 1 else "data/archive"
parts = duckdb.read_parquet(f"{archive}/ticks/*/*/*.parquet", hive_partitioning=True)
ticks = parts.filter("code IS NOT NULL AND NOT kafka_repeated")

# %% What there is
days = duckdb.sql("""
    SELECT date, count(*) AS ticks, count(DISTINCT code) AS codes, sum(turnover) AS turnover
    FROM ticks
    GROUP BY date
    ORDER BY date
""")
days.show()

# %% A day's bars of a minute, Shanghai time. Only the files and row groups of that day and code are read.
day, code = days.order("date DESC").fetchall()[0][0], "600519"
bars = duckdb.sql(
    """
    SELECT
        time_bucket(INTERVAL 1 MINUTE, make_timestamp_ms(time) + INTERVAL 8 HOURS) AS minute,
        arg_min(price, kafka_offset) AS open, max(price) AS high, min(price) AS low,
        arg_max(price, kafka_offset) AS close, sum(volume) AS volume
    FROM ticks
    WHERE date = $day AND code = $code
    GROUP BY minute
    ORDER BY minute
    """,
    params={"day": day, "code": code},
)
bars.show()

# %% The day's largest moves, in basis points of the previous close, where the feed carries it
moves = duckdb.sql(
    """
    SELECT code, arg_max(price, kafka_offset) AS last, any_value(previous_close) AS previous_close,
        round((last / any_value(previous_close) - 1) * 10000, 2) AS change_bp
    FROM ticks
    WHERE date = $day AND previous_close IS NOT NULL
    GROUP BY code
    ORDER BY abs(change_bp) DESC, code
    LIMIT 20
    """,
    params={"day": day},
)
moves.show()
