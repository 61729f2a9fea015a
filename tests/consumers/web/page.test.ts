// Unit tests of the page's own core, run by test_page_units.py with Node's test runner.
import assert from "node:assert/strict";
import { test } from "node:test";
import { choose, type Filter, readWatchlist } from "../../../consumers/web/src/choice.ts";
import * as format from "../../../consumers/web/src/format.ts";
import { change, Market } from "../../../consumers/web/src/market.ts";
import type { Message, Row } from "../../../consumers/web/src/protocol.ts";
import { candles, gaps, gapTimes, line, ofTicks } from "../../../consumers/web/src/series.ts";
import { load, save } from "../../../consumers/web/src/settings.ts";
import { type Socket, Stream } from "../../../consumers/web/src/stream.ts";
import { texts } from "../../../consumers/web/src/texts.ts";

function row(code: string, part: Partial<Row> = {}): Row {
  return {
    code, exchange: "SSE", board: "MAIN", name: null, price: 10, time: 0, received: 0, session: "2026-12-01", open: 10, high: 11,
    low: 9, ticks: 1, volume: 100, turnover: 1000, previous_close: 10, limit_up: 11, limit_down: 9, limit: null, ...part,
  };
}

const ALL: Filter = { text: "", board: "", limit: "", only: null };

test("a delta marks its codes dirty once, and what is taken is no longer dirty", () => {
  const market = new Market();
  market.replace([row("600000"), row("600519")]);
  assert.equal(market.take().all, true);
  assert.equal(market.waiting, false);
  market.merge([row("600000", { price: 10.5 })]);
  market.merge([row("600000", { price: 10.4 })]);
  const dirty = market.take();
  assert.deepEqual([[...dirty.codes], dirty.all], [["600000"], false]);
  assert.equal(market.rows.get("600000")?.price, 10.4);
  assert.equal(market.moves.get("600000"), -1);
  assert.equal(market.take().codes.size, 0);
});

test("a snapshot takes the place of all rows, also of those that it does not have", () => {
  const market = new Market();
  market.replace([row("600000")]);
  const before = market.generation;
  market.replace([row("600519")]);
  assert.deepEqual([...market.rows.keys()], ["600519"]);
  assert.ok(market.generation > before);
});

test("figures are signed, and what is not known is a dash", () => {
  assert.equal(format.percent(0.01234), "+1.23%");
  assert.equal(format.percent(-0.01), "−1.00%");
  assert.equal(format.percent(-0.00001), "0.00%");
  assert.equal(format.percent(null), "–");
  assert.equal(format.arrow(0.01) + format.arrow(-0.01) + format.arrow(0), "▲▼■");
  assert.equal(format.amount(123_456_789, "zh"), "1.23亿");
  assert.equal(format.amount(123_456_789, "en"), "123.5M");
  assert.equal(format.amount(undefined, "en"), "–");
  assert.equal(format.clock(Date.UTC(2026, 11, 1, 1, 30, 5)), "09:30:05");
  assert.equal(format.milliseconds(12_345), "12.3 s");
  assert.equal(change(row("1", { price: 11 }))?.toFixed(3), "0.100");
  assert.equal(change(row("1", { previous_close: null })), null);
});

test("rows are sorted by any column, unknown ones last either way, equal ones by code", () => {
  const rows = [row("3", { price: 5 }), row("1", { price: 7 }), row("2", { price: 7 }), row("4", { previous_close: null })];
  assert.deepEqual(choose(rows, ALL, "price", true), ["4", "1", "2", "3"]);
  assert.deepEqual(choose(rows, ALL, "percent", false), ["3", "1", "2", "4"]);
  assert.deepEqual(choose(rows, ALL, "percent", true).at(-1), "4");
});

test("rows are found by code, name, board, limit and watchlist", () => {
  const rows = [row("600519", { name: "贵州茅台" }), row("688981", { board: "STAR", limit: "up" }), row("300750", { board: "CHINEXT", limit: "down" })];
  const found = (part: Partial<Filter>) => choose(rows, { ...ALL, ...part }, "code", false);
  assert.deepEqual(found({ text: "茅台" }), ["600519"]);
  assert.deepEqual(found({ text: " 3007 " }), ["300750"]);
  assert.deepEqual(found({ board: "STAR" }), ["688981"]);
  assert.deepEqual(found({ limit: "any" }), ["300750", "688981"]);
  assert.deepEqual(found({ limit: "up" }), ["688981"]);
  assert.deepEqual(found({ only: new Set(["600519"]) }), ["600519"]);
});

test("a watchlist is read as it was exported, and as people write one", () => {
  assert.deepEqual(readWatchlist('{"codes":["600519","000001","600519"]}'), ["600519", "000001"]);
  assert.deepEqual(readWatchlist('["600519",7,null]'), ["600519"]);
  assert.deepEqual(readWatchlist("600519, 000001\n300750;x 12"), ["600519", "000001", "300750"]);
  assert.deepEqual(readWatchlist("{broken"), []);
});

test("settings that were damaged are the usual ones", () => {
  const kept = new Map<string, string>();
  const storage = { getItem: (key: string) => kept.get(key) ?? null, setItem: (key: string, value: string) => void kept.set(key, value) } as unknown as Storage;
  assert.equal(load(storage, "zh-CN", true).language, "zh");
  const settings = load(storage, "en", false);
  save(storage, { ...settings, watchlist: ["600519"] });
  assert.deepEqual(load(storage, "en", false).watchlist, ["600519"]);
  kept.set("ashare-page", "{");
  assert.deepEqual(load(storage, "en", false), settings);
});

test("every text is there in both languages", () => {
  assert.equal(texts("zh")("turnover"), "成交额");
  assert.equal(texts("en")("turnover"), "Turnover");
});

const at = (clock: string) => Date.parse(`2026-12-01T${clock}+08:00`);

test("bars of the newest revision are candles, and minutes without one are made of ticks", () => {
  const bar = (start: string, close: number, revision: number, auction: "opening" | null = null) => ({
    code: "600519", exchange: "SSE", session: "2026-12-01", start: at(start), end: at(start) + 60_000, open: close, high: close + 1,
    low: close - 1, close, ticks: 1, revision, origin: { partition: 0, offset: 0 }, auction,
  });
  const known = candles([bar("09:31:00", 10, 0), bar("09:31:00", 12, 1), bar("09:30:00", 8, 0), bar("09:30:00", 9, 0, "opening")]);
  assert.deepEqual(known.map(({ open, high, low, close }) => [open, high, low, close]), [[9, 10, 7, 8], [12, 13, 11, 12]]);
  const all = ofTicks([{ time: at("09:32:59"), price: 14 }, { time: at("09:32:01"), price: 13 }, { time: at("09:31:30"), price: 99 }], known);
  assert.deepEqual(all.at(-1), { time: format.chartSeconds(at("09:32:00")), open: 13, high: 14, low: 13, close: 14 });
  assert.equal(all.length, 3);
});

test("a line has one point a second, in order", () => {
  const points = line([{ time: 2000, price: 2 }, { time: 1100, price: 1 }, { time: 1900, price: 1.5 }]);
  assert.deepEqual(points.map(({ value }) => value), [1.5, 2]);
});

test("gaps that touch are one, one that lasts goes on till now, and others' are none", () => {
  const us = (clock: string) => at(clock) * 1000;
  const event = (start: string, end: string, codes: "all" | string[]) => ({
    event: "gap" as const, source: "s", run: 1, n: 1, at: us(end), start: us(start), end: us(end), codes,
  });
  const found = gaps("600519", { id: "x", start: us("09:40:00"), end: null, count: 1 },
    [event("09:31:00", "09:32:00", "all"), event("09:31:30", "09:33:00", ["600519"]), event("09:35:00", "09:36:00", ["000001"])], at("09:41:00"));
  const seconds = (clock: string) => format.chartSeconds(at(clock));
  assert.deepEqual(found, [
    { start: seconds("09:31:00"), end: seconds("09:33:00") },
    { start: seconds("09:40:00"), end: seconds("09:41:00") },
  ]);
  assert.deepEqual(gapTimes(found, 60).length, 5);
  assert.equal(gapTimes([{ start: 0, end: 1e9 }], 1).length, 1000);
});

class Line implements Socket {
  sent: { type: string; id?: string }[] = [];
  closed = false;
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: unknown }) => void) | null = null;
  onclose: ((event: { code: number }) => void) | null = null;
  send(text: string): void {
    this.sent.push(JSON.parse(text) as { type: string; id?: string });
  }
  close(): void {
    this.closed = true;
  }
  say(message: object): void {
    this.onmessage?.({ data: JSON.stringify(message) });
  }
}

function connected(token: string | null = null) {
  const lines: Line[] = [];
  const messages: Message[] = [];
  const states: string[] = [];
  const timers: { run: () => void; ms: number; gone: boolean }[] = [];
  const stream = new Stream({
    open: () => {
      const one = new Line();
      lines.push(one);
      return one;
    },
    message: (message) => messages.push(message),
    state: (state) => states.push(state),
    token: () => token,
    later: (run, ms) => {
      const timer = { run, ms, gone: false };
      timers.push(timer);
      return timer;
    },
    cancel: (timer) => {
      if (timer) (timer as { gone: boolean }).gone = true;
    },
  });
  const fire = () => timers.splice(0).filter((timer) => !timer.gone).forEach((timer) => timer.run());
  stream.subscribe("main", { codes: "*" });
  stream.connect();
  const first = lines[0] as Line;
  first.onopen?.();
  return { stream, lines, messages, states, timers, fire, first };
}

test("a hole in the sequence asks for a snapshot, and nothing behind it is taken before one comes", () => {
  const { first, messages } = connected();
  first.say({ type: "hello" });
  first.say({ type: "delta", id: "main", seq: 9, rows: [] });
  first.say({ type: "snapshot", id: "main", seq: 4, rows: [] });
  first.say({ type: "delta", id: "main", seq: 5, rows: [] });
  first.say({ type: "delta", id: "main", seq: 7, rows: [] });
  first.say({ type: "delta", id: "main", seq: 8, rows: [] });
  assert.deepEqual(first.sent.map(({ type }) => type), ["subscribe", "subscribe"]);
  assert.deepEqual(messages.map((message) => ("seq" in message ? message.seq : 0)), [0, 4, 5]);
  first.say({ type: "snapshot", id: "main", seq: 8, rows: [] });
  first.say({ type: "delta", id: "main", seq: 9, rows: [] });
  assert.equal(messages.length, 5);
});

test("subscriptions outlive a connection, each later attempt waits longer, and a good one resets that", () => {
  const { lines, stream, first, fire, timers, states } = connected();
  first.say({ type: "hello" });
  stream.subscribe("detail", { codes: ["600519"] });
  first.onclose?.({ code: 1006 });
  assert.equal(timers.at(-1)?.ms, 250);
  fire();
  lines[1]?.onclose?.({ code: 1006 });
  assert.equal(timers.at(-1)?.ms, 500);
  fire();
  lines[2]?.say({ type: "hello" });
  assert.deepEqual(lines[2]?.sent.map(({ id }) => id), ["main", "detail"]);
  lines[2]?.onclose?.({ code: 1006 });
  assert.equal(timers.at(-1)?.ms, 250);
  assert.deepEqual(states.slice(0, 4), ["connecting", "open", "lost", "connecting"]);
});

test("a connection on which nothing comes is given up", () => {
  const { lines, first, fire, states } = connected();
  first.say({ type: "hello" });
  fire();
  assert.equal(first.closed, true);
  assert.equal(states.at(-1), "lost");
  fire();
  assert.equal(lines.length, 2);
});

test("a token goes first, and one that is refused is not tried again", () => {
  const { lines, first, fire, states } = connected("secret");
  assert.deepEqual(first.sent, [{ type: "auth", token: "secret" }]);
  first.onclose?.({ code: 4001 });
  fire();
  assert.deepEqual([states.at(-1), lines.length], ["refused", 1]);
});
