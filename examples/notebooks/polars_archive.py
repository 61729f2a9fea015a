#!/usr/bin/env python3
"""The archive with Polars, cell by cell (# %%): polars_archive.py [ARCHIVE].

`ashare archive` keeps closed days as Parquet, `ticks/date=…/bucket=…/`, and any reader takes it as it is. Prices and
turnover are in yuan, volume in shares, `time` in ms and `received` in µs since the epoch. A code lies in one Kafka
partition in order, which is `kafka_offset`'s. What the topic has once more, as after a crash of the producer, is marked
`kafka_repeated`; what could not be read has no `code`.
"""

# %%
import sys

import polars as pl

archive = sys.argv[1] if len(sys.argv) > 1 else "data/archive"
parts = pl.scan_parquet(f"{archive}/ticks/**/*.parquet", hive_partitioning=True)
ticks = parts.filter(pl.col("code").is_not_null(), ~pl.col("kafka_repeated"))

# %% What there is: nothing is read here but the columns that are named
days = (
    ticks.group_by("date").agg(pl.len().alias("ticks"), pl.col("code").n_unique().alias("codes")).sort("date").collect()
)
print(days)

# %% How late ticks came, of each line: from exchange time to our socket, in ms
# The demo's market has a clock of its own: of its ticks this says how far the two clocks are apart.
delay = (pl.col("received") - pl.col("time") * 1000) / 1000
lateness = (
    ticks.group_by("source")
    .agg(delay.quantile(0.5, "nearest").alias("p50"), delay.quantile(0.99, "nearest").alias("p99"))
    .sort("source")
    .collect()
)
print(lateness)

# %% Bars of five minutes of every code of the last day, Shanghai time
shanghai = pl.from_epoch("time", time_unit="ms").dt.replace_time_zone("UTC").dt.convert_time_zone("Asia/Shanghai")
first_to_last = pl.col("price").sort_by("kafka_offset")
bars = (
    ticks.filter(pl.col("date") == days["date"][-1])
    .group_by("code", shanghai.dt.truncate("5m").alias("time"))
    .agg(
        first_to_last.first().alias("open"),
        pl.col("price").max().alias("high"),
        pl.col("price").min().alias("low"),
        first_to_last.last().alias("close"),
        (pl.col("turnover").sum() / pl.col("volume").sum()).alias("average"),
    )
    .sort("code", "time")
    .collect()
)
print(bars)
