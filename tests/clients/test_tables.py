"""A bounded range as a table: right types whatever came, and the same from all three libraries."""

from __future__ import annotations

from collections import Counter
from typing import Any

import msgspec
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ashare_client import ArgumentError, Batch, FeedEvents, PriceChanges, RangeError, RecordError, Snapshots, Ticks
from ashare_client import Tick as ClientTick
from ashare_client.columns import Columns
from schemas import Level
from schemas.records import FeedEvent, Record
from tests.clients.topics import Written, book, change, snapshot, tick

KAFKA = ["kafka_partition", "kafka_offset", "kafka_timestamp"]


def bounded(kind: Any, topic: Written, **arguments: Any) -> Any:
    return kind(topic.bootstrap, topic=topic.name, start="earliest", end="now", **arguments)


async def test_price_changes_have_the_types_of_their_fields(topic: Written) -> None:
    """Times are timestamps in UTC, in their own unit; nulls are nulls."""
    await topic.put([change("600519", 0), change("600519", 1, 10.05, previous=10.0)])
    table = await bounded(PriceChanges, topic).to_polars()
    assert table.schema["time"] == pl.Datetime("ms", "UTC")
    assert table.schema["received"] == pl.Datetime("us", "UTC")
    assert table.schema["volume"] == pl.Float64
    assert table["previous"].to_list() == [None, 10.0]
    assert table["change"].to_list() == [None, 0.05]
    assert table["origin_offset"].to_list() == table["kafka_offset"].to_list() == [0, 1]
    assert table["time"].dt.epoch("ms").to_list() == [1_795_138_200_123, 1_795_138_200_124]
    frame = await bounded(PriceChanges, topic).to_pandas()
    arrow = await bounded(PriceChanges, topic).to_arrow()
    assert list(frame.columns) == arrow.column_names == table.columns
    assert frame["received"].dtype == "datetime64[us, UTC]"
    assert frame["ticks"].dtype == "int64"
    assert frame["time"].tolist() == arrow["time"].to_pylist() == table["time"].to_list()
    assert arrow.schema.field("received").type == pa.timestamp("us", "UTC")


@pytest.mark.parametrize("kind", [PriceChanges, Ticks, FeedEvents])
async def test_an_empty_range_has_the_same_columns_and_types(topic: Written, kind: Any) -> None:
    """A table of a quiet hour can be put beside one of a loud one."""
    records: dict[Any, list[Record]] = {
        PriceChanges: [change("600519", 0, 10.0, previous=9.9)],
        Ticks: [tick("600519", 0)],
        FeedEvents: [FeedEvent("gap", "client-test", 7, 0, 9_000, "why", 1_000, 2_000, "all")],
    }
    empty = [await getattr(bounded(kind, topic), name)() for name in ("to_polars", "to_pandas", "to_arrow")]
    await topic.put(records[kind])
    full = [await getattr(bounded(kind, topic), name)() for name in ("to_polars", "to_pandas", "to_arrow")]
    assert [len(table) for table in empty] == [0, 0, 0]
    assert [len(table) for table in full] == [1, 1, 1]
    assert empty[0].schema == full[0].schema
    assert empty[1].dtypes.to_dict() == full[1].dtypes.to_dict()
    assert empty[2].schema == full[2].schema
    assert full[0].columns[-3:] == KAFKA


async def test_rows_of_several_partitions_are_in_time_order(topic: Written) -> None:
    """Whatever the order in which they were fetched, and the same in all three libraries."""
    codes = ["600519", "000001", "688981", "300750", "920000"]
    await topic.put([tick(code, 5 * n + place) for n in range(50) for place, code in enumerate(codes)])
    table = await bounded(Ticks, topic, batch_size=7).to_polars()
    assert table["kafka_partition"].n_unique() > 1
    assert table["n"].to_list() == list(range(250))
    assert table["received"].is_sorted()
    assert table["run"].dtype == pl.Int64
    frame = await bounded(Ticks, topic, batch_size=7).to_pandas()
    arrow = await bounded(Ticks, topic, batch_size=7).to_arrow()
    assert frame["n"].tolist() == arrow["n"].to_pylist() == list(range(250))


async def test_a_book_is_two_lists_or_columns_of_numbers(topic: Written) -> None:
    """The same from all three libraries, with ticks that have none between; no level is empty, not 0."""
    await topic.put([tick("600519", 0), book("600519", 1), book("600519", 2, bids=None, day_volume=300)])
    table = await bounded(Ticks, topic).to_polars()
    best = pl.col("bids").list.first().struct.field("price").alias("bid")
    assert table.select(best, "day_high", "day_volume").rows() == [
        (None, None, None),
        (10.0, 10.5, None),
        (None, 10.5, 300.0),
    ]
    assert table["asks"].to_list() == [None, [], []]
    assert table.schema["bids"] == pl.List(pl.Struct({"price": pl.Float64, "volume": pl.Float64}))
    arrow = await bounded(Ticks, topic).to_arrow()
    frame = await bounded(Ticks, topic).to_pandas()
    assert arrow["bids"].to_pylist() == frame["bids"].tolist() == table["bids"].to_list()

    flat = await bounded(Ticks, topic).to_pandas(levels=2)
    names = [f"{side}{n}{what}" for side in ("bid", "ask") for n in (1, 2) for what in ("", "_volume")]
    at = list(flat.columns).index("bid1")
    assert list(flat.columns[at : at + 8]) == names
    assert {str(flat[name].dtype) for name in names} == {"float64"}
    assert flat.loc[1, names[:4]].tolist() == [10.0, 101.0, 9.99, 200.0]
    assert flat[names].notna().sum().sum() == 4
    for other in (await bounded(Ticks, topic).to_polars(levels=2), await bounded(Ticks, topic).to_arrow(levels=2)):
        assert list(other.to_pydict() if isinstance(other, pa.Table) else other.columns) == list(flat.columns)
        assert other["bid2"].to_pylist() == [None, 9.99, None] if isinstance(other, pa.Table) else True
    assert "bid3" not in flat.columns


async def test_levels_that_there_are_not(topic: Written) -> None:
    """More than a book has, or of records without one."""
    with pytest.raises(ArgumentError, match="1 to 10 levels"):
        await bounded(Ticks, topic).to_polars(levels=11)
    with pytest.raises(ArgumentError, match="no book, ticks have"):
        await bounded(PriceChanges, topic).to_pandas(levels=5)


async def test_a_tick_with_a_wrong_book_is_malformed(topic: Written) -> None:
    """It is raised or skipped as any other, and the ticks around it are read."""
    await topic.put(
        [book("600519", 0), tick("600519", 1), book("600519", 2, bids=[Level(10.0, -5)]), book("600519", 3)]
    )
    reader = bounded(Ticks, topic, malformed="skip")
    assert [one.n async for one in reader] == [0, 1, 3]
    assert reader.stats.malformed == 1
    with pytest.raises(RecordError, match="bids"):
        _ = [one async for one in bounded(Ticks, topic)]


ROWS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 6), st.integers(0, 2)), max_size=40)


@given(ROWS, st.integers(1, 7))
def test_rows_are_in_time_order_and_a_partitions_in_the_order_of_its_offsets(
    drawn: list[tuple[int, int, int]], size: int
) -> None:
    """However batches cut them; a row whose time fell counts as received when the one before it was."""
    offsets: Counter[int] = Counter()
    columns, expected, latest = Columns(ClientTick), [], dict.fromkeys(range(4), 0)
    for start in range(0, len(drawn), size):
        batch: Batch[ClientTick] = Batch()
        for partition, ms, us in drawn[start : start + size]:
            offset, at = offsets[partition], ms * 1000 + us
            offsets[partition] += 1
            latest[partition] = max(latest[partition], at)
            made = tick("600519", offset)
            record = msgspec.convert({**msgspec.to_builtins(made), "received": at}, ClientTick)
            batch.add(record, partition, offset, ms)
            expected.append((latest[partition], partition, offset))
        columns.add(batch)
    values = columns.values()
    found = list(zip(values["kafka_partition"], values["kafka_offset"], strict=True))
    assert found == [(partition, offset) for _, partition, offset in sorted(expected)]
    assert {len(column) for column in values.values()} == {len(drawn)}


async def test_a_snapshot_table_has_one_row_a_code(states: Written) -> None:
    """The latest; its marks are a list."""
    await states.put([snapshot("600519", n, 10.0 + n) for n in range(3)] + [snapshot("000001", 0, 5.0)])
    reader = Snapshots(states.bootstrap, topic=states.name, end="now")
    table = await reader.to_polars()
    assert dict(zip(table["code"], table["price"], strict=True)) == {"600519": 12.0, "000001": 5.0}
    assert table["lines"].to_list()[0][0].keys() == {"source", "run", "n", "received"}
    frame = await Snapshots(states.bootstrap, topic=states.name, end="now").to_pandas()
    assert pd.api.types.is_float_dtype(frame["previous_close"])


async def test_a_table_has_an_end_and_a_bound(topic: Written) -> None:
    """Else it would gather for ever."""
    await topic.put([tick("600519", n) for n in range(5)])
    with pytest.raises(ArgumentError, match="end='now'"):
        await Ticks(topic.bootstrap, topic=topic.name).to_polars()
    with pytest.raises(RangeError, match="max_rows"):
        await bounded(Ticks, topic).to_polars(max_rows=3)
